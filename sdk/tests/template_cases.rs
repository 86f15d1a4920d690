//! The Go dialect against outputs of the Go engine itself: `data/template-cases.json` holds templates, contexts and what
//! `text/template` with slim-sprig printed for them, or that it refused.

use backstay_sdk::template::{BackupRef, Context, Dialect, Options, render};
use backstay_sdk::{GroupKind, Mode, NamespacedName};
use serde::Deserialize;
use serde_json::Value;

/// Cases whose outcome is not that of the Go engine. `docs/templates.md` says why, for each.
const DIFFERENT: [&str; 0] = [];

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
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
        (Err(findings), Some(output)) => Some(format!("failed with {:?}, not {output:?}", findings[0].message)),
    }
}

fn check(data: &str, different: &[&str]) {
    let cases: Vec<Case> = serde_json::from_str(data).expect("the cases are JSON");
    assert!(cases.iter().all(|case| case.error != case.output.is_some()), "a case has an output or an error");
    let found: Vec<(&str, String)> =
        cases.iter().filter_map(|case| Some((case.name.as_str(), difference(case)?))).collect();
    for (name, difference) in &found {
        println!("{name}: {difference}");
    }
    println!("{} of {} equal", cases.len() - found.len(), cases.len());
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), different);
}

#[test]
fn the_go_dialect_renders_what_the_go_engine_renders() {
    check(include_str!("data/template-cases.json"), &DIFFERENT);
}
