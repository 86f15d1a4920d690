//! Seeded walks through everything that can happen to a run of the strategy, over a model of those it works with: the
//! application's API, Helm and the chart, the operator, its plugin and the archive.
//!
//! `CNPG_WALK=<seed>` walks one again and prints what happened; `CNPG_WALKS=<n>` sets how many there are, and
//! `CNPG_WALKS_WRONG=<n>` after how many that went wrong it is enough.

mod chart;
mod native;
mod rng;
mod scene;
mod site;
mod walk;
mod watch;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use backstay_strategy_cnpg::Cnpg;
use backstay_testing::contract::{Descriptor, Request, View};
use backstay_testing::{Built, StepFn};
use walk::{Walked, Wrong, walk};

fn descriptor() -> &'static Descriptor {
    static DESCRIPTOR: OnceLock<Descriptor> = OnceLock::new();
    DESCRIPTOR.get_or_init(native::descriptor::<Cnpg>)
}

/// The strategy as a function of this process.
fn in_process() -> StepFn<'static> {
    Box::new(native::step::<Cnpg>)
}

/// The strategy in the sandbox.
fn in_sandbox() -> StepFn<'static> {
    static BUILT: OnceLock<std::sync::Arc<Built>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Built::strategy(env!("CARGO_MANIFEST_DIR")));
    let step = |request: &Request, view: &View| {
        let begun = Instant::now();
        let stepped = built.component().step(request, view);
        STEPS.lock().expect("nobody panics with it").push(begun.elapsed());
        stepped.map(|c| c.value).map_err(|e| format!("{e}: {:?}", e.error))
    };
    Box::new(step)
}

/// How long each step in the sandbox took, a fresh instance each.
static STEPS: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().expect("a number"))
}

/// Walks all seeds, on every core.
fn walks(seeds: std::ops::Range<u64>, step: fn() -> StepFn<'static>) -> (Vec<Walked>, Vec<Wrong>) {
    let (next, went_wrong) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let enough = number("CNPG_WALKS_WRONG").unwrap_or(40);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let one = || {
        let (mut walked, mut wrong) = (Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || went_wrong.load(Ordering::Relaxed) >= enough {
                return (walked, wrong);
            }
            match walk(seed, step) {
                Ok(w) => walked.push(w),
                Err(w) => {
                    went_wrong.fetch_add(1, Ordering::Relaxed);
                    wrong.push(w);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut all = (Vec::new(), Vec::new());
        for thread in threads {
            let (walked, wrong) = thread.join().expect("a walk does not panic");
            all.0.extend(walked);
            all.1.extend(wrong);
        }
        all.1.sort_by_key(|w: &Wrong| w.seed);
        all
    })
}

/// Walks that do not get somewhere say nothing of it: many must get everywhere.
#[track_caller]
fn all_seen(walked: &[Walked]) {
    const MANY: usize = 5000;
    /// What is on no straight way.
    const REMOTE: [&str; 11] = [
        "ArchiveAttached",
        "ArchiveDetached",
        "BackupObjectMissing",
        "Cancelled",
        "CredentialsMissing",
        "DrainTimedOut",
        "RecoveredToEndOfArchive",
        "RecoveryTargetUnreachable",
        "ReleaseMissing",
        "RestoreTimedOut",
        "StrayCluster",
    ];
    if walked.len() < MANY {
        return;
    }
    let seen: BTreeSet<&str> = walked.iter().flat_map(|w| &w.seen).map(String::as_str).collect();
    // The stage that a run begins in may end without anything to remember.
    let mut modes = Vec::new();
    let later = descriptor().stages.iter().filter(|s| {
        let known = modes.contains(&s.mode);
        modes.push(s.mode);
        known
    });
    let stages = later.map(|s| s.name.as_str());
    let missed: Vec<&str> = stages.chain(REMOTE).filter(|s| !seen.contains(s)).collect();
    assert!(missed.is_empty(), "no walk came to {missed:?}; what was seen: {seen:?}");
}

// The figures, for those who look.
#[allow(clippy::print_stdout)]
#[track_caller]
fn all_well(what: &str, seeds: std::ops::Range<u64>, step: fn() -> StepFn<'static>) {
    let begun = Instant::now();
    let (walked, wrong) = walks(seeds, step);
    let sum = |of: fn(&Walked) -> u64| walked.iter().map(of).sum::<u64>();
    println!(
        "{} walks {what} in {:.1} s: {} wakes, {} calls, {} troubles, {} crashes; {} restores, of which {} deleted a \
         Cluster; {} runs ended well",
        walked.len(),
        begun.elapsed().as_secs_f64(),
        sum(|w| w.wakes),
        sum(|w| w.calls),
        sum(|w| w.troubles),
        sum(|w| w.crashes),
        sum(|w| u64::from(w.restore)),
        sum(|w| u64::from(w.purged)),
        sum(|w| u64::from(w.done)),
    );
    let Some(first) = wrong.first() else { return all_seen(&walked) };
    let seeds: Vec<String> = wrong.iter().map(|w| format!("{}: {}", w.seed, w.what)).collect();
    panic!(
        "{}\nCNPG_WALK={} walks it again: {}\n\n{} walks went wrong:\n{}",
        first.timeline,
        first.seed,
        first.what,
        wrong.len(),
        seeds.join("\n")
    );
}

#[test]
fn every_walk_keeps_what_must_hold() {
    match number("CNPG_WALK") {
        Some(seed) => all_well("in process", seed..seed + 1, in_process),
        None => all_well("in process", 0..number("CNPG_WALKS").unwrap_or(10_000), in_process),
    }
}

// The figures, for those who look.
#[allow(clippy::print_stdout)]
#[test]
fn in_the_sandbox_it_is_no_other() {
    match number("CNPG_WALK") {
        Some(seed) => all_well("in the sandbox", seed..seed + 1, in_sandbox),
        None => all_well("in the sandbox", 0..number("CNPG_WALKS").unwrap_or(10_000) / 20, in_sandbox),
    }
    let mut steps = STEPS.lock().expect("nobody panics with it");
    steps.sort_unstable();
    let at = |percent: usize| steps[steps.len() * percent / 100].as_micros();
    println!("{} steps in the sandbox: p50 {} us, p99 {} us", steps.len(), at(50), at(99));
}
