//! The strategy controller: asks the component whether a strategy makes sense when it is written, not when the first
//! backup needs it (decisions.md 24).

use std::sync::Arc;

use backstay_api::Condition;
use backstay_api::conditions::{reasons, types};
use backstay_core::component::Served;
use backstay_core::contract::{Diagnostic, GroupKind, Severity};
use backstay_core::retry;
use backstay_core::status::{merge_diff, set_condition};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api_error::chain;
use crate::context::{Context, fault};
use crate::manager;

/// Checks a strategy once, and writes what the component finds into its conditions.
pub async fn reconcile(resource: ApiResource, strategy: Arc<DynamicObject>, ctx: Arc<Context>) -> Action {
    let kind = GroupKind { group: resource.group.clone(), kind: resource.kind.clone() };
    let Served::By(component) = ctx.registry.serving(&kind) else { return Action::await_change() };
    let component = component.clone();
    let name = component.descriptor().name.clone();
    let spec = strategy.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    let called = ctx.call(&name, "validate", move || component.validate(&kind, &spec, None, None)).await;
    let (valid, reason, message) = match called {
        Ok(called) => verdict(&called.value),
        Err(error) => (false, error.reason(), fault(&name, &error)),
    };
    match write(&resource, &strategy, valid, reason, &message, &ctx).await {
        Ok(()) => {
            ctx.runs.forget(&strategy.uid().unwrap_or_default());
            Action::await_change()
        }
        Err(error) => {
            let attempt = ctx.runs.failed(&strategy.uid().unwrap_or_default());
            tracing::warn!(strategy = %strategy.name_any(), kind = %resource.kind, attempt, error = %chain(&error),
                "conditions of the strategy not written, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    }
}

/// Errors make it invalid; warnings are told all the same.
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
    // Conditions that do not decode are nobody's of ours: they are written anew.
    let mut conditions: Vec<Condition> = serde_json::from_value(stored.clone()).unwrap_or_default();
    let generation = strategy.meta().generation;
    set_condition(&mut conditions, generation, types::READY, Some(valid), reason, message, ctx.clock.now());
    // Plain data: serialising it cannot fail.
    let wanted: Value = serde_json::to_value(&conditions).unwrap_or_default();
    let Some(difference) = merge_diff(stored, &wanted) else { return Ok(()) };
    let api: Api<DynamicObject> = Api::all_with(ctx.client.clone(), resource);
    let params = manager::patch_params();
    let patch = Patch::Merge(json!({"status": {"conditions": difference}}));
    api.patch_status(&strategy.name_any(), &params, &patch).await?;
    if !valid {
        let about: ObjectReference = strategy.object_ref(resource);
        ctx.events.warning(about, reason, message);
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
