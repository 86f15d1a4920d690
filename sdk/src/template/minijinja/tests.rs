//! What the dialect minijinja makes of texts.

use serde_json::{Value, json};

use crate::template::{BackupRef, Bounds, Context, Dialect, Options, check, render};
use crate::{Finding, GroupKind, Mode, NamespacedName};

fn context() -> Context {
    Context {
        application: Some(json!({
            "kind": "NATS",
            "metadata": {"name": "orders", "labels": {"app.kubernetes.io/name": "nats"}},
            "spec": {
                "replicas": 3, "ratio": 0.5, "whole": 1500000.0, "tls": true, "nothing": null, "tags": ["b", "a", "c", "a"],
                "users": {"writer": {"admin": true}, "reader": {"admin": false}}, "html": "<a href=\"x\">&'</a>",
            },
        })),
        release: Some(NamespacedName { namespace: "tenant-acme".into(), name: "orders".into() }),
        mode: Some(Mode::Backup),
        parameters: [("bucket".into(), "prod".into()), ("blank".into(), String::new())].into(),
        ..Context::default()
    }
}

fn jinja(text: &str) -> Result<String, Vec<Finding>> {
    render(&json!(text), "/t", Dialect::Minijinja, &context(), &Options::default())
        .map(|rendered| rendered.value.as_str().expect("a string stays one").to_owned())
}

fn failure(text: &str) -> String {
    let found = jinja(text).expect_err("the template fails");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].at, "/t");
    found[0].message.clone()
}

#[test]
fn texts_render() {
    for (text, expected) in [
        // What is no template stays as it is.
        ("", ""),
        ("--flag=$HOME ${X} {single} 100%", "--flag=$HOME ${X} {single} 100%"),
        ("n=${#array[@]}; echo {# $x #}", "n=${#array[@]}; echo {# $x #}"),
        ("n=${#array[@]} {{ Mode }} ${#b} #}\n", "n=${#array[@]} backup ${#b} #}\n"),
        // Fields.
        ("{{ Release.Name }}.{{ Release.Namespace }}.svc", "orders.tenant-acme.svc"),
        ("{{ Application.metadata.name }}", "orders"),
        ("{{ Application.metadata.labels[\"app.kubernetes.io/name\"] }}", "nats"),
        ("{{ Application.spec.tags[0] }}{{ Application.spec.tags[-1] }}", "ba"),
        ("{{ Parameters.bucket }}/{{ Parameters[\"blank\"] }}", "prod/"),
        ("{{ Application.spec.nothing | default(\"x\", true) }}", "x"),
        // Numbers.
        (
            "{{ Application.spec.replicas }} {{ Application.spec.replicas + 1 }} {{ 7 // 2 }} {{ 7 / 2 }}",
            "3 4 3 3.5",
        ),
        ("{{ Application.spec.ratio }} {{ Application.spec.whole }}", "0.5 1500000.0"),
        // Undefined, where it is asked for.
        ("{{ Parameters.nope | default(\"x\") }}", "x"),
        (
            "{{ Parameters.nope | d }}|{{ Parameters.blank | default(\"x\") }}|{{ Parameters.blank | default(\"x\", true) }}",
            "||x",
        ),
        ("{% if Backup is defined %}r{% else %}b{% endif %}", "b"),
        ("{% if Parameters.nope is undefined %}no{% endif %}", "no"),
        // Branches and loops.
        ("{% if Mode == \"backup\" %}PUT{% elif Mode == \"restore\" %}GET{% else %}?{% endif %}", "PUT"),
        ("{{ \"https\" if Application.spec.tls else \"http\" }}", "https"),
        ("{% for t in Application.spec.tags %}{{ loop.index }}={{ t }};{% endfor %}", "1=b;2=a;3=c;4=a;"),
        ("{% for k, v in Parameters | items %}{{ k }}={{ v }},{% endfor %}", "blank=,bucket=prod,"),
        (
            "{% for u, o in Application.spec.users | items %}{{ u }}:{{ o.admin }} {% endfor %}",
            "reader:false writer:true ",
        ),
        ("{% for x in [] %}x{% else %}none{% endfor %}", "none"),
        (
            "{% for i in range(3) %}{{ i }}{% endfor %} {{ range(1, 7, 3) | join(\",\") }} {{ range(3, 0, -1) | join }}",
            "012 1,4 321",
        ),
        ("{% set n = Release.Name %}{{ n }}-{{ n }}", "orders-orders"),
        ("{% if \"a\" in Application.spec.tags and \"z\" not in Application.spec.tags %}y{% endif %}", "y"),
        ("{% with a = 1 %}{{ a }}{% endwith %}{% filter upper %}x{% endfilter %}", "1X"),
        // White space.
        ("x\n{%- if true %}\n  y\n{%- endif %}\n", "x\n  y\n"),
        ("a  {{- \"b\" -}}  c\n\n", "abc\n\n"),
        ("{{/* a note */}}x{{/* {{ another }} */}}", "x"),
        // Filters.
        ("{{ Release.Name | upper }} {{ \"ABC\" | lower }} {{ \"hELLO\" | capitalize }}", "ORDERS abc Hello"),
        (
            "{{ \"  a \" | trim }}|{{ \"/a/\" | trim(\"/\") }}|{{ \"a-b-c\" | replace(\"-\", \"_\") }}",
            "a|a|a_b_c",
        ),
        ("{{ \"a,b,,c\" | split(\",\") | join(\"+\") }} {{ \" a  b \" | split | length }}", "a+b++c 2"),
        ("{{ \"a\nb\" | indent(2) }} {{ \"a\nb\" | lines | last }}", "a\n  b b"),
        (
            "{{ Application.spec.tags | sort | join }} {{ Application.spec.tags | unique | join }} {{ Application.spec.tags | reverse | first }}",
            "aabc abc a",
        ),
        (
            "{{ Application.spec.tags | min }}{{ Application.spec.tags | max }}{{ Application.spec.tags | count }} {{ \"é\" | length }}",
            "ac4 1",
        ),
        (
            "{{ \"12\" | int + 1 }} {{ 3.9 | int }} {{ \"1.5\" | float }} {{ 2.567 | round(2) }} {{ -3 | abs }}",
            "13 3 1.5 2.57 3",
        ),
        ("{{ 3 | string ~ \"x\" }} {{ \"\" | bool }} {{ \"ab\" | list | join(\"-\") }}", "3x false a-b"),
        (
            "{{ Application.spec.users | tojson }} {{ [1, 0.5, none, \"a\\\"b\"] | tojson }} {{ {} | tojson }}",
            "{\"reader\":{\"admin\":false},\"writer\":{\"admin\":true}} [1,0.5,null,\"a\\\"b\"] {}",
        ),
        ("{{ Application.spec.html }}", "<a href=\"x\">&'</a>"),
        // Tests.
        (
            "{{ 1 is number }} {{ \"a\" is string }} {{ {} is mapping }} {{ [] is sequence }} {{ true is boolean }}",
            "true true true true true",
        ),
        (
            "{{ \"https://x\" is startingwith(\"https:\") }} {{ \"a.gz\" is endingwith(\".gz\") }} {{ none is none }}",
            "true true true",
        ),
        // Escapes.
        ("{{ \"{{\" }} .Names {{ \"}}\" }}", "{{ .Names }}"),
        ("{% raw %}docker ps --format '{{.Names}}'{% endraw %}", "docker ps --format '{{.Names}}'"),
    ] {
        assert_eq!(jinja(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_rendered_says_where_and_why() {
    for (text, cause) in [
        (
            "{{ Parameters.nope }}",
            "1:4: \"Parameters.nope\" is undefined or has something undefined in it; give it a default",
        ),
        ("x\n {{ Values.x }}", "2:5: \"Values.x\" is undefined"),
        ("{{ Application.spec.nope.deeper }}", "is undefined"),
        ("{{ Backup.Name }}", "is undefined"),
        ("{% if Backup %}x{% endif %}", "is undefined"),
        ("{{ Parameters.nope | upper }}", "is undefined"),
        ("{{ Application.spec.nothing }}", "the value is null; give it a value with default(..., true)"),
        ("{{ Mode | nope }}", "filter nope is unknown"),
        ("{{ nope() }}", "nope is unknown"),
        ("{{ Mode is nope }}", "test nope is unknown"),
        ("{{ debug() }}", "debug is unknown"),
        ("{{ Mode.upper() }}", "method named upper"),
        ("{{ Mode", "unexpected end of input"),
        ("{% if true %}x", "unexpected end of input"),
        ("{% endif %}", "unknown statement"),
        ("docker ps --format '{{.Names}}'", "unexpected"),
        ("{{ 1 // 0 }}", "unable to calculate 1 // 0"),
        ("{{ \"a\" | replace(\"a\") }}", "replace takes 3 to 3 arguments"),
        ("{{ 3 | upper }}", "a string is wanted, not a number"),
        ("{{ \"x\" | int }}", "x is no whole number"),
        ("{% include \"x\" %}", "unknown statement include"),
        ("{% macro m() %}{% endmacro %}", "unknown statement macro"),
        ("{{ Mode | replace(old=\"a\", new=\"b\") }}", "unexpected keyword arguments"),
    ] {
        let message = failure(text);
        assert!(message.contains(cause), "{text}: {message}");
    }
}

#[test]
fn what_is_no_template_comes_with_the_escapes() {
    for text in ["{{ Mode | nope }}", "docker ps --format '{{.Names}}'", "{{ Mode"] {
        let message = failure(text);
        assert!(
            message.contains("{{ \"{{\" }}") && message.contains("{% raw %}...{% endraw %}"),
            "{text}: {message}"
        );
    }
}

#[test]
fn an_endless_or_huge_template_fails_with_its_cause() {
    let shared = format!("{{% set x = [1] %}}{}", "{% set x = [x, x] %}".repeat(40));
    let doubling: String = (0..40).map(|_| "{% set x = x ~ x %}").collect();
    for (text, cause) in [
        ("{% for i in range(1000000000) %}x{% endfor %}".to_owned(), "more than 65536 items"),
        (
            "{% for i in range(60000) %}{% for j in range(60000) %}{% endfor %}{% endfor %}".into(),
            "more than 2000000 steps",
        ),
        ("{{ \"x\" * 1000000000 }}".into(), "more than 2000000 steps"),
        ("{{ \"x\" * 10000000 }}".into(), "more than"),
        (format!("{{% set x = \"xxxxxxxxxxxxxxxx\" %}}{doubling}{{{{ x }}}}"), "more than"),
        ("{{ \"a\" * 1000 | replace(\"\", \"b\" * 10000) }}".into(), ""),
        ("{% set a = \"a\" * 100000 %}{{ a | replace(\"a\", a) }}".into(), "more than 1048576 bytes"),
        ("{% set a = \"a\" * 100000 %}{{ [a] * 60000 | join }}".into(), ""),
        (format!("{shared}{{{{ x }}}}"), "more than 1048576 bytes"),
        (format!("{shared}{{{{ x | tojson }}}}"), "more than 2000000 steps"),
        (format!("{shared}{{{{ [x, x] | sort }}}}"), "a sequence has none"),
        ("{{ \"\n\" | indent(1000000000000) }}".into(), "more than 1048576 bytes"),
    ] {
        let message = failure(&text);
        assert!(message.contains(cause), "{text}: {message}");
    }
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(!failure(&nested).is_empty());
    let nested = format!("{}{}", "{% if true %}".repeat(5000), "{% endif %}".repeat(5000));
    assert!(!failure(&nested).is_empty());
}

#[test]
fn bounds_hold_for_all_strings_together() {
    let options =
        Options { bounds: Bounds { output_bytes: 1000, ..Bounds::default() }, ..Options::default() };
    let texts = json!(["{{ \"x\" * 600 }}", "{{ \"x\" * 600 }}", "{{ nope }}"]);
    let found = render(&texts, "/t", Dialect::Minijinja, &context(), &options).expect_err("it is too much");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].at, "/t/1");
    assert!(found[0].message.contains("all rendered strings together have more than 1000 bytes"));
}

#[test]
fn all_failing_fields_are_found_and_a_check_executes_nothing() {
    let template = json!({"a": "{{ nope() }}", "b": ["{{ Mode", "{{ Mode }}"], "c": "{{ Parameters.nope }}"});
    let found =
        render(&template, "/t", Dialect::Minijinja, &context(), &Options::default()).expect_err("it fails");
    let pointers: Vec<&str> = found.iter().map(|finding| finding.at.as_str()).collect();
    assert_eq!(pointers, ["/t/a", "/t/b/0", "/t/c"]);
    let checked: Vec<String> =
        check(&template, "/t", Dialect::Minijinja).into_iter().map(|finding| finding.at).collect();
    assert_eq!(checked, ["/t/b/0"]);
}

#[test]
fn the_backup_is_there_on_restore() {
    let backup = BackupRef {
        name: NamespacedName { namespace: "tenant-acme".into(), name: "orders-1".into() },
        application: GroupKind { group: "apps.example.org".into(), kind: "NATS".into() },
        application_name: "old".into(),
        artifact: None,
        metadata: [("archive".into(), "a.tar".into())].into(),
    };
    let context = Context { mode: Some(Mode::Restore), backup: Some(backup), ..context() };
    let text = json!(
        "{{ Backup.Name }} {{ Backup.ApplicationRef.APIGroup }}/{{ Backup.ApplicationRef.Name }} {{ Backup.Metadata.archive }}"
    );
    let rendered = render(&text, "", Dialect::Minijinja, &context, &Options::default()).expect("it renders");
    assert_eq!(rendered.value, Value::from("orders-1 apps.example.org/old a.tar"));
}
