//! Validation of strategies when they are written.

use std::time::Duration;

use backstay_tests::{World, script_spec};
use kube::api::DynamicObject;
use kube::runtime::wait::await_condition;

/// Waits until condition `Ready` of the strategy has a status and reason; returns its message.
async fn ready(w: &World, status: &str, reason: &str) -> String {
    let condition = |object: &DynamicObject| {
        let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|c| c["type"] == "Ready");
        found.filter(|c| c["status"] == status && c["reason"] == reason)
    };
    let reached = await_condition(w.strategies(), &w.namespace, |found: Option<&DynamicObject>| {
        found.is_some_and(|object| condition(object).is_some())
    });
    let found = tokio::time::timeout(Duration::from_secs(60), reached).await;
    let object = found
        .unwrap_or_else(|_| panic!("not {status}/{reason} in time"))
        .expect("a watch")
        .expect("it is there");
    condition(&object).map(|c| c["message"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_strategy_that_cannot_work_says_so_in_its_conditions_and_so_does_its_repair() {
    let Some(w) = World::new("validate").await else { return };
    w.strategy(script_spec("echo {{ .Mode")).await;
    let message = ready(&w, "False", "InvalidStrategy").await;
    assert!(message.contains("command/2"), "{message}");
    w.strategy(script_spec("echo {{ .Mode }}")).await;
    ready(&w, "True", "StrategyValid").await;
}
