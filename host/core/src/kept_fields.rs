//! Which fields of our objects the API server keeps. With CRDs of another version it drops the others, without an error.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fields whose content is free.
const FREE_FORM: [&str; 3] = ["options", "parameters", "underlyingResources"];

/// Returns the fields of a merge patch, in the form `status.run.deadline`, that an object does not have after it. `there` is
/// the object as the API server answered; list items are not compared.
#[must_use]
pub fn dropped(sent: &Value, there: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    compare(sent, there, "", &mut found);
    found
}

fn compare(sent: &Value, there: &Value, at: &str, found: &mut BTreeSet<String>) {
    let Some(sent) = sent.as_object() else { return };
    for (key, value) in sent.iter().filter(|(_, value)| !value.is_null()) {
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match there.get(key) {
            None => {
                found.insert(at);
            }
            // What users write there is no field of ours.
            Some(_) if FREE_FORM.contains(&key.as_str()) => {}
            Some(there) => compare(value, there, &at, found),
        }
    }
}

/// Returns the fields that a schema of ours has and the served one has not. The children of a missing field are not listed.
#[must_use]
pub fn missing(ours: &Value, served: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    descend(ours, served, "", &mut found);
    found
}

fn descend(ours: &Value, served: &Value, at: &str, found: &mut BTreeSet<String>) {
    if served["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    for (key, schema) in ours["properties"].as_object().into_iter().flatten() {
        let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match served["properties"].get(key) {
            None => {
                found.insert(at);
            }
            Some(served) => descend(schema, served, &at, found),
        }
    }
    // A map has one schema for all values, a list for all items.
    for of_all in ["additionalProperties", "items"] {
        let schemas = ours.get(of_all).zip(served.get(of_all));
        if let Some((ours, served)) = schemas.filter(|(ours, served)| ours.is_object() && served.is_object())
        {
            descend(ours, served, at, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(found: &BTreeSet<String>) -> Vec<&str> {
        found.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_field_that_was_sent_and_is_not_there_was_dropped() {
        let sent = json!({"status": {"phase": "Running", "run": {"deadline": 1}, "waitingSince": null,
            "conditions": [{"type": "Ready", "observedGeneration": 1}]}});
        let there =
            json!({"metadata": {}, "status": {"phase": "Running", "conditions": [{"type": "Ready"}]}});
        assert_eq!(fields(&dropped(&sent, &there)), ["status.run"]);
        let there = json!({"status": {"phase": "Running", "run": {"deadline": 1}, "conditions": []}});
        assert_eq!(fields(&dropped(&sent, &there)), [""; 0]);
    }

    #[test]
    fn a_field_within_a_kept_one_can_be_dropped_too() {
        let sent = json!({"status": {"run": {"deadline": 1, "options": {"a": {"b": 1}}}}});
        let there = json!({"status": {"run": {"deadline": 1}}});
        assert_eq!(fields(&dropped(&sent, &there)), ["status.run.options"]);
        let there = json!({"status": {"run": {"deadline": 1, "options": {}}}});
        assert_eq!(fields(&dropped(&sent, &there)), [""; 0], "a tenant writes them");
    }

    #[test]
    fn a_schema_that_lacks_fields_of_ours_is_told_by_their_names() {
        let ours = json!({"properties": {"spec": {"properties": {"a": {}}}, "status": {"properties": {
            "run": {"properties": {"x": {}}}, "conditions": {"items": {"properties": {"type": {}, "reason": {}}}}}}}});
        let served = json!({"properties": {"spec": {"properties": {"a": {}, "more": {}}},
            "status": {"properties": {"conditions": {"items": {"properties": {"type": {}}}}}}}});
        assert_eq!(fields(&missing(&ours, &served)), ["status.conditions.reason", "status.run"]);
        assert_eq!(fields(&missing(&ours, &ours)), [""; 0]);
        let open = json!({"x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(fields(&missing(&ours, &open)), [""; 0]);
    }
}
