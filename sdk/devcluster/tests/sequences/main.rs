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
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

/// The recorded sequences, some more that were recorded in the same way, and random ones.
const FILES: [&str; 3] = ["sequences.json", "more.json", "random.json"];

/// Differences that are known and why they are there: `sequence | step | why`.
const DECLARED: &str = include_str!("../data/differences.txt");

/// What differs, by sequence and step.
type Differences = BTreeMap<(String, usize), Vec<String>>;

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
    let documents: Vec<Value> = files
        .iter()
        .map(|file| {
            json::parse(&std::fs::read(file).expect("a file of sequences")).expect("recorded sequences")
        })
        .collect();
    let chosen: Vec<(&Value, &Value)> = documents
        .iter()
        .flat_map(|document| {
            document["sequences"].as_array().expect("sequences").iter().map(move |one| (document, one))
        })
        .filter(|(_, sequence)| {
            only.is_empty() || name(sequence).contains(&only) || sequence["area"] == only.as_str()
        })
        .collect();
    let (next, steps, found) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Differences::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                while let Some((document, sequence)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if first && !found.lock().is_empty() {
                        return;
                    }
                    let differences = play(document, sequence, &steps);
                    let named =
                        differences.into_iter().map(|(at, what)| ((name(sequence).to_owned(), at), what));
                    found.lock().extend(named);
                }
            });
        }
    });
    let (mut declared, mut found, steps) = (declared(), found.into_inner(), steps.into_inner());
    found.retain(|place, _| declared.remove(place).is_none());
    for ((sequence, step), differences) in &found {
        for difference in differences {
            eprintln!("{sequence}: step {step}: {difference}");
        }
    }
    assert!(found.is_empty(), "{} of {steps} steps differ", found.len());
    assert!(!only.is_empty() || declared.is_empty(), "declared, but not different: {declared:?}");
}

fn name(sequence: &Value) -> &str {
    sequence["name"].as_str().expect("a name")
}

/// The steps of a sequence that differ, and how.
fn play(document: &Value, sequence: &Value, steps: &AtomicUsize) -> Vec<(usize, Vec<String>)> {
    let answers = player::play(document, sequence);
    let recorded = sequence["steps"].as_array().expect("steps");
    let mut found = Vec::new();
    for (at, (step, got)) in recorded.iter().zip(&answers).enumerate() {
        steps.fetch_add(1, Ordering::Relaxed);
        let want = step.get("answer").cloned().unwrap_or_else(|| serde_json::json!({}));
        let differences = compare::differences(&want, got);
        if !differences.is_empty() {
            found.push((at + 1, differences));
        }
    }
    found
}
