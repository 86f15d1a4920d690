//! Measures the cost of calls of components, and compares them with rendering as in the Go controller, and with the build
//! before.
//!
//! A render is that of the pod template of `tests/bench/typical.json`, by the component of the Job strategy. A step is the one
//! with most answers in the first wake of a backup, and of a restore, of `tests/bench/cluster.yaml` by the component of the
//! CNPG strategy. Each call has a fresh sandboxed instance. `tests/bench/reference` renders like the Go controller.
//!
//! All sides take turns, so that other load hits each, and the best round of each counts. The bench fails unless all answer the
//! same. `docs/benchmarks.md` has the instructions and the results.

mod call;
mod figures;
mod profile;
mod reference;
mod side;
mod steps;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use call::Call;
use figures::Subject;
use reference::Reference;
use side::{Here, Peer, Side};

/// Measure the calls of components, each in a fresh sandboxed instance.
#[derive(Parser)]
struct Arguments {
    /// Component of the Job strategy.
    job: PathBuf,
    /// The same of the build before, measured by turns.
    #[arg(long, value_name = "COMPONENT")]
    before: Option<PathBuf>,
    /// Component of the CNPG strategy.
    #[arg(long, value_name = "COMPONENT")]
    cnpg: Option<PathBuf>,
    /// The same of the build before.
    #[arg(long, value_name = "COMPONENT", requires = "before", requires = "cnpg")]
    cnpg_before: Option<PathBuf>,
    /// This program of the build before, which then measures the components before: the runtime and its calls are compared too.
    #[arg(long, value_name = "PROGRAM", requires = "before")]
    peer: Option<PathBuf>,
    /// Leave Go out.
    #[arg(long)]
    no_go: bool,
    /// Print one round as a line of JSON, as `--peer` reads it.
    #[arg(long)]
    machine: bool,
    /// Print instead in which functions each call is after every so many units of fuel. The components need the names of their
    /// functions: CARGO_PROFILE_GUEST_STRIP=none build-strategy …
    #[arg(long, value_name = "FUEL", conflicts_with_all = ["peer", "machine"])]
    profile: Option<u64>,
    /// Rounds of each side.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls of a round, after a third as many to warm up.
    #[arg(long, default_value_t = 1000)]
    calls: usize,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = match arguments.profile {
        Some(every) => here(&arguments).and_then(|here| here.profile(every)),
        None if arguments.machine => machine(&arguments),
        None => compare(&arguments),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one round as JSON.
#[allow(clippy::print_stdout)]
fn machine(arguments: &Arguments) -> Outcome<()> {
    let round = here(arguments)?.round(arguments.calls)?;
    println!("{}", serde_json::to_string(&round)?);
    Ok(())
}

/// Measures all sides by turns, and prints them side by side.
#[allow(clippy::print_stdout)]
fn compare(arguments: &Arguments) -> Outcome<()> {
    if cfg!(debug_assertions) {
        println!("This is a development build, whose figures mean nothing. Build with --release.\n");
    }
    let mut sides: Vec<(&str, Box<dyn Side>)> = Vec::new();
    if !arguments.no_go {
        sides.push(("Go", Box::new(Reference::build()?)));
    }
    sides.push(("here", Box::new(here(arguments)?)));
    if let Some(job) = &arguments.before {
        let cnpg = arguments.cnpg_before.as_deref();
        sides.push((
            "before",
            match &arguments.peer {
                Some(program) => Box::new(Peer::new(program, job, cnpg)),
                None => Box::new(Here::load(job, cnpg)?),
            },
        ));
    }
    let mut best: Vec<Vec<Subject>> = vec![Vec::new(); sides.len()];
    for _ in 0..arguments.rounds {
        for ((_, side), best) in sides.iter_mut().zip(&mut best) {
            figures::keep_best(best, side.round(arguments.calls)?);
        }
    }
    let named: Vec<_> = sides.iter().map(|(name, _)| *name).zip(best).collect();
    figures::same_answers(&named)?;
    println!("Best of {} rounds of {} calls each\n", arguments.rounds, arguments.calls);
    print!("{}{}", table::of(&named), table::worse(&named));
    Ok(())
}

fn here(arguments: &Arguments) -> Outcome<Here> {
    Here::load(&arguments.job, arguments.cnpg.as_deref())
}
