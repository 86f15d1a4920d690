//! Builds a strategy crate and writes its component, which the host can load.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backstay_testing::Features;
use clap::Parser;

/// Build a strategy crate and write its component.
#[derive(Parser)]
struct Arguments {
    /// Folder of the crate.
    dir: PathBuf,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Leave the default features of the crate off.
    #[arg(long)]
    no_default_features: bool,
    /// Features of the crate to turn on.
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let features = Features { no_default: arguments.no_default_features, on: arguments.features };
    match write(&arguments.dir, &features, &arguments.out) {
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

/// Writes the component under a temporary name and renames it, so that the file is never half written.
fn write(dir: &Path, features: &Features, out: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let component = backstay_testing::build_with(dir, features)?;
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let partial = out.with_extension(format!("partial-{}", std::process::id()));
    std::fs::write(&partial, &component)?;
    std::fs::rename(&partial, out)?;
    Ok(component.len())
}
