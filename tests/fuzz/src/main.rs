//! Runs a fuzz target for a time, or replays an input.

use std::process::ExitCode;
use std::time::Duration;

use backstay_fuzz::TARGETS;
use backstay_fuzz::driver::{Plan, judge, replay, run, unhex};
use clap::Parser;

/// Run a fuzz target.
#[derive(Parser)]
struct Arguments {
    /// Name of the target: go, minijinja, results, guest or stored.
    target: String,
    /// Number of the first input.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of inputs.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// Limit in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Replays this input only.
    #[arg(long, value_name = "HEX")]
    replay: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some((name, mut target)) = TARGETS.iter().find(|(name, _)| *name == arguments.target).copied() else {
        eprintln!(
            "there is no target {}; there are: {}",
            arguments.target,
            TARGETS.map(|(name, _)| name).join(", ")
        );
        return ExitCode::FAILURE;
    };
    if let Some(text) = &arguments.replay {
        let Some(input) = unhex(text) else {
            eprintln!("--replay takes an even number of hexadecimal digits");
            return ExitCode::FAILURE;
        };
        return match judge(&mut target, &input) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("{fault}");
                ExitCode::FAILURE
            }
        };
    }
    let plan = Plan {
        seed: arguments.seed,
        count: arguments.count,
        at_most: Some(Duration::from_secs(arguments.seconds)),
    };
    match run(plan, target) {
        (count, None) => {
            eprintln!("{name}: {count} inputs, no fault");
            ExitCode::SUCCESS
        }
        (count, Some(found)) => {
            eprintln!("{name}: {count} inputs, then a fault with seed {}: {}", found.seed, found.fault);
            eprintln!("{}", replay(name, &found.input));
            ExitCode::FAILURE
        }
    }
}
