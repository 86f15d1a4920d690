//! Builds a strategy crate and writes its component: what the host loads.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// Build a strategy crate and write its component.
#[derive(Parser)]
struct Arguments {
    /// Folder of the crate.
    dir: PathBuf,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match write(&arguments.dir, &arguments.out) {
        Ok(bytes) => {
            eprintln!("{}: {bytes} bytes", arguments.out.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

/// The file appears whole or not at all: it is renamed into its place.
fn write(dir: &Path, out: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let component = backstay_testing::build(dir)?;
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let partial = out.with_extension(format!("partial-{}", std::process::id()));
    std::fs::write(&partial, &component)?;
    std::fs::rename(&partial, out)?;
    Ok(component.len())
}
