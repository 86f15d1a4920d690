//! Whole runs: the controller with this component, and an operator of a script.

use backstay_testing::{Built, PodEnd, Stage};
use serde_json::json;

const STRATEGY: &str = include_str!("cases/base/strategy.yaml");
const POSTGRES: &str = include_str!("cases/base/application.yaml");
/// The Cluster with its archive, its pod and its volume, the HelmRelease, the keys.
const OBJECTS: &str = include_str!("cases/base/world.yaml");

fn stage() -> Stage {
    Stage::new(STRATEGY, POSTGRES)
        .objects(OBJECTS)
        .parameter("bucket", "depot")
        .pod("plugin-barman-cloud", PodEnd::never())
        .pod("postgres", PodEnd::never())
}

#[test]
fn the_operators_backup_becomes_a_backup() {
    let cnpg = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let stage = stage().operator("Backup.postgresql.cnpg.io", |backup| {
        json!({"phase": "completed", "backupId": "20260102T030500", "majorVersion": 17,
            "startedAt": "2026-01-02T03:05:00Z", "stoppedAt": "2026-01-02T03:05:30Z",
            "endWal": "000000010000000000000004", "instanceID": {"podName": backup["spec"]["cluster"]["name"]}})
    });
    let run = cnpg.run_backup(stage);
    assert!(run.succeeded(), "{run}");
    let asked = run.all("Backup.postgresql.cnpg.io");
    assert_eq!(asked.len(), 1, "{run}");
    assert_eq!(
        run.backup()["spec"]["driverMetadata"]["cnpg.io/backup-name"],
        asked[0]["metadata"]["name"],
        "{run}"
    );
}
