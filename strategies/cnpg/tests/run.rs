//! Whole runs: the controller with this component, and an operator of a script.

use backstay_testing::contract::Json;
use backstay_testing::{Built, PodEnd, Reaction, Run, Stage};
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

/// The operator completes each backup that it is asked for.
fn backed_up(stage: Stage) -> Stage {
    stage.operator("Backup.postgresql.cnpg.io", |_| {
        json!({"phase": "completed", "backupId": "20260102T030500", "majorVersion": 17,
            "startedAt": "2026-01-02T03:05:00Z", "stoppedAt": "2026-01-02T03:05:30Z",
            "endWal": "000000010000000000000004"})
    })
}

/// Checks that the controller asked the API server for no more than this in the last run.
#[track_caller]
fn asked_at_most(run: &Run, reads: usize, writes: usize) {
    let is_read = |request: &&String| request.starts_with("GET ");
    let read = run.requests().iter().filter(is_read).count();
    let written = run.requests().len() - read;
    let asked = run.requests().join("\n");
    assert!(read <= reads && written <= writes, "{read} reads, {written} writes:\n{asked}");
}

#[test]
fn the_operators_backup_becomes_a_backup() {
    let cnpg = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let run = cnpg.run_backup(backed_up(stage()));
    assert!(run.succeeded(), "{run}");
    let asked = run.all("Backup.postgresql.cnpg.io");
    assert_eq!(asked.len(), 1, "{run}");
    // Of the writes, one is the first of a strategy, and two attach the archive.
    asked_at_most(&run, 8, 14);
    let told = &run.backup()["spec"]["driverMetadata"];
    assert_eq!(told["cnpg.io/backup-name"], asked[0]["metadata"]["name"], "{run}");
}

/// What Helm makes of the values of a recovery: a Cluster that recovers.
fn recovered(release: &Json) -> Option<Reaction> {
    let values = &release["spec"]["values"];
    if release["spec"]["suspend"] == true || values["bootstrap"]["enabled"] != true {
        return None;
    }
    let source = &values["bootstrap"]["oldName"];
    let parameters = json!({"barmanObjectName": "postgres-orders-recovery", "serverName": values["bootstrap"]["serverName"]});
    Some(Reaction::make(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "postgres-orders"},
        "spec": {
            "instances": 1,
            "bootstrap": {"recovery": {"source": source,
                "recoveryTarget": {"targetTime": values["bootstrap"]["recoveryTime"]}}},
            "externalClusters": [{"name": source,
                "plugin": {"name": "barman-cloud.cloudnative-pg.io", "parameters": parameters}}],
        },
    })))
}

#[test]
fn a_restore_in_place_deletes_the_cluster_and_waits_for_the_recovered_one() {
    let cnpg = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let stage = backed_up(stage())
        .operator("Postgres.apps.cozystack.io", |postgres| {
            Reaction::apply(json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"name": "postgres-orders"}, "spec": {"values": postgres["spec"]}}))
        })
        .operator("HelmRelease.helm.toolkit.fluxcd.io", recovered)
        .operator("Cluster.postgresql.cnpg.io", |_| json!({"phase": "Cluster in healthy state"}));
    let run = cnpg.run_backup(stage);
    let before =
        run.get("Cluster.postgresql.cnpg.io", "postgres-orders").expect("the Cluster of the fixture");
    let run = run.restore("");
    assert!(run.succeeded(), "{run}");
    let after = run.get("Cluster.postgresql.cnpg.io", "postgres-orders").expect("a recovered Cluster");
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"], "{run}");
    assert!(after["spec"]["bootstrap"]["recovery"].is_object(), "{run}");
    asked_at_most(&run, 38, 24);
}
