//! Label selectors as they stand in objects.

use serde_json::Value;

/// Returns whether a selector selects an object by its labels; an empty selector selects all.
#[must_use]
pub fn selects(selector: &Value, object: &Value) -> bool {
    let label = |key: &str| object.get("metadata")?.get("labels")?.get(key)?.as_str();
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    labels.into_iter().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().all(|expression| {
            let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
            let mut values = expression
                .get("values")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            match expression.get("operator").and_then(Value::as_str) {
                Some("In") => label(key).is_some_and(|label| values.any(|value| value == label)),
                Some("NotIn") => label(key).is_none_or(|label| values.all(|value| value != label)),
                Some("Exists") => label(key).is_some(),
                Some("DoesNotExist") => label(key).is_none(),
                _ => false,
            }
        })
}
