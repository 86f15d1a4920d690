//! Rules of the contract that tie several items of an answer together, or an answer to its request. They hold for
//! every WIT version.

use std::collections::BTreeSet;

use backstay_core::contract::{
    Action, Condition, Decision, Descriptor, Diagnostic, Failure, Mode, Outcome, PodResult, PodRun, Query,
    Request, Severity, StepResult, Wait, Watch,
};
use backstay_core::pod_policy;

use crate::lift::{At as _, ContractViolation, is_dns_label, rule};
use crate::limits::POD_RUN_NAME_BYTES;

/// Conditions that only the host may set.
const HOST_CONDITIONS: [&str; 3] = ["Ready", "Reconciling", "Stalled"];

/// Checks the answer of `render`.
pub(crate) fn render(answer: &Result<PodRun, Failure>) -> Result<(), ContractViolation> {
    answer.as_ref().map_or(Ok(()), pod_run)
}

/// Checks the answer of `parse` about `ended`.
pub(crate) fn parse(ended: &PodResult, answer: &Result<Outcome, Failure>) -> Result<(), ContractViolation> {
    let Ok(outcome) = answer else { return Ok(()) };
    rule(ended.succeeded, || "must be a failure, as the pod run did not succeed; it is an outcome".into())?;
    conditions(&outcome.conditions).at("conditions")
}

/// Checks the answer of `step` to `request`, from the component that `descriptor` describes.
pub(crate) fn step(
    descriptor: &Descriptor,
    request: &Request,
    answer: &StepResult,
) -> Result<(), ContractViolation> {
    if let Some(checkpoint) = &answer.checkpoint {
        let declared = descriptor.stages.iter().any(|s| s.name == checkpoint.stage && s.mode == request.mode);
        rule(declared, || {
            format!(
                "must be a stage of the descriptor in mode {}, is {:?}",
                request.mode.as_str(),
                checkpoint.stage
            )
        })
        .at("stage")
        .at("checkpoint")?;
    }
    conditions(&answer.conditions).at("conditions")?;
    decision(request, &answer.decision).at("decision")
}

fn decision(request: &Request, decision: &Decision) -> Result<(), ContractViolation> {
    match decision {
        Decision::Observe(queries) => {
            rule(!queries.is_empty(), || "must ask something; to be called later, wait".into())
                .at("observe")?;
            let sound = |query: &Query| match query {
                Query::Pod(name) => pod_name(name).at("pod"),
                _ => Ok(()),
            };
            queries.iter().enumerate().try_for_each(|(i, q)| sound(q).nth(i)).at("observe")
        }
        Decision::Act(actions) => {
            rule(!actions.is_empty(), || "must do something; to be called later, wait".into()).at("act")?;
            actions.iter().enumerate().try_for_each(|(i, a)| action(a).nth(i)).at("act")
        }
        Decision::Wait(w) => wait(request, w).at("wait"),
        Decision::Done(outcome) => {
            let backup = request.mode == Mode::Backup;
            rule(outcome.is_some() == backup, || {
                let word = if backup { "needs an outcome" } else { "has no outcome" };
                format!("{word} in mode {}", request.mode.as_str())
            })
            .at("done")?;
            outcome.iter().try_for_each(|o| conditions(&o.conditions).at("conditions")).at("done")
        }
        Decision::Fail(_) => Ok(()),
    }
}

fn wait(request: &Request, wait: &Wait) -> Result<(), ContractViolation> {
    rule(wait.recheck_after >= 1, || "must be 1 or more".into()).at("recheck-after")?;
    rule(wait.deadline > request.now, || {
        format!("must be later than now ({}), is {}; decide what follows instead", request.now, wait.deadline)
    })
    .at("deadline")?;
    let sound = |watch: &Watch| match watch {
        Watch::Pod(name) => pod_name(name).at("pod"),
        _ => Ok(()),
    };
    wait.watch.iter().enumerate().try_for_each(|(i, w)| sound(w).nth(i)).at("watch")
}

/// Checks the name of a pod run.
fn pod_name(name: &str) -> Result<(), ContractViolation> {
    rule(is_dns_label(name) && name.len() <= POD_RUN_NAME_BYTES, || {
        format!("must be a DNS label of at most {POD_RUN_NAME_BYTES} bytes, is {name:?}")
    })
}

fn action(action: &Action) -> Result<(), ContractViolation> {
    let Action::RunPod(run) = action else { return Ok(()) };
    pod_name(&run.name).at("name").at("run-pod")?;
    pod_run(&run.spec).at("spec").at("run-pod")
}

fn pod_run(run: &PodRun) -> Result<(), ContractViolation> {
    rule(i32::try_from(run.backoff_limit).is_ok(), || {
        format!("must be at most {}, is {}", i32::MAX, run.backoff_limit)
    })
    .at("backoff-limit")?;
    rule(run.active_deadline != Some(0), || {
        "must be 1 or more; leave it out for the run's own deadline".into()
    })
    .at("active-deadline")?;
    let warning = |d: &Diagnostic| {
        rule(d.severity == Severity::Warning, || "must be a warning; an error belongs in a failure".into())
            .at("severity")
    };
    run.findings.iter().enumerate().try_for_each(|(i, d)| warning(d).nth(i)).at("findings")?;
    pod_policy::shape(&run.template)
        .map_err(|wrong| ContractViolation::rule(format!("must be a PodTemplateSpec: {wrong}")))
        .at("template")
}

fn conditions(conditions: &[Condition]) -> Result<(), ContractViolation> {
    let mut seen = BTreeSet::new();
    conditions.iter().enumerate().try_for_each(|(i, condition)| {
        let type_ = condition.type_.as_str();
        rule(!HOST_CONDITIONS.contains(&type_), || format!("must not be {type_:?}, which is the host's"))
            .and_then(|()| {
                rule(is_condition_type(type_), || {
                    format!("must be a word of letters, digits and -_. such as ArchiveReady, a DNS name and / before it or not, is {type_:?}")
                })
            })
            .and_then(|()| rule(seen.insert(type_), || format!("must be unique, {type_:?} occurs twice")))
            .at("type")
            .nth(i)
    })
}

/// The pattern of the CRD (`CONDITION_TYPE_PATTERN` of `host/api`): the API server refuses a status with any other
/// type.
fn is_condition_type(text: &str) -> bool {
    let bounded = |text: &str, inner: fn(u8) -> bool, edge: fn(u8) -> bool| {
        text.bytes().next().is_some_and(edge)
            && text.bytes().last().is_some_and(edge)
            && text.bytes().all(inner)
    };
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label =
        |text: &str| bounded(text, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-', lower);
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    prefix.is_none_or(|prefix| prefix.split('.').all(label))
        && bounded(name, inner, |b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_a_condition_is_one_that_the_api_server_takes() {
        for sound in ["ArchiveReady", "a", "1", "x.example.org/Ready", "a-b/c_d.e", "A.B-c_D"] {
            assert!(is_condition_type(sound), "{sound}");
        }
        for odd in ["", "-x", "x-", "a/b/c", "/a", "a/", "A/b", "a..b/c", "-a/b", "a b", "a/-b", "ä", "a_b/c"]
        {
            assert!(!is_condition_type(odd), "{odd}");
        }
    }
}
