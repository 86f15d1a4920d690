//! The template tables through the built component, in the sandbox and under its limits: what is rendered in a run is
//! what the tables of the SDK say. `docs/templates.md` names the cases in which the Go dialect differs from the Go engine.

#![allow(clippy::print_stdout, reason = "how many cases are equal is what is looked for here")]

#[path = "../../../sdk/tests/documented/mod.rs"]
mod documented;

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_sdk::Deserialize;
use backstay_testing::Built;
use backstay_testing::contract::{
    Artifact, Backup, Failure, GroupKind, Json, Mode, ObjectRef, Pairs, PodRun, Request,
};
use serde_json::json;

const CASES: &str = include_str!("../../../sdk/tests/data/template-cases.json");
const MORE_CASES: &str = include_str!("../../../sdk/tests/data/template-cases-more.json");
const MINIJINJA_CASES: &str = include_str!("../../../sdk/tests/data/minijinja-cases.json");

#[derive(Clone, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
struct Case {
    name: String,
    template: String,
    #[serde(default)]
    context: Json,
    output: Option<String>,
    /// In the tables of the Go dialect `true`, in that of minijinja the message.
    error: Option<Json>,
}

/// The tables that have contexts of their own: one for all cases, or several by name.
#[derive(Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
struct Table {
    #[serde(default)]
    context: Json,
    #[serde(default)]
    contexts: BTreeMap<String, Json>,
    cases: Vec<Case>,
}

fn job() -> Arc<Built> {
    Built::strategy(env!("CARGO_MANIFEST_DIR"))
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pairs(value: &Json) -> Pairs {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn backup(data: &Json) -> Backup {
    let (source, artifact) = (&data["ApplicationRef"], &data["Artifact"]);
    Backup {
        name: text(&data["Name"]),
        uid: "uid-of-the-backup".to_owned(),
        run_uid: None,
        component_version: None,
        application: GroupKind { group: text(&source["APIGroup"]), kind: text(&source["Kind"]) },
        application_name: text(&source["Name"]),
        taken_at: 0,
        metadata: pairs(&data["Metadata"]),
        artifact: artifact["URI"].as_str().map(|uri| Artifact {
            uri: uri.to_owned(),
            size_bytes: artifact["SizeBytes"].as_u64(),
            checksum: artifact["Checksum"].as_str().map(str::to_owned),
        }),
        underlying_resources: None,
        private_data: None,
    }
}

/// The run that a case's context is of, with the case's template as the one argument of the pod.
fn request(built: &Built, dialect: &str, template: &str, context: &Json) -> Request {
    let mode = if context["Mode"] == "restore" { Mode::Restore } else { Mode::Backup };
    let mut request = built.backup().request().clone();
    request.mode = mode;
    request.started_at = 1_700_000_000;
    request.strategy = Some(json!({
        "dialect": dialect,
        "template": {"spec": {"containers": [{"name": "a", "image": "b", "args": [template]}]}},
    }));
    request.parameters = pairs(&context["Parameters"]);
    request.run.namespace = context["Release"]["Namespace"].as_str().map(str::to_owned);
    request.application = ObjectRef {
        api_version: text(&context["Application"]["apiVersion"]),
        kind: text(&context["Application"]["kind"]),
        namespace: request.run.namespace.clone(),
        name: text(&context["Release"]["Name"]),
    };
    request.backup = context.get("Backup").map(backup);
    request
}

/// What the component answers; a call that fails is a failure of the test, whatever the template.
fn render(built: &Built, dialect: &str, case: &Case) -> Result<String, Failure> {
    let request = request(built, dialect, &case.template, &case.context);
    let called = built.component().render(&request, Some(&case.context["Application"]));
    let called = called.unwrap_or_else(|e| panic!("{}: {}: {e}", case.name, e.reason()));
    // However hostile, a template runs into the bounds that name it, far from those that do not.
    assert!(
        called.fuel < built.component().limits().fuel / 2,
        "{}: {} units of fuel",
        case.name,
        called.fuel
    );
    called.value.map(|run: PodRun| text(&run.template["spec"]["containers"][0]["args"][0]))
}

/// The names of the cases in which the component does not do what the Go engine does.
fn different(cases: &[Case]) -> Vec<String> {
    let built = job();
    let differs = |case: &&Case| {
        let (found, expected) = (render(&built, "go", case).ok(), &case.output);
        if found != *expected {
            println!("{}: {found:?}, not {expected:?}", case.name);
        }
        found != *expected
    };
    let mut names: Vec<String> = cases.iter().filter(differs).map(|case| case.name.clone()).collect();
    names.sort();
    println!("{} of {} equal", cases.len() - names.len(), cases.len());
    names
}

#[test]
fn the_component_renders_all_reference_cases_as_the_go_engine_does() {
    let cases: Vec<Case> = serde_json::from_str(CASES).expect("the cases are JSON");
    assert_eq!(cases.len(), 194);
    assert_eq!(different(&cases), [""; 0]);
}

#[test]
fn the_component_differs_from_the_go_engine_in_the_documented_cases_and_no_other() {
    let Table { context, cases, .. } = serde_json::from_str(MORE_CASES).expect("the cases are JSON");
    let cases: Vec<Case> = cases.into_iter().map(|case| Case { context: context.clone(), ..case }).collect();
    assert_eq!(different(&cases), documented::names());
}

#[test]
fn the_component_renders_minijinja_as_its_table_says() {
    let built = job();
    let Table { contexts, cases, .. } = serde_json::from_str(MINIJINJA_CASES).expect("the table is JSON");
    let mut different = Vec::new();
    for case in &cases {
        let context = contexts[case.context.as_str().unwrap_or("backup")].clone();
        let found = match render(&built, "minijinja", &Case { context, ..case.clone() }) {
            Ok(output) => (Some(output), None),
            Err(failure) => (None, failure.findings.first().map(|f| f.message.clone())),
        };
        if found != (case.output.clone(), case.error.as_ref().map(text)) {
            different.push(format!("{}: {found:?}", case.name));
        }
    }
    println!("{} of {} equal", cases.len() - different.len(), cases.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}
