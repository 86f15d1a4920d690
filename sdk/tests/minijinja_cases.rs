//! The minijinja dialect against a table of its own: `data/minijinja-cases.json` holds templates and what they print, or
//! the whole message of the error. `strategies/job/tests/templates.rs` runs the same table through the built component.

#![cfg(feature = "minijinja")]

use std::borrow::Cow;

use std::collections::BTreeMap;

use backstay_sdk::template::{BackupRef, Bounds, Context, Dialect, Options, render};
use backstay_sdk::{Artifact, GroupKind, Mode, NamespacedName};
use serde::Deserialize;
use serde_json::Value;

/// What the Job strategy gives a render, so that messages that name it are the same here and there.
const STEPS: u64 = 200_000;

#[derive(Deserialize)]
struct Table {
    contexts: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    template: String,
    /// The name of one of the contexts; without it `backup`.
    context: Option<String>,
    output: Option<String>,
    error: Option<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn name(value: &Value) -> NamespacedName {
    NamespacedName { namespace: text(&value["Namespace"]), name: text(&value["Name"]) }
}

fn backup(value: &Value) -> BackupRef {
    let (source, artifact) = (&value["ApplicationRef"], &value["Artifact"]);
    BackupRef {
        name: name(value),
        application: GroupKind { group: text(&source["APIGroup"]), kind: text(&source["Kind"]) },
        application_name: text(&source["Name"]),
        artifact: Some(Artifact {
            uri: text(&artifact["URI"]),
            size_bytes: artifact["SizeBytes"].as_u64(),
            checksum: artifact["Checksum"].as_str().map(str::to_owned),
        }),
        metadata: texts(&value["Metadata"]),
    }
}

fn context(data: &Value) -> Context<'_> {
    Context {
        application: Some(Cow::Borrowed(&data["Application"])),
        release: Some(name(&data["Release"])),
        mode: Some(if data["Mode"] == "restore" { Mode::Restore } else { Mode::Backup }),
        parameters: texts(&data["Parameters"]),
        backup: data.get("Backup").map(backup),
        started_at: 1_700_000_000,
        ..Context::default()
    }
}

#[test]
fn every_case_prints_what_the_table_says_or_fails_as_it_says() {
    let table: Table =
        serde_json::from_str(include_str!("data/minijinja-cases.json")).expect("the table is JSON");
    assert!(table.cases.len() >= 100, "{} cases", table.cases.len());
    let contexts: BTreeMap<&str, Context> =
        table.contexts.iter().map(|(name, data)| (name.as_str(), context(data))).collect();
    let options = Options { bounds: Bounds { work: STEPS, ..Bounds::default() }, ..Options::default() };
    let mut different = Vec::new();
    for case in &table.cases {
        let context = &contexts[case.context.as_deref().unwrap_or("backup")];
        let template = Value::from(case.template.as_str());
        let outcome = match render(&template, "", Dialect::Minijinja, context, &options) {
            Ok(rendered) => (rendered.value.as_str().map(str::to_owned), None),
            Err(findings) => (None, findings.into_iter().next().map(|finding| finding.message)),
        };
        if outcome != (case.output.clone(), case.error.clone()) {
            different.push(format!("{}: {outcome:?}", case.name));
        }
    }
    let placed = |message: &str| {
        let mut numbers = message.splitn(3, ':').map(str::parse::<usize>);
        matches!((numbers.next(), numbers.next()), (Some(Ok(_)), Some(Ok(_))))
    };
    assert!(table.cases.iter().filter_map(|c| c.error.as_deref()).all(placed), "an error says where it is");
    assert!(different.is_empty(), "{}", different.join("\n"));
}
