//! Selectors of labels within objects.

use serde_json::Value;

use super::names;
use super::value::{entries, items, text};
use crate::schema::fault::{self, child, index};
use crate::status::Cause;

/// Returns the faults of a selector.
pub(super) fn check(selector: &Value, path: &str) -> Vec<Cause> {
    let mut causes = super::metadata::labels_of(selector, &child(path, "matchLabels"), "matchLabels");
    for (i, one) in items(selector, &["matchExpressions"]).iter().enumerate() {
        let at = |field: &str| child(&index(&child(path, "matchExpressions"), i), field);
        let (operator, values) = (text(one, &["operator"]), items(one, &["values"]));
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                causes.push(fault::required(
                    at("values"),
                    "must be specified when `operator` is 'In' or 'NotIn'",
                ));
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(fault::forbidden(at("values"), detail));
            }
            "Exists" | "DoesNotExist" => {}
            _ => causes.push(fault::invalid_text(at("operator"), operator, "not a valid selector operator")),
        }
        let key = text(one, &["key"]);
        causes.extend(names::qualified(key).iter().map(|detail| fault::invalid_text(at("key"), key, detail)));
        for (j, value) in values.iter().filter_map(Value::as_str).enumerate() {
            let faults = names::label_value(value);
            let at = index(&at("values"), j);
            causes.extend(faults.iter().map(|detail| fault::invalid_text(at.clone(), value, detail)));
        }
    }
    causes
}

/// Whether a selector is one, and does not select these labels.
pub(super) fn misses(selector: &Value, labels: &Value) -> bool {
    !selects(selector, labels) && check(selector, "").is_empty()
}

/// Whether labels (a map of texts) are those that a selector selects. An operator that nobody knows selects nothing.
#[must_use]
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    entries(selector, &["matchLabels"]).all(|(key, value)| label(key) == value.as_str())
        && items(selector, &["matchExpressions"]).iter().all(|one| {
            let found = label(text(one, &["key"]));
            let listed = || items(one, &["values"]).iter().any(|value| value.as_str() == found);
            match text(one, &["operator"]) {
                "In" => found.is_some() && listed(),
                "NotIn" => found.is_none() || !listed(),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}
