//! What goes wrong between a crate and its component is said so that an author can act on it.

use std::path::PathBuf;

use backstay_testing::{build, component_bytes};

/// A crate of this name with this source and no dependency, in a workspace of its own.
fn a_crate(name: &str, source: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(dir.join("src")).expect("the folder of tests can be written");
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n");
    std::fs::write(dir.join("Cargo.toml"), manifest).expect("a file can be written");
    std::fs::write(dir.join("src/lib.rs"), source).expect("a file can be written");
    dir
}

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is a module")
}

#[test]
fn a_folder_without_a_manifest_is_no_crate() {
    let error = build(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap_err();
    assert_eq!(error.reason(), "NotACrate");
    assert!(error.to_string().contains("no Cargo.toml"), "{error}");
}

#[test]
fn a_crate_that_does_not_compile_shows_what_the_compiler_says() {
    let error = build(&a_crate("broken", "pub fn f() -> u8 { \"text\" }")).unwrap_err();
    assert_eq!(error.reason(), "DoesNotCompile");
    assert!(error.to_string().contains("src/lib.rs:1"), "{error}");
}

#[test]
fn a_crate_that_exports_no_strategy_is_told_which_macro_it_lacks() {
    let error = build(&a_crate("empty", "pub fn f() {}")).unwrap_err();
    assert_eq!(error.reason(), "NotAStrategy");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("export_pod!"), "{source}");
}

#[test]
fn a_module_that_imports_something_else_is_no_component() {
    let module = module("(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32))))");
    let error = component_bytes(&module).unwrap_err();
    assert_eq!(error.reason(), "NotAComponent");
}

#[test]
fn what_is_no_module_is_no_component() {
    assert_eq!(component_bytes(b"#!/bin/sh\n").unwrap_err().reason(), "NotAComponent");
}
