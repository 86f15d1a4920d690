//! Plays recorded sequences of requests against the API server, in simulated time, and compares what it answers with what
//! kube-apiserver 1.34.4 answered. What is recorded, and the form in which it is compared: `tests/data/sequences.md`.

mod canon;
mod compare;
mod fidelity;
mod json;
mod player;
mod random;
mod server;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

/// The recorded sequences, some more that were recorded in the same way, and random ones.
const FILES: [&str; 3] = ["sequences.json", "more.json", "random.json"];

/// Differences that are known and why they are there: `sequence | step | why`.
const DECLARED: &str = include_str!("../data/differences.txt");

fn declared() -> BTreeMap<(String, usize), String> {
    let lines = DECLARED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, '|').map(str::trim);
            let mut next = || parts.next().expect("sequence | step | why").to_owned();
            let (sequence, step, why) = (next(), next(), next());
            ((sequence, step.parse().expect("the number of a step")), why)
        })
        .collect()
}

/// A file of sequences of this repository.
fn document(file: &str) -> Value {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    json::parse(&std::fs::read(path).expect("a file of sequences")).expect("recorded sequences")
}

#[test]
fn answers_are_those_of_kube_apiserver() {
    // Other sequences than those of the repository, in the same form; one sequence, or one area, while working on it.
    let other = std::env::var("SEQUENCES_FILE").ok();
    let only = std::env::var("SEQUENCES").unwrap_or_default();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    let files = other.map_or_else(|| FILES.map(|file| format!("{data}/{file}")).to_vec(), |file| vec![file]);
    // For who wants to know only whether there is a difference.
    let first = std::env::var("SEQUENCES_FIRST").is_ok();
    let (mut declared, mut found, mut steps) = (declared(), BTreeMap::new(), 0);
    for file in files {
        let text = std::fs::read(file).expect("a file of sequences");
        let document: Value = json::parse(&text).expect("recorded sequences");
        for sequence in document["sequences"].as_array().expect("sequences") {
            let name = sequence["name"].as_str().expect("a name");
            let other = !only.is_empty() && !name.contains(&only) && sequence["area"] != only.as_str();
            if other || first && !found.is_empty() {
                continue;
            }
            for (at, differences) in play(&document, sequence, &mut steps) {
                if declared.remove(&(name.to_owned(), at)).is_none() {
                    found.insert((name.to_owned(), at), differences);
                }
            }
        }
    }
    for ((sequence, step), differences) in &found {
        for difference in differences {
            eprintln!("{sequence}: step {step}: {difference}");
        }
    }
    assert!(found.is_empty(), "{} of {steps} steps differ", found.len());
    assert!(!only.is_empty() || declared.is_empty(), "declared, but not different: {declared:?}");
}

/// The steps of a sequence that differ, and how.
fn play(document: &Value, sequence: &Value, steps: &mut usize) -> Vec<(usize, Vec<String>)> {
    let answers = player::play(document, sequence);
    let recorded = sequence["steps"].as_array().expect("steps");
    let mut found = Vec::new();
    for (at, (step, got)) in recorded.iter().zip(&answers).enumerate() {
        *steps += 1;
        let want = step.get("answer").cloned().unwrap_or_else(|| serde_json::json!({}));
        let differences = compare::differences(&want, got);
        if !differences.is_empty() {
            found.push((at + 1, differences));
        }
    }
    found
}
