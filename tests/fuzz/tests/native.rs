//! Runs each target for a fixed count, from a fixed seed. One line replays a fault. For longer runs:
//! `cargo run -p backstay-fuzz -- TARGET --seconds N`.

#![allow(clippy::print_stdout, reason = "prints the number of inputs")]

use backstay_fuzz::TARGETS;
use backstay_fuzz::driver::{Plan, replay, run};

const SEED: u64 = 20_260_101;

fn fuzz(name: &str, count: u64) {
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("the target is there");
    let (fine, found) = run(Plan { seed: SEED, count, at_most: None }, target);
    if let Some(found) = found {
        panic!("{name}, after {fine} inputs: {}\n{}", found.fault, replay(name, &found.input));
    }
    println!("{name}: {fine} inputs");
}

#[test]
fn go_templates() {
    fuzz("go", 500);
}

#[test]
fn minijinja_templates() {
    fuzz("minijinja", 700);
}

#[test]
fn results() {
    fuzz("results", 8_000);
}

#[test]
fn stored_objects() {
    fuzz("stored", 4_000);
}

#[test]
fn requests() {
    fuzz("guest", 700);
}
