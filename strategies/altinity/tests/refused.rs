//! What the Altinity strategy refuses before anything is created, and how it says so.

use backstay_testing::Built;
use backstay_testing::contract::Severity;

const CLIENT: &str = include_str!("fixtures/client.yaml");
const NAMED: &str = include_str!("fixtures/named.yaml");
const EXAMPLE: &str = include_str!("../../../examples/altinity/strategy.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");
const TWO_SHARDS: &str = include_str!("fixtures/two-shards.yaml");
const MONDAY: &str = include_str!("fixtures/backup-1.yaml");

fn altinity() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn case_28_an_undefined_parameter_in_the_name_of_a_secret_fails_the_run_and_names_the_field() {
    let strategy = CLIENT.replace("clickhouse-{{ .Release.Name }}-backup", "{{ .Parameters.secret }}");
    let failure = altinity().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "TemplateError");
    let at = "/strategy/template/spec/containers/0/env/0/valueFrom/secretKeyRef/name";
    assert_eq!(failure.findings[0].at, at);
    let path = "spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef.name";
    assert!(failure.message.contains(path), "{}", failure.message);
}

#[test]
fn case_28_an_undefined_parameter_in_an_image_or_a_service_account_fails_the_run() {
    for (written, gap) in [
        ("image: registry.example.org/ch-backup-client:1", "image: 'client:{{ .Parameters.tag }}'"),
        ("containers:", "serviceAccountName: '{{ .Parameters.account }}'\n      containers:"),
    ] {
        let strategy = CLIENT.replace(written, gap);
        let failure = altinity().backup().strategy(&strategy).application(APPLICATION).refused();
        assert_eq!(failure.reason, "TemplateError", "{gap}: {}", failure.message);
    }
}

#[test]
fn case_28_a_template_that_does_not_parse_fails_the_run_and_names_the_field() {
    let strategy = CLIENT.replace("--mode={{ .Mode }}", "--mode={{ .Mode");
    let failure = altinity().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "TemplateError");
    assert!(failure.message.contains("spec.template.spec.containers[0].args[0]"), "{}", failure.message);
}

#[test]
fn case_28_a_gap_in_the_branch_of_a_script_that_is_not_taken_is_only_a_warning() {
    let strategy =
        CLIENT.replace("\"--mode={{ .Mode }}\"", "\"case x in restore) {{ .Backup.Name }};; esac\"");
    let run = altinity();
    let run = run.backup().strategy(&strategy).application(APPLICATION).parameter("prefix", "n");
    let run = run.rendered();
    assert_eq!(run.findings.len(), 1, "{:?}", run.findings);
    assert_eq!(run.findings[0].severity, Severity::Warning);
    assert_eq!(run.findings[0].at, "/strategy/template/spec/containers/0/args/0");
}

#[test]
fn case_29_an_application_with_two_shards_is_refused_for_backup_and_for_restore() {
    let altinity = altinity();
    for case in [altinity.backup(), altinity.restore(MONDAY)] {
        let failure = case.strategy(NAMED).application(TWO_SHARDS).refused();
        assert_eq!(failure.reason, "ShardsNotCovered");
        for part in ["has 2 shards", "shards: report"] {
            assert!(failure.message.contains(part), "{part}: {}", failure.message);
        }
    }
}

#[test]
fn case_22_a_restore_whose_pod_is_not_told_the_archive_is_refused() {
    let failure = altinity().restore(MONDAY).strategy(CLIENT).application(APPLICATION).refused();
    assert_eq!(failure.reason, "ArchiveIgnored");
    assert!(failure.message.contains("clickhouse-events-monday-11111111"), "{}", failure.message);
}

#[test]
fn what_a_backup_records_as_its_archive_cannot_reach_a_shell() {
    for bad in ["$(id)", "../other", "a b", "-x", ""] {
        let backup = MONDAY
            .replace("clickhouse-events-monday-11111111-0000-4000-8000-000000000001", &format!("{bad:?}"));
        let failure = altinity().restore(&backup).strategy(NAMED).application(APPLICATION).refused();
        assert_eq!(failure.reason, "InvalidBackup", "{bad}: {}", failure.message);
    }
}

#[test]
fn a_backup_of_another_kind_is_refused() {
    let backup = MONDAY.replace("kind: ClickHouse", "kind: Postgres");
    let failure = altinity().restore(&backup).strategy(NAMED).application(APPLICATION).refused();
    assert_eq!(failure.reason, "ApplicationMismatch");
    assert!(failure.message.contains("Postgres"), "{}", failure.message);
}

#[test]
fn a_strategy_of_the_wrong_shape_is_refused_with_the_field() {
    for (more, at) in [
        ("backoffLimit: many", "/strategy/backoffLimit"),
        ("shards: all", "/strategy/shards"),
        ("dialect: perl", "/strategy/dialect"),
    ] {
        let strategy = CLIENT.replace("spec:\n  template:", &format!("spec:\n  {more}\n  template:"));
        let failure = altinity().backup().strategy(&strategy).application(APPLICATION).refused();
        assert_eq!((failure.reason.as_str(), failure.findings[0].at.as_str()), ("InvalidStrategy", at));
    }
}

#[test]
fn a_restore_without_a_strategy_says_what_to_supply() {
    assert_eq!(altinity().restore(MONDAY).application(APPLICATION).refused().reason, "StrategyMissing");
}

#[test]
fn validate_warns_of_a_template_that_does_not_ask_for_the_archive() {
    let findings = altinity().validate(CLIENT);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Warning);
    assert!(findings[0].message.contains(".Archive"), "{}", findings[0].message);
    for good in [NAMED, EXAMPLE] {
        assert_eq!(altinity().validate(good), []);
    }
}
