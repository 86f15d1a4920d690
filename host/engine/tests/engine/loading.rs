//! Components that are refused at load, with their errors.

use std::error::Error as _;

use backstay_engine::{Engine, EngineConfig, Limits, LoadError};
use serde_json::json;

use crate::guest::{Guest, foreign};
use crate::requests::ENGINE;

fn refused(bytes: &[u8]) -> LoadError {
    match ENGINE.load(bytes) {
        Err(error) => error,
        Ok(component) => panic!("loaded {component:?}"),
    }
}

fn says(error: &LoadError, reason: &str, words: &[&str]) {
    assert_eq!(error.reason(), reason, "{error}");
    let message = format!("{error}: {:?}", error.source().map(ToString::to_string));
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn what_is_not_a_component() {
    says(&refused(b"#!/bin/sh\n"), "ComponentNotWasm", &["\\0asm"]);
    says(&refused(b""), "ComponentNotWasm", &[]);
    let module = wat::parse_str("(module)").unwrap();
    says(&refused(&module), "ComponentIsCoreModule", &["wasm-tools component new"]);
    let mut cut = Guest::pod().build();
    cut.truncate(cut.len() / 2);
    says(&refused(&cut), "ComponentInvalid", &[]);
}

#[test]
fn a_file_that_is_too_large_is_not_even_read() {
    let limits = Limits { component_bytes: 1000, ..Limits::default() };
    let engine = Engine::new(EngineConfig { limits, ..EngineConfig::default() }).unwrap();
    let bytes = Guest::pod().build();
    let words = &[&*format!("has {} bytes where 1000 are allowed", bytes.len()), "build it for size"];
    says(&engine.load(&bytes).unwrap_err(), "ComponentTooLarge", words);
    let file = Scratch::new("large.wasm", &bytes);
    says(&engine.load_file(&file.0).unwrap_err(), "ComponentTooLarge", words);
}

#[test]
fn a_file_is_loaded_like_its_bytes() {
    let bytes = Guest::pod().build();
    let file = Scratch::new("good.wasm", &bytes);
    assert_eq!(ENGINE.load_file(&file.0).unwrap().digest(), ENGINE.load(&bytes).unwrap().digest());
    let missing = file.0.with_extension("missing");
    says(&ENGINE.load_file(&missing).unwrap_err(), "ComponentUnreadable", &["good.missing", "No such file"]);
}

#[test]
fn functions_that_nobody_gets_are_named() {
    let wasi = foreign(
        "package wasi:clocks@0.2.0;
         interface wall-clock { now: func() -> u64; resolution: func() -> u64; }
         world w { import wall-clock; }",
        "w",
        r#"(module (import "wasi:clocks/wall-clock@0.2.0" "now" (func (result i64)))
                   (import "wasi:clocks/wall-clock@0.2.0" "resolution" (func (result i64))))"#,
    );
    says(
        &refused(&wasi),
        "ComponentImportRefused",
        &[
            "wasi:clocks/wall-clock@0.2.0#now, wasi:clocks/wall-clock@0.2.0#resolution",
            "no WASI",
            "wasm32-unknown-unknown",
        ],
    );
    let other = foreign(
        "package a:b; world w { import fetch: func(url: string) -> string; }",
        "w",
        r#"(module (import "$root" "fetch" (func (param i32 i32 i32))) (memory (export "memory") 1)
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#,
    );
    let error = refused(&other);
    says(&error, "ComponentImportRefused", &["imports fetch,", "log.write"]);
    assert!(!error.to_string().contains("WASI"), "{error}");
}

#[test]
fn log_has_no_function_but_write() {
    let guest = foreign(
        "package backstay:strategy@0.1.0; interface log { exec: func(); } world w { import log; }",
        "w",
        r#"(module (import "backstay:strategy/log@0.1.0" "exec" (func)))"#,
    );
    says(&refused(&guest), "ComponentImportRefused", &["backstay:strategy/log@0.1.0#exec"]);
}

#[test]
fn a_version_of_the_contract_that_is_not_served_is_named() {
    let newer = foreign(
        "package backstay:strategy@0.2.0; interface about { describe: func() -> u32; } world w { export about; }",
        "w",
        r#"(module (func (export "backstay:strategy/about@0.2.0#describe") (result i32) (i32.const 0)))"#,
    );
    says(
        &refused(&newer),
        "ComponentVersionUnknown",
        &["speaks backstay:strategy/about@0.2.0", "serves backstay:strategy@0.1"],
    );
}

/// Returns a component that exports `interfaces`, each with one function of the wrong type.
fn exporting(interfaces: &[(&str, &str)]) -> Vec<u8> {
    let (mut wit, mut world, mut module) = (String::new(), String::new(), String::new());
    for (interface, function) in interfaces {
        wit += &format!("interface {interface} {{ {function}: func() -> u32; }}\n");
        world += &format!("export {interface};");
        module += &format!(
            r#"(func (export "backstay:strategy/{interface}@0.1.0#{function}") (result i32) (i32.const 0))"#
        );
    }
    foreign(
        &format!("package backstay:strategy@0.1.0; {wit} world w {{ {world} }}"),
        "w",
        &format!("(module {module})"),
    )
}

#[test]
fn about_and_exactly_one_driver_are_exported_as_the_contract_has_them() {
    let about = ("about", "describe");
    let (pod, resource) = (("pod-driver", "render"), ("resource-driver", "step"));
    says(&refused(&exporting(&[pod])), "ComponentWithoutAbout", &["backstay:strategy/about"]);
    says(
        &refused(&exporting(&[about])),
        "ComponentWithoutDriver",
        &["neither `pod-driver` nor `resource-driver`"],
    );
    says(&refused(&exporting(&[about, pod, resource])), "ComponentWithTwoDrivers", &["make two components"]);
    says(&refused(&exporting(&[about, pod])), "ComponentTypesDiffer", &["wit/v0.1.0"]);
}

#[test]
fn a_component_that_cannot_describe_itself_is_refused_with_the_calls_own_reason() {
    for (body, reason) in [
        ("unreachable", "StrategyTrapped"),
        ("(i32.const -8)", "StrategyBadAnswer"),
        ("(drop (memory.grow (i32.const 60000))) unreachable", "StrategyOutOfMemory"),
    ] {
        let error = refused(&Guest::pod().body("describe", body).build());
        says(&error, "ComponentDescribeFailed", &["describe"]);
        let LoadError::Describe(call) = error else { panic!("{error}") };
        assert_eq!((call.reason(), call.call), (reason, "describe"));
    }
}

#[test]
fn a_component_that_describes_itself_without_end_is_refused() {
    let limits = Limits { fuel: 10_000_000, ..Limits::default() };
    let engine =
        Engine::new(EngineConfig { limits, concurrent_calls: 1, ..EngineConfig::default() }).unwrap();
    let endless = "(loop $again (br $again))";
    let in_describe = Guest::pod().body("describe", format!("{endless} unreachable")).build();
    let at_start = Guest::pod().with(&format!("(func $start {endless}) (start $start)")).build();
    for bytes in [in_describe, at_start] {
        let LoadError::Describe(call) = engine.load(&bytes).unwrap_err() else { panic!("not in describe") };
        assert_eq!(call.reason(), "StrategyOutOfFuel");
    }
}

#[test]
fn a_module_that_is_born_too_large_is_refused() {
    says(&refused(&Guest::pod().pages(1025).build()), "ComponentInvalid", &[]);
    says(&refused(&Guest::pod().with("(table 20001 funcref)").build()), "ComponentInvalid", &[]);
}

#[test]
fn a_descriptor_that_breaks_a_bound_is_refused_with_its_field() {
    type Lie = (&'static str, fn(&mut serde_json::Value));
    let lies: &[Lie] = &[
        ("`name` must be a DNS label", |d| d["name"] = json!("My_Guest")),
        ("`version` must be a semantic version", |d| d["version"] = json!("one")),
        ("`kinds` must name at least one", |d| d["kinds"] = json!([])),
        ("`kinds` has 9 entries where 8 are allowed", |d| d["kinds"] = json!(vec![d["kinds"][0].clone(); 9])),
        ("`kinds[1].kind` must be unique", |d| d["kinds"] = json!(vec![d["kinds"][0].clone(); 2])),
        ("`kinds[0].schema` must be JSON", |d| d["kinds"][0]["schema"] = json!("{")),
        ("`kinds[0].schema` must be a JSON object, is an array", |d| d["kinds"][0]["schema"] = json!("[]")),
        ("`options-schema` must be JSON", |d| d["options-schema"] = json!("")),
        ("`parameters-schema` must be a JSON object", |d| d["parameters-schema"] = json!("true")),
        ("`stages` must be empty for a pod-driver", |d| d["stages"] = json!([{"name": "a"}])),
        ("`access` must be empty for a pod-driver", |d| {
            d["access"] = json!([{"version": "v1", "kind": "Pod", "plural": "pods"}])
        }),
        ("`namespaces` must be empty for a pod-driver", |d| d["namespaces"] = json!([["a", "b"]])),
        ("`access[0].version` must not be empty", |d| d["access"] = json!([{"kind": "Pod"}])),
        ("`access` has 65 entries where 64 are allowed", |d| d["access"] = json!(vec![json!({}); 65])),
        ("`stages` has 65 entries where 64 are allowed", |d| d["stages"] = json!(vec![json!({}); 65])),
        ("`longest-run` must be 1 second or more", |d| d["longest-run"] = json!(0)),
        ("`restores[0]` must be a Cargo version requirement", |d| d["restores"] = json!(["new"])),
        ("`target-namespace-option` must not be empty", |d| d["target-namespace-option"] = json!("")),
        ("`parameters-schema` takes the answer over 524288 bytes in all", |d| {
            d["parameters-schema"] = json!(format!("{{\"a\":\"{}\"}}", "x".repeat(300_000)));
            d["kinds"][0]["schema"] = d["parameters-schema"].clone();
        }),
    ];
    for (words, lie) in lies {
        let error = refused(&Guest::pod().descriptor(lie).build());
        assert_eq!(error.reason(), "ComponentDescriptorInvalid", "{error}");
        assert!(error.to_string().starts_with(&format!("the descriptor's {words}")), "{words}: {error}");
    }
}

/// A file that is deleted at the end of the test.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    /// Creates `name` in its own directory.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let directory = Self::directory();
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    /// Creates a new directory.
    pub(crate) fn directory() -> std::path::PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{}-{count}", std::process::id());
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(directory) = self.0.parent() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}
