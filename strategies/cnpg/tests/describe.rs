//! What the CNPG strategy says of itself.

use backstay_testing::Built;
use backstay_testing::contract::{Mode, Scope};

fn cnpg() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

/// Cases 1 and 31: the host checks source and target by this before it asks the strategy.
#[test]
fn it_serves_postgres_and_nothing_else() {
    let cnpg = cnpg();
    let kinds = &cnpg.descriptor().kinds;
    assert_eq!(kinds.len(), 1);
    assert_eq!((kinds[0].kind.as_str(), kinds[0].plural.as_str()), ("CNPG", "cnpgs"));
    assert_eq!(kinds[0].group, "strategy.backups.cozystack.io");
    let applications: Vec<String> = kinds[0].applications.iter().map(ToString::to_string).collect();
    assert_eq!(applications.len(), 1);
    let only = &kinds[0].applications[0];
    assert_eq!((only.group.as_str(), only.kind.as_str()), ("apps.cozystack.io", "Postgres"));
}

/// Case 66 among others: nothing of any other strategy's is in reach.
#[test]
fn it_asks_for_its_own_objects_in_the_runs_namespace_and_no_more() {
    let cnpg = cnpg();
    let access = &cnpg.descriptor().access;
    assert!(access.iter().all(|a| a.scope == Scope::Run));
    let mut kinds: Vec<&str> = access.iter().map(|a| a.kind.as_str()).collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "Cluster",
            "Backup",
            "ObjectStore",
            "HelmRelease",
            "Postgres",
            "PersistentVolumeClaim",
            "Pod",
            "Secret"
        ]
    );
    for a in access {
        let writes_or_purges = a.verbs.purge || a.verbs.patch || a.verbs.apply;
        assert!(!writes_or_purges || !a.guards.is_empty(), "{} is written without a guard", a.kind);
    }
    let purged: Vec<&str> = access.iter().filter(|a| a.verbs.purge).map(|a| a.kind.as_str()).collect();
    assert_eq!(purged, ["Cluster", "PersistentVolumeClaim"]);
}

#[test]
fn a_checkpoint_outlives_its_run_from_the_first_delete_on() {
    let cnpg = cnpg();
    let stages = cnpg.descriptor().stages.iter().filter(|s| s.mode == Mode::Restore);
    let kept: Vec<(&str, bool)> = stages.map(|s| (s.name.as_str(), s.keeps_checkpoint)).collect();
    assert_eq!(
        kept,
        [
            ("fit", false),
            ("gate", false),
            ("suspend", false),
            ("patch", false),
            ("delete", true),
            ("volumes", true),
            ("drain", true),
            ("resume", true),
            ("recover", true),
            ("archive", true),
            ("undo", false),
        ]
    );
}

#[test]
fn it_is_a_resource_strategy_that_imports_only_the_log() {
    let cnpg = cnpg();
    assert_eq!(cnpg.component().world().as_str(), "resource-strategy");
    let functions: Vec<_> = cnpg.component().imports().iter().filter(|i| !i.contains("/types@")).collect();
    assert_eq!(functions, ["backstay:strategy/log@0.1.0"]);
}

#[test]
fn what_is_wrong_with_a_strategy_is_found_without_a_run() {
    let strategy = |template: &str| {
        format!(
            "apiVersion: strategy.backups.cozystack.io/v1alpha1\nkind: CNPG\nmetadata: {{name: x}}\nspec: {{template: {template}}}"
        )
    };
    let found = |template: &str| -> Vec<String> {
        cnpg().validate(&strategy(template)).into_iter().map(|d| d.at).collect()
    };
    assert_eq!(found("{barmanObjectStore: {destinationPath: 's3://{{ .Parameters.bucket }}/'}}"), [""; 0]);
    assert_eq!(
        found(
            "{serverName: a/b, barmanObjectStore: {destinationPath: '{{ .Parameters', retentionPolicy: 30}}"
        ),
        ["/strategy/template/barmanObjectStore/retentionPolicy"]
    );
    assert_eq!(
        found(
            "{serverName: a/b, barmanObjectStore: {destinationPath: '{{ .Parameters', retentionPolicy: 30x}}"
        ),
        [
            "/strategy/template/barmanObjectStore/destinationPath",
            "/strategy/template/serverName",
            "/strategy/template/barmanObjectStore/retentionPolicy",
        ]
    );
}

#[test]
fn its_component_is_small() {
    let cnpg = cnpg();
    assert!(cnpg.bytes().len() < 1_260_000, "{} bytes", cnpg.bytes().len());
}
