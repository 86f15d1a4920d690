//! What names, labels and the like may be, in the words of the API server.

use std::sync::LazyLock;

use regex::Regex;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const KEY: &str = "[-._a-zA-Z0-9]+";
const ENVIRONMENT: &str = "[ -<>-~]+";
const HTTP_PATH: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";

fn is(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Vec<(&str, Option<Regex>)>> = LazyLock::new(|| {
        [LABEL, LABEL_1035, SUBDOMAIN, QUALIFIED, LABEL_VALUE, KEY, ENVIRONMENT, HTTP_PATH]
            .into_iter()
            .map(|pattern| (pattern, Regex::new(&format!("^({pattern})$")).ok()))
            .collect()
    });
    let found = COMPILED.iter().find(|(one, _)| *one == pattern).and_then(|(_, compiled)| compiled.as_ref());
    found.is_some_and(|compiled| compiled.is_match(text))
}

fn shape(what: &str, pattern: &str, examples: &[&str]) -> String {
    let mut text = format!("{what} (");
    for (i, example) in examples.iter().enumerate() {
        text += if i == 0 { "e.g. " } else { " or " };
        text += &format!("'{example}', ");
    }
    text + &format!("regex used for validation is '{pattern}')")
}

fn longer(most: usize) -> String {
    format!("must be no more than {most} characters")
}

/// Returns what is wrong with a label of DNS.
#[must_use]
pub fn dns1123_label(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push(longer(63));
    }
    if !is(LABEL, text) {
        faults.push(if is(SUBDOMAIN, text) {
            "must not contain dots".to_owned()
        } else {
            let what = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
            shape(what, LABEL, &["my-name", "123-abc"])
        });
    }
    faults
}

/// Returns what is wrong with a label of DNS that begins with a letter.
#[must_use]
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push(longer(63));
    }
    if !is(LABEL_1035, text) {
        let what = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        faults.push(shape(what, LABEL_1035, &["my-name", "abc-123"]));
    }
    faults
}

/// Returns what is wrong with labels of DNS with points between them.
#[must_use]
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 253 {
        faults.push(longer(253));
    }
    if !is(SUBDOMAIN, text) {
        let what = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        faults.push(shape(what, SUBDOMAIN, &["example.com"]));
    }
    faults
}

/// Returns what is wrong with the key of a label, or the name of a finalizer.
#[must_use]
pub fn qualified(text: &str) -> Vec<String> {
    const WHAT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let wanted = |what: &str| shape(&format!("{what} {WHAT}"), QUALIFIED, &["MyName", "my.name", "123-abc"]);
    let mut faults = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(
                    dns1123_subdomain(prefix).into_iter().map(|fault| format!("prefix part {fault}")),
                );
            }
            *name
        }
        _ => {
            return vec![format!(
                "{} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                wanted("a qualified name")
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push(format!("name part {}", longer(63)));
    }
    if !is(QUALIFIED, name) {
        faults.push(wanted("name part"));
    }
    faults
}

/// Returns what is wrong with the value of a label.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push(longer(63));
    }
    if !is(LABEL_VALUE, text) {
        let what = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
        faults.push(shape(what, LABEL_VALUE, &["MyValue", "my_value", "12345"]));
    }
    faults
}

/// Returns what is wrong with a name that is a part of a path.
#[must_use]
pub fn path_segment(text: &str, is_prefix: bool) -> Vec<String> {
    if !is_prefix && matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    let within = ["/", "%"].into_iter().filter(|part| text.contains(part));
    within.map(|part| format!("may not contain '{part}'")).collect()
}

/// Returns what is wrong with a key of a `ConfigMap` or a `Secret`.
#[must_use]
pub fn data_key(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if text.len() > 253 {
        faults.push(longer(253));
    }
    if !is(KEY, text) {
        let what = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        faults.push(shape(what, KEY, &["key.name", "KEY_NAME", "key-name"]));
    }
    match text {
        "." => faults.push("must not be '.'".to_owned()),
        ".." => faults.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => faults.push("must not start with '..'".to_owned()),
        _ => {}
    }
    faults
}

/// Returns what is wrong with the name of a variable of the environment.
#[must_use]
pub fn environment(text: &str) -> Vec<String> {
    if is(ENVIRONMENT, text) {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_owned(),
    ]
}

/// Whether a text may be a path of HTTP.
#[must_use]
pub fn http_path(text: &str) -> Vec<String> {
    if is(HTTP_PATH, text) { Vec::new() } else { vec![shape("Invalid path", HTTP_PATH, &[])] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_their_forms() {
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(dns1123_subdomain(&"x".repeat(254)), ["must be no more than 253 characters"]);
        assert_eq!(qualified("lab.example.com/").len(), 2);
        assert!(qualified("a/b").is_empty() && label_value("").is_empty() && dns1035_label("1a").len() == 1);
        assert_eq!(
            data_key("a b"),
            [
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            ]
        );
    }
}
