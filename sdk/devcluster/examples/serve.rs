//! An API server to play with: prints its URL and the path of a kubeconfig, and serves until it is stopped.
//!
//! `cargo run -p devcluster --example serve -- --port 0 [--kubeconfig FILE]`. Who sends no token is the administrator; with
//! `--closed` only who sends the token of the kubeconfig is.

use std::io::Write as _;

use devcluster::api::{ApiServer, Credentials, Options, TokioClock, kubeconfig};

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
    let options = Options {
        clock: Box::new(TokioClock::starting_at(jiff::Timestamp::now())),
        seed: 1,
        credentials,
        ..Options::default()
    };
    let listening = ApiServer::new(options).listen(("127.0.0.1", port)).await?;
    if let Some(path) = value("--kubeconfig") {
        std::fs::write(path, kubeconfig(&listening.url(), Some(TOKEN)))?;
    }
    writeln!(std::io::stdout(), "{}", listening.url())?;
    tokio::signal::ctrl_c().await
}
