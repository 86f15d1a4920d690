//! `backstay-replay record`: runs a command behind a recording proxy. `backstay-replay play`: asks all that was recorded again of the
//! Kubernetes in memory.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "What tests ask a real API server, recorded, and asked again of the Kubernetes in memory")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command with a KUBECONFIG that leads through a recording proxy
    Record {
        /// The file of the recording: it will hold the Secrets of the cluster
        #[arg(long)]
        out: PathBuf,
        /// The command
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Leave out of a recording what no request is about, so that it can be kept
    Trim {
        /// The recording
        from: PathBuf,
        /// The file of what is left
        to: PathBuf,
    },
    /// Ask the Kubernetes in memory all that was recorded; fails if an answer differs that is not declared
    Play {
        /// Differences that are meant, instead of those of the repository
        #[arg(long)]
        declared: Option<PathBuf>,
        /// Declared differences need not occur: the recording is a part
        #[arg(long)]
        part: bool,
        /// The recordings
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Record { out, command } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let status = runtime.block_on(backstay_replay::record::record(&out, &command))?;
            Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
        }
        Command::Trim { from, to } => {
            std::fs::write(to, backstay_replay::trim::trim(&std::fs::read_to_string(from)?)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Play { declared, part, files } => {
            let declared = match declared {
                Some(file) => std::fs::read_to_string(file)?,
                None => backstay_replay::play::DECLARED.to_owned(),
            };
            let report = backstay_replay::play::play(&files, &declared, part)?;
            write!(std::io::stdout(), "{report}")?;
            Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
