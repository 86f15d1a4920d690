//! Checks a rendered pod template before anything is created from it.
//!
//! A strategy's pods run in tenants' namespaces, created with the rights of the controller or of a component's account. A
//! pod that gets more than a tenant's pod may have is refused, whatever the namespace's own admission allows: everything
//! that the Kubernetes Pod Security Standard "baseline" refuses, and what places a pod on a node or ahead of others
//! ([`rules`]). An administrator can ask for "restricted" for a component, and bound the ServiceAccounts, Secrets and
//! images of its pods ([`Allowed`]).
//!
//! Every rule lists what is allowed. A value of another type is refused like any other value that is not in the list.

mod bounds;
mod restricted;
mod rules;
mod shape;
mod walk;
mod workload;

use serde::Deserialize;

pub use bounds::{Allowed, UNBOUNDED};
pub use rules::{BASELINE, BEYOND, RESTRICTED, Rule, Values};
pub use shape::{Misshapen, shape};
pub use workload::{holds_pods, judge_change};

use crate::contract::{Diagnostic, Json, Severity};

/// A level of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Prevents known ways out of the container.
    #[default]
    Baseline,
    /// Also requires what hardens a pod: no root, no new privileges, no capabilities, a seccomp profile.
    Restricted,
}

/// Checks a rendered `core/v1` PodTemplateSpec. Returns one error for each refused field; `at` is a JSON pointer into
/// the template.
#[must_use]
pub fn check(template: &Json, allowed: &Allowed) -> Vec<Diagnostic> {
    let mut findings = settings(template);
    if allowed.pod_security == Level::Restricted {
        findings.of_rules(&RESTRICTED, template);
        restricted::check(&mut findings, template);
    }
    bounds::check(&mut findings, template, allowed);
    findings.0
}

/// Checks what a template sets, and not what it leaves out.
fn settings(template: &Json) -> Findings {
    let mut findings = Findings::default();
    findings.of_rules(&BASELINE, template);
    findings.of_rules(&BEYOND, template);
    findings
}

#[derive(Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn refuse(&mut self, at: String, message: String) {
        self.0.push(Diagnostic { severity: Severity::Error, at, message });
    }

    fn of_rules(&mut self, rules: &[Rule], template: &Json) {
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
fn field<'a>(value: &'a Json, name: &str) -> &'a Json {
    value.get(name).unwrap_or(&Json::Null)
}

/// Returns the items of a list; none of anything else.
fn list(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests;
