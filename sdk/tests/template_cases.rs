//! The Go dialect against outputs of the Go engine itself: `data/template-cases.json` holds templates, contexts and what
//! `text/template` with slim-sprig printed for them, or that it refused.

#![cfg(all(feature = "go", feature = "minijinja"))]
#![allow(
    clippy::print_stdout,
    reason = "how many cases are equal, and how the others differ, is what is looked for here"
)]

use backstay_sdk::template::{BackupRef, Context, Dialect, Options, render};
use backstay_sdk::{GroupKind, Mode, NamespacedName};
use serde::Deserialize;
use serde_json::Value;

/// Cases whose outcome is not that of the Go engine: in the first file none.
const DIFFERENT: [&str; 0] = [];

/// In the second file these, one for each difference that `docs/templates.md` names.
const DIFFERENT_MORE: [&str; 21] = [
    "different/env",
    "different/expandenv",
    "different/random",
    "different/bound-items",
    "different/bound-string",
    "different/bound-depth",
    "different/nesting-of-json",
    "different/nesting-of-values",
    "different/printf-float-in-hexadecimal",
    "different/printf-float-in-binary",
    "different/time-method",
    "different/complex-number",
    "different/slice-beyond-length",
    "different/chunk-of-negative-size",
    "different/sort-in-place",
    "different/regex-unicode-class",
    "different/regex-case-beyond-ascii",
    "different/regex-group-name",
    "different/regex-bytes",
    "different/url-bytes",
    "different/identifier-digits",
];

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    #[serde(default)]
    context: Value,
    output: Option<String>,
    #[serde(default)]
    error: bool,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name(value: &Value) -> NamespacedName {
    NamespacedName { namespace: text(&value["Namespace"]), name: text(&value["Name"]) }
}

fn context(data: &Value) -> Context {
    let parameters = data["Parameters"].as_object().cloned().unwrap_or_default();
    Context {
        application: Some(data["Application"].clone()),
        release: Some(name(&data["Release"])),
        mode: Some(match text(&data["Mode"]).as_str() {
            "backup" => Mode::Backup,
            "restore" => Mode::Restore,
            other => panic!("the mode {other} is not known"),
        }),
        parameters: parameters.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
        backup: data.get("Backup").map(|backup| {
            let source = &backup["ApplicationRef"];
            BackupRef {
                name: name(backup),
                application: GroupKind { group: text(&source["APIGroup"]), kind: text(&source["Kind"]) },
                application_name: text(&source["Name"]),
                artifact: None,
                metadata: [].into(),
            }
        }),
        started_at: 1_700_000_000,
    }
}

/// What is different in a case, if anything.
fn difference(case: &Case) -> Option<String> {
    let template = Value::String(case.template.clone());
    let outcome = render(&template, "", Dialect::Go, &context(&case.context), &Options::default());
    match (outcome, &case.output) {
        (Ok(rendered), Some(output)) if rendered.value == Value::String(output.clone()) => None,
        (Ok(rendered), Some(output)) => Some(format!("rendered {:?}, not {output:?}", rendered.value)),
        (Ok(rendered), None) => Some(format!("rendered {:?}, not an error", rendered.value)),
        (Err(_), None) => None,
        (Err(findings), Some(output)) => {
            Some(format!("failed with {:?}, not {output:?}", findings[0].message))
        }
    }
}

fn check(cases: &[Case], different: &[&str]) {
    assert!(cases.iter().all(|case| case.error != case.output.is_some()), "a case has an output or an error");
    let found: Vec<(&str, String)> =
        cases.iter().filter_map(|case| Some((case.name.as_str(), difference(case)?))).collect();
    for (name, difference) in &found {
        println!("{name}: {difference}");
    }
    println!("{} of {} equal", cases.len() - found.len(), cases.len());
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), different);
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/template-cases.json")).expect("the cases are JSON")
}

/// Many more, all with one context: each function, verb, layout part and construct, with operands of all types.
fn more_cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct More {
        context: Value,
        cases: Vec<Case>,
    }
    let more: More =
        serde_json::from_str(include_str!("data/template-cases-more.json")).expect("the cases are JSON");
    let context = more.context;
    more.cases.into_iter().map(|case| Case { context: context.clone(), ..case }).collect()
}

#[test]
fn the_go_dialect_renders_what_the_go_engine_renders() {
    check(&cases(), &DIFFERENT);
}

#[test]
fn the_go_dialect_differs_from_the_go_engine_only_as_documented() {
    check(&more_cases(), &DIFFERENT_MORE);
}

#[test]
fn no_template_that_is_cut_off_or_lacks_a_character_makes_a_dialect_panic() {
    let mut rendered = 0;
    for case in cases() {
        let context = context(&case.context);
        for (at, c) in case.template.char_indices() {
            for text in [
                &case.template[..at],
                &(case.template[..at].to_owned() + &case.template[at + c.len_utf8()..]),
            ] {
                for dialect in [Dialect::Go, Dialect::Minijinja] {
                    let outcome = render(&Value::from(text), "", dialect, &context, &Options::default());
                    rendered += usize::from(outcome.is_ok());
                }
            }
        }
    }
    assert!(rendered > 1000, "most cut texts are still templates");
}
