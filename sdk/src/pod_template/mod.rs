//! Strategies whose spec holds a pod template: from the spec to the pod that runs.
//!
//! [`pod_run`] and [`check`] are for specs with a field `template` of type [`PodTemplate`], to which their findings
//! point. [`crate::results`] interprets the ended pod.

mod checks;
mod gaps;

use serde_json::{Value, json};

use crate::failure::{Failure, Finding, Severity};
use crate::leak::leak;
use crate::pod::PodRun;
use crate::schema::PodTemplate;
use crate::template::{self, Bounds, Context, Dialect, Options};
use checks::TEMPLATE;
pub use gaps::refuse_gaps_in_references;

/// Number of errors in a message; the findings hold all of them.
const LISTED: usize = 8;
const LISTED_BYTES: usize = 600;

/// The work that one render may do: more than any honest template needs, and little enough that a hostile template
/// exceeds this bound, whose error names the field, before it exceeds the fuel of the call, whose error does not.
const STEPS: u64 = 200_000;

/// Renders the pod run of a template, with the defaults of [`PodRun::new`]. A pod without a restart policy gets
/// `Never`. A string that printed `<no value>`, or used a key at the top that no context has, is a warning.
///
/// # Errors
/// `TemplateError` with every field that cannot be rendered, or `InvalidStrategy` with every field that makes a
/// forbidden pod: without containers, restarting for ever, or with labels of the controller.
pub fn pod_run(pod: &PodTemplate, dialect: Dialect, context: &Context<'_>) -> Result<PodRun, Failure> {
    rendered(pod.clone(), dialect, context)
}

/// Renders as [`pod_run`] does, without a copy of the template.
///
/// # Errors
/// As [`pod_run`].
pub fn pod_run_of(pod: PodTemplate, dialect: Dialect, context: Context<'_>) -> Result<PodRun, Failure> {
    let run = rendered(pod, dialect, &context);
    leak(context);
    run
}

fn rendered(pod: PodTemplate, dialect: Dialect, context: &Context<'_>) -> Result<PodRun, Failure> {
    let options = Options { bounds: Bounds { work: STEPS, ..Bounds::default() }, ..Options::default() };
    let rendered = template::render_owned(Value::Object(pod.0), TEMPLATE, dialect, context, &options);
    let rendered = rendered.map_err(|findings| refused("TemplateError", "cannot be rendered", findings))?;
    let mut template = rendered.value;
    let wrong = checks::findings(&template);
    if !wrong.is_empty() {
        return Err(refused("InvalidStrategy", "makes no pod that may run", wrong));
    }
    if template["spec"]["restartPolicy"].as_str().is_none_or(str::is_empty) {
        template["spec"]["restartPolicy"] = json!("Never");
    }
    Ok(PodRun { findings: rendered.warnings, ..PodRun::new(template) })
}

/// Returns the errors and warnings about a pod template that can be found without a run.
#[must_use]
pub fn check(pod: &PodTemplate, dialect: Dialect) -> Vec<Finding> {
    check_with(pod, dialect, &[])
}

/// As [`check`], for templates that also see the keys `own` of the strategy ([`Context::own_keys`]).
#[must_use]
pub fn check_with(pod: &PodTemplate, dialect: Dialect, own: &'static [&'static str]) -> Vec<Finding> {
    let template = Value::Object(pod.0.clone());
    let mut findings = template::check_with(&template, TEMPLATE, dialect, own);
    findings.extend(checks::findings(&template));
    findings
}

/// A failure whose message names the fields as paths for people.
fn refused(reason: &str, what: &str, findings: Vec<Finding>) -> Failure {
    let errors: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    let mut message = format!("the pod template of the strategy {what}");
    for finding in errors.iter().take(LISTED) {
        let cause = &finding.message[..finding.message.floor_char_boundary(LISTED_BYTES)];
        message.push_str(&format!("; {}: {cause}", checks::path(&finding.at)));
    }
    if errors.len() > LISTED {
        message.push_str(&format!("; and {} more", errors.len() - LISTED));
    }
    Failure::new(reason, message).with_findings(findings)
}
