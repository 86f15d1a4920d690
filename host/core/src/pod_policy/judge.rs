//! The verdict on a template: the tables, what "restricted" requires, and the administrator's bounds.

use super::bounds::{self, Allowed, Level};
use super::findings::Findings;
use super::restricted;
use super::rules::{BASELINE, BEYOND, RESTRICTED};
use crate::contract::{Diagnostic, Json};

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
pub(super) fn settings(template: &Json) -> Findings {
    let mut findings = Findings::default();
    findings.of_rules(&BASELINE, template);
    findings.of_rules(&BEYOND, template);
    findings
}
