//! The `backstay` command: parse, run, say what went wrong.

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match backstay::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            backstay::cli::output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
