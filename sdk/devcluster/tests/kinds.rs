//! Objects of built-in kinds with what the program of the API server makes of them, and the causes for which it refuses them:
//! `data/kinds.json`, made by `data/kinds.go`, which runs the API server's own strategies of Kubernetes 1.34.4.

use devcluster::kinds;
use devcluster::status::Cause;
use serde_json::{Value, json};

/// Cases in which this crate says otherwise, each by a part of what is written and for a reason.
const OTHERWISE: &[(&str, &str)] = &[
    (r#""privileged":true"#, "clusters are started with a word that lets privileged containers in"),
    (r#""rules":[]"#, "what is stored knows no empty list, so that the answer has null"),
];

fn received(case: &Value, which: &str) -> Result<Value, String> {
    let (group, kind) = (case["group"].as_str().expect("a group"), case["kind"].as_str().expect("a kind"));
    let mut object = case[which].clone();
    kinds::decode::object(group, "v1", kind, &mut object)?;
    kinds::default(group, "v1", kind, &mut object);
    Ok(object)
}

fn judged(case: &Value) -> (Value, Vec<Cause>) {
    let (group, kind) = (case["group"].as_str().expect("a group"), case["kind"].as_str().expect("a kind"));
    let subresource = if case["status"] == true { "status" } else { "" };
    let mut new = received(case, "new").expect("an object");
    let old = case.get("old").map(|_| received(case, "old").expect("an object"));
    if let Some(old) = &old {
        // What the server keeps of the other part.
        let kept = if subresource.is_empty() { "status" } else { "spec" };
        match old.get(kept) {
            Some(value) => new[kept] = value.clone(),
            None => drop(new.as_object_mut().expect("an object").remove(kept)),
        }
    }
    kinds::prepare(group, "v1", kind, subresource, &mut new, old.as_ref());
    let write =
        kinds::Write { group, kind, is_namespaced: kind != "Namespace", subresource, is_patch: false };
    let causes = kinds::check(&write, &new, old.as_ref());
    (new, causes)
}

/// An object without what the program does not print or what the server sets elsewhere.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("kind");
        map.remove("apiVersion");
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("generation");
        }
    }
    object
}

#[test]
fn objects_and_causes_are_those_of_the_api_server() {
    let document: Value = serde_json::from_str(include_str!("data/kinds.json")).expect("JSON");
    let cases = document["cases"].as_array().expect("cases");
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let (made, causes) = judged(case);
        let mut got: Vec<[String; 3]> = causes
            .iter()
            .map(|cause| [cause.reason.to_owned(), cause.field.clone(), cause.message.clone()])
            .collect();
        got.sort();
        let mut want: Vec<[String; 3]> = serde_json::from_value(case["causes"].clone()).expect("causes");
        want.sort();
        let shown = format!("{} {}", case["kind"], case["new"]);
        let known = OTHERWISE.iter().any(|(part, _)| shown.contains(part));
        if got != want && !known {
            let without = |some: &[[String; 3]], others: &[[String; 3]]| {
                json!(some.iter().filter(|one| !others.contains(one)).collect::<Vec<_>>())
            };
            wrong.push(format!(
                "{i} {shown}\n  old {}\n  missing {}\n  too many {} ({} for {})",
                case["old"],
                without(&want, &got),
                without(&got, &want),
                got.len(),
                want.len()
            ));
        } else if let Some(object) = case.get("object").filter(|_| got.is_empty() && !known) {
            let (want, got) = (comparable(object), comparable(&made));
            if want != got {
                wrong.push(format!("{i} {shown}\n  want {want}\n  got  {got}"));
            }
        }
    }
    assert!(
        cases.len() > 150 && wrong.is_empty(),
        "{} of {} wrong\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
