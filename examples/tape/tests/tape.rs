use backstay_testing::{Built, PodEnd, Stage};

const STRATEGY: &str = "
apiVersion: strategy.example.org/v1
kind: Tape
spec: {image: 'registry.example.org/tape:1', drive: 2}
";
const APPLICATION: &str = "
apiVersion: apps.example.org/v1
kind: Archive
metadata: {name: letters, namespace: tenant-a}
spec: {volumeClaim: letters-data}
";
const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: letters-data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

#[test]
fn a_backup_writes_the_volume_to_the_slot_of_its_class() {
    let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let run = tape.backup().strategy(STRATEGY).application(APPLICATION).parameter("slot", "7").rendered();
    assert_eq!(run.template["spec"]["containers"][0]["args"][2], "--slot=7");
}

#[test]
fn a_report_becomes_the_artifact() {
    let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let ended = r#"
succeeded: true
pods:
- containers: [{name: tape, exitCode: 0, message: '{"artifact":{"uri":"tape://2/7"}}'}]
"#;
    let outcome = tape.backup().strategy(STRATEGY).application(APPLICATION).parsed(ended);
    assert_eq!(outcome.artifact.unwrap().uri, "tape://2/7");
}

#[test]
fn an_application_without_a_volume_is_refused() {
    let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let application = APPLICATION.replace("volumeClaim", "bucket");
    let failure = tape.backup().strategy(STRATEGY).application(&application).refused();
    assert_eq!(failure.reason, "NoVolume");
}

#[test]
fn a_whole_backup_leaves_a_backup_with_its_artifact() {
    let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let report = r#"{"artifact":{"uri":"tape://2/7","sizeBytes":1024}}"#;
    let run = tape.run_backup(
        Stage::new(STRATEGY, APPLICATION)
            .objects(CLAIM)
            .parameter("slot", "7")
            .pod("tape", PodEnd::ok().saying(report)),
    );
    assert!(run.succeeded(), "{run}");
    assert_eq!(run.backup()["status"]["artifact"]["uri"], "tape://2/7");
}

#[test]
fn a_full_tape_fails_the_run_with_the_end_of_its_log() {
    let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let stage = Stage::new(STRATEGY, APPLICATION).objects(CLAIM);
    let run = tape.run_backup(stage.pod("tape", PodEnd::code(28).logging("no space left on tape")));
    assert_eq!(run.reason(), "BackupFailed", "{run}");
    assert!(run.message().contains("no space left on tape"), "{run}");
}
