//! What the Job strategy refuses before anything is created, and how it says so.

use backstay_testing::Built;
use backstay_testing::contract::Severity;

const REDIS: &str = include_str!("fixtures/redis-dump.yaml");
const JINJA: &str = include_str!("fixtures/jinja.yaml");
const APPLICATION: &str = include_str!("fixtures/application.yaml");

fn job() -> std::sync::Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

/// A strategy with these arguments and this much more in its spec.
fn strategy(args: &[&str], more: &str) -> String {
    let args: Vec<String> = args.iter().map(|a| format!("{a:?}")).collect();
    let args = args.join(", ");
    format!(
        "apiVersion: strategy.backups.cozystack.io/v1alpha1\nkind: Job\nmetadata: {{name: s}}\nspec:\n  {more}\n  \
         template: {{spec: {{containers: [{{name: a, image: b, args: [{args}]}}]}}}}\n"
    )
}

#[test]
fn a_template_error_names_the_argument_the_position_and_the_cause() {
    let strategy = strategy(&["--plain", "{{ required \"x\" .Parameters.a }}"], "");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "TemplateError");
    for part in ["spec.template.spec.containers[0].args[1]", "1:4", "required"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
    assert_eq!(failure.findings[0].at, "/strategy/template/spec/containers/0/args/1");
}

#[test]
fn all_failing_fields_are_told_at_once() {
    let strategy = strategy(&["{{ .Mode", "{{ fail \"no\" }}", "fine", "{{ nope }}"], "");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    let at: Vec<&str> = failure.findings.iter().map(|f| &f.at[f.at.len() - 6..]).collect();
    assert_eq!(at, ["args/0", "args/1", "args/3"]);
}

#[test]
fn a_great_many_failing_fields_are_bounded_and_counted() {
    let broken = format!("{{{{ {} ", "x".repeat(3000));
    let strategy = strategy(&vec![broken.as_str(); 200], "");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert!(failure.findings.len() <= 32, "{}", failure.findings.len());
    assert!(failure.message.len() <= 16 << 10, "{}", failure.message.len());
    assert!(failure.findings.last().unwrap().message.contains("180 more"), "{:?}", failure.findings.last());
}

#[test]
fn text_that_was_never_meant_as_a_template_is_told_how_to_be_written() {
    let strategy = strategy(&["docker ps --format '{{json .}}'"], "");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert!(failure.message.contains("{{ \"{{\" }}"), "{}", failure.message);
}

#[test]
fn an_endless_template_costs_its_own_run_and_says_so() {
    for (endless, more) in [
        ("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", ""),
        ("{{ range until 65000 }}{{ range until 65000 }}{{ end }}{{ end }}", ""),
        ("{{ range until 65000 }}{{ range until 65000 }}{{ add . 1 }}{{ end }}{{ end }}", ""),
        (
            "{{ range until 65000 }}{{ range until 65000 }}{{ regexMatch \"a+b\" \"aaaaaaaac\" }}{{ end }}{{ end }}",
            "",
        ),
        ("{{ repeat 1000000000 \"x\" }}", ""),
        (
            "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
            "dialect: minijinja",
        ),
        (
            "{% for i in range(10000) %}{% for j in range(10000) %}{{ i * j }}{% endfor %}{% endfor %}",
            "dialect: minijinja",
        ),
        // Sizes that do not fit into 32 bits.
        ("{{ $a := repeat 100000 \"a\" }}{{ replace \"a\" $a $a }}", ""),
        ("{{ $a := repeat 100000 \"\\n\" }}{{ indent 100000 $a }}", ""),
        ("{{ join (repeat 1048576 \"x\") (until 4096) }}", ""),
        ("{{ repeat 4294967297 \"a\" }}", ""),
        ("{{ $a := repeat 65536 \"a\" }}{{ repeat 65537 $a }}", ""),
        ("{{ indent 4294967297 \"a\" }}", ""),
        ("{{ until 4294967297 }}", ""),
        ("{% set a = \"a\" * 100000 %}{{ a | replace(\"a\", a) }}", "dialect: minijinja"),
        ("{{ (\"\\n\" * 1000) | indent(4294967) }}", "dialect: minijinja"),
        ("{{ \"\\n\" | indent(4294967295) }}", "dialect: minijinja"),
        ("{{ \"a\" * 4294967297 }}", "dialect: minijinja"),
        ("{{ ([\"a\"] * 4294967297) | length }}", "dialect: minijinja"),
        ("{{ ([\"a\"] * 65536 * 65537) | join }}", "dialect: minijinja"),
        ("{% set a = \"a\" * 1000000 %}{{ ([a] * 5000) | join(a) }}", "dialect: minijinja"),
        ("{{ range(4294967297) | length }}", "dialect: minijinja"),
    ] {
        let strategy = strategy(&[endless], more);
        let called = job().backup().strategy(&strategy).application(APPLICATION).call_render();
        let answer = called.unwrap_or_else(|e| panic!("{endless}: {}", e.reason())).value;
        let failure = answer.expect_err(endless);
        assert_eq!(failure.reason, "TemplateError", "{endless}: {}", failure.message);
        assert_eq!(failure.findings[0].at, "/strategy/template/spec/containers/0/args/0", "{endless}");
    }
}

#[test]
fn what_looks_outside_the_sandbox_is_an_unknown_function() {
    for call in ["env \"HOME\"", "expandenv \"$HOME\"", "getHostByName \"example.org\""] {
        let strategy = strategy(&[&format!("{{{{ {call} }}}}")], "");
        let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
        assert_eq!(failure.reason, "TemplateError", "{call}: {}", failure.message);
    }
}

#[test]
fn what_is_undefined_is_an_error_in_minijinja() {
    let strategy = JINJA.replace("{{ Mode }}", "{{ Modus }}");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "TemplateError");
    assert_eq!(failure.findings[0].at, "/strategy/template/spec/containers/0/args/0");
}

#[test]
fn a_pod_that_would_never_end_is_refused() {
    let strategy = REDIS.replace("restartPolicy: Never", "restartPolicy: Always");
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.reason, "InvalidStrategy");
    assert!(failure.message.contains("spec.template.spec.restartPolicy"), "{}", failure.message);
}

#[test]
fn a_restart_policy_that_renders_to_always_is_refused_all_the_same() {
    let strategy = REDIS.replace("restartPolicy: Never", "restartPolicy: '{{ .Parameters.policy }}'");
    let run =
        job().backup().strategy(&strategy).application(APPLICATION).parameter("policy", "Always").refused();
    assert_eq!(run.findings[0].at, "/strategy/template/spec/restartPolicy");
}

#[test]
fn every_reserved_key_is_a_finding_of_its_own() {
    let metadata = "metadata: {labels: {backstay.dev/run-uid: x, backups.cozystack.io/a: x, mine: x}, \
                    annotations: {job.strategy.backups.cozystack.io/mode: x, batch.kubernetes.io/b: x}}";
    let strategy = REDIS.replace("template:\n    spec:", &format!("template:\n    {metadata}\n    spec:"));
    let failure = job().backup().strategy(&strategy).application(APPLICATION).refused();
    assert_eq!(failure.findings.len(), 4, "{:?}", failure.findings);
    assert!(
        failure.message.contains("spec.template.metadata.labels[\"backstay.dev/run-uid\"]"),
        "{}",
        failure.message
    );
}

#[test]
fn a_strategy_of_the_wrong_shape_is_refused_with_the_field() {
    for (more, at) in [
        ("backoffLimit: many", "/strategy/backoffLimit"),
        ("dialect: perl", "/strategy/dialect"),
        ("requireArtifact: 'yes'", "/strategy/requireArtifact"),
        ("activeDeadlineSeconds: -1", "/strategy/activeDeadlineSeconds"),
    ] {
        let failure = job().backup().strategy(&strategy(&[], more)).application(APPLICATION).refused();
        assert_eq!((failure.reason.as_str(), failure.findings[0].at.as_str()), ("InvalidStrategy", at));
    }
}

#[test]
fn a_restore_without_a_strategy_says_what_to_supply() {
    let failure = job().restore(include_str!("fixtures/backup.yaml")).application(APPLICATION).refused();
    assert_eq!(failure.reason, "StrategyMissing");
}

#[test]
fn validate_finds_parse_errors_and_shape_errors_without_a_run() {
    let strategy = strategy(&["{{ .Mode", "{{ .Application.spec.whatever }}"], "")
        .replace("containers: [{name: a,", "restartPolicy: Always, containers: [{");
    let at: Vec<String> = job().validate(&strategy).into_iter().map(|f| f.at).collect();
    assert_eq!(
        at,
        [
            "/strategy/template/spec/containers/0/args/0",
            "/strategy/template/spec/restartPolicy",
            "/strategy/template/spec/containers/0/name",
        ]
    );
}

#[test]
fn validate_has_nothing_against_a_good_strategy() {
    for good in [REDIS, JINJA, include_str!("fixtures/clickhouse-archive.yaml")] {
        assert_eq!(job().validate(good), []);
    }
}

#[test]
fn validate_names_the_field_of_a_spec_that_does_not_decode() {
    let findings = job().validate(&strategy(&[], "backoffLimit: many"));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].severity, findings[0].at.as_str()), (Severity::Error, "/strategy/backoffLimit"));
}
