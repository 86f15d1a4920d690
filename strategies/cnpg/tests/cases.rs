//! The required cases of the strategy, one folder each in `cases/`: what is given, what happens, and what is to come of
//! it, in YAML. Each is played by the built component in wasmtime, in the loop that the host has, over objects in memory.
//!
//! What every case begins from is `cases/base`; a case says what is different. `cases/README.md` is the language and the
//! table of all cases; `every_number_is_accounted_for` keeps it honest. `CNPG_CASE=36` plays only the cases whose folder
//! begins so, with their journals.

// Functions that tests share are not seen as tests by the lint; a case asked for is shown.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod play;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How many cases there are.
const CASES: u32 = 73;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The folders of cases, by name.
fn cases() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap());
    let mut found: Vec<_> = entries
        .filter(|e| e.path().join("case.yaml").is_file())
        .map(|e| (e.file_name().into_string().unwrap(), e.path()))
        .collect();
    found.sort();
    found
}

#[test]
fn every_case_comes_out_as_it_should() {
    let wanted = std::env::var("CNPG_CASE").unwrap_or_default();
    let mut failed = Vec::new();
    let mut played = 0;
    for (name, path) in cases().into_iter().filter(|(name, _)| name.starts_with(&wanted)) {
        played += 1;
        let journal = !wanted.is_empty();
        if let Err(cause) = play::play(&path, journal) {
            failed.push(format!("{name}: {cause}"));
        }
    }
    assert!(played > 0, "no case begins with {wanted:?}");
    assert!(failed.is_empty(), "{} of {played} cases failed\n{}", failed.len(), failed.join("\n"));
}

/// Whether a source has a test of this name, and runs it: the attribute stands before the function.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let named = |line: &str| {
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        function.is_some_and(|f| f.split(['(', '<']).next() == Some(name))
    };
    lines.iter().position(|line| named(line)).is_some_and(|at| {
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.starts_with('#')).collect::<Vec<_>>();
        let is = |wanted: &str| attributes.iter().any(|line| line.starts_with(wanted));
        (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
    })
}

/// Every row of the table names the folders that there are, or the test of the host that proves the case.
#[test]
fn every_number_is_accounted_for() {
    let table = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let Ok(number) = cells[0].parse::<u32>() {
            assert!(cells.len() == 3 && cells.iter().all(|c| !c.is_empty()), "a row is not whole: {line}");
            assert!(rows.insert(number, cells[2].to_owned()).is_none(), "case {number} has two rows");
        }
    }
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (1..=CASES).collect::<Vec<_>>());

    let folders: BTreeSet<String> = cases().into_iter().map(|(name, _)| name).collect();
    let mut named = BTreeSet::new();
    for (number, proof) in &rows {
        let proofs: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!proofs.is_empty(), "case {number} names no proof");
        for proof in proofs {
            if let Some((file, test)) = proof.split_once("::") {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(is_test(&text, test), "case {number} names {test}, which is no test in {file}");
            } else {
                assert!(folders.contains(proof), "case {number} names {proof}, which is no folder");
                named.insert(proof.to_owned());
            }
        }
    }
    assert_eq!(folders.difference(&named).collect::<Vec<_>>(), [""; 0], "folders that no row names");
}
