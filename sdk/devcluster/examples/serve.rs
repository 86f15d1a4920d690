//! An API server to play with: prints its URL and the path of a kubeconfig, and serves until it is stopped.
//!
//! `cargo run -p devcluster --example serve -- --port 0 [--kubeconfig FILE]`. Who sends no token is the administrator; with
//! `--closed` only who sends the token of the kubeconfig is. With `--controllers` the controllers of a cluster work, and with
//! `--node FOLDER` there is a node whose containers are processes of the user; its files are kept in the folder,
//! and images whose names fit `--images PATTERN` are the machine's own tools.

use std::io::Write as _;
use std::sync::Arc;

use devcluster::api::{ApiServer, Credentials, Logs, Options, TokioClock, kubeconfig};
use devcluster::client::Over;
use devcluster::controllers::Controllers;
use devcluster::local::{Files, Image, Images, Node, Root};

/// The token of the kubeconfig.
const TOKEN: &str = "devcluster-administrator";

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let port = value("--port").and_then(|port| port.parse::<u16>().ok()).unwrap_or(0);
    let credentials = Credentials {
        open: !arguments.iter().any(|argument| argument == "--closed"),
        tokens: vec![TOKEN.into()],
    };
    let node = value("--node").map(std::path::PathBuf::from);
    let files = node.as_deref().map(Files::new).transpose()?;
    let options = Options {
        logs: files.map(|files| Arc::new(files) as Arc<dyn Logs>),
        clock: Box::new(TokioClock::starting_at(jiff::Timestamp::now())),
        seed: 1,
        credentials,
        ..Options::default()
    };
    let server = ApiServer::new(options);
    if arguments.iter().any(|argument| argument == "--controllers") {
        tokio::spawn(Controllers::new(server.clone(), Some(TOKEN.into())).run());
    }
    if let Some(folder) = node {
        let api = Arc::new(Over::new(server.clone(), "kubelet").with_token(TOKEN));
        let images =
            Images::new().with(value("--images").unwrap_or_else(|| "*".into()), Image::of(Root::Host));
        let node = Node::new(api, "local", images, &folder)?;
        tokio::spawn(async move { node.run().await });
    }
    let listening = server.listen(("127.0.0.1", port)).await?;
    if let Some(path) = value("--kubeconfig") {
        std::fs::write(path, kubeconfig(&listening.url(), Some(TOKEN)))?;
    }
    writeln!(std::io::stdout(), "{}", listening.url())?;
    tokio::signal::ctrl_c().await
}
