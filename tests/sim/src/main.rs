//! `make sim`: plays seeds, and prints what is broken.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use backstay_sim::{Base, Kept, Part, Verdict, day, in_thread, play, ready, shrink};
use clap::Parser;

/// Plays seeded disasters.
#[derive(Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// How many at a time; by default as many as there are cores.
    #[arg(long)]
    jobs: Option<usize>,
    /// Plays this seed alone, and prints its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Plays only these parts of the seed: `a3,f17`.
    #[arg(long, value_delimiter = ',', requires = "seed")]
    only: Vec<Part>,
    /// Goes on after this many broken seeds.
    #[arg(long, default_value_t = 10)]
    broken: usize,
    /// Plays one seed in so many twice, and compares the traces.
    #[arg(long, default_value_t = 1000)]
    twice: u64,
    /// Plays a day of so many Plans without any trouble, and says what it cost.
    #[arg(long)]
    day: Option<usize>,
    /// Prints each seed before it is played.
    #[arg(long)]
    each: bool,
    /// Prints what the controllers log while one seed is played, as `RUST_LOG` does.
    #[arg(long, requires = "seed")]
    log: Option<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let began = Instant::now();
    let base = ready();
    println!("the cluster is made after {:.1} s", began.elapsed().as_secs_f32());
    if let Some(plans) = options.day {
        return quiet_day(&base, plans);
    }
    match options.seed {
        Some(seed) => one(&base, seed, &options.only, options.log.as_deref()),
        None => many(&base, &options),
    }
}

/// Plays a day without any trouble, and prints what it cost.
fn quiet_day(base: &Base, plans: usize) -> Result<()> {
    let began = Instant::now();
    let day = in_thread(|| day(base, plans));
    println!(
        "a day of {plans} Plans in {:.2} s: {} runs, of which {} succeeded, {} calls and answers",
        began.elapsed().as_secs_f64(),
        day.runs,
        day.succeeded,
        day.events
    );
    if day.succeeded == plans && day.runs == plans { Ok(()) } else { bail!("each Plan backs up once a day") }
}

/// Plays one seed, and prints its trace.
fn one(base: &Base, seed: u64, only: &[Part], log: Option<&str>) -> Result<()> {
    let kept = if only.is_empty() { Kept::All } else { Kept::Only(only.iter().copied().collect()) };
    let verdict = in_thread(|| play(base, seed, &kept, true, log));
    for line in &verdict.trace {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} runs, {} events, {} s of simulated time, digest {:016x}",
        verdict.runs,
        verdict.events,
        verdict.simulated.as_secs(),
        verdict.digest
    );
    for line in &verdict.broken {
        println!("  BROKEN {line}");
    }
    if verdict.broken.is_empty() { Ok(()) } else { bail!("seed {seed} is broken") }
}

struct Tally {
    next: AtomicU64,
    done: AtomicU64,
    events: AtomicU64,
    runs: AtomicUsize,
    simulated: AtomicU64,
    twice: AtomicU64,
    broken: Mutex<Vec<String>>,
}

fn many(base: &Base, options: &Options) -> Result<()> {
    let jobs = options.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let tally = Tally {
        next: AtomicU64::new(options.first),
        done: AtomicU64::new(0),
        events: AtomicU64::new(0),
        runs: AtomicUsize::new(0),
        simulated: AtomicU64::new(0),
        twice: AtomicU64::new(0),
        broken: Mutex::default(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| worker(base, options, &tally, began));
        }
    });
    let (done, took) = (tally.done.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    let broken = tally.broken.into_inner().unwrap_or_default();
    println!(
        "{done} seeds from {} in {took:.1} s ({:.0} a second): {} runs, {} calls and events, {} simulated days; {} played twice; {} broken",
        options.first,
        done as f64 / took,
        tally.runs.load(Ordering::Relaxed),
        tally.events.load(Ordering::Relaxed),
        tally.simulated.load(Ordering::Relaxed) / 86_400,
        tally.twice.load(Ordering::Relaxed),
        broken.len()
    );
    if broken.is_empty() { Ok(()) } else { bail!("broken:\n{}", broken.join("\n")) }
}

fn worker(base: &Base, options: &Options, tally: &Tally, began: Instant) {
    let lock = || tally.broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut told = Duration::ZERO;
    loop {
        let seed = tally.next.fetch_add(1, Ordering::Relaxed);
        if seed >= options.first.saturating_add(options.seeds) || lock().len() >= options.broken {
            return;
        }
        if options.each {
            println!("seed {seed} begins after {:.1} s", began.elapsed().as_secs_f32());
        }
        let twice = options.twice > 0 && seed.is_multiple_of(options.twice);
        let verdict = in_thread(|| play(base, seed, &Kept::All, twice, None));
        if twice {
            tally.twice.fetch_add(1, Ordering::Relaxed);
            let again = in_thread(|| play(base, seed, &Kept::All, true, None));
            if (again.digest, again.events) != (verdict.digest, verdict.events) {
                lock().push(format!(
                    "seed {seed}: two plays differ\n{}",
                    difference(&verdict.trace, &again.trace)
                ));
            }
        }
        tally.events.fetch_add(verdict.events, Ordering::Relaxed);
        tally.runs.fetch_add(verdict.runs, Ordering::Relaxed);
        tally.simulated.fetch_add(verdict.simulated.as_secs(), Ordering::Relaxed);
        let done = tally.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !verdict.broken.is_empty() {
            let report = in_thread(|| report(base, verdict));
            println!("{report}");
            lock().push(report);
        }
        if began.elapsed().saturating_sub(told) > Duration::from_secs(20) {
            told = began.elapsed();
            println!("  {done} of {} seeds, {} s", options.seeds, told.as_secs());
        }
    }
}

/// Shrinks a broken plan, and says how it is replayed.
fn report(base: &Base, verdict: Verdict) -> String {
    let (seed, all) = (verdict.seed, verdict.parts.len());
    let (small, kept) = shrink(base, verdict);
    let parts = match kept {
        Kept::All => BTreeSet::new(),
        Kept::Only(parts) => parts,
    };
    let only: Vec<String> = parts.iter().map(Part::to_string).collect();
    let broken: Vec<String> = small
        .broken
        .iter()
        .take(5)
        .map(|line| line.get(..line.floor_char_boundary(900)).unwrap_or(line).to_owned())
        .collect();
    format!(
        "BROKEN seed {seed}, {} of {all} parts:\n    {}\n  replay: make sim SEED={seed} ONLY={}",
        only.len(),
        broken.join("\n    "),
        only.join(",")
    )
}

/// Shows where two traces part.
fn difference(one: &[String], other: &[String]) -> String {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let shown = |lines: &[String]| {
        let from = lines.get(at.saturating_sub(2)..).unwrap_or_default();
        from.iter().take(6).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    };
    format!("  line {at}:\n{}\n  the other one:\n{}", shown(one), shown(other))
}
