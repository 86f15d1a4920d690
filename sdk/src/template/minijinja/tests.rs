//! Tests of the dialect minijinja beyond the table in `tests/data/minijinja-cases.json`.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::template::{BackupRef, Bounds, Context, Dialect, Options, check, render};
use crate::{Finding, GroupKind, Mode, NamespacedName, Severity};

fn context() -> Context<'static> {
    Context {
        application: Some(Cow::Owned(json!({
            "kind": "NATS",
            "metadata": {"name": "orders", "labels": {"app.kubernetes.io/name": "nats"}},
            "spec": {
                "replicas": 3, "ratio": 0.5, "whole": 1500000.0, "tls": true, "nothing": null, "tags": ["b", "a", "c", "a"],
                "users": {"writer": {"admin": true}, "reader": {"admin": false}}, "html": "<a href=\"x\">&'</a>",
            },
        }))),
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
        (format!("{shared}{{{{ x }}}}"), "prints a list or map of more than 131072 bytes"),
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
    let checked = check(&template, "/t", Dialect::Minijinja);
    let of = |severity: Severity| -> Vec<&str> {
        checked.iter().filter(|f| f.severity == severity).map(|f| f.at.as_str()).collect()
    };
    // A function that does not exist is first of all a name that no context has.
    assert_eq!((of(Severity::Error), of(Severity::Warning)), (vec!["/t/b/0"], vec!["/t/a"]));
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
