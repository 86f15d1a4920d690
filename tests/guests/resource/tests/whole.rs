//! The resource guest in whole runs: the controller, and a mill of a script that makes the copies.

use std::time::{Duration, Instant};

use backstay_testing::{Built, Reaction, Stage};
use serde_json::json;

const STRATEGY: &str = "
apiVersion: test.backstay.dev/v1
kind: Copy
spec: {copier: mill, timeoutSeconds: 300}
";
const APPLICATION: &str = "
apiVersion: apps.example.org/v1
kind: Web
metadata: {name: web, namespace: tenant-a}
";

#[test]
fn the_copy_that_the_mill_makes_becomes_the_backup() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let begun = Instant::now();
    let stage = Stage::new(STRATEGY, APPLICATION).operator("ConfigMap", |copy| {
        let asked = copy["data"]["by"] == "mill";
        asked.then(|| {
            Reaction::patch(json!({"data": {"ready": "true", "uri": "mill://1"}}))
                .after(Duration::from_secs(90))
        })
    });
    let run = copier.run_backup(stage);
    assert!(run.succeeded(), "{run}");
    assert_eq!(run.backup()["status"]["artifact"]["uri"], "mill://1", "{run}");
    assert!(run.told("CopyRequested"), "{run}");
    assert!(begun.elapsed() < Duration::from_secs(60), "90 s of simulated time took {:?}", begun.elapsed());
}

#[test]
fn a_mill_that_stands_still_fails_the_run_at_its_limit() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let run = copier.run_backup(Stage::new(STRATEGY, APPLICATION));
    assert_eq!(run.reason(), "CopyTimedOut", "{run}");
}

#[test]
#[should_panic(
    expected = "has not ended after 60 s of simulated time. It is Running, and waits: Copying: waiting for"
)]
fn a_run_that_does_not_end_names_what_it_waits_for() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let _ = copier.run_backup(Stage::new(STRATEGY, APPLICATION).within(Duration::from_secs(60)));
}

#[test]
#[should_panic(expected = "what it does has to depend on what it has done")]
fn an_operator_that_never_rests_is_found() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    let stage = Stage::new(STRATEGY, APPLICATION).operator("ConfigMap", move |_| {
        count += 1;
        Reaction::patch(json!({"data": {"count": count.to_string()}}))
    });
    let _ = copier.run_backup(stage);
}

#[test]
#[should_panic(expected = "kind \"Copy.mill.example.org\" is not served")]
fn an_operator_of_a_kind_that_is_not_there_is_refused() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let stage = Stage::new(STRATEGY, APPLICATION).operator("Copy.mill.example.org", |_| Reaction::nothing());
    let _ = copier.run_backup(stage);
}
