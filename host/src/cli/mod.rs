//! The command line.

mod component;
mod crds;
mod run;
mod telemetry;

use std::io::Write as _;

use clap::{Parser, Subcommand};

/// Kubernetes backups with sandboxed strategies.
#[derive(Debug, Parser)]
#[command(name = "backstay", version, about, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller.
    Run(Box<run::RunArgs>),
    /// Print the CustomResourceDefinitions, for kubectl apply --server-side -f -
    Crds(crds::CrdsArgs),
    /// Look at a strategy component, with the engine and limits of the controller.
    #[command(subcommand)]
    Component(component::ComponentCommand),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What [`complain`] prints.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Component(command) => command.run(),
        }
    }
}

/// Prints an error and its causes on standard error.
pub fn complain(error: &anyhow::Error) {
    let error: &(dyn std::error::Error + 'static) = error.as_ref();
    // Standard error may be closed.
    let _ = writeln!(std::io::stderr(), "backstay: {}", crate::cluster::error::chain(error));
}

/// Prints what a command answers. A reader that has gone away (`backstay crds | head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
