//! What an Event may be.

use serde_json::Value;

use super::internal;
use super::names::qualified;
use super::value::{at, number, text};
use crate::schema::fault;
use crate::status::Cause;

/// Returns the faults of a new Event.
pub(super) fn check(new: &Value) -> Vec<Cause> {
    let mut causes = legacy(new, &NEW);
    causes.extend(series(new));
    if at(new, &["eventTime"]).is_null() {
        causes.push(fault::required("eventTime", ""));
    }
    let type_ = text(new, &["type"]);
    if !matches!(type_, "Normal" | "Warning") {
        causes.push(fault::invalid_text("type", "", &format!("has invalid value: {type_}")));
    }
    const UNSET: [(&str, &str); 4] = [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
    ];
    for (field, name) in UNSET {
        let is_nothing = match at(new, &[field]) {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            value => *value == 0,
        };
        if !is_nothing {
            causes.push(fault::invalid_text(name, "", "needs to be unset"));
        }
    }
    causes
}

fn series(new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if at(new, &["series"]).is_object() {
        if number(new, &["series", "count"]).unwrap_or_default() < 2 {
            causes.push(fault::invalid_text("series.count", "", "should be at least 2"));
        }
        if at(new, &["series", "lastObservedTime"]).is_null() {
            causes.push(fault::required("series.lastObservedTime", ""));
        }
    }
    causes
}

/// Returns the fault of an Event that is in another namespace than what it is about, which a field named.
fn namespace(new: &Value, about: &str) -> Option<Cause> {
    let (own, other) = (text(new, &["metadata", "namespace"]), text(new, &[about, "namespace"]));
    let differs = if at(new, &["eventTime"]).is_null() {
        if other.is_empty() { !matches!(own, "" | "default") } else { own != other }
    } else {
        other.is_empty() && !matches!(own, "default" | "kube-system")
    };
    differs.then(|| fault::invalid_text("involvedObject.namespace", other, "does not match event.namespace"))
}

/// The names that a version of Event has for what an event is about, who tells of it and what it tells.
pub(super) struct Names {
    about: &'static str,
    controller: &'static str,
    message: &'static str,
}

/// The old version.
pub(super) const CORE: Names =
    Names { about: "involvedObject", controller: "reportingComponent", message: "message" };
/// The new version.
pub(super) const NEW: Names =
    Names { about: "regarding", controller: "reportingController", message: "note" };

/// Checks an Event as those of the old version were: most fields have the names of that.
pub(super) fn legacy(new: &Value, named: &Names) -> Vec<Cause> {
    let mut causes: Vec<Cause> = namespace(new, named.about).into_iter().collect();
    if at(new, &["eventTime"]).is_null() {
        return causes;
    }
    let mut text_of = |field: &str, most: usize, is_required: bool| {
        let value = text(new, &[field]);
        if value.is_empty() && is_required {
            causes.push(fault::required(field, ""));
        }
        if value.len() > most {
            let name = if field == named.message { "message" } else { field };
            causes.push(fault::invalid_text(name, "", &format!("can have at most {most} characters")));
        }
    };
    text_of(named.controller, usize::MAX, true);
    text_of("reportingInstance", 128, true);
    text_of("action", 128, true);
    text_of("reason", 128, true);
    text_of(named.message, 1024, false);
    let controller = text(new, &[named.controller]);
    let faults = qualified(controller);
    causes.extend(faults.iter().map(|detail| fault::invalid_text(named.controller, controller, detail)));
    causes
}

/// Returns the faults of what an update changes in an Event.
pub(super) fn check_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if at(new, &["series"]) != at(old, &["series"]) {
        causes.extend(series(new));
    }
    /// The fields with their names in the old version, and the types of that.
    const KEPT: [(&str, &str, &str); 13] = [
        ("regarding", "involvedObject", "core.ObjectReference"),
        ("reason", "reason", ""),
        ("note", "message", ""),
        ("deprecatedSource", "source", "core.EventSource"),
        ("deprecatedFirstTimestamp", "firstTimestamp", ""),
        ("deprecatedLastTimestamp", "lastTimestamp", ""),
        ("deprecatedCount", "count", ""),
        ("reason", "reason", ""),
        ("type", "type", ""),
        ("eventTime", "eventTime", ""),
        ("action", "action", ""),
        ("related", "related", "core.ObjectReference"),
        ("reportingController", "reportingController", ""),
    ];
    for (field, name, type_) in KEPT.into_iter().chain([("reportingInstance", "reportingInstance", "")]) {
        let value = at(new, &[field]);
        if value == at(old, &[field]) {
            continue;
        }
        let is_text = !matches!(name, "firstTimestamp" | "lastTimestamp" | "count" | "eventTime");
        causes.push(match type_ {
            "" if value.is_null() && is_text => fault::immutable(name, &"".into()),
            "" => fault::immutable(name, value),
            type_ => internal::invalid(name, &internal::shown(type_, value), "field is immutable"),
        });
    }
    causes
}
