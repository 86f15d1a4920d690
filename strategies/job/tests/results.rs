//! The outcome of an ended pod in the Job strategy.

use backstay_testing::Built;
use backstay_testing::contract::Outcome;

const REDIS: &str = include_str!("fixtures/redis-dump.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");
const BACKUP: &str = include_str!("fixtures/backup.yaml");

fn job() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

/// A Job that is Complete, whose container left this message.
fn complete(message: &str) -> String {
    format!(
        "{{succeeded: true, pods: [{{name: p, containers: [{{name: dump, exitCode: 0, message: {message:?}}}]}}]}}"
    )
}

/// A Job that failed, with this much more about its container.
fn broken(container: &str) -> String {
    format!(
        "{{succeeded: false, reason: BackoffLimitExceeded, message: has reached its limit, \
         pods: [{{name: p, containers: [{{name: dump, {container}}}]}}]}}"
    )
}

fn requiring() -> String {
    REDIS.replace("  template:\n", "  requireArtifact: true\n  template:\n")
}

const REPORT: &str = r#"{"artifact":{"uri":"s3://b/cache.rdb","sizeBytes":1024,"checksum":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"metadata":{"keys":"17"}}"#;

#[test]
fn a_report_becomes_the_artifact() {
    let outcome = job().backup().strategy(REDIS).application(APPLICATION).parsed(&complete(REPORT));
    let artifact = outcome.artifact.unwrap();
    assert_eq!((artifact.uri.as_str(), artifact.size_bytes), ("s3://b/cache.rdb", Some(1024)));
    assert!(artifact.checksum.unwrap().starts_with("sha256:0123"));
    assert_eq!(outcome.metadata["keys"], "17");
    assert_eq!(outcome.conditions, []);
}

#[test]
fn a_report_after_other_lines_counts() {
    let message = format!("dumping\ndone in 3 s\n{REPORT}\n");
    let outcome = job().backup().strategy(REDIS).application(APPLICATION).parsed(&complete(&message));
    assert_eq!(outcome.artifact.unwrap().size_bytes, Some(1024));
}

#[test]
fn without_a_report_nothing_is_invented() {
    let outcome = job().backup().strategy(REDIS).application(APPLICATION).parsed(&complete(""));
    assert_eq!(outcome, Outcome::default());
}

#[test]
fn a_malformed_report_does_not_lose_the_run() {
    for report in [r#"{"artifact":{"uri":"s3:"#, r#"{"artifact":{"uri":"s3://b/k","sizeBytes":"1"}}"#] {
        let outcome = job().backup().strategy(REDIS).application(APPLICATION).parsed(&complete(report));
        assert_eq!((outcome.artifact, outcome.metadata.len()), (None, 0));
        let condition = &outcome.conditions[0];
        assert_eq!((condition.type_.as_str(), condition.status), ("ArtifactReported", Some(false)));
        assert_eq!(condition.reason, "MalformedReport");
        assert!(condition.message.contains("container dump"), "{}", condition.message);
    }
}

#[test]
fn a_report_that_is_required_and_missing_fails_the_run() {
    let case = job();
    let case = case.backup().strategy(&requiring()).application(APPLICATION);
    for report in ["", "done", r#"{"metadata":{"keys":"17"}}"#, r#"{"artifact":{"uri":"no scheme"}}"#] {
        let failure = case.failed(&complete(report));
        assert_eq!(failure.reason, "NoArtifactEvidence", "{report}");
        assert!(failure.message.contains("data may have been written"), "{}", failure.message);
    }
    assert!(case.parsed(&complete(REPORT)).artifact.is_some());
}

#[test]
fn a_restore_needs_no_report_and_makes_none() {
    let outcome =
        job().restore(BACKUP).strategy(&requiring()).application(APPLICATION).parsed(&complete(REPORT));
    assert_eq!(outcome, Outcome::default());
}

#[test]
fn a_job_that_failed_is_told_in_words_with_the_end_of_its_log() {
    let ended = broken("exitCode: 3, reason: Error, log: \"connecting\\npermission denied\\n\"");
    let failure = job().backup().strategy(REDIS).application(APPLICATION).failed(&ended);
    assert_eq!(failure.reason, "JobFailed");
    for part in ["container dump of pod p failed with exit code 3", "permission denied"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}

#[test]
fn want_of_memory_is_named_with_its_remedy() {
    let ended = broken("exitCode: 137, reason: OOMKilled");
    let failure = job().restore(BACKUP).strategy(REDIS).application(APPLICATION).failed(&ended);
    assert!(failure.message.contains("raise its memory limit"), "{}", failure.message);
}

#[test]
fn a_log_without_end_is_bounded() {
    let log = "x".repeat(60_000);
    let ended = broken(&format!("exitCode: 1, message: {log}, log: {log}"));
    let failure = job().backup().strategy(REDIS).application(APPLICATION).failed(&ended);
    assert!(failure.message.len() < 8 << 10, "{}", failure.message.len());
}

#[test]
fn a_report_of_a_job_that_failed_is_no_artifact() {
    let ended = broken(&format!("exitCode: 1, message: {REPORT:?}"));
    let failure = job().backup().strategy(REDIS).application(APPLICATION).failed(&ended);
    assert_eq!(failure.reason, "JobFailed");
}
