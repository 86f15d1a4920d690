//! The inputs of a run are resolved once: R6.

use backstay_api::{Backup, BackupClass, BackupJob};
use backstay_tests::{World, script_spec};
use kube::Api;
use kube::api::{DeleteParams, Patch};
use serde_json::json;

fn begun(job: &BackupJob) -> bool {
    job.status.as_ref().and_then(|s| s.run.as_ref()).is_some_and(|r| r.job.is_some())
}

#[tokio::test]
async fn r6_after_the_job_exists_nothing_but_the_job_decides() {
    let Some(w) = World::new("r6").await else { return };
    let script = r#"sleep 4; printf '{"artifact":{"uri":"s3://b/k"}}' > /dev/termination-log"#;
    w.strategy(script_spec(script)).await;
    w.class(w.strategy_ref(), json!({"bucket": "then"})).await;
    w.backup("nightly").await;
    w.until("nightly", "running its Job", begun).await;
    // All inputs are edited, then deleted.
    w.class(
        json!({"apiGroup": "foreign.example.org", "kind": "Other", "name": "x"}),
        json!({"bucket": "now"}),
    )
    .await;
    w.strategy(script_spec("{{ .Broken")).await;
    let background = DeleteParams::background();
    Api::<BackupClass>::all(w.client.clone())
        .delete(&w.namespace, &background)
        .await
        .expect("deletion is accepted");
    w.strategies().delete(&w.namespace, &background).await.expect("deletion is accepted");
    w.applications("apps.cozystack.io").delete("cache", &background).await.expect("deletion is accepted");
    let other = json!({"spec": {"applicationRef": {"kind": "Postgres", "name": "elsewhere"}}});
    let edited = w.api::<BackupJob>().patch("nightly", &Default::default(), &Patch::Merge(other)).await;
    let refused = edited.expect_err("the spec of a run that has begun is immutable").to_string();
    assert!(refused.contains("create another one"), "{refused}");

    w.backup_succeeds("nightly").await;
    let backup: Backup = w.get_backup("nightly").await;
    assert_eq!(backup.spec.application_ref.kind, "Redis");
    assert_eq!(backup.spec.application_ref.name, "cache");
    assert_eq!(backup.spec.strategy_ref.name, w.namespace);
    let metadata = backup.spec.driver_metadata.expect("metadata");
    assert_eq!(metadata["job.strategy.backups.cozystack.io/parameter/bucket"], "then");
    assert_eq!(backup.status.and_then(|s| s.artifact).expect("an artifact").uri, "s3://b/k");
}
