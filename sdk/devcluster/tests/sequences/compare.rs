//! What differs between two answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::canon::ordered;

/// One line for each difference.
pub(crate) fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(&sorted(want), &sorted(got), "", &mut found);
    found
}

/// The value with the entries of managedFields in an order of our own.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => ordered(fields)
            .iter()
            .map(|(key, value)| {
                let mut value = sorted(value);
                if let (true, Value::Array(items)) = (key.ends_with("managedFields"), &mut value) {
                    items.sort_by_key(Value::to_string);
                }
                (key.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}

fn compare(want: &Value, got: &Value, path: &str, found: &mut Vec<String>) {
    match (want, got) {
        (Value::Object(wanted), Value::Object(gotten)) => {
            for key in wanted.keys().chain(gotten.keys()).collect::<BTreeSet<_>>() {
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                pair(wanted.get(key), gotten.get(key), &path, found);
            }
        }
        (Value::Array(wanted), Value::Array(gotten)) => {
            for at in 0..wanted.len().max(gotten.len()) {
                pair(wanted.get(at), gotten.get(at), &format!("{path}/{at}"), found);
            }
        }
        (want, got) if want != got => {
            let (want, got) = apart(want, got);
            found.push(format!("{path}: recorded {}, got {}", short(&want), short(&got)));
        }
        _ => {}
    }
}

fn pair(want: Option<&Value>, got: Option<&Value>, path: &str, found: &mut Vec<String>) {
    match (want, got) {
        (Some(want), Some(got)) => compare(want, got, path, found),
        (Some(want), None) => found.push(format!("{path}: recorded {}, not there", short(want))),
        (None, Some(got)) => found.push(format!("{path}: not recorded, there is {}", short(got))),
        (None, None) => {}
    }
}

/// Two long texts from where they differ.
fn apart(want: &Value, got: &Value) -> (Value, Value) {
    let (Value::String(wanted), Value::String(gotten)) = (want, got) else {
        return (want.clone(), got.clone());
    };
    let same = wanted.chars().zip(gotten.chars()).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(40);
    let cut = |text: &str| Value::from(text.chars().skip(from).collect::<String>());
    if from < 100 { (want.clone(), got.clone()) } else { (cut(wanted), cut(gotten)) }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 300 { text } else { text.chars().take(297).chain("...".chars()).collect() }
}
