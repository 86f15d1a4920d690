//! What may change of a pod.

use serde_json::Value;

use super::value::{at, items, number, text};
use super::{names, pod};
use crate::schema::fault::{self, child, index};
use crate::status::Cause;

/// Returns the faults of what an update changes in a pod.
pub(super) fn check_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut kept = at(new, &["spec"]).clone();
    for list in ["containers", "initContainers"] {
        let before = items(old, &["spec", list]);
        if items(&kept, &[list]).len() != before.len() {
            let detail = "pod updates may not add or remove containers";
            causes.push(fault::forbidden(child("spec", list), detail));
            return causes;
        }
        for (i, one) in super::value::items_mut(&mut kept, &[list]).iter_mut().enumerate() {
            if text(one, &["image"]).is_empty() {
                causes.push(fault::required(child(&index(&child("spec", list), i), "image"), ""));
            }
            if let (Some(one), Some(image)) =
                (one.as_object_mut(), before.get(i).and_then(|one| one.get("image")))
            {
                one.insert("image".into(), image.clone());
            }
        }
    }
    if let Some(kept) = kept.as_object_mut() {
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            match at(old, &["spec", field]) {
                Value::Null => kept.remove(field),
                value => kept.insert(field.to_owned(), value.clone()),
            };
        }
    }
    if !deadline(new, old, &mut causes) {
        return causes;
    }
    added(new, old, &mut causes);
    if kept != *at(old, &["spec"]) {
        causes.push(fault::not_modelled("spec", "what the API server says of a change to a pod's spec"));
    }
    causes
}

/// Returns the faults of a new status of a pod.
pub(super) fn check_status(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, condition) in items(new, &["status", "conditions"]).iter().enumerate() {
        let type_ = text(condition, &["type"]);
        if !matches!(type_, "PodScheduled" | "Ready" | "Initialized") {
            pod::each(
                &names::qualified(type_),
                &child(&index("status.conditions", i), "Type"),
                type_,
                &mut causes,
            );
        }
    }
    let class = at(new, &["status", "qosClass"]);
    if class != at(old, &["status", "qosClass"]) {
        let shown = if class.is_null() { &Value::from("") } else { class };
        causes.push(fault::immutable("status.qosClass", shown));
    }
    causes
}

/// A deadline may only come nearer. Returns whether the API server looks further.
fn deadline(new: &Value, old: &Value, causes: &mut Vec<Cause>) -> bool {
    const PATH: &str = "spec.activeDeadlineSeconds";
    let path = ["spec", "activeDeadlineSeconds"];
    match (number(new, &path), number(old, &path)) {
        (Some(new), Some(old)) if new > old => {
            causes.push(fault::invalid(PATH, &new.into(), "must be less than or equal to previous value"));
            return false;
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            causes.push(fault::invalid(PATH, &Value::Null, detail));
        }
        _ => {}
    }
    true
}

/// Tolerations may only be added to.
fn added(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let plain = |one: &Value| {
        let mut one = one.clone();
        one.as_object_mut().map(|one| one.remove("tolerationSeconds"));
        one
    };
    let there: Vec<Value> = items(new, &["spec", "tolerations"]).iter().map(plain).collect();
    if items(old, &["spec", "tolerations"]).iter().any(|one| !there.contains(&plain(one))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(fault::forbidden("spec.tolerations", detail));
        return;
    }
    pod::tolerations(at(new, &["spec"]), "spec", causes);
}
