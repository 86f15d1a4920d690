//! New uids and generated names: the model makes others than the real API server.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde_json::Value;

use super::recording::text;
use crate::line;

/// What the end of a generated name looks like.
static GENERATED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[bcdfghjklmnpqrstvwxz2456789]{5}$").ok());

static UID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b").ok()
});

/// Whether a text is the end of a generated name.
pub(super) fn is_generated(end: &str) -> bool {
    GENERATED.as_ref().is_some_and(|pattern| pattern.is_match(end))
}

/// Returns a Status that tells no uid of an object that was never stored.
pub(super) fn new_uids(value: &Value, recorded: &HashSet<String>) -> Value {
    let (Some(pattern), "Status") = (UID.as_ref(), text(value, "/kind")) else { return value.clone() };
    let all = value.to_string();
    let all = pattern.replace_all(&all, |found: &Captures<'_>| {
        let uid = found.get(0).map_or("", |found| found.as_str());
        if recorded.contains(uid) { uid.to_owned() } else { "$new".into() }
    });
    line::json(all.as_bytes())
}

/// Returns what the model made, with the uid and the generated name that were recorded where its own are new.
pub(super) fn renamed(want: &Value, got: &Value, recorded: &HashSet<String>) -> Value {
    let mut pairs = Vec::new();
    let (own, new) = (text(want, "/metadata/uid"), text(got, "/metadata/uid"));
    if !own.is_empty() && !new.is_empty() && own != new && !recorded.contains(new) {
        pairs.push((new, own));
    }
    let prefix: String = text(want, "/metadata/generateName").chars().take(58).collect();
    let (own, new) = (text(want, "/metadata/name"), text(got, "/metadata/name"));
    let generated = |name: &str| name.strip_prefix(prefix.as_str()).is_some_and(is_generated);
    if !prefix.is_empty() && own != new && generated(own) && generated(new) {
        pairs.push((new, own));
    }
    if pairs.is_empty() {
        return got.clone();
    }
    let all = pairs.into_iter().fold(got.to_string(), |all, (new, own)| all.replace(new, own));
    line::json(all.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_uid_is_renamed_wherever_it_is_and_a_recorded_one_stays() {
        let want = json!({"metadata": {"uid": "a1", "labels": {"of": "a1"}}});
        let got = json!({"metadata": {"uid": "b2", "labels": {"of": "b2"}}});
        assert_eq!(renamed(&want, &got, &HashSet::new()), want);
        assert_eq!(renamed(&want, &got, &HashSet::from(["b2".to_owned()])), got);
    }

    #[test]
    fn a_name_is_renamed_if_both_were_generated() {
        let named = |name: &str| json!({"metadata": {"generateName": "job-", "name": name}});
        let none = HashSet::new();
        assert_eq!(renamed(&named("job-bcdfg"), &named("job-xxxxx"), &none), named("job-bcdfg"));
        assert_eq!(renamed(&named("job-bcdfg"), &named("job-aaaaa"), &none), named("job-aaaaa"));
    }
}
