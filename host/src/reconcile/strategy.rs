//! The reconciler of strategies: the component checks a strategy when it is written, not when the first backup needs it.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::Condition;
use backstay_api::conditions::{reasons, types};
use backstay_core::component::Served;
use backstay_core::contract::{Diagnostic, Severity};
use backstay_core::retry;
use backstay_core::status::set_condition;
use backstay_engine::Component;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject};
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::cluster::api::Api;
use crate::cluster::dynamic::group_kind;
use crate::cluster::error::chain;
use crate::cluster::write::patch_status;
use crate::components::Caller;
use crate::context::Context;
use crate::state::work_queue::Action;

/// How soon a strategy is checked again whose component too many others wait for.
const BUSY: Duration = Duration::from_secs(1);
/// Strategies are in no namespace.
const CHECKED: Caller<'_> = Caller { namespace: "", restore: false };

/// Checks a strategy once, and writes the component's findings into the strategy's conditions.
pub async fn reconcile(resource: ApiResource, strategy: Arc<DynamicObject>, ctx: Arc<Context>) -> Action {
    let kind = group_kind(&resource);
    let Served::By(component) = ctx.components.registry.serving(&kind) else { return Action::await_change() };
    let spec = strategy.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    let validate = move |component: &Component| component.validate(&kind, &spec, None, None);
    let (valid, reason, message) = match ctx.components.call(component, CHECKED, "validate", validate).await {
        Ok(findings) => verdict(&findings),
        Err(error) if error.busy => return Action::requeue(BUSY),
        Err(error) => (false, error.reason, error.message),
    };
    match write(&resource, &strategy, valid, reason, &message, &ctx).await {
        Ok(()) => {
            ctx.state.runs.forget(&strategy.uid().unwrap_or_default());
            Action::await_change()
        }
        Err(error) => {
            let attempt = ctx.state.runs.failed(&strategy.uid().unwrap_or_default());
            tracing::warn!(strategy = %strategy.name_any(), kind = %resource.kind, attempt, error = %chain(&error),
                "conditions of the strategy not written, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    }
}

/// Returns whether the strategy is valid, with reason and message. Warnings do not make it invalid.
fn verdict(findings: &[Diagnostic]) -> (bool, &'static str, String) {
    let told = |severity: Severity| {
        let of = findings.iter().filter(|f| f.severity == severity);
        of.map(|f| format!("{}: {}", f.at, f.message)).collect::<Vec<_>>().join("; ")
    };
    let (errors, warnings) = (told(Severity::Error), told(Severity::Warning));
    match (errors.is_empty(), warnings.is_empty()) {
        (false, _) => (false, reasons::INVALID_STRATEGY, errors),
        (true, false) => (true, reasons::STRATEGY_VALID, format!("accepted, with warnings: {warnings}")),
        (true, true) => (true, reasons::STRATEGY_VALID, "the component accepts the strategy".to_owned()),
    }
}

async fn write(
    resource: &ApiResource,
    strategy: &DynamicObject,
    valid: bool,
    reason: &str,
    message: &str,
    ctx: &Context,
) -> Result<(), kube::Error> {
    let stored = &strategy.data["status"]["conditions"];
    // Conditions that do not decode are not the controller's, and are replaced.
    let mut conditions: Vec<Condition> = serde_json::from_value(stored.clone()).unwrap_or_default();
    let generation = strategy.meta().generation;
    set_condition(&mut conditions, generation, types::READY, Some(valid), reason, message, ctx.clock.now());
    let api: Api<DynamicObject> = Api::all_with(ctx.cluster.client.clone(), resource);
    let (stored, wanted) = (json!({"conditions": stored}), json!({"conditions": conditions}));
    let version = strategy.resource_version();
    if patch_status(&api, &strategy.name_any(), version.as_deref(), &stored, &wanted).await?.is_none() {
        return Ok(());
    }
    if !valid {
        let about: ObjectReference = strategy.object_ref(resource);
        ctx.cluster.events.warning(about, reason, message);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Diagnostic {
        Diagnostic { severity, at: "/strategy/template".into(), message: "m".into() }
    }

    #[test]
    fn an_error_makes_a_strategy_invalid_and_a_warning_does_not() {
        assert_eq!(verdict(&[]).1, "StrategyValid");
        let (valid, _, message) = verdict(&[finding(Severity::Warning)]);
        assert!(valid && message.contains("/strategy/template: m"));
        let (valid, reason, _) = verdict(&[finding(Severity::Warning), finding(Severity::Error)]);
        assert_eq!((valid, reason), (false, "InvalidStrategy"));
    }
}
