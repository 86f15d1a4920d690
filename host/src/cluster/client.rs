//! The one way to the API server. Whether a call is tried again is decided where its outcome matters (lifecycle.md R4),
//! and said there; nothing below that retries, and no call is waited for without end.

use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::timeout::TimeoutLayer;

/// How long a call may take to be answered: longer than the API server's own limit of 60 seconds, after which it answers
/// by itself, so that only a connection that is dead in silence comes to this.
pub const PATIENCE: Duration = Duration::from_secs(75);
/// How long a connection may be silent while something is awaited on it: longer than a watch, which the API server ends
/// after 290 seconds at the latest.
const SILENCE: Duration = Duration::from_secs(310);

/// A client that gives each call `patience` to be answered. The answer to a watch is its first line; what comes later may
/// take [`SILENCE`].
///
/// # Errors
/// The configuration leads nowhere.
pub fn client(mut config: Config, patience: Duration) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    Ok(ClientBuilder::try_from(config)?.with_layer(&TimeoutLayer::new(patience)).build())
}

#[cfg(test)]
mod tests {
    use backstay_core::retry::Class;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use tokio::net::TcpListener;

    use super::*;
    use crate::cluster::error::class;

    #[tokio::test]
    async fn r4_a_call_that_is_never_answered_is_tried_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", server.local_addr().expect("an address"));
        let config = Config::new(url.parse().expect("a URL"));
        let api: Api<Namespace> = Api::all(client(config, Duration::from_millis(50)).expect("a client"));

        let (call, _connection) = tokio::join!(api.get("x"), server.accept());

        let error = call.expect_err("nobody answers");
        assert_eq!(class(&error), Class::Retry { after: None }, "{error}");
    }
}
