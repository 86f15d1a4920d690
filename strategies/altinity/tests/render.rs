//! What the Altinity strategy renders: the component in the sandbox, strategies as users have them.

use backstay_testing::Built;
use backstay_testing::contract::PodRun;
use serde_json::Value;

const CLIENT: &str = include_str!("fixtures/client.yaml");
const NAMED: &str = include_str!("fixtures/named.yaml");
const EXAMPLE: &str = include_str!("../../../examples/altinity/strategy.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");
const COPY: &str = include_str!("fixtures/copy.yaml");
const MONDAY: &str = include_str!("fixtures/backup-1.yaml");
const TUESDAY: &str = include_str!("fixtures/backup-2.yaml");
const REFERENCE: &str = include_str!("fixtures/backup-of-the-reference.yaml");

fn altinity() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

fn args(run: &PodRun) -> Vec<&str> {
    let args = run.template["spec"]["containers"][0]["args"].as_array();
    args.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The value of a variable of the client.
fn env<'a>(run: &'a PodRun, name: &str) -> &'a str {
    let env = run.template["spec"]["containers"][0]["env"].as_array();
    let variable = env.into_iter().flatten().find(|e| e["name"] == name);
    variable.and_then(|e| e["value"].as_str()).unwrap_or_else(|| panic!("there is no variable {name}"))
}

#[test]
fn case_5_release_mode_and_parameters_reach_the_arguments() {
    let run =
        altinity().backup().strategy(CLIENT).application(APPLICATION).parameter("prefix", "n").rendered();
    assert_eq!(args(&run)[..4], ["--mode=backup", "--app=events", "--ns=tenant-a", "--prefix=n"]);
    let secret = &run.template["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"];
    assert_eq!(secret["name"], "clickhouse-events-backup-api-auth");
    assert_eq!((run.backoff_limit, run.active_deadline, run.log_lines), (2, None, 50));
}

#[test]
fn case_12_a_restore_to_a_copy_is_told_source_and_target() {
    let run = altinity().restore(REFERENCE).strategy(CLIENT).application(COPY).rendered();
    assert_eq!(args(&run)[..3], ["--mode=restore", "--app=events-copy", "--ns=tenant-a"]);
    assert_eq!(args(&run)[4], "--source=ClickHouse/events");
}

#[test]
fn case_15_parameters_come_back_without_their_prefix_and_foreign_keys_do_not() {
    let run = altinity().restore(REFERENCE).strategy(CLIENT).application(APPLICATION).rendered();
    assert_eq!(args(&run)[3], "--prefix=s3://bucket:9000/a/b");
    let all = CLIENT.replace("--prefix={{ .Parameters.prefix }}", "{{ toJson .Parameters }}");
    let run = altinity().restore(REFERENCE).strategy(&all).application(APPLICATION).rendered();
    assert_eq!(args(&run)[3], r#"{"prefix":"s3://bucket:9000/a/b"}"#);
}

#[test]
fn case_18_a_pod_without_a_restart_policy_never_restarts_and_another_is_kept() {
    let run = altinity().backup().strategy(CLIENT).application(APPLICATION).rendered();
    assert_eq!(run.template["spec"]["restartPolicy"], "Never");
    let kept = CLIENT.replace("    spec:\n", "    spec:\n      restartPolicy: OnFailure\n");
    let run = altinity().backup().strategy(&kept).application(APPLICATION).rendered();
    assert_eq!(run.template["spec"]["restartPolicy"], "OnFailure");
}

#[test]
fn case_22_each_backup_is_restored_from_its_own_archive_not_from_the_newest() {
    for (backup, archive) in [
        (MONDAY, "clickhouse-events-monday-11111111-0000-4000-8000-000000000001"),
        (TUESDAY, "clickhouse-events-tuesday-22222222-0000-4000-8000-000000000001"),
    ] {
        let run = altinity().restore(backup).strategy(NAMED).application(COPY).rendered();
        assert_eq!(args(&run)[1], format!("--archive={archive}"));
        assert_eq!(run.data.as_ref().expect("data")["archive"], archive);
        let run = altinity().restore(backup).strategy(EXAMPLE).application(APPLICATION).rendered();
        assert_eq!(env(&run, "ARCHIVE"), archive);
    }
}

#[test]
fn case_26_every_pod_of_a_run_is_told_one_archive_and_no_other_run_is() {
    let built = altinity();
    let of = |run: &str, uid: &str, now: i64| {
        let case = built.backup().strategy(NAMED).application(APPLICATION).with(|r| {
            run.clone_into(&mut r.run.name);
            uid.clone_into(&mut r.run_uid);
            r.now = now;
        });
        args(&case.rendered())[1].to_owned()
    };
    let (a, b) = ("0d5f7a0e-0000-4000-8000-00000000000a", "0d5f7a0e-0000-4000-8000-00000000000b");
    assert_eq!(of("nightly", a, 10), format!("--archive=clickhouse-events-nightly-{a}"));
    assert_eq!(of("nightly", a, 10), of("nightly", a, 9_999));
    assert_ne!(of("nightly", a, 10), of("nightly", b, 10));
    assert_ne!(of("nightly", a, 10), of("weekly", a, 10));
    let long = of(&"n".repeat(253), a, 10);
    assert!(long.len() < 200 && long.ends_with(a), "{long}");
}

#[test]
fn a_backup_of_the_reference_tells_when_it_was_taken_and_no_archive() {
    let run = altinity().restore(REFERENCE).strategy(NAMED).application(APPLICATION).rendered();
    assert_eq!(args(&run)[1..], ["--archive=", "--not-after=2025-12-31T23:59:58Z"]);
    assert!(run.findings[0].message.contains("does not record its archive"), "{:?}", run.findings);
    let run = altinity().restore(REFERENCE).strategy(EXAMPLE).application(COPY).rendered();
    assert_eq!((env(&run, "SOURCE"), env(&run, "TAKEN_AT")), ("events", "20251231T235958Z"));
}

#[test]
fn the_example_has_no_gap_in_either_mode_and_its_options_have_defaults() {
    let run = altinity().backup().strategy(EXAMPLE).application(APPLICATION).rendered();
    assert_eq!(run.findings, []);
    assert_eq!(env(&run, "HOST"), "chi-clickhouse-events-clickhouse-0-0.tenant-a.svc");
    assert_eq!(env(&run, "PORT"), "7171");
    assert!(env(&run, "ARCHIVE").starts_with("clickhouse-events-nightly-"));
    assert_eq!(run.active_deadline, Some(14_400));
    let run = altinity().restore(MONDAY).strategy(EXAMPLE).application(COPY).rendered();
    assert_eq!(run.findings, []);
}

#[test]
fn what_the_strategy_says_of_retries_and_deadline_goes_into_the_job() {
    let run = altinity().backup().strategy(NAMED).application(APPLICATION).rendered();
    assert_eq!((run.backoff_limit, run.active_deadline), (1, Some(900)));
}

#[test]
fn the_other_dialect_knows_the_archive_too() {
    let jinja = NAMED
        .replace("  backoffLimit: 1\n", "  dialect: minijinja\n")
        .replace("{{ .Mode }}", "{{ Mode }}")
        .replace("{{ if .Archive }}{{ .Archive }}{{ end }}", "{{ Archive }}")
        .replace("{{ if .TakenAt }}{{ .TakenAt }}{{ end }}", "{{ TakenAt | default('') }}");
    let run = altinity().restore(MONDAY).strategy(&jinja).application(COPY).rendered();
    assert_eq!(args(&run)[1], "--archive=clickhouse-events-monday-11111111-0000-4000-8000-000000000001");
    assert_eq!(args(&run)[2], "--not-after=2026-01-05T02:00:00Z");
}

#[test]
fn a_render_stays_far_below_what_a_call_may_use() {
    let altinity = altinity();
    let called = altinity.restore(MONDAY).strategy(EXAMPLE).application(COPY).call_render().unwrap();
    let limits = altinity.component().limits();
    assert!(called.fuel < limits.fuel / 100, "{} of {} units of fuel", called.fuel, limits.fuel);
    assert!(called.memory_bytes < limits.memory_bytes / 10, "{} bytes", called.memory_bytes);
}
