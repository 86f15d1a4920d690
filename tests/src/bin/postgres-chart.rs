//! The stand-in for application API, Helm and chart of kind `Postgres`; see [`backstay_tests::chart`].

use std::net::SocketAddr;
use std::path::PathBuf;

use backstay_tests::chart::render::Settings;
use backstay_tests::chart::{api, release};
use clap::Parser;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Makes Clusters of Postgres applications, as the platform's chart does.
#[derive(Parser)]
struct Arguments {
    /// How to reach the API server.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Address that the API server calls.
    #[arg(long)]
    listen: SocketAddr,
    /// Certificate of that address.
    #[arg(long)]
    certificate: PathBuf,
    /// The certificate's key.
    #[arg(long)]
    key: PathBuf,
    /// The image of PostgreSQL.
    #[arg(long)]
    image: String,
}

#[tokio::main]
async fn main() -> Result<(), backstay_tests::webhook::Trouble> {
    tracing_subscriber::fmt().with_ansi(false).init();
    let arguments = Arguments::parse();
    let kubeconfig = Kubeconfig::read_from(arguments.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    tokio::select! {
        served = api::serve(client.clone(), arguments.listen, &arguments.certificate, &arguments.key) => served,
        () = release::run(client, Settings { image: arguments.image }) => Err("the watch of releases ended".into()),
    }
}
