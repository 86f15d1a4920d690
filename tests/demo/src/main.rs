//! The main job, for real: files on a volume are backed up by a sandboxed strategy, destroyed, restored and compared, and a Plan
//! fires. The Kubernetes is that of `backstay dev`. Run by `make demo`, which has built what it needs.

#![allow(clippy::print_stdout, reason = "tells the story")]

mod cluster;
mod story;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

use cluster::Dev;

#[derive(Debug, Parser)]
#[command(about = "Backs up, destroys, restores and compares real files on a Kubernetes in memory")]
struct Arguments {
    /// The backstay program
    #[arg(long, env = "BACKSTAY_PROGRAM")]
    program: PathBuf,
    /// Folder with the built components
    #[arg(long, env = "BACKSTAY_COMPONENTS_DIR")]
    components: PathBuf,
    /// Folder with the example
    #[arg(long, default_value = "examples/files")]
    example: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut story = story::Story::begin();
    story.say(
        "A Kubernetes in memory, whose containers are processes; Backstay's CRDs, rights and controller",
    );
    let mut dev = Dev::start(&arguments.program, &arguments.components).await?;
    let told = tokio::select! {
        told = story.tell(dev.client.clone(), &arguments.example) => told,
        gone = dev.gone() => gone.context("backstay dev ended before the story did"),
    };
    dev.stop().await;
    told
}
