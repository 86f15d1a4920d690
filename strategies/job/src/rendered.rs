//! From the strategy to the pod that runs.

use backstay_sdk::prelude::*;
use backstay_sdk::template::{self, Bounds, Context, Options};
use backstay_sdk::{Severity, Value, json};

use crate::pod::{self, TEMPLATE};
use crate::spec::JobSpec;

/// Of each container of a Job that failed, so many lines are wanted.
const LOG_LINES: u32 = 50;
/// So much of what is wrong is told in a message; the findings have all of it.
const TOLD: usize = 8;
const TOLD_BYTES: usize = 600;

/// What rendering may use up: so much that no honest template feels it, and so little that a hostile one runs into this,
/// which names the field, and not into the fuel of the call, which cannot.
const STEPS: u64 = 200_000;

/// The pod run, or every field to blame.
pub(crate) fn run(request: &Request<JobSpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
    let spec = request.spec()?;
    let context = Context::of(request, application);
    let options = Options { bounds: Bounds { work: STEPS, ..Bounds::default() }, ..Options::default() };
    let template = Value::Object(spec.template.0.clone());
    let rendered = template::render_owned(template, TEMPLATE, spec.dialect, &context, &options);
    let rendered = rendered.map_err(|findings| refused("TemplateError", "cannot be rendered", findings))?;
    let mut template = rendered.value;
    let wrong = pod::findings(&template);
    if !wrong.is_empty() {
        return Err(refused("InvalidStrategy", "makes no pod that may run", wrong));
    }
    if template["spec"]["restartPolicy"].as_str().is_none_or(str::is_empty) {
        template["spec"]["restartPolicy"] = json!("Never");
    }
    Ok(PodRun {
        backoff_limit: spec.backoff_limit,
        active_deadline: spec.active_deadline_seconds,
        log_lines: LOG_LINES,
        findings: rendered.warnings,
        ..PodRun::new(template)
    })
}

/// What can be found in a strategy without a run.
pub(crate) fn check(spec: &JobSpec) -> Vec<Finding> {
    let template = Value::Object(spec.template.0.clone());
    let mut findings = template::check(&template, TEMPLATE, spec.dialect);
    findings.extend(pod::findings(&template));
    findings
}

/// A failure whose message names the fields as a person would write them.
fn refused(reason: &str, what: &str, findings: Vec<Finding>) -> Failure {
    let errors: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    let mut message = format!("the pod template of the strategy {what}");
    for finding in errors.iter().take(TOLD) {
        let cause = &finding.message[..finding.message.floor_char_boundary(TOLD_BYTES)];
        message.push_str(&format!("; {}: {cause}", pod::path(&finding.at)));
    }
    if errors.len() > TOLD {
        message.push_str(&format!("; and {} more", errors.len() - TOLD));
    }
    Failure::new(reason, message).with_findings(findings)
}
