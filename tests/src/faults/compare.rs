//! A comparable form of the objects that a plan leaves.

use std::collections::BTreeMap;

use backstay_api::annotations;
use serde_json::{Value, json};

use super::census::Count;

/// Objects of one namespace, and the number of each kind ever created and deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    /// Objects by kind and name, without the fields that differ between runs.
    pub objects: BTreeMap<String, Value>,
    /// By kind: created, deleted.
    pub counts: BTreeMap<String, Count>,
    /// Titles of leftover records, which are collected later if a controller could not delete them.
    pub left_over: Vec<String>,
    /// Phase and reason of Ready of the runs.
    pub ends: Vec<(Option<String>, String)>,
}

impl Snapshot {
    /// Returns the form after the collection of the leftover records.
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

/// Removes the fields that differ between runs: random names, times, versions.
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
                // The seconds left and the time of the Job's creation.
                "activeDeadlineSeconds",
            ];
            // The reason only tells whether the slot was recorded at once or found fired.
            let fired = fields.get("outcome").is_some_and(|o| o == "Fired");
            let kept = fields.into_iter().filter(|(key, _)| {
                !VOLATILE.contains(&key.as_str()) && !(fired && (key == "reason" || key == "message"))
            });
            let compared = |key: &str, value: Value| match (key, value) {
                (annotations::MADE_AT, Value::String(mark)) => {
                    Value::String(without_seconds(&replaced(&mark, words)))
                }
                (_, value) => comparable(value, words),
            };
            kept.map(|(key, value)| (replaced(&key, words), compared(&key, value))).collect()
        }
        other => other,
    }
}

/// Removes the time from the mark of when a Backup was made.
fn without_seconds(mark: &str) -> String {
    match mark.rsplit_once('/') {
        Some((name, seconds)) if seconds.parse::<i64>().is_ok() => format!("{name}/<time>"),
        _ => mark.to_owned(),
    }
}

/// Removes the seconds of a slot's delay from a message.
fn without_delay(text: String) -> String {
    match text.split_once(" s after its time") {
        Some((before, after)) => {
            let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
            format!("{before}<n> s after its time{after}")
        }
        None => text,
    }
}

/// Returns the differences, one a line, the most telling first.
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
