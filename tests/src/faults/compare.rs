//! What a plan leaves, in a form that can be compared with what another one leaves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::census::Count;

/// Objects of one namespace, and how many of each kind were ever made and deleted there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    /// By kind and name, without what differs from one run to the next.
    pub objects: BTreeMap<String, Value>,
    /// By kind: made, deleted.
    pub counts: BTreeMap<String, Count>,
    /// Titles of records of what is over: they are collected later, where a controller could not delete them.
    pub left_over: Vec<String>,
    /// How runs have ended: phase, and reason of Ready.
    pub ends: Vec<(Option<String>, String)>,
}

impl Snapshot {
    /// As if what is to be collected had been.
    pub(super) fn collected(&self) -> Self {
        let mut collected = self.clone();
        for title in std::mem::take(&mut collected.left_over) {
            collected.objects.remove(&title);
            if let Some((_, deleted)) = collected.counts.get_mut("Secret") {
                *deleted += 1;
            }
        }
        collected
    }
}

pub(super) fn replaced(text: &str, words: &[(String, String)]) -> String {
    words.iter().filter(|(word, _)| !word.is_empty()).fold(text.to_owned(), |text, (word, by)| {
        if text.contains(word.as_str()) { text.replace(word.as_str(), by) } else { text }
    })
}

/// Without what differs from one run to the next: names by chance, times, versions.
pub(super) fn comparable(value: Value, words: &[(String, String)]) -> Value {
    match value {
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => json!("<time>"),
        Value::String(text) => Value::String(without_delay(replaced(&text, words))),
        Value::Array(list) => list.into_iter().map(|v| comparable(v, words)).collect(),
        Value::Object(fields) => {
            const VOLATILE: [&str; 6] = [
                "resourceVersion",
                "managedFields",
                "creationTimestamp",
                "generation",
                "observedGeneration",
                // How many seconds were left, and what the clock said, when the Job was made.
                "activeDeadlineSeconds",
            ];
            // Whether a slot was recorded at once or found to have fired is all that its reason says.
            let fired = fields.get("outcome").is_some_and(|o| o == "Fired");
            let kept = fields.into_iter().filter(|(key, _)| {
                !VOLATILE.contains(&key.as_str()) && !(fired && (key == "reason" || key == "message"))
            });
            kept.map(|(key, v)| (replaced(&key, words), comparable(v, words))).collect()
        }
        other => other,
    }
}

/// Without how late a slot of a Plan was looked at, which a message says in seconds.
fn without_delay(text: String) -> String {
    match text.split_once(" s after its time") {
        Some((before, after)) => {
            let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{before}<n> s after its time{after}")
        }
        None => text,
    }
}

/// What differs, a line each, most telling first.
pub(super) fn differences(expected: &Snapshot, found: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, counts) in &expected.counts {
        let now = found.counts.get(kind).copied().unwrap_or_default();
        if now != *counts {
            lines.push(format!("{kind}: (made, deleted) {now:?}, undisturbed {counts:?}"));
        }
    }
    for kind in found.counts.keys().filter(|k| !expected.counts.contains_key(*k)) {
        lines.push(format!("{kind}: {:?}, undisturbed none", found.counts[kind]));
    }
    for title in expected.objects.keys().filter(|t| !found.objects.contains_key(*t)) {
        lines.push(format!("{title} is missing"));
    }
    for (title, object) in &found.objects {
        match expected.objects.get(title) {
            None => lines.push(format!("{title} is there, undisturbed it is not")),
            Some(wanted) => differing(title, wanted, object, &mut lines),
        }
    }
    lines
}

fn differing(at: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                differing(&format!("{at}.{key}"), &wanted[key], &found[key], lines);
            }
        }
        _ if wanted == found => {}
        _ => lines.push(format!("{at} is {found}, undisturbed {wanted}")),
    }
}
