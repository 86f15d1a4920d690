//! Tests of the walk over an object, of findings, bounds and strictness. `tests/template_cases.rs` tests the
//! languages.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{BackupRef, Bounds, Context, Dialect, MAX_FINDINGS, Options, Rendered, check, render};
use crate::{Finding, GroupKind, Mode, NamespacedName, Severity};

fn context() -> Context<'static> {
    Context {
        application: Some(Cow::Owned(json!({
            "kind": "NATS",
            "metadata": {"name": "orders", "labels": {"app.kubernetes.io/name": "nats"}},
            "spec": {"replicas": 3, "ratio": 1234.567, "size": "10Gi", "tags": ["b", "a"]},
        }))),
        release: Some(NamespacedName { namespace: "tenant-acme".into(), name: "orders".into() }),
        mode: Some(Mode::Backup),
        parameters: [("bucket".into(), "prod".into())].into(),
        started_at: 1_700_000_000,
        ..Context::default()
    }
}

fn try_go(template: &Value, options: Options) -> Result<Rendered, Vec<Finding>> {
    render(template, "/spec/template", Dialect::Go, &context(), &options)
}

fn go(template: Value) -> Value {
    try_go(&template, Options::default()).expect("the template renders").value
}

/// The findings of a template that fails, as pointer and message.
fn failures(template: Value, options: Options) -> Vec<(String, String)> {
    let findings = try_go(&template, options).expect_err("the template fails");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    findings.into_iter().map(|finding| (finding.at, finding.message)).collect()
}

fn bounded(bounds: Bounds) -> Options {
    Options { bounds, ..Options::default() }
}

/// The message of the only finding of a text, with default bounds.
fn failure(text: &str) -> String {
    let mut found = failures(json!(text), Options::default());
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0).1
}

#[test]
fn strings_are_rendered_wherever_they_stand_and_all_else_is_kept() {
    let template = json!({
        "metadata": {"labels": {"{{ .Mode }}": "{{ .Mode }}", "mode": "{{ .Mode }}"}},
        "spec": {
            "containers": [{"args": ["--of={{ .Release.Name }}", "$HOME", "a }} b"], "tty": true, "unknownField": {"x": "{{ .Mode }}"}}],
            "terminationGracePeriodSeconds": 30, "priority": null, "overhead": 1.5,
        },
    });
    assert_eq!(
        go(template),
        json!({
            "metadata": {"labels": {"{{ .Mode }}": "backup", "mode": "backup"}},
            "spec": {
                "containers": [{"args": ["--of=orders", "$HOME", "a }} b"], "tty": true, "unknownField": {"x": "backup"}}],
                "terminationGracePeriodSeconds": 30, "priority": null, "overhead": 1.5,
            },
        })
    );
}

#[test]
fn a_rendered_value_stays_a_string() {
    assert_eq!(go(json!("{{ .Application.spec.replicas }}")), json!("3"));
    assert_eq!(go(json!("{{ .Application.spec.ratio }}")), json!("1234.567"));
}

#[test]
fn all_failing_fields_are_found_each_with_its_pointer_and_position() {
    let template = json!({
        "a/b": "{{ required \"x\" .Parameters.a }}",
        "args": ["fine", "one\n  {{ .Mode | nope }}", "{{ index .Application.spec.tags 9 }}"],
        "c~d": "{{ if .Mode }}",
    });
    let found = failures(template, Options::default());
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/spec/template/a~1b", "/spec/template/args/1", "/spec/template/args/2", "/spec/template/c~0d"]
    );
    assert!(found[0].1.starts_with("1:4: there is no function \"required\""), "{}", found[0].1);
    assert!(found[1].1.starts_with("2:14: there is no function \"nope\""), "{}", found[1].1);
    assert_eq!(found[2].1, "1:4: index: index 9 is out of range: there are 2 items");
    assert!(found[3].1.starts_with("1:15: a block is not ended by {{ end }}"), "{}", found[3].1);
}

#[test]
fn of_many_failing_fields_the_first_are_reported_and_the_rest_counted() {
    let found = failures(json!(vec!["{{ nope }}"; MAX_FINDINGS + 7]), Options::default());
    assert_eq!(found.len(), MAX_FINDINGS + 1);
    assert_eq!(found[MAX_FINDINGS], ("/spec/template".into(), "and 7 more strings like these".into()));
}

#[test]
fn an_unknown_function_and_text_that_is_no_template_come_with_the_escapes() {
    for text in
        ["{{json .}}", "{{ .Names", "{{ .metadata.labels.team-x }}", "{{ /* note */ }}", "{{ env \"HOME\" }}"]
    {
        let message = failure(text);
        assert!(message.contains("{{ \"{{\" }}") && message.contains("{{ `...` }}"), "{text}: {message}");
    }
    assert_eq!(go(json!("{{ \"{{\" }}json .}}{{ `{{json .}}` }}")), json!("{{json .}}{{json .}}"));
}

#[test]
fn what_looks_outside_is_refused_by_name() {
    for (text, cause) in [
        ("{{ env \"HOME\" }}", "1:4: env is not available: a template sees no environment"),
        ("{{ expandenv \"$HOME\" }}", "1:4: expandenv is not available: a template sees no environment"),
        ("{{ getHostByName \"a\" }}", "1:4: getHostByName is not available: a template reaches no network"),
        ("{{ randInt 1 2 }}", "1:4: randInt is not available: a preview and the run must render the same"),
    ] {
        assert!(failure(text).starts_with(cause), "{text}: {}", failure(text));
    }
}

#[test]
fn the_only_clock_is_when_the_run_began() {
    let text = "{{ now | date \"2006-01-02T15:04:05Z07:00\" }} {{ htmlDate \"\" }} {{ ago 1699999935 }} {{ now.Unix }} {{ now }}";
    let expected = "2023-11-14T22:13:20Z 2023-11-14 1m5s 1700000000 2023-11-14 22:13:20 +0000 UTC";
    assert_eq!(go(json!(text)), json!(expected));
}

#[test]
fn every_string_sees_the_context_as_it_was_given() {
    let change = "{{ $_ := set .Application.metadata \"name\" \"changed\" }}{{ $x := 1 }}{{ .Application.metadata.name }}";
    let define = "{{ define \"t\" }}x{{ end }}{{ template \"t\" }}";
    assert_eq!(
        go(json!([change, "{{ .Application.metadata.name }}", change, define])),
        json!(["changed", "orders", "changed", "x"])
    );
    assert!(failures(json!([define, "{{ template \"t\" }}"]), Options::default())[0].0.ends_with("/1"));
    assert!(failures(json!([change, "{{ $x }}"]), Options::default())[0].0.ends_with("/1"));
}

#[test]
fn keys_and_values_come_in_the_order_of_keys() {
    let text = "{{ keys (dict \"b\" 1 \"c\" 2 \"a\" 3) }} {{ values (dict \"b\" 1 \"c\" 2 \"a\" 3) }}";
    assert_eq!(go(json!(text)), json!("[a b c] [3 1 2]"));
}

#[test]
fn no_value_is_a_warning_that_names_field_and_action() {
    let template =
        json!({"a": "x\n{{ .Backup.Name }}{{ .Parameters.nope }}", "b": "{{ .Mode }}", "c": "<no value>"});
    let rendered = try_go(&template, Options::default()).expect("it renders");
    assert_eq!(rendered.value["a"], json!("x\n<no value><no value>"));
    let message = "2:4: {{ .Backup.Name }} prints <no value> (and 1 more in this text); \
                   give it a default, or ask with if whether it is there";
    let warning =
        Finding { severity: Severity::Warning, at: "/spec/template/a".into(), message: message.into() };
    assert_eq!(rendered.warnings, [warning]);
}

#[test]
fn no_value_is_an_error_where_rendering_is_strict() {
    let strict = Options { strict: true, ..Options::default() };
    let found = failures(json!({"a": "{{ .Backup.Name }}", "b": "{{ if .Backup }}x{{ end }}"}), strict);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("1:4: {{ .Backup.Name }} prints <no value>"), "{}", found[0].1);
}

#[test]
fn the_backup_that_is_restored_is_there_on_restore() {
    let backup = BackupRef {
        name: NamespacedName { namespace: "tenant-acme".into(), name: "orders-1".into() },
        application: GroupKind { group: String::new(), kind: "NATS".into() },
        application_name: "old".into(),
        artifact: None,
        metadata: [("archive".into(), "a.tar".into())].into(),
    };
    let context = Context { mode: Some(Mode::Restore), backup: Some(backup), ..context() };
    let text = json!(
        "{{ .Backup.Namespace }}/{{ .Backup.Name }} {{ .Backup.ApplicationRef.Name }} [{{ .Backup.ApplicationRef.APIGroup }}] {{ .Backup.Metadata.archive }} {{ .Mode }}"
    );
    let rendered = render(&text, "", Dialect::Go, &context, &Options::default()).expect("it renders");
    assert_eq!(rendered.value, json!("tenant-acme/orders-1 old [] a.tar restore"));
    assert_eq!(rendered.warnings, []);
}

#[test]
fn a_context_without_keys_has_only_parameters() {
    let text = json!("{{ . }}{{ if .Application }}x{{ end }}");
    let rendered =
        render(&text, "", Dialect::Go, &Context::default(), &Options::default()).expect("it renders");
    assert_eq!(rendered.value, json!("map[Parameters:map[]]"));
}

#[test]
fn a_check_finds_what_is_no_template_and_asks_nothing_of_a_context() {
    let template = json!(["{{ .Anything.at.all | upper }}", "{{ nope }}", "{{ fail \"x\" }}", "{{ if }}"]);
    let found = check(&template, "/t", Dialect::Go);
    let of = |severity: Severity| -> Vec<&str> {
        found.iter().filter(|f| f.severity == severity).map(|f| f.at.as_str()).collect()
    };
    assert_eq!((of(Severity::Error), of(Severity::Warning)), (vec!["/t/1", "/t/3"], vec!["/t/0"]));
}

#[test]
fn an_endless_or_huge_template_fails_with_its_cause() {
    let long_loop = "{{ range until 60000 }}{{ range until 60000 }}{{ end }}{{ end }}";
    let doubling = "{{ $x := \"x\" }}{{ range until 100 }}{{ $x = print $x $x }}{{ end }}";
    let doubling_list = "{{ $x := list 1 }}{{ range until 100 }}{{ $x = concat $x $x }}{{ end }}";
    let shared_list = "{{ $x := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ print $x }}";
    for (text, cause) in [
        ("{{ range until 1000000000 }}x{{ end }}", "until: makes a list of more than 65536 items"),
        ("{{ range 1000000000 }}{{ end }}", "takes more than 2000000 steps"),
        (long_loop, "takes more than 2000000 steps"),
        (
            "{{ range 100000000 }}abcdefghijklmnop{{ end }}",
            "all rendered strings together have more than 1048576 bytes",
        ),
        ("{{ seq 1000000000 }}", "makes a list of more than 65536 items"),
        ("{{ untilStep 0 9223372036854775807 1 }}", "makes a list of more than 65536 items"),
        ("{{ repeat 1000000000 \"abc\" }}", "makes a string of more than 1048576 bytes"),
        ("{{ repeat 9223372036854775807 \"abc\" }}", "makes a string of more than 1048576 bytes"),
        ("{{ indent 1000000000 \"abc\" }}", "makes a string of more than 1048576 bytes"),
        ("{{ printf \"%1000000d%1000000d\" 1 2 }}", "makes a string of more than 1048576 bytes"),
        ("{{ printf \"%.1000000f%.1000000f\" 1.5 1.5 }}", "makes a string of more than 1048576 bytes"),
        (
            "{{ repeat 1000 \"a\" | replace \"\" (repeat 10000 \"b\") }}",
            "makes a string of more than 1048576 bytes",
        ),
        ("{{ splitList \"\" (repeat 100000 \"ab\") }}", "makes a list of more than 65536 items"),
        (doubling, "makes a string of more than 1048576 bytes"),
        (doubling_list, "makes a list of more than 65536 items"),
        (shared_list, "makes a string of more than 1048576 bytes"),
        (
            "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ $x }}",
            "nested more than 128 levels deep, or holds itself",
        ),
        (
            "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ toJson $x }}",
            "nested more than 128 levels deep, or holds itself",
        ),
        (
            "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ $y := dict }}{{ $_ := set $y \"x\" $y }}{{ deepEqual $x $y }}",
            "nested more than 128 levels deep",
        ),
        ("{{ regexFind \"((a{30}){30}){30}\" \"a\" }}", "repeats more than 1000 times"),
        (
            "{{ regexFind (printf \"(%s){1000}\" (repeat 1000 \"a\")) \"a\" }}",
            "the regular expression is too large",
        ),
        ("{{ regexMatch (print (repeat 200 \"(\") \"a\" (repeat 200 \")\")) \"a\" }}", "nested too deep"),
        ("{{ regexMatch \"(?P<1a>x)\" \"x\" }}", "the name of a group begins with a letter"),
        ("{{ regexMatch \"x{300}x{300}y\" (repeat 1000000 \"x\") }}", "takes more than 2000000 steps"),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "does a template call itself?",
        ),
        (
            "{{ define \"a\" }}{{ template \"b\" }}{{ end }}{{ define \"b\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "does a template call itself?",
        ),
    ] {
        let message = failure(text);
        assert!(message.contains(cause), "{text}: {message}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let blocks = format!("{}{}", "{{ if true }}".repeat(5000), "{{ end }}".repeat(5000));
    let chain = format!("{{{{ if false }}}}{}{{{{ end }}}}", "{{ else if false }}".repeat(5000));
    for text in [parens, blocks, chain] {
        assert!(failure(&text).contains("nest more than 100 deep"));
    }
    // The maximum depth.
    let blocks = format!("{}x{}", "{{ with . }}".repeat(99), "{{ end }}".repeat(99));
    assert_eq!(go(json!(blocks)), json!("x"));
    // Nested lists are freed without recursion.
    assert_eq!(go(json!("{{ $x := list }}{{ range 300000 }}{{ $x = list $x }}{{ end }}")), json!(""));
    let mut deep = json!("{{ .Mode }}");
    for _ in 0..200 {
        deep = json!([deep]);
    }
    assert!(failures(deep, Options::default())[0].1.contains("nested more than 100 levels deep"));
    // The maximum depth of an answer to the host.
    let nested = |levels: usize| (0..levels).fold(json!("{{ .Mode }}"), |inner, _| json!([inner]));
    assert!(try_go(&nested(100), Options::default()).is_ok());
    assert!(try_go(&nested(101), Options::default()).is_err());
}

#[test]
fn a_bound_that_is_used_up_to_the_last_leaves_no_template_unrendered() {
    let exact = bounded(Bounds { output_bytes: 6, ..Bounds::default() });
    assert!(try_go(&json!(["{{ .Mode }}"]), exact).is_ok());
    let found = failures(json!(["{{ .Mode }}", "{{ .Mode }}"]), exact);
    assert!(found[0].1.contains("more than 6 bytes"), "{}", found[0].1);
    for dialect in [Dialect::Go, Dialect::Minijinja] {
        let nothing = bounded(Bounds { work: 0, ..Bounds::default() });
        assert!(render(&json!("{{ 1 }}"), "", dialect, &Context::default(), &nothing).is_err());
    }
}

#[test]
fn bounds_hold_for_all_strings_together_and_later_strings_are_not_tried() {
    let text = "{{ repeat 600 \"x\" }}";
    let small = bounded(Bounds { output_bytes: 1000, ..Bounds::default() });
    assert!(try_go(&json!([text]), small).is_ok());
    let found = failures(json!([text, text, text, "{{ nope }}"]), small);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "/spec/template/1");
    assert!(found[0].1.contains("all rendered strings together have more than 1000 bytes"), "{}", found[0].1);
}

#[test]
fn bounds_can_be_set() {
    for (bounds, text, cause) in [
        (Bounds { work: 100, ..Bounds::default() }, "{{ range 100 }}x{{ end }}", "more than 100 steps"),
        (Bounds { items: 10, ..Bounds::default() }, "{{ until 11 }}", "more than 10 items"),
        (Bounds { string_bytes: 10, ..Bounds::default() }, "{{ repeat 11 \"x\" }}", "more than 10 bytes"),
        (
            Bounds { depth: 1, ..Bounds::default() },
            "{{ if . }}{{ if . }}{{ end }}{{ end }}",
            "more than 1 deep",
        ),
    ] {
        let found = failures(json!(text), bounded(bounds));
        assert!(found[0].1.contains(cause), "{text}: {}", found[0].1);
    }
}

#[test]
fn messages_and_pointers_are_bounded() {
    let found = failures(json!("{{ fail (repeat 5000 \"é\") }}"), Options::default());
    assert!(found[0].1.len() <= 1003 && found[0].1.ends_with("..."));
    let found = failures(json!({"a": {"k".repeat(600): {"b": "{{ nope }}"}}}), Options::default());
    assert_eq!(found[0].0, "/spec/template/a");
}

#[test]
fn a_dialect_is_named_in_lower_case_and_is_go_by_default() {
    assert_eq!(
        serde_json::from_value::<Dialect>(json!("minijinja")).expect("it is known"),
        Dialect::Minijinja
    );
    assert_eq!(serde_json::to_value(Dialect::default()).expect("it is text"), json!("go"));
    assert!(serde_json::from_value::<Dialect>(json!("jinja2")).is_err());
}

/// The warnings of the check and of a render, each with its place, without the end that lists the keys.
fn strays(dialect: Dialect, text: &str) -> (Vec<String>, Vec<String>) {
    let told = |findings: Vec<Finding>| -> Vec<String> {
        let shown = |finding: Finding| {
            finding.message.split(": a template sees").next().unwrap_or_default().to_owned()
        };
        findings.into_iter().filter(|f| f.severity == Severity::Warning).map(shown).collect()
    };
    let rendered = render(&json!(text), "/a", dialect, &context(), &Options::default());
    (told(check(&json!(text), "/a", dialect)), told(rendered.map(|r| r.warnings).unwrap_or_default()))
}

#[test]
fn a_key_that_no_context_has_is_a_warning_in_every_position() {
    for (text, place, key) in [
        ("{{ range .Mounts }}{{ .Source }}{{ end }}", "1:10", "Mounts"),
        ("{{ range $i, $m := .Mounts }}x{{ end }}", "1:20", "Mounts"),
        ("{{ if .Values.verbose }}-v{{ end }}", "1:7", "Values"),
        ("{{ if .Mode }}{{ else if .Values }}{{ end }}", "", "Values"),
        ("{{ with .items }}x{{ end }}", "1:9", "items"),
        ("{{ with .Release }}{{ $.Names }}{{ end }}", "1:23", "Names"),
        ("{{ .Names }}", "1:4", "Names"),
        ("{{ $x := .Names }}", "1:10", "Names"),
        ("{{ .Names | default \"x\" }}", "1:4", "Names"),
        ("{{ default \"x\" .Names }}", "1:16", "Names"),
        ("{{ if or .Names .Mode }}x{{ end }}", "1:10", "Names"),
        ("{{ printf \"%v\" (len (default \"x\" .Names)) }}", "", "Names"),
        ("{{ with . }}{{ .Names }}{{ end }}", "1:16", "Names"),
        ("{{ define \"t\" }}{{ .Names }}{{ end }}{{ template \"t\" . }}", "", "Names"),
        ("{{ (.).Names }}", "", "Names"),
    ] {
        let (checked, rendered) = strays(Dialect::Go, text);
        assert_eq!(checked.len(), 1, "{text}: {checked:?}");
        assert!(checked[0].ends_with(&format!(": there is never a .{key}")), "{text}: {checked:?}");
        assert!(checked[0].starts_with(place), "{text}: {checked:?}");
        // An else that is not taken is no warning of a run.
        let taken = !text.contains("else if");
        assert_eq!(rendered, if taken { checked } else { Vec::new() }, "{text}");
    }
}

#[cfg(feature = "minijinja")]
#[test]
fn a_key_that_no_context_has_is_a_warning_in_minijinja_too() {
    for (text, place, runs) in [
        ("{% if Mounts is defined %}x{% endif %}", "1:7", true),
        ("{{ Mounts | default(\"x\") }}", "1:4", true),
        ("{% if Mode == \"restore\" %}{{ Mounts }}{% endif %}", "1:30", false),
        ("{% for mount in Mounts %}{{ mount }}{% endfor %}", "1:17", false),
    ] {
        let (checked, rendered) = strays(Dialect::Minijinja, text);
        assert_eq!(checked, [format!("{place}: there is never a Mounts")], "{text}");
        assert_eq!(rendered, if runs { checked } else { Vec::new() }, "{text}");
    }
    for text in [
        "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
        "{% set x = Mode %}{{ x }}{{ Parameters.bucket }}",
    ] {
        assert_eq!(strays(Dialect::Minijinja, text), (Vec::new(), Vec::new()), "{text}");
    }
}

#[test]
fn keys_that_some_context_has_and_keys_of_other_values_are_no_warnings() {
    for text in [
        "{{ if .Backup }}{{ .Backup.Name }}{{ end }}",
        "{{ range .Application.spec.tags }}{{ . }}{{ end }}",
        "{{ with .Application }}{{ .kind }}{{ .metadata.nothing | default \"x\" }}{{ end }}",
        "{{ range $k, $v := .Parameters }}{{ $v }}{{ end }}",
        "{{ define \"t\" }}{{ .kind }}{{ end }}{{ template \"t\" .Application }}",
        "{{ $_ := set . \"mine\" \"x\" }}{{ .mine }}",
        "{{ $d := dict \"a\" 1 }}{{ $d.b | default 2 }}",
        "{{ `{{range .Mounts}}` }}",
    ] {
        assert_eq!(strays(Dialect::Go, text), (Vec::new(), Vec::new()), "{text}");
    }
}

#[test]
fn a_branch_that_a_run_does_not_take_is_a_warning_of_the_check_alone() {
    let (checked, rendered) = strays(Dialect::Go, "{{ if eq .Mode \"restore\" }}{{ .Names }}{{ end }}");
    assert_eq!((checked.len(), rendered.len()), (1, 0));
}

#[test]
fn keys_of_the_strategy_itself_are_known_where_they_are_absent() {
    let text = json!("{{ if .Archive }}{{ .Archive }}{{ end }}{{ .Other }}");
    let told = |findings: Vec<Finding>| findings.into_iter().map(|f| f.message).collect::<Vec<_>>();
    let checked = told(super::check_with(&text, "/a", Dialect::Go, &["Archive"]));
    assert_eq!(checked.len(), 1);
    assert!(checked[0].contains("never a .Other: a template sees .Application, .Backup, .Mode, .Parameters, .Release, .Archive; braces"), "{checked:?}");
    let known = Context { own_keys: &["Archive"], ..context() };
    let rendered = render(&text, "/a", Dialect::Go, &known, &Options::default()).expect("it renders");
    assert_eq!(told(rendered.warnings), checked);
}

#[test]
fn several_keys_of_one_text_are_one_warning() {
    let (checked, _) = strays(Dialect::Go, "{{ .Names }}{{ .Names }}{{ .items }}");
    assert_eq!(checked.len(), 1);
    let many = check(&json!("{{ .a }}{{ .b }}{{ .c }}{{ .d }}{{ .e }}{{ .f }}{{ .g }}"), "/a", Dialect::Go);
    assert!(many[0].message.ends_with("(nor are there .b, .c, .d, .e, .f and 1 more)"), "{many:?}");
    let whole = check(&json!("{{ .Names }}{{ .items }}"), "/a", Dialect::Go);
    assert!(whole[0].message.ends_with("(nor are there .items)"), "{whole:?}");
}
