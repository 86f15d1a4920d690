//! What is wrong with a template.

use super::rules::Rule;
use super::walk;
use crate::contract::{Diagnostic, Json, Severity};

#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Diagnostic>);

impl Findings {
    pub(super) fn refuse(&mut self, at: String, message: String) {
        self.0.push(Diagnostic { severity: Severity::Error, at, message });
    }

    pub(super) fn of_rules(&mut self, rules: &[Rule], template: &Json) {
        for rule in rules {
            for path in rule.fields {
                walk::values(template, path, &mut |at, value| {
                    if !rule.values.allow(value) {
                        self.refuse(at.to_string(), rule.message(value));
                    }
                });
            }
        }
    }
}

/// Returns the value of a field; null if there is none.
pub(super) fn field<'a>(value: &'a Json, name: &str) -> &'a Json {
    value.get(name).unwrap_or(&Json::Null)
}

/// Returns the items of a list; none of anything else.
pub(super) fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}
