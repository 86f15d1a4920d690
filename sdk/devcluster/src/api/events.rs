//! Events in their two groups: the same objects with other names of fields.

use serde_json::{Value, json};

/// A field of core/v1 and the same field of events.k8s.io/v1.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Returns an Event of core/v1 as one of events.k8s.io/v1.
pub(crate) fn newer(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |name| NAMES.iter().find(|pair| pair.0 == name).map(|pair| pair.1))
}

/// Returns an Event of events.k8s.io/v1 as one of core/v1.
pub(crate) fn older(event: &Value) -> Value {
    renamed(event, "v1", |name| NAMES.iter().find(|pair| pair.1 == name).map(|pair| pair.0))
}

fn renamed(event: &Value, version: &str, name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let fields = event.as_object().into_iter().flatten();
    let mut event: Value = fields
        .map(|(key, value)| (name(key).unwrap_or(key).to_owned(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    event["apiVersion"] = json!(version);
    // Only core/v1 writes these when they are empty.
    let (is_core, fields) =
        (version == "v1", ["reportingComponent", "reportingController", "reportingInstance"]);
    if let (false, Value::Object(event)) = (is_core, &mut event) {
        event.retain(|key, value| !fields.contains(&key.as_str()) || value != "");
    }
    event
}
