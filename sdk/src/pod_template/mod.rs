//! A strategy whose spec holds a pod template: from what its author wrote to the pod that runs.
//!
//! [`pod_run`] and [`check`] are for specs with a field `template` of type [`PodTemplate`]; findings point there. What the
//! pod that ended means is told by [`crate::results`].

mod checks;
mod gaps;

use serde_json::{Value, json};

use crate::failure::{Failure, Finding, Severity};
use crate::pod::PodRun;
use crate::schema::PodTemplate;
use crate::template::{self, Bounds, Context, Dialect, Options};
use checks::TEMPLATE;
pub use gaps::refuse_gaps_in_references;

/// So much of what is wrong is told in a message; the findings have all of it.
const TOLD: usize = 8;
const TOLD_BYTES: usize = 600;

/// What rendering may use up: so much that no honest template feels it, and so little that a hostile one runs into this,
/// which names the field, and not into the fuel of the call, which cannot.
const STEPS: u64 = 200_000;

/// The run of the pod that the template makes in this context, with the defaults of [`PodRun::new`]. A pod without a
/// restart policy gets `Never`. What printed `<no value>` is a warning.
///
/// # Errors
/// `TemplateError` with every field that cannot be rendered, or `InvalidStrategy` with every field that makes no pod that
/// may run: one without containers, one that would never end, one with labels of the controller.
pub fn pod_run(pod: &PodTemplate, dialect: Dialect, context: &Context) -> Result<PodRun, Failure> {
    let options = Options { bounds: Bounds { work: STEPS, ..Bounds::default() }, ..Options::default() };
    let rendered = template::render_owned(Value::Object(pod.0.clone()), TEMPLATE, dialect, context, &options);
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

/// What can be found in a pod template without a run.
#[must_use]
pub fn check(pod: &PodTemplate, dialect: Dialect) -> Vec<Finding> {
    let template = Value::Object(pod.0.clone());
    let mut findings = template::check(&template, TEMPLATE, dialect);
    findings.extend(checks::findings(&template));
    findings
}

/// A failure whose message names the fields as a person would write them.
fn refused(reason: &str, what: &str, findings: Vec<Finding>) -> Failure {
    let errors: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    let mut message = format!("the pod template of the strategy {what}");
    for finding in errors.iter().take(TOLD) {
        let cause = &finding.message[..finding.message.floor_char_boundary(TOLD_BYTES)];
        message.push_str(&format!("; {}: {cause}", checks::path(&finding.at)));
    }
    if errors.len() > TOLD {
        message.push_str(&format!("; and {} more", errors.len() - TOLD));
    }
    Failure::new(reason, message).with_findings(findings)
}
