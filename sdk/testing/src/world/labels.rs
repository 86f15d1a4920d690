//! Label selectors in kubectl's syntax.

use backstay_core::contract::Json;

/// Whether `selector` selects `object`; `None` if it is no selector.
pub(super) fn selects(selector: &str, object: &Json) -> Option<bool> {
    let label = |key: &str| object["metadata"]["labels"][key].as_str();
    for requirement in requirements(selector) {
        let holds = if let Some((key, values)) = set(requirement, " notin ") {
            !label(key).is_some_and(|v| values.contains(&v))
        } else if let Some((key, values)) = set(requirement, " in ") {
            label(key).is_some_and(|v| values.contains(&v))
        } else if let Some((key, value)) = requirement.split_once("!=") {
            label(key.trim()) != Some(value.trim())
        } else if let Some((key, value)) = requirement.split_once('=') {
            label(key.trim()) == Some(value.trim_start_matches('=').trim())
        } else if let Some(key) = requirement.strip_prefix('!') {
            label(key.trim()).is_none()
        } else if requirement.is_empty() || requirement.contains(char::is_whitespace) {
            return None;
        } else {
            label(requirement).is_some()
        };
        if !holds {
            return Some(false);
        }
    }
    Some(true)
}

/// Splits a selector at the commas outside of brackets.
fn requirements(selector: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0, 0);
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(selector[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    if !selector.trim().is_empty() {
        parts.push(selector[from..].trim());
    }
    parts
}

fn set<'s>(requirement: &'s str, word: &str) -> Option<(&'s str, Vec<&'s str>)> {
    let (key, values) = requirement.split_once(word)?;
    let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some((key.trim(), values.split(',').map(str::trim).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_is_read_as_kubectl_does() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        for (selector, selected) in [
            ("", Some(true)),
            ("app=web", Some(true)),
            ("app==web,tier!=back", Some(true)),
            ("app in (db, web),tier", Some(true)),
            ("app notin (db,web)", Some(false)),
            ("!app", Some(false)),
            ("!other", Some(true)),
            ("other", Some(false)),
            ("other!=x", Some(true)),
            ("app=web,", None),
            ("app web", None),
        ] {
            assert_eq!(selects(selector, &object), selected, "{selector:?}");
        }
    }
}
