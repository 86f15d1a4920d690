//! Objects and definitions with the causes that the program of the API server gives, call for call: `data/causes.json`, made by
//! `data/causes.go`, which runs the API server's own checks of Kubernetes 1.34.4.

use std::collections::BTreeMap;

use devcluster::kinds;
use devcluster::kinds::metadata::{self, NameRule};
use devcluster::schema::{self, Schema};
use devcluster::status::Cause;
use serde_json::{Value, json};

/// Cases in which this crate says less, each for a reason.
const OTHERWISE: &[(&str, &str)] =
    &[("\"openAPIV3Schema\":{\"nullable\":true", "the API server shows its own form of the whole schema")];

fn told(causes: &[Cause]) -> Vec<[String; 3]> {
    let mut told: Vec<[String; 3]> = causes
        .iter()
        .map(|cause| [cause.reason.to_owned(), cause.field.clone(), cause.message.clone()])
        .collect();
    told.sort();
    told
}

fn settled(value: &Value) -> Value {
    let mut value = value.clone();
    schema::settle(&mut value);
    value
}

fn causes(schemas: &BTreeMap<String, Schema>, case: &Value) -> Vec<Cause> {
    if let Some(crd) = case.get("crd") {
        let mut crd = crd.clone();
        kinds::default("apiextensions.k8s.io", "v1", "CustomResourceDefinition", &mut crd);
        let write = kinds::Write {
            group: "apiextensions.k8s.io",
            kind: "CustomResourceDefinition",
            is_namespaced: false,
            subresource: "",
            is_patch: false,
        };
        let mut causes = metadata::check_new(&crd["metadata"], false, &kinds::name_rule(&write, &crd), false);
        causes.extend(kinds::definition(&crd, None));
        return causes;
    }
    let schema = &schemas[case["schema"].as_str().expect("a schema")];
    let (new, old) = (settled(&case["new"]), case.get("old").map(settled));
    match &old {
        None => {
            let faults = metadata::check_new(&new["metadata"], true, &NameRule::Subdomain, false);
            schema::judge(schema, &new, None, faults).causes
        }
        Some(old) => {
            // The strategy looks at metadata once; the other time is before it.
            let twice = metadata::check_update(&new["metadata"], &old["metadata"], false);
            let faults = twice.get(..twice.len() / 2).expect("a half").to_vec();
            let judge = if case["status"] == true { schema::judge_status } else { schema::judge };
            judge(schema, &new, Some(old), faults).causes
        }
    }
}

#[test]
fn causes_are_those_of_the_api_server() {
    let document: Value = serde_json::from_str(include_str!("data/causes.json")).expect("JSON");
    let schemas: BTreeMap<String, Schema> = document["schemas"]
        .as_object()
        .expect("schemas")
        .iter()
        .map(|(name, raw)| {
            (name.clone(), Schema::of_crd(raw).unwrap_or_else(|faults| panic!("{name}: {faults:?}")))
        })
        .collect();
    let cases = document["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let got = told(&causes(&schemas, case));
        let mut want: Vec<[String; 3]> = serde_json::from_value(case["causes"].clone()).expect("causes");
        want.sort();
        let shown = case.get("crd").unwrap_or(&case["new"]).to_string();
        if got != want && !OTHERWISE.iter().any(|(part, _)| shown.contains(part)) {
            let without = |some: &[[String; 3]], others: &[[String; 3]]| {
                json!(some.iter().filter(|one| !others.contains(one)).collect::<Vec<_>>())
            };
            wrong.push(format!(
                "{i} {} -> {shown}\n  missing {}\n  too many {} ({} for {})",
                case["old"],
                without(&want, &got),
                without(&got, &want),
                got.len(),
                want.len()
            ));
        }
    }
    assert!(
        cases.len() > 250 && wrong.is_empty(),
        "{} of {} wrong\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
