//! What differs between an answer that is recorded and one of the model.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex_lite::Regex;
use serde_json::{Map, Value};

use super::names::is_generated;

/// A refusal that shows the patched object, in Go's order.
static PATCHED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?s)Invalid value: "\{.*\}": strict decoding error"#).ok());

/// One line for each difference. Times may differ by so many microseconds.
pub(super) fn differences(want: &Value, got: &Value, apart: i64) -> Vec<String> {
    if want == got {
        return Vec::new();
    }
    let mut found = Comparison { apart, found: Vec::new() };
    found.compare(&ordered(want), &ordered(got), "");
    found.found
}

/// The value with all that has no order in one of our own.
fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(ordered).collect(),
        Value::Object(fields) => {
            let mut fields: Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), ordered(value))).collect();
            for key in ["managedFields", "resources"] {
                if let Some(Value::Array(items)) = fields.get_mut(key) {
                    items.sort_by_key(Value::to_string);
                }
            }
            if fields.get("kind").is_some_and(|kind| kind == "Status") {
                order_causes(&mut fields);
            }
            fields.into()
        }
        other => other.clone(),
    }
}

/// Puts the causes of a Status in order, and its message if that tells them all.
fn order_causes(status: &mut Map<String, Value>) {
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let causes = status.get_mut("details").and_then(|details| details.get_mut("causes"));
    let Some(Value::Array(causes)) = causes else { return };
    causes.sort_by_key(|cause| (text(cause, "field"), text(cause, "message")));
    let told: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message"))).collect();
    let told = told.join(", ");
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    if let Some((head, rest)) = message.split_once(" is invalid: [")
        && letters(&told) == letters(rest.strip_suffix(']').unwrap_or(rest))
    {
        status.insert("message".into(), format!("{head} is invalid: [{told}]").into());
    }
}

struct Comparison {
    apart: i64,
    found: Vec<String>,
}

impl Comparison {
    fn compare(&mut self, want: &Value, got: &Value, path: &str) {
        match (want, got) {
            (Value::Object(wanted), Value::Object(gotten)) => {
                for key in wanted.keys().chain(gotten.keys()).collect::<BTreeSet<_>>() {
                    let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                    self.pair(wanted.get(key), gotten.get(key), &path);
                }
            }
            (Value::Array(wanted), Value::Array(gotten)) => {
                for at in 0..wanted.len().max(gotten.len()) {
                    self.pair(wanted.get(at), gotten.get(at), &format!("{path}/{at}"));
                }
            }
            (Value::String(want), Value::String(got)) if self.same(want, got, path) => {}
            (Value::Number(want), Value::Number(got)) if !want.is_i64() && want.as_f64() == got.as_f64() => {}
            (want, got) if want != got => {
                self.found.push(format!("{path}: recorded {}, got {}", short(want), short(got)));
            }
            _ => {}
        }
    }

    fn pair(&mut self, want: Option<&Value>, got: Option<&Value>, path: &str) {
        match (want, got) {
            (Some(want), Some(got)) => self.compare(want, got, path),
            (Some(want), None) => self.found.push(format!("{path}: recorded {}, not there", short(want))),
            (None, Some(got)) => self.found.push(format!("{path}: not recorded, there is {}", short(got))),
            (None, None) => {}
        }
    }

    /// Whether two texts are the same but for what differs between servers.
    fn same(&self, want: &str, got: &str, path: &str) -> bool {
        if want == got {
            return true;
        }
        // Ages in a table depend on when it is made.
        let age = |text: &str| {
            text.ends_with(['s', 'm', 'h', 'd']) && text.starts_with(|one: char| one.is_ascii_digit())
        };
        if path.ends_with("/serverAddress") || path.contains("/cells/") && age(want) && age(got) {
            return true;
        }
        // Which version is the oldest that is still known depends on caches.
        let now = |text: &str| {
            Some(
                text.strip_prefix("Timeout: Too large resource version: ")?
                    .split_once(", current: ")?
                    .0
                    .to_owned(),
            )
        };
        if let (Some(want), Some(got)) = (now(want), now(got)) {
            return want == got;
        }
        let too_old =
            |text: &str| Some(text.strip_prefix("too old resource version: ")?.split_once(' ')?.0.to_owned());
        if let (Some(want), Some(got)) = (too_old(want), too_old(got)) {
            return want == got;
        }
        // The volume of a Pod's token has a generated name.
        let volume = |text: &str| text.strip_prefix("kube-api-access-").is_some_and(is_generated);
        if path.ends_with("/status/token") && want.ends_with(".not-recorded") || volume(want) && volume(got) {
            return true;
        }
        if want.len() == got.len()
            && let (Ok(want), Ok(got)) = (want.parse::<Timestamp>(), got.parse::<Timestamp>())
        {
            return (want.as_microsecond() - got.as_microsecond()).abs() <= self.apart;
        }
        PATCHED.as_ref().is_some_and(|pattern| {
            pattern.is_match(want)
                && pattern.replace_all(want, "$patched") == pattern.replace_all(got, "$patched")
        })
    }
}

/// A value that fits into a line.
pub(super) fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 400 { text } else { text.chars().take(397).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_may_be_apart_a_little_and_versions_not_at_all() {
        let at = |time: &str, version: &str| json!({"metadata": {"creationTimestamp": time, "resourceVersion": version}});
        let want = at("2026-11-30T20:00:00Z", "7");
        assert!(differences(&want, &at("2026-11-30T20:00:01Z", "7"), 2_000_000).is_empty());
        assert_eq!(differences(&want, &at("2026-11-30T20:00:09Z", "7"), 2_000_000).len(), 1);
        assert_eq!(differences(&want, &at("2026-11-30T20:00:00Z", "8"), 2_000_000).len(), 1);
    }

    #[test]
    fn causes_have_no_order() {
        let cause = |field: &str| json!({"field": field, "message": "wrong", "reason": "FieldValueInvalid"});
        let status = |causes: Value, told: &str| json!({"kind": "Status", "details": {"causes": causes}, "message": format!("A \"b\" is invalid: [{told}]")});
        let want = status(json!([cause("a"), cause("b")]), "a: wrong, b: wrong");
        let got = status(json!([cause("b"), cause("a")]), "b: wrong, a: wrong");
        assert!(differences(&want, &got, 0).is_empty());
        assert!(
            !differences(&want, &status(json!([cause("b"), cause("c")]), "b: wrong, c: wrong"), 0).is_empty()
        );
    }
}
