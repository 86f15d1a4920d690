//! The controller's way to the API server: as its ServiceAccount, and each write is in the journal.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use devcluster::api::{ApiServer, Body};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Request, Response};
use tower::Service;

use super::journal::Journal;

/// The API server, asked with a token.
#[derive(Clone)]
pub(super) struct Account {
    server: ApiServer,
    token: HeaderValue,
    journal: Journal,
}

impl Account {
    /// # Errors
    /// The token is none.
    pub(super) fn new(server: ApiServer, token: &str, journal: Journal) -> Result<Self, http::Error> {
        let token = HeaderValue::from_str(&format!("Bearer {token}"))?;
        Ok(Self { server, token, journal })
    }
}

impl<B> Service<Request<B>> for Account
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.headers_mut().insert(AUTHORIZATION, self.token.clone());
        let write = written(&request);
        let (journal, answer) = (self.journal.clone(), self.server.call(request));
        async move {
            let answer = answer.await?;
            if let Some(write) = write {
                journal.say(&format!("    {write}: {}", answer.status().as_u16()));
            }
            Ok(answer)
        }
        .boxed()
    }
}

/// Returns what a request writes, in words; none for reads, and for Events and statuses, which are told otherwise.
fn written<B>(request: &Request<B>) -> Option<String> {
    let (method, path) = (request.method(), request.uri().path());
    if method == Method::GET || path.ends_with("/events") || path.ends_with("/status") {
        return None;
    }
    let asked = path.trim_start_matches("/apis/").trim_start_matches("/api/");
    let who = request.headers().get("impersonate-user").and_then(|user| user.to_str().ok());
    let who = who.map(|user| format!(" as {}", user.rsplit(':').next().unwrap_or(user))).unwrap_or_default();
    Some(format!("{method} {asked}{who}"))
}
