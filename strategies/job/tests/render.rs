//! What the Job strategy renders: the component in the sandbox, strategies as users have them.

use backstay_testing::Built;
use serde_json::{Value, json};

const REDIS: &str = include_str!("fixtures/redis-dump.yaml");
const CLICKHOUSE: &str = include_str!("fixtures/clickhouse-archive.yaml");
const JINJA: &str = include_str!("fixtures/jinja.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");
const COPY: &str = include_str!("fixtures/copy.yaml");
const BACKUP: &str = include_str!("fixtures/backup.yaml");

fn job() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

/// The value of a variable of the first container.
fn env<'a>(template: &'a Value, name: &str) -> &'a Value {
    let env = template["spec"]["containers"][0]["env"].as_array();
    let variable = env.into_iter().flatten().find(|e| e["name"] == name);
    &variable.unwrap_or_else(|| panic!("there is no variable {name}"))["value"]
}

#[test]
fn a_backup_fills_the_template_with_application_mode_and_parameters() {
    let run = job().backup().strategy(REDIS).application(APPLICATION).parameter("db", "3").rendered();
    assert_eq!(env(&run.template, "MODE"), "backup");
    assert_eq!(env(&run.template, "HOST"), "cache.tenant-a.svc");
    assert_eq!(env(&run.template, "DB"), "3");
    assert_eq!(env(&run.template, "SOURCE"), "cache");
    let secret = &run.template["spec"]["containers"][0]["env"][4]["valueFrom"]["secretKeyRef"];
    assert_eq!(*secret, json!({"name": "cache-s3", "key": "secretKey"}));
    assert_eq!(run.findings, []);
}

#[test]
fn a_default_stands_in_for_a_parameter_that_is_not_there() {
    let run = job().backup().strategy(REDIS).application(APPLICATION).rendered();
    assert_eq!(env(&run.template, "DB"), "0");
}

#[test]
fn a_restore_into_a_copy_names_source_and_target_and_takes_the_parameters_of_the_backup() {
    let run = job().restore(BACKUP).strategy(REDIS).application(COPY).rendered();
    assert_eq!(env(&run.template, "MODE"), "restore");
    assert_eq!(env(&run.template, "HOST"), "cache-copy.tenant-a.svc");
    assert_eq!(env(&run.template, "SOURCE"), "cache");
    assert_eq!(env(&run.template, "DB"), "5");
}

#[test]
fn what_holds_no_template_comes_out_as_it_was_written() {
    let run = job().backup().strategy(REDIS).application(APPLICATION).rendered();
    let written: Value = serde_saphyr::from_str(REDIS).unwrap();
    let container = |t: &Value| (t["containers"][0]["args"].clone(), t["containers"][0]["image"].clone());
    assert_eq!(container(&run.template["spec"]), container(&written["spec"]["template"]["spec"]));
}

#[test]
fn a_source_named_without_a_guard_is_a_warning_on_backup_and_its_name_on_restore() {
    let run = job().backup().strategy(CLICKHOUSE).application(APPLICATION).rendered();
    assert_eq!(run.findings.len(), 1, "{:?}", run.findings);
    assert_eq!(run.findings[0].at, "/strategy/template/spec/containers/0/args/0");
    assert!(run.findings[0].message.contains("<no value>"), "{}", run.findings[0].message);
    let run = job().restore(BACKUP).strategy(CLICKHOUSE).application(COPY).rendered();
    let script = run.template["spec"]["containers"][0]["args"][0].as_str().unwrap();
    assert!(script.contains("restore \"cache\" --into \"cache-copy\""), "{script}");
    assert_eq!(run.findings, []);
}

#[test]
fn labels_annotations_and_types_survive() {
    let run =
        job().backup().strategy(CLICKHOUSE).application(APPLICATION).parameter("region", "us").rendered();
    let metadata = &run.template["metadata"];
    assert_eq!(metadata["labels"], json!({"team": "storage", "example.org/app": "cache"}));
    assert_eq!(metadata["annotations"]["example.org/parameters"], "{\"region\":\"us\"}");
    let container = &run.template["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["envFrom"][0]["secretRef"]["name"], "clickhouse-cache-credentials");
}

#[test]
fn how_to_run_it_comes_from_the_strategy_or_has_the_known_defaults() {
    let run = job().backup().strategy(REDIS).application(APPLICATION).rendered();
    assert_eq!((run.backoff_limit, run.active_deadline), (2, None));
    let run = job().backup().strategy(JINJA).application(APPLICATION).rendered();
    assert_eq!((run.backoff_limit, run.active_deadline), (0, Some(900)));
}

#[test]
fn a_restart_policy_is_kept_and_is_never_where_there_is_none() {
    for (written, expected) in [("OnFailure", "OnFailure"), ("Never", "Never"), ("\"\"", "Never")] {
        let strategy = REDIS.replace("restartPolicy: Never", &format!("restartPolicy: {written}"));
        let run = job().backup().strategy(&strategy).application(APPLICATION).rendered();
        assert_eq!(run.template["spec"]["restartPolicy"], expected);
    }
    let run = job().backup().strategy(CLICKHOUSE).application(APPLICATION).rendered();
    assert_eq!(run.template["spec"]["restartPolicy"], "Never");
}

#[test]
fn the_other_dialect_renders_too_and_leaves_shell_alone() {
    let run = job().backup().strategy(JINJA).application(APPLICATION).parameter("db", "7").rendered();
    let args = &run.template["spec"]["containers"][0]["args"];
    assert_eq!(args[0], "backup cache 7");
    assert_eq!(args[1], "files=(a b); echo ${#files[@]} \n");
    let run = job().restore(BACKUP).strategy(JINJA).application(COPY).rendered();
    assert_eq!(run.template["spec"]["containers"][0]["args"][0], "restore cache-copy 5");
}

#[test]
fn fields_that_nobody_here_knows_are_kept() {
    let strategy = REDIS.replace("restartPolicy: Never", "fieldOfNextYear: {value: '{{ .Mode }}'}");
    let run = job().backup().strategy(&strategy).application(APPLICATION).rendered();
    assert_eq!(run.template["spec"]["fieldOfNextYear"]["value"], "backup");
}

#[test]
fn equal_runs_render_equal_bytes() {
    let render =
        || job().backup().strategy(CLICKHOUSE).application(APPLICATION).rendered().template.to_string();
    assert_eq!(render(), render());
}

#[test]
fn a_render_stays_far_below_what_a_call_may_use() {
    let job = job();
    let called = job.backup().strategy(REDIS).application(APPLICATION).call_render().unwrap();
    let limits = job.component().limits();
    assert!(called.fuel < limits.fuel / 100, "{} of {} units of fuel", called.fuel, limits.fuel);
    assert!(called.memory_bytes < limits.memory_bytes / 10, "{} bytes", called.memory_bytes);
}
