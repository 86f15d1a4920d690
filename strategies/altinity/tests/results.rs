//! What the Altinity strategy makes of a pod that ended.

use backstay_testing::Built;
use backstay_testing::contract::Outcome;

const CLIENT: &str = include_str!("fixtures/client.yaml");
const NAMED: &str = include_str!("fixtures/named.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");
const TWO_SHARDS: &str = include_str!("fixtures/two-shards.yaml");
const MONDAY: &str = include_str!("fixtures/backup-1.yaml");
const ARCHIVE: &str = "altinity.strategy.backups.cozystack.io/archive";

/// Two pods, of which the second ended well.
const COMPLETE: &str = "
succeeded: true
pods:
- {name: p-2, startedAt: 2026-01-02T03:05:00Z, containers: [{name: client, exitCode: 0}]}
- {name: p-1, startedAt: 2026-01-02T03:04:06Z, containers: [{name: client, exitCode: 137}]}
";

fn altinity() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

/// What `parse` makes of a good end, told what `render` left for it.
fn outcome(strategy: &str, application: &str, ended: &str) -> Outcome {
    let altinity = altinity();
    let case = altinity.backup().strategy(strategy).application(application);
    let data = case.rendered().data.expect("data");
    case.parsed(&format!("{ended}\ndata: {data}"))
}

fn failed(container: &str) -> String {
    format!(
        "{{succeeded: false, reason: BackoffLimitExceeded, message: has reached its limit, \
         pods: [{{name: p, containers: [{{name: client, exitCode: 1, {container}}}]}}]}}"
    )
}

#[test]
fn case_22_the_archive_is_recorded_in_the_backup() {
    let outcome = outcome(NAMED, APPLICATION, COMPLETE);
    let archive = &outcome.metadata[ARCHIVE];
    assert_eq!(archive, "clickhouse-events-nightly-0d5f7a0e-0000-4000-8000-000000000001");
    assert_eq!(outcome.conditions, []);
    assert_eq!(outcome.artifact, None);
}

#[test]
fn the_data_is_of_when_the_run_began_whichever_of_its_pods_began_the_archive() {
    assert_eq!(outcome(NAMED, APPLICATION, COMPLETE).taken_at, Some(backstay_testing::NOW));
}

#[test]
fn a_pod_that_was_told_no_archive_leaves_none_recorded_and_the_backup_says_so() {
    let outcome = outcome(CLIENT, APPLICATION, COMPLETE);
    assert!(!outcome.metadata.contains_key(ARCHIVE));
    assert_eq!(outcome.taken_at, None);
    let condition = &outcome.conditions[0];
    assert_eq!((condition.type_.as_str(), condition.status), ("ArchiveRecorded", Some(false)));
    assert!(condition.message.contains("{{ .Archive }}"), "{}", condition.message);
}

#[test]
fn a_pod_that_names_its_archive_itself_may_report_it() {
    let reporting = |name: &str| {
        let report = format!(r#"{{"metadata":{{"archive":"{name}","tables":"7"}}}}"#);
        let container = format!("exitCode: 0, message: {report:?}");
        outcome(CLIENT, APPLICATION, &COMPLETE.replacen("exitCode: 0", &container, 1))
    };
    let named = reporting("clickhouse-events-20260102T030405Z");
    assert_eq!(named.metadata[ARCHIVE], "clickhouse-events-20260102T030405Z");
    assert_eq!((named.metadata["tables"].as_str(), named.metadata.len()), ("7", 2));
    assert!(!reporting("../x").metadata.contains_key(ARCHIVE));
}

#[test]
fn case_29_an_archive_of_the_first_of_two_shards_says_so_where_the_strategy_allows_it() {
    let strategy = NAMED.replace("spec:\n  backoff", "spec:\n  shards: report\n  backoff");
    let outcome = outcome(&strategy, TWO_SHARDS, COMPLETE);
    let condition = &outcome.conditions[0];
    assert_eq!((condition.type_.as_str(), condition.status), ("AllShards", Some(false)));
    assert!(condition.message.contains("2 shards"), "{}", condition.message);
    let run = altinity().backup().strategy(&strategy).application(TWO_SHARDS).rendered();
    assert_eq!(run.findings[0].at, "/strategy/shards");
}

#[test]
fn case_8_a_failure_tells_the_tools_own_error() {
    let log = "log: \"10:00:01 begun\\nerror: can't connect to S3: timeout\\nbye\\n\"";
    let failure = altinity().backup().strategy(NAMED).application(APPLICATION).failed(&failed(log));
    assert_eq!(failure.reason, "JobFailed");
    let first = failure.message.lines().next().expect("a line");
    for part in ["container client of pod p failed with exit code 1", "error: can't connect to S3: timeout"] {
        assert!(first.contains(part), "{part}: {first}");
    }
}

#[test]
fn an_error_in_the_termination_message_is_told_once() {
    let both = "message: \"no: quota\", log: \"starting\\nerror: quota\\n\"";
    let failure = altinity().restore(MONDAY).strategy(NAMED).application(APPLICATION).failed(&failed(both));
    let first = failure.message.lines().next().expect("a line");
    assert_eq!(first.matches("quota").count(), 1, "{first}");
}

#[test]
fn case_8_without_any_message_there_is_still_a_text() {
    let failure =
        altinity().backup().strategy(NAMED).application(APPLICATION).failed("{succeeded: false, pods: []}");
    assert_eq!(failure.message, "the Job failed, and Kubernetes gives no cause");
}

#[test]
fn what_the_run_was_begun_with_is_not_guessed_where_it_cannot_be_read() {
    for data in ["", "data: {archive: 5, shards: 2}", "data: {archive: a}", "data: [1]"] {
        let ended = format!("{COMPLETE}\n{data}");
        let failure = altinity().backup().strategy(NAMED).application(APPLICATION).failed(&ended);
        assert_eq!(failure.reason, "RunDataUnreadable", "{data}");
        assert!(failure.message.contains("create a new run"), "{}", failure.message);
    }
}

#[test]
fn a_restore_leaves_nothing_but_its_success() {
    let outcome = altinity().restore(MONDAY).strategy(NAMED).application(APPLICATION).parsed(COMPLETE);
    assert_eq!(outcome, Outcome::default());
}
