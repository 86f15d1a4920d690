//! The API server at an address, so that kubectl and other programs reach it.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body as AxumBody;
use serde_json::{Value, json};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use super::service::ApiServer;

/// A server that listens. It ends when this is dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    under: String,
    task: JoinHandle<()>,
}

impl Listening {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.under)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ApiServer {
    /// Listens at an address: plain HTTP, so only where no one else listens.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<Listening> {
        self.listen_under(address, "").await
    }

    /// Listens at an address and answers what is asked for under a path, such as `/secret`: whoever does not know it gets a 404.
    /// Clients take it as a part of the server's URL, and kubectl sends no token over plain HTTP.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn listen_under(&self, address: impl ToSocketAddrs, under: &str) -> io::Result<Listening> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let whole = |response: http::Response<super::Body>| response.map(AxumBody::new);
        let service = ServiceExt::<http::Request<AxumBody>>::map_response(self.clone(), whole);
        let router: Router = match under {
            "" => Router::new().fallback_service(service),
            under => Router::new().nest_service(under, service),
        };
        let task = tokio::spawn(async move {
            // `serve` ends only with its task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Listening { address, under: under.to_owned(), task })
    }
}

/// Returns a kubeconfig for a server, as JSON, which is YAML too.
#[must_use]
pub fn kubeconfig(url: &str, token: Option<&str>) -> String {
    let user = token.map_or_else(|| json!({}), |token| json!({"token": token}));
    let config: Value = json!({"apiVersion": "v1", "kind": "Config", "current-context": "devcluster",
        "clusters": [{"name": "devcluster", "cluster": {"server": url}}],
        "users": [{"name": "devcluster", "user": user}],
        "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": "devcluster"}}]});
    format!("{config:#}\n")
}
