//! The API server as a service.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::answer::Answer;
use super::body::Body;
use super::call::Call;
use super::clock::{Clock, Ids, TokioClock};
use super::logs::Logs;
use super::negotiate;
use super::request::Request;
use super::state::State;
use crate::access::User;
use crate::status::Status;

/// How an API server is set up.
pub struct Options {
    /// What time it is.
    pub clock: Box<dyn Clock>,
    /// From what uids and generated names come.
    pub seed: u64,
    /// How many changes are kept for watches and for lists of older versions: all with `usize::MAX`, otherwise of these not more
    /// than some 64 MiB.
    pub history: usize,
    /// Who is who.
    pub credentials: Credentials,
    /// Where the logs of containers come from.
    pub logs: Option<Arc<dyn Logs>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("seed", &self.seed)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    /// A clock that begins in 2026 and goes with tokio's, an administrator without credentials.
    fn default() -> Self {
        let begin = Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            clock: Box::new(TokioClock::starting_at(begin)),
            seed: 0,
            history: 10_000,
            credentials: Credentials::default(),
            logs: None,
        }
    }
}

/// Who a client is by what it sends.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whether who sends no credentials is the administrator; otherwise that is `system:anonymous`.
    pub open: bool,
    /// The bearer tokens of the administrator.
    pub tokens: Vec<String>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self { open: true, tokens: Vec::new() }
    }
}

/// A Kubernetes API server in memory. Clones are the same server.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    clock: Box<dyn Clock>,
    credentials: Credentials,
    logs: Option<Arc<dyn Logs>>,
    changed: Notify,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("revision", &self.state().store.revision()).finish()
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl ApiServer {
    /// Returns an API server with what a new cluster has: its first namespaces and roles.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let state = State::new(options.seed, options.history, options.clock.now());
        Self::holding(state, options)
    }

    /// Returns an API server that holds this.
    pub(super) fn holding(mut state: State, options: Options) -> Self {
        let Options { clock, credentials, logs, .. } = options;
        for token in &credentials.tokens {
            state.tokens.add(token.clone(), User::administrator());
        }
        let inner = Inner { state: Mutex::new(state), clock, credentials, logs, changed: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Returns another API server that holds now what this one holds. What happens in either of them later does not happen in the
    /// other. Uids and generated names come from the seed of `options`; its credentials are accepted beside those of this one.
    #[must_use]
    pub fn fork(&self, options: Options) -> Self {
        let Options { clock, seed, history, credentials, logs } = options;
        let mut state = self.state().clone();
        state.ids = Ids::new(seed);
        state.store.keep(history);
        for token in &credentials.tokens {
            state.tokens.add(token.clone(), User::administrator());
        }
        let inner = Inner { state: Mutex::new(state), clock, credentials, logs, changed: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Forgets the past, as etcd does when it compacts: watches and lists from an older version are too old from now on.
    pub fn compact(&self) {
        self.state().store.compact();
        self.inner.changed.notify_waiters();
    }

    /// The revision of the store.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state().store.revision()
    }

    /// The number of objects by group and plural: for tests that end with an empty store.
    #[must_use]
    pub fn census(&self) -> BTreeMap<(String, String), usize> {
        let state = self.state();
        state.store.families().map(|family| (family.clone(), state.store.family(family).count())).collect()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.inner.credentials
    }

    pub(crate) fn logs(&self) -> Option<&Arc<dyn Logs>> {
        self.inner.logs.as_ref()
    }

    pub(crate) fn changed(&self) -> &Notify {
        &self.inner.changed
    }

    /// Answers a request; `Err` is a version of the future that is waited for.
    pub(super) fn answer(&self, request: &Request, waited: bool) -> Result<Response<Body>, u64> {
        let mut state = self.state();
        let before = state.mark();
        state.fade(self.now());
        if state.mark() != before {
            self.inner.changed.notify_waiters();
        }
        let mut call = Call::new(self, &mut state, request, waited);
        let answer = match call.run() {
            Ok(answer) => answer,
            Err(refusal) => Answer::refusal(refusal)?,
        };
        call.state.fade(call.now);
        let (warnings, changed) = (std::mem::take(&mut call.warnings), call.state.mark() != before);
        drop(state);
        if changed {
            self.inner.changed.notify_waiters();
        }
        Ok(answer.response(negotiate::media(request), &warnings))
    }

    /// Answers a request, when what it waits for has come or three seconds have gone.
    async fn answer_later(self, request: Request, version: u64) -> Response<Body> {
        let reached = async {
            loop {
                let changed = self.inner.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.revision() >= version {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(3), reached).await;
        self.answer(&request, true).unwrap_or_else(|_| Response::new(Body::whole("")))
    }
}

impl<B> tower::Service<http::Request<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Handles a request whose body is there within the call; only a body that is still to come is waited for.
    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let server = self.clone();
        let (parts, body) = request.into_parts();
        let mut body = Box::pin(Limited::new(body, MOST).collect());
        if let Some(collected) = body.as_mut().now_or_never() {
            let request = match read(&parts, collected) {
                Ok(request) => request,
                Err(status) => return futures::future::ready(Ok(refused(&status))).boxed(),
            };
            return match server.answer(&request, false) {
                Ok(response) => futures::future::ready(Ok(response)).boxed(),
                Err(version) => server.answer_later(request, version).map(Ok).boxed(),
            };
        }
        async move {
            let request = match read(&parts, body.await) {
                Ok(request) => request,
                Err(status) => return Ok(refused(&status)),
            };
            match server.answer(&request, false) {
                Ok(response) => Ok(response),
                Err(version) => Ok(server.answer_later(request, version).await),
            }
        }
        .boxed()
    }
}

/// Bytes of a body that are read. One that is too large is refused after the checks that come first, unless it is larger still.
const MOST: usize = 4 * super::call::LARGEST_BODY;

/// The request with its body. One whose body broke off is not done: its options could be among what is missing.
///
/// # Errors
/// The body broke off, or is too large.
fn read(
    parts: &http::request::Parts,
    body: Result<http_body_util::Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>>,
) -> Result<Request, Status> {
    match body {
        Ok(body) => Ok(Request::new(parts, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(super::call::too_large()),
        Err(error) => Err(Status::new(400, "BadRequest", format!("the body broke off: {error}"))),
    }
}

/// The answer to a request that could not be read.
fn refused(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::whole(status.body().to_string()));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
