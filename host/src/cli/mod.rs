//! The command line.

mod admission;
mod component;
mod crds;
#[cfg(feature = "dev")]
mod dev;
mod first_step;
mod objects;
pub mod output;
mod run;
mod telemetry;
mod trust;

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
    /// Print the ValidatingAdmissionPolicies, for kubectl apply -f -
    Admission(admission::AdmissionArgs),
    /// Run the controller on a Kubernetes in memory, for trying and testing
    #[cfg(feature = "dev")]
    Dev(Box<dev::DevArgs>),
    /// Look at a strategy component, with the engine and limits of the controller.
    #[command(subcommand)]
    Component(component::ComponentCommand),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Why the command failed, for [`output::complain`].
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(args) => args.run(),
            Command::Crds(args) => args.run(),
            Command::Admission(args) => args.run(),
            #[cfg(feature = "dev")]
            Command::Dev(args) => args.run(),
            Command::Component(command) => command.run(),
        }
    }
}
