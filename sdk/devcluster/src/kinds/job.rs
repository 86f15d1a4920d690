//! What a Job may be.

use serde_json::{Value, json};

use super::defaults::is_negative;
use super::value::{at, items, number, on, text};
use super::{internal, names, pod, selector};
use crate::schema::fault::{self, child, index};
use crate::schema::go;
use crate::status::Cause;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
/// Most Pods at once of an indexed Job.
const MOST_PARALLEL: i64 = 100_000;

/// Returns the faults of a Job, without those of its metadata.
pub(super) fn check(job: &Value) -> Vec<Cause> {
    let mut causes = generated(job);
    causes.extend(spec(job));
    let (name, completions) = (text(job, &["metadata", "name"]), number(job, &["spec", "completions"]));
    if let Some(completions) = completions.filter(|number| is_indexed(job) && *number > 0) {
        let host = format!("{name}-{}", completions - 1);
        if !names::dns1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            causes.push(fault::invalid_text("metadata.name", name, &detail));
        }
    }
    causes
}

fn is_indexed(job: &Value) -> bool {
    text(job, &["spec", "completionMode"]) == "Indexed"
}

/// Checks the labels and the selector that the API server has made.
fn generated(job: &Value) -> Vec<Cause> {
    if on(job, &["spec", "manualSelector"]) || at(job, &["spec", "selector"]).is_null() {
        return Vec::new();
    }
    let (name, uid) = (text(job, &["metadata", "name"]), text(job, &["metadata", "uid"]));
    let wanted = [
        ("controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
    ];
    let labels = at(job, &["spec", "template", "metadata", "labels"]);
    let mut causes = Vec::new();
    for (label, wanted) in wanted {
        let path = "spec.template.metadata.labels";
        match labels.get(label).and_then(Value::as_str) {
            None => causes.push(fault::required(fault::key(path, label), &format!("must be '{wanted}'"))),
            Some(other) if other != wanted => {
                let detail = format!("must be '{wanted}'");
                causes.push(fault::invalid(fault::key(path, label), &labels.clone(), &detail));
            }
            Some(_) => {}
        }
    }
    let expected = json!({"controller-uid": uid, "job-name": name, "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name});
    let own = at(job, &["spec", "selector"]);
    if selector::misses(own, &expected) {
        causes.push(internal::invalid(
            "spec.selector",
            &internal::selector(own),
            "`selector` not auto-generated",
        ));
    }
    causes
}

/// Returns the faults of a Job's spec.
pub(super) fn spec(job: &Value) -> Vec<Cause> {
    let spec = at(job, &["spec"]);
    let mut causes = Vec::new();
    const COUNTS: [&str; 7] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    for field in COUNTS.into_iter().filter(|field| is_negative(spec, &[field])) {
        causes.push(fault::invalid(child("spec", field), at(spec, &[field]), NOT_NEGATIVE));
    }
    let has = |field: &str| !at(spec, &[field]).is_null();
    if has("maxFailedIndexes") && !has("backoffLimitPerIndex") {
        causes.push(fault::required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"));
    }
    if let Some(manager) = at(spec, &["managedBy"]).as_str() {
        managed_by(manager, &mut causes);
    }
    mode(spec, &mut causes);
    if has("podFailurePolicy") {
        failure_policy(spec, &mut causes);
    }
    if has("successPolicy") && !is_indexed(job) {
        let shown = internal::shown("batch.SuccessPolicy", at(spec, &["successPolicy"]));
        causes.push(internal::invalid("spec.successPolicy", &shown, "requires indexed completion mode"));
    }
    let policy = at(spec, &["podReplacementPolicy"]);
    let known: &[&str] =
        if has("podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !policy.is_null() && !known.iter().any(|known| policy == known) {
        causes.push(fault::not_supported("spec.podReplacementPolicy", policy, known));
    }
    causes.extend(pod::template(at(spec, &["template"]), "spec.template"));
    restart_policy(spec, &mut causes);
    match at(spec, &["selector"]) {
        Value::Null => causes.push(fault::required("spec.selector", "")),
        selector => causes.extend(selector::check(selector, "spec.selector")),
    }
    let labels = at(spec, &["template", "metadata", "labels"]);
    if selector::misses(at(spec, &["selector"]), labels) || at(spec, &["selector"]).is_null() {
        let detail = "`selector` does not match template `labels`";
        causes.push(fault::invalid("spec.template.metadata.labels", labels, detail));
    }
    causes
}

fn managed_by(manager: &str, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.managedBy";
    if manager.is_empty() {
        causes.push(fault::required(PATH, ""));
    } else {
        match manager.split_once('/') {
            Some((host, path)) if !host.is_empty() && !path.is_empty() => {
                let faults = names::dns1123_subdomain(host);
                causes.extend(faults.iter().map(|detail| fault::invalid_text(PATH, host, detail)));
                causes.extend(
                    names::http_path(path).iter().map(|detail| fault::invalid_text(PATH, path, detail)),
                );
            }
            _ => {
                let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
                causes.push(fault::invalid_text(PATH, manager, detail));
            }
        }
    }
    if manager.len() > 63 {
        causes.push(fault::too_long(PATH, 63));
    }
}

fn mode(spec: &Value, causes: &mut Vec<Cause>) {
    let mode = at(spec, &["completionMode"]);
    match mode.as_str() {
        Some("Indexed") => {
            if at(spec, &["completions"]).is_null() {
                causes.push(fault::required("spec.completions", "when completion mode is Indexed"));
            }
            if number(spec, &["parallelism"]).is_some_and(|number| number > MOST_PARALLEL) {
                let detail =
                    format!("must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed");
                causes.push(fault::invalid("spec.parallelism", at(spec, &["parallelism"]), &detail));
            }
            if let (Some(most), Some(all)) =
                (number(spec, &["maxFailedIndexes"]), number(spec, &["completions"]))
                && most > all
            {
                causes.push(fault::invalid(
                    "spec.maxFailedIndexes",
                    &most.into(),
                    "must be less than or equal to completions",
                ));
            }
        }
        None | Some("NonIndexed") => {
            for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                let value = at(spec, &[field]);
                if !value.is_null() {
                    causes.push(fault::invalid(
                        child("spec", field),
                        value,
                        "requires indexed completion mode",
                    ));
                }
            }
        }
        Some(_) => causes.push(fault::not_supported("spec.completionMode", mode, &["NonIndexed", "Indexed"])),
    }
}

fn restart_policy(spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.template.spec.restartPolicy";
    let policy = text(spec, &["template", "spec", "restartPolicy"]);
    match policy {
        "Always" | "" => causes.push(fault::required(PATH, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if !at(spec, &["podFailurePolicy"]).is_null() => {
            let detail = "only \"Never\" is supported when podFailurePolicy is specified";
            causes.push(fault::invalid_text(PATH, policy, detail));
        }
        "OnFailure" | "Never" => {}
        _ => causes.push(fault::not_supported(PATH, &policy.into(), &["OnFailure", "Never"])),
    }
}

fn failure_policy(spec: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = "spec.podFailurePolicy.rules";
    let rules = items(spec, &["podFailurePolicy", "rules"]);
    if rules.len() > 20 {
        causes.push(fault::too_many(PATH, rules.len(), 20));
    }
    for (i, rule) in rules.iter().enumerate() {
        let at_rule = index(PATH, i);
        one_of(rule, "action", &at_rule, &["Count", "FailIndex", "FailJob", "Ignore"], causes);
        if text(rule, &["action"]) == "FailIndex" && at(spec, &["backoffLimitPerIndex"]).is_null() {
            let detail = "requires the backoffLimitPerIndex to be set";
            causes.push(fault::invalid_text(child(&at_rule, "action"), "FailIndex", detail));
        }
        let (codes, conditions) = (at(rule, &["onExitCodes"]), items(rule, &["onPodConditions"]));
        if !codes.is_null() {
            exit_codes(spec, codes, &child(&at_rule, "onExitCodes"), causes);
        }
        for (j, condition) in conditions.iter().enumerate() {
            let path = index(&child(&at_rule, "onPodConditions"), j);
            let type_ = text(condition, &["type"]);
            let faults = names::qualified(type_);
            causes
                .extend(faults.iter().map(|detail| fault::invalid_text(child(&path, "type"), type_, detail)));
            one_of(condition, "status", &path, &["False", "True", "Unknown"], causes);
        }
        let detail = match (codes.is_null(), conditions.is_empty()) {
            (false, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (true, true) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        causes.push(internal::plain_invalid(at_rule, detail));
    }
}

/// Checks a text that must be one of some.
fn one_of(parent: &Value, field: &str, path: &str, known: &[&str], causes: &mut Vec<Cause>) {
    let value = text(parent, &[field]);
    if value.is_empty() {
        let known: Vec<String> = known.iter().map(|one| go::quote(one)).collect();
        causes.push(fault::required(child(path, field), &format!("valid values: [{}]", known.join(" "))));
    } else if !known.contains(&value) {
        causes.push(fault::not_supported(child(path, field), &value.into(), known));
    }
}

fn exit_codes(spec: &Value, codes: &Value, path: &str, causes: &mut Vec<Cause>) {
    one_of(codes, "operator", path, &["In", "NotIn"], causes);
    let container = at(codes, &["containerName"]);
    let known = |name: &Value| {
        let lists = ["containers", "initContainers"].into_iter();
        lists.flat_map(|list| items(spec, &["template", "spec", list])).any(|one| at(one, &["name"]) == name)
    };
    if !container.is_null() && !known(container) {
        let detail = "must be one of the container or initContainer names in the pod template";
        causes.push(fault::invalid(child(path, "containerName"), container, detail));
    }
    let values = items(codes, &["values"]);
    let at_values = child(path, "values");
    if values.is_empty() {
        causes.push(fault::invalid(
            at_values.clone(),
            at(codes, &["values"]),
            "at least one value is required",
        ));
    } else if values.len() > 255 {
        causes.push(fault::too_many(at_values.clone(), values.len(), 255));
    }
    for (j, value) in values.iter().enumerate() {
        if text(codes, &["operator"]) == "In" && *value == 0 {
            causes.push(fault::invalid(index(&at_values, j), value, "must not be 0 for the In operator"));
        }
        if values.iter().take(j).any(|before| before == value) {
            causes.push(fault::duplicate(index(&at_values, j), value));
        }
    }
    let is_ordered = values.is_sorted_by_key(Value::as_i64);
    if !is_ordered {
        causes.push(fault::invalid(at_values, at(codes, &["values"]), "must be ordered"));
    }
}

/// Returns the faults of what an update changes in a Job's spec.
pub(super) fn check_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = spec(new);
    let (new_spec, old_spec) = (at(new, &["spec"]), at(old, &["spec"]));
    if is_indexed(new) {
        let (wanted, at_once) = (number(new_spec, &["completions"]), number(new_spec, &["parallelism"]));
        if wanted != number(old_spec, &["completions"]) && wanted.is_some() && wanted != at_once {
            let detail = "can only be modified in tandem with spec.parallelism";
            causes.push(fault::invalid("spec.completions", at(new_spec, &["completions"]), detail));
        }
    }
    let keeps = |field: &str, type_: &str, causes: &mut Vec<Cause>| {
        let (new, old) = (at(new_spec, &[field]), at(old_spec, &[field]));
        if new != old {
            let path = child("spec", field);
            causes.push(match type_ {
                "" => fault::immutable(path, new),
                type_ => internal::invalid(path, &internal::shown(type_, new), "field is immutable"),
            });
        }
    };
    if !is_indexed(new) {
        keeps("completions", "", &mut causes);
    }
    keeps("selector", "v1.LabelSelector", &mut causes);
    template(new_spec, old, &mut causes);
    keeps("completionMode", "", &mut causes);
    keeps("podFailurePolicy", "batch.PodFailurePolicy", &mut causes);
    keeps("backoffLimitPerIndex", "", &mut causes);
    keeps("managedBy", "", &mut causes);
    keeps("successPolicy", "batch.SuccessPolicy", &mut causes);
    causes
}

/// Checks that the template is as it was; of a suspended Job that has never started some of it may change.
fn template(new_spec: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let new = at(new_spec, &["template"]);
    let mut before = at(old, &["spec", "template"]).clone();
    if on(old, &["spec", "suspend"]) && at(old, &["status", "startTime"]).is_null() {
        const MOVABLE: [&[&str]; 6] = [
            &["spec", "nodeSelector"],
            &["spec", "tolerations"],
            &["spec", "schedulingGates"],
            &["spec", "affinity", "nodeAffinity"],
            &["metadata", "annotations"],
            &["metadata", "labels"],
        ];
        MOVABLE.into_iter().for_each(|path| take_over(&mut before, new, path));
    }
    if *new != before {
        let shown = internal::shown("core.PodTemplateSpec", new);
        causes.push(internal::invalid("spec.template", &shown, "field is immutable"));
    }
}

fn take_over(to: &mut Value, from: &Value, path: &[&str]) {
    let Some((field, parents)) = path.split_last() else { return };
    let value = at(from, path).clone();
    if value.is_null() && at(to, path).is_null() {
        return;
    }
    let Some(parent) = super::value::map_mut(to, parents) else { return };
    match value {
        Value::Null => parent.remove(*field),
        value => parent.insert((*field).to_owned(), value),
    };
    // A pointer to nothing but the part that may move is as good as none.
    if parents == ["spec", "affinity"]
        && parent.is_empty()
        && at(from, parents).is_null()
        && let Some(spec) = super::value::map_mut(to, &["spec"])
    {
        spec.remove("affinity");
    }
}

fn is_true(job: &Value, type_: &str) -> bool {
    items(job, &["status", "conditions"])
        .iter()
        .any(|one| text(one, &["type"]) == type_ && text(one, &["status"]) == "True")
}

/// Returns the faults of a new status of a Job.
pub(super) fn check_status(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let status = at(new, &["status"]);
    const CONDITIONS: &str = "status.conditions";
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        if is_negative(status, &[field]) {
            causes.push(fault::invalid(child("status", field), at(status, &[field]), NOT_NEGATIVE));
        }
    }
    let changed = |field: &str| at(status, &[field]) != at(old, &["status", field]);
    let turned = |type_: &str| is_true(new, type_) != is_true(old, type_);
    let [complete, failed, target, met] =
        ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].map(|type_| is_true(new, type_));
    let finished = complete || failed;
    let was_finished = is_true(old, "Complete") || is_true(old, "Failed");
    let [start, end] = ["startTime", "completionTime"].map(|field| at(status, &[field]));
    let mut refuse = |when: bool, detail: &str| {
        if when {
            causes.push(internal::plain_invalid(CONDITIONS, detail));
        }
    };
    refuse(
        (turned("Complete") || turned("Failed")) && complete && failed,
        "cannot set Complete=True and Failed=true conditions",
    );
    refuse(
        (turned("Complete") || turned("FailureTarget")) && complete && target,
        "cannot set Complete=True and FailureTarget=true conditions",
    );
    refuse(
        (turned("Failed") || changed("failedIndexes")) && failed && !target,
        "cannot set Failed=True condition without the FailureTarget=true condition",
    );
    refuse(
        (turned("Complete") || turned("SuccessCriteriaMet")) && complete && !met,
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    );
    refuse(met && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    refuse(met && target, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    refuse(
        !at(new, &["spec", "successPolicy"]).is_null() && !met && complete,
        "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    );
    for type_ in ["Failed", "Complete", "FailureTarget"] {
        let detail = format!("cannot disable the terminal {type_}=True condition");
        refuse(is_true(old, type_) && !is_true(new, type_), &detail);
    }
    let ended = turned("Complete") || changed("completionTime");
    if ended && !end.is_null() && !complete {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        causes.push(fault::invalid("status.completionTime", end, detail));
    }
    if ended && end.is_null() && complete {
        causes.push(fault::required("status.completionTime", "completionTime is required for Complete jobs"));
    }
    let moment = |time: &Value| time.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if (changed("startTime") || changed("completionTime"))
        && moment(start).zip(moment(end)).is_some_and(|(start, end)| end < start)
    {
        causes.push(fault::invalid("status.completionTime", end, "must be equal to or after `startTime`"));
    }
    let ends_now = finished != was_finished;
    let count = |field: &str| number(status, &[field]).unwrap_or_default();
    if (ends_now || changed("active")) && count("active") > 0 && finished {
        causes.push(fault::invalid(
            "status.active",
            at(status, &["active"]),
            "active>0 is invalid for finished job",
        ));
    }
    let idle = on(new, &["spec", "suspend"]) && number(new, &["spec", "completions"]) == Some(0);
    if (ends_now || changed("startTime")) && !idle && start.is_null() && finished {
        causes.push(fault::required("status.startTime", "startTime is required for finished job"));
    }
    if (ends_now || changed("terminating")) && count("terminating") > 0 && finished {
        let detail = "terminating>0 is invalid for finished job";
        causes.push(fault::invalid("status.terminating", at(status, &["terminating"]), detail));
    }
    if (changed("ready") || changed("active"))
        && number(status, &["ready"]).is_some_and(|ready| ready > count("active"))
    {
        causes.push(fault::invalid(
            "status.ready",
            at(status, &["ready"]),
            "cannot set more ready pods than active",
        ));
    }
    moves(new, old, &mut causes);
    causes
}

/// Checks what may not go back, or not change at all.
fn moves(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let count = |job: &Value, field: &str| number(job, &["status", field]).unwrap_or_default();
    let scales = is_indexed(new) && at(new, &["spec", "completions"]) == at(new, &["spec", "parallelism"]);
    for (field, may_fall) in [("failed", false), ("succeeded", scales)] {
        if count(new, field) < count(old, field) && !may_fall {
            let detail = format!("cannot decrease the {field} counter");
            causes.push(fault::invalid(child("status", field), &count(new, field).into(), &detail));
        }
    }
    let time = |job: &'_ Value, field: &str| at(job, &["status", field]).clone();
    let (end, ended) = (time(new, "completionTime"), time(old, "completionTime"));
    if !end.is_null() && !ended.is_null() && end != ended {
        causes.push(fault::immutable("status.completionTime", &end));
    }
    let (start, started) = (time(new, "startTime"), time(old, "startTime"));
    let resumes = is_true(old, "Suspended")
        && items(new, &["status", "conditions"])
            .iter()
            .any(|one| text(one, &["type"]) == "Suspended" && text(one, &["status"]) == "False");
    if start != started && !started.is_null() && !on(new, &["spec", "suspend"]) && !resumes {
        causes.push(fault::required("status.startTime", "startTime cannot be removed for unsuspended job"));
    }
    let (met, was_met) = (is_true(new, "SuccessCriteriaMet"), is_true(old, "SuccessCriteriaMet"));
    if was_met && !met {
        causes.push(internal::plain_invalid(
            "status.conditions",
            "cannot disable the SuccessCriteriaMet=True condition",
        ));
    }
    if is_true(old, "Complete") && !was_met && met {
        let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        causes.push(internal::plain_invalid("status.conditions", detail));
    }
}
