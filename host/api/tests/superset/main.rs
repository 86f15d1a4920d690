//! Our CRDs are supersets of upstream's: an object that is valid there is valid here, and reads the same.

// The tests print figures. The lint does not count functions that tests share as tests.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod allowed;
mod round_trip;
mod walk;

use std::path::Path;

use allowed::ALLOWED;
use serde_json::{Value, json};
use walk::{Effect, Walk};

/// Reads upstream's CRD by the name of its file.
fn upstream(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Reads our CRD of that file name, as shipped. `tests/generated.rs` and, for strategies, `tests/generate --check` check
/// that the files are up to date.
fn ours(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap()
}

const CORE: [&str; 5] = [
    "backups.cozystack.io_backupclasses.yaml",
    "backups.cozystack.io_backupjobs.yaml",
    "backups.cozystack.io_backups.yaml",
    "backups.cozystack.io_plans.yaml",
    "backups.cozystack.io_restorejobs.yaml",
];

/// Returns upstream's CRDs of the strategies that we have too.
fn strategies() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat");
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.filter(|name| name.starts_with("strategy.")).collect();
    files.sort();
    assert!(files.len() > 1, "{files:?}");
    files
}

#[test]
fn every_difference_from_upstream_is_one_that_is_meant() {
    let mut walk = Walk::default();
    for file in CORE.map(str::to_owned).into_iter().chain(strategies()) {
        walk.crd(&upstream(&file), &ours(&file));
    }

    println!("properties compared: {}, differences: {}", walk.properties, walk.differences.len());
    println!("facts compared: {}", walk.facts);
    for allowed in ALLOWED {
        let covered: Vec<_> = walk.differences.iter().filter(|d| allowed.covers(d)).collect();
        let first = covered.first().unwrap_or_else(|| panic!("nothing differs by: {}", allowed.reason));
        println!("{:5} x {first}\n          {}", covered.len(), allowed.reason);
    }
    let unexpected: Vec<String> = walk
        .differences
        .iter()
        .filter(|d| !ALLOWED.iter().any(|a| a.covers(d)))
        .map(ToString::to_string)
        .collect();
    assert!(unexpected.is_empty(), "{} unexpected:\n{}", unexpected.len(), unexpected.join("\n"));
    assert!(walk.properties > 1_000 && walk.facts > 2_000, "the walk has lost its way");
}

/// The walk finds differences.
#[test]
fn the_walk_sees_a_change_of_every_keyword() {
    let original = upstream("backups.cozystack.io_backupjobs.yaml");
    let version = "/spec/versions/0";
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
    for (at, key, value) in [
        ("/metadata/annotations".to_owned(), "options.cozystack.io/source.planRef.name", json!("other")),
        ("/spec".to_owned(), "scope", json!("Cluster")),
        ("/spec/names".to_owned(), "singular", json!("other")),
        (version.to_owned(), "name", json!("v1")),
        (version.to_owned(), "served", json!(false)),
        (version.to_owned(), "subresources", json!({})),
        (version.to_owned(), "additionalPrinterColumns", json!([])),
        (version.to_owned(), "selectableFields", json!([])),
        (format!("{schema}/spec"), "required", json!(["applicationRef", "backupClassName", "planRef"])),
        (format!("{schema}/spec/properties/applicationRef"), "x-kubernetes-map-type", json!("granular")),
        (format!("{schema}/spec/properties/applicationRef/properties"), "kind", json!({"type": "integer"})),
        (format!("{schema}/spec/properties/planRef/properties/name"), "default", json!("x")),
        (format!("{schema}/spec/properties/backupClassName"), "minLength", json!(2)),
        (format!("{schema}/spec/properties/backupClassName"), "pattern", json!("^a")),
        (format!("{schema}/spec/properties/backupClassName"), "x-kubernetes-validations", json!([])),
        (format!("{schema}/status/properties/startedAt"), "format", json!("date")),
        (format!("{schema}/status/properties/conditions/items/properties/message"), "maxLength", json!(9)),
        (format!("{schema}/status/properties/conditions/items/properties/status"), "enum", json!(["True"])),
        (format!("{schema}/status/properties/conditions"), "items", json!(null)),
        (format!("{schema}/status/properties/conditions"), "x-kubernetes-list-type", json!("set")),
    ] {
        let mut changed = original.clone();
        changed.pointer_mut(&at).unwrap_or_else(|| panic!("{at}"))[key] = value;
        let mut walk = Walk::default();
        walk.crd(&original, &changed);
        let narrower = walk.differences.iter().filter(|d| d.effect == Effect::Narrower).count();
        assert!(narrower > 0, "{at} {key} goes unseen: {:?}", walk.differences);
    }
    let mut lost = original.clone();
    lost.pointer_mut(&format!("{schema}/status/properties"))
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("message");
    let mut walk = Walk::default();
    walk.crd(&original, &lost);
    assert_eq!(walk.differences.len(), 1, "{:?}", walk.differences);
    assert_eq!(walk.differences[0].at, ".status.message");
}
