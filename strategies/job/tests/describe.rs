//! What the Job strategy says of itself.

use backstay_testing::Built;
use serde_json::json;

#[test]
fn it_serves_the_kind_job_and_restores_what_the_go_implementation_made() {
    let job = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let descriptor = job.descriptor();
    let kind = &descriptor.kinds[0];
    assert_eq!(
        (kind.kind.as_str(), kind.plural.as_str(), kind.version.as_str()),
        ("Job", "jobs", "v1alpha1")
    );
    assert_eq!(kind.group, "strategy.backups.cozystack.io");
    assert!(kind.applications.is_empty());
    let traits = descriptor.traits;
    assert!(
        traits.restore
            && traits.unpinned
            && traits.strategy_on_restore
            && !traits.cleanup
            && !traits.credentials
    );
    assert_eq!(descriptor.longest_run, 6 * 60 * 60);
}

#[test]
fn its_schema_is_structural_and_wants_no_more_than_a_template() {
    let job = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let schema = &job.descriptor().kinds[0].schema;
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["required"], json!(["template"]));
    let properties = &schema["properties"];
    assert_eq!(properties["template"]["$ref"], "io.k8s.api.core.v1.PodTemplateSpec");
    assert_eq!(properties["backoffLimit"]["type"], "integer");
    assert_eq!(properties["dialect"]["enum"], json!(["go", "minijinja"]));
    assert_eq!(properties["activeDeadlineSeconds"]["minimum"], 1);
    assert!(properties.as_object().unwrap().values().all(|p| p["description"].is_string()), "{schema:#}");
}

#[test]
fn it_is_a_pod_strategy_that_imports_only_the_log() {
    let job = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(job.component().world().as_str(), "pod-strategy");
    let functions: Vec<_> = job.component().imports().iter().filter(|i| !i.contains("/types@")).collect();
    assert_eq!(functions, ["backstay:strategy/log@0.1.0"]);
}

#[test]
fn building_it_again_gives_the_same_bytes() {
    let job = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let again = backstay_testing::build(env!("CARGO_MANIFEST_DIR").as_ref()).unwrap();
    assert!(job.bytes() == again, "{} and {} bytes", job.bytes().len(), again.len());
}
