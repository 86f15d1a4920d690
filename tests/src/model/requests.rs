//! Requests to an API server in this process.

use std::convert::Infallible;
use std::task::{Context, Poll};

use devcluster::api::{ApiServer, Body as Answer};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use tower::Service;

/// What a client of kube is made of: it sends requests to an API server in memory, with a token or as the administrator.
#[derive(Clone, Debug)]
pub struct Requests {
    server: ApiServer,
    token: Option<HeaderValue>,
}

impl Requests {
    /// Sends requests with this bearer token; without one, as the administrator.
    ///
    /// # Panics
    /// The token has characters that no token has.
    #[must_use]
    pub fn new(server: ApiServer, token: Option<&str>) -> Self {
        let header = |token| HeaderValue::try_from(format!("Bearer {token}")).expect("a token is plain text");
        Self { server, token: token.map(header) }
    }

    /// Returns a client. Belongs to the current runtime.
    #[must_use]
    pub fn client(self) -> Client {
        ClientBuilder::new(self, "default").build()
    }
}

impl Service<Request<Body>> for Requests {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = <ApiServer as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(token) = &self.token {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        self.server.call(request)
    }
}
