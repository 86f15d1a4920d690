//! Objects made from upstream's schemas decode into our types and encode to the same.

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::upstream;

/// Returns a value that is valid under the schema, with all its fields or only the required ones.
fn sample(schema: &Value, name: &str, full: bool) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[0].clone();
    }
    match schema["type"].as_str() {
        Some("object") if schema["x-kubernetes-preserve-unknown-fields"] == true => {
            json!({"apiVersion": "example.org/v1", "kind": "Thing", "deep": {"null": null, "list": [1, "two", 3.5]}})
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(inner) => json!({"some.key/with-slash": sample(inner, name, full)}),
            None => Value::Object(fields(schema, full)),
        },
        Some("array") => json!([sample(&schema["items"], name, full)]),
        Some("integer") => json!(7),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-03-04T10:15:00Z"),
        Some("string") => json!(name),
        other => panic!("{name}: no sample for type {other:?}"),
    }
}

fn fields(schema: &Value, full: bool) -> Map<String, Value> {
    let required =
        |name: &String| schema["required"].as_array().is_some_and(|list| list.contains(&json!(name)));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .filter(|(name, _)| full || required(name))
        .map(|(name, inner)| (name.clone(), sample(inner, name, full)))
        .collect()
}

/// Decodes a generated object and checks that nothing is lost, added or changed.
fn comes_back<T: DeserializeOwned + Serialize>(file: &str, full: bool) {
    let crd = upstream(file);
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut object = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": crd["spec"]["names"]["kind"],
        "metadata": {"name": "sample"},
        "spec": sample(&schema["spec"], "spec", full),
    });
    if full {
        object["status"] = sample(&schema["status"], "status", full);
    }
    let decoded: T =
        serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{file}: {e}\n{object:#}"));
    let mut back = serde_json::to_value(decoded).unwrap();
    if !full {
        // The API server fills in this default as well.
        for reference in ["backupRef", "planRef"] {
            if back["spec"][reference] == json!({"name": ""}) {
                back["spec"][reference] = json!({});
            }
        }
    }
    assert_eq!(back, object, "{file}");
}

#[test]
fn an_object_with_every_field_of_upstream_decodes_and_comes_back() {
    comes_back::<BackupClass>("backups.cozystack.io_backupclasses.yaml", true);
    comes_back::<BackupJob>("backups.cozystack.io_backupjobs.yaml", true);
    comes_back::<Backup>("backups.cozystack.io_backups.yaml", true);
    comes_back::<Plan>("backups.cozystack.io_plans.yaml", true);
    comes_back::<RestoreJob>("backups.cozystack.io_restorejobs.yaml", true);
}

#[test]
fn an_object_with_only_the_required_fields_of_upstream_decodes_and_comes_back() {
    comes_back::<BackupClass>("backups.cozystack.io_backupclasses.yaml", false);
    comes_back::<BackupJob>("backups.cozystack.io_backupjobs.yaml", false);
    comes_back::<Backup>("backups.cozystack.io_backups.yaml", false);
    comes_back::<Plan>("backups.cozystack.io_plans.yaml", false);
    comes_back::<RestoreJob>("backups.cozystack.io_restorejobs.yaml", false);
}
