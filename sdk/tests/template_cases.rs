//! The Go dialect against outputs of the Go engine itself: `data/template-cases.json` holds templates, contexts and what
//! `text/template` with slim-sprig printed for them, or that it refused.

#![cfg(all(feature = "go", feature = "minijinja"))]
#![allow(
    clippy::print_stdout,
    reason = "how many cases are equal, and how the others differ, is what is looked for here"
)]

mod documented;

use std::borrow::Cow;

use backstay_sdk::template::{BackupRef, Context, Dialect, Options, render};
use backstay_sdk::{GroupKind, Mode, NamespacedName};
use serde::Deserialize;
use serde_json::Value;

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

fn context(data: &Value) -> Context<'_> {
    let parameters = data["Parameters"].as_object().cloned().unwrap_or_default();
    Context {
        application: Some(Cow::Borrowed(&data["Application"])),
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
        ..Context::default()
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

/// The names of the cases that are different, after what is different in them.
fn different(cases: &[Case]) -> Vec<String> {
    assert!(cases.iter().all(|case| case.error != case.output.is_some()), "a case has an output or an error");
    let mut names = Vec::new();
    for case in cases {
        if let Some(difference) = difference(case) {
            println!("{}: {difference}", case.name);
            names.push(case.name.clone());
        }
    }
    println!("{} of {} equal", cases.len() - names.len(), cases.len());
    names.sort();
    names
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
    assert_eq!(different(&cases()), [""; 0]);
}

#[test]
fn the_go_dialect_differs_from_the_go_engine_only_as_documented() {
    assert_eq!(different(&more_cases()), documented::names());
}

#[test]
fn every_documented_function_is_there() {
    let table = documented::DOCUMENT.split("### Functions").nth(1).expect("the section is there");
    let rows = table.split("\n### ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| "));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).flat_map(str::split_whitespace);
    let missing: Vec<&str> = names
        .filter(|name| {
            let template = Value::from(format!("{{{{ {name} }}}}"));
            let outcome = render(&template, "", Dialect::Go, &Context::default(), &Options::default());
            outcome.is_err_and(|findings| findings[0].message.contains("there is no function"))
        })
        .collect();
    assert_eq!(missing, [""; 0]);
    assert!(table.matches('|').count() > 30, "the table is there");
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
