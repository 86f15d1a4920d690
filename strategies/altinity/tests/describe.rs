//! What the Altinity strategy says of itself.

use backstay_testing::Built;
use serde_json::json;

fn altinity() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn it_serves_the_kind_altinity_for_clickhouse_alone() {
    let altinity = altinity();
    let descriptor = altinity.descriptor();
    let kind = &descriptor.kinds[0];
    assert_eq!(
        (kind.group.as_str(), kind.kind.as_str(), kind.plural.as_str(), kind.version.as_str()),
        ("strategy.backups.cozystack.io", "Altinity", "altinities", "v1alpha1")
    );
    let applications: Vec<String> = kind.applications.iter().map(ToString::to_string).collect();
    assert_eq!(applications, ["ClickHouse.apps.cozystack.io"]);
}

#[test]
fn it_needs_credentials_and_keeps_the_data_of_deleted_backups() {
    let altinity = altinity();
    let traits = altinity.descriptor().traits;
    assert!(traits.restore && traits.credentials && traits.strategy_on_restore && traits.unpinned);
    assert!(!traits.cleanup && !traits.cancel);
    assert_eq!(altinity.descriptor().longest_run, 6 * 60 * 60);
}

#[test]
fn its_schema_is_structural_and_wants_no_more_than_a_template() {
    let altinity = altinity();
    let schema = &altinity.descriptor().kinds[0].schema;
    assert_eq!(schema["required"], json!(["template"]));
    let properties = &schema["properties"];
    assert_eq!(properties["template"]["$ref"], "io.k8s.api.core.v1.PodTemplateSpec");
    assert_eq!(properties["shards"]["enum"], json!(["refuse", "report"]));
    assert!(properties.as_object().unwrap().values().all(|p| p["description"].is_string()), "{schema:#}");
}

#[test]
fn it_is_a_pod_strategy_that_imports_only_the_log() {
    let altinity = altinity();
    assert_eq!(altinity.component().world().as_str(), "pod-strategy");
    let functions: Vec<_> =
        altinity.component().imports().iter().filter(|i| !i.contains("/types@")).collect();
    assert_eq!(functions, ["backstay:strategy/log@0.1.0"]);
}
