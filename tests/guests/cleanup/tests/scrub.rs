//! The cleanup guest in the sandbox.

use backstay_testing::Built;

const STRATEGY: &str = "
apiVersion: test.backstay.dev/v1
kind: Scrub
spec: {image: busybox, command: 'rm -rf /data'}
";
const APPLICATION: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: tenant-a}
";
const BACKUP: &str = "
metadata: {name: nightly}
spec:
  applicationRef: {apiGroup: '', kind: ConfigMap, name: web}
  driverMetadata: {test.backstay.dev/image: busybox, test.backstay.dev/command: 'rm -rf /old'}
status: {artifact: {uri: 's3://b/web.tar'}}
";

#[test]
fn a_backup_remembers_what_cleans_up_after_it() {
    let scrub = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let outcome = scrub.backup().strategy(STRATEGY).application(APPLICATION).parsed("succeeded: true");
    assert_eq!(outcome.metadata["test.backstay.dev/image"], "busybox");
    assert_eq!(outcome.metadata["test.backstay.dev/command"], "rm -rf /data");
}

#[test]
fn cleanup_runs_a_pod_although_strategy_and_application_are_gone() {
    let scrub = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let run = scrub.cleanup(BACKUP).rendered();
    let container = &run.template["spec"]["containers"][0];
    assert_eq!(container["command"][2], "rm -rf /old");
    assert_eq!(container["env"][0]["value"], "cleanup");
    assert_eq!(container["env"][3]["value"], "s3://b/web.tar");
}

#[test]
fn cleanup_of_a_backup_that_remembers_nothing_says_what_is_missing() {
    let scrub = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let failure =
        scrub.cleanup("{metadata: {name: b}, spec: {applicationRef: {kind: Web, name: web}}}").refused();
    assert_eq!(failure.reason, "StrategyMissing");
}

#[test]
fn a_cleanup_that_fails_says_why() {
    let scrub = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let ended = "{succeeded: false, pods: [{name: p, containers: [{name: scrub, exitCode: 127}]}]}";
    let failure = scrub.cleanup(BACKUP).failed(ended);
    assert_eq!(failure.reason, "ScrubFailed");
    assert!(failure.message.contains("the command was not found"), "{}", failure.message);
}
