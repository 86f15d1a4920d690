//! The controller's way to the API server: as its ServiceAccount. The journal has each write, and counts each request.

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
        let asked = asked(&request);
        let write = asked.clone().filter(|_| is_told(&request));
        self.journal.ask(asked);
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

/// Returns what a request asks for, in words; none for watches, discovery and Events.
fn asked<B>(request: &Request<B>) -> Option<String> {
    let (method, uri) = (request.method(), request.uri());
    // Below these are the resources of a version.
    let (asked, version) = match uri.path().strip_prefix("/apis/") {
        Some(asked) => (asked, 2),
        None => (uri.path().strip_prefix("/api/")?, 1),
    };
    let of_a_kind = asked.split('/').count() > version;
    let watches = uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("watch=")));
    // An Event that comes again is a patch of the one before.
    if !of_a_kind || watches || asked.starts_with("events.k8s.io/") {
        return None;
    }
    let who = request.headers().get("impersonate-user").and_then(|user| user.to_str().ok());
    let who = who.map(|user| format!(" as {}", user.rsplit(':').next().unwrap_or(user))).unwrap_or_default();
    Some(format!("{method} {asked}{who}"))
}

/// Whether a request is told as it is: reads are not, and changes of a status are told in the words of the status.
fn is_told<B>(request: &Request<B>) -> bool {
    request.method() != Method::GET && !request.uri().path().ends_with("/status")
}
