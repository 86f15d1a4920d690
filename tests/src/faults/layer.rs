//! The tower layer under a controller's client: passes calls to the API server, with the trouble of the plan.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::{Value, json};
use tower::{BoxError, Layer, Service, ServiceExt};

use super::asked::{Asked, Verb, scoped};
use super::plan::Trouble;
use super::stream;
use super::tap::Tap;
use crate::life::Life;

/// How long a late call or event is held.
pub(super) const LATE: Duration = Duration::from_secs(1);

pub(super) type Answered = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// Puts a plan's trouble under one controller.
#[derive(Clone)]
pub(super) struct FaultLayer {
    pub tap: Arc<Tap>,
    pub life: Arc<Life>,
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> FaultService<S> {
        FaultService { inner, tap: self.tap.clone(), life: self.life.clone() }
    }
}

/// The service of [`FaultLayer`].
#[derive(Clone)]
pub(super) struct FaultService<S> {
    inner: S,
    tap: Arc<Tap>,
    life: Arc<Life>,
}

impl<S, B> Service<Request<Body>> for FaultService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answered;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answered, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Each call waits for the inner service by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        async move {
            let alive = service.life.clone();
            // A dead controller sends and receives nothing.
            tokio::select! {
                biased;
                () = alive.ended() => pending().await,
                answer = service.handle(request) => answer,
            }
        }
        .boxed()
    }
}

/// A request that can be sent more than once.
struct Sending {
    method: Method,
    uri: Uri,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Sending {
    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl<S, B> FaultService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Returns the address of a call. Where a watch expires, the lists have pages of one object.
    fn paged(&self, verb: Verb, uri: &Uri) -> Uri {
        if verb != Verb::List || !self.tap.expires() {
            return uri.clone();
        }
        let one = uri
            .to_string()
            .split('&')
            .map(|p| if p.starts_with("limit=") { "limit=1" } else { p })
            .collect::<Vec<_>>()
            .join("&");
        one.parse().unwrap_or_else(|_| uri.clone())
    }

    async fn send(&self, sending: &Sending) -> Result<Answered, BoxError> {
        let answer = self.inner.clone().oneshot(sending.request()).await.map_err(Into::into)?;
        Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    async fn handle(self, request: Request<Body>) -> Result<Answered, BoxError> {
        let (parts, body) = request.into_parts();
        let asked = Asked::of(&parts.method, &parts.uri);
        // An access review has neither name nor namespace, and is no list.
        let uri = match asked.verb {
            Verb::List | Verb::Watch => self.paged(asked.verb, &scoped(&parts.uri, &self.tap.namespace)),
            _ => parts.uri,
        };
        let sending =
            Sending { method: parts.method, uri, headers: parts.headers, body: body.collect_bytes().await? };
        let Some((call, trouble)) = self.tap.called(&asked) else { return self.pass(&asked, &sending).await };
        match trouble {
            Trouble::Answer { code, .. } => Ok(refusal(*code, asked.verb)),
            Trouble::Unsent { .. } => Err(reset()),
            Trouble::Lost { .. } => {
                let answer = self.send(&sending).await?;
                self.tap.answered(&asked, answer.status());
                Err(reset())
            }
            Trouble::Late { .. } => {
                tokio::time::sleep(LATE).await;
                self.pass(&asked, &sending).await
            }
            Trouble::Twice { .. } => {
                let first = self.send(&sending).await?;
                self.tap.answered(&asked, first.status());
                self.pass(&asked, &sending).await
            }
            Trouble::Die { stale, .. } => {
                let answer = self.send(&sending).await?;
                self.tap.answered(&asked, answer.status());
                tracing::info!(%call, stale, "the controller dies");
                self.tap.died(*stale);
                self.life.end();
                pending().await
            }
            Trouble::Taken { .. } => {
                self.intrude(&asked, &sending).await?;
                self.pass(&asked, &sending).await
            }
            Trouble::Meddle { .. } => {
                let answer = self.pass(&asked, &sending).await;
                self.tap.meddle().await;
                answer
            }
            Trouble::None
            | Trouble::Lose { .. }
            | Trouble::Gap { .. }
            | Trouble::Break { .. }
            | Trouble::Slow { .. } => self.pass(&asked, &sending).await,
        }
    }

    /// Returns the API server's answer, or the stale list of the plan; a watch gets its trouble.
    async fn pass(&self, asked: &Asked, sending: &Sending) -> Result<Answered, BoxError> {
        if asked.verb == Verb::List
            && let Some(body) = self.tap.stale_list(&asked.selection)
        {
            return Ok(Response::new(whole(body)));
        }
        let (parts, body) = self.send(sending).await?.into_parts();
        self.tap.answered(asked, parts.status);
        let body = match asked.verb {
            Verb::Watch if parts.status.is_success() => {
                self.tap.watching(&asked.selection);
                stream::troubled(body, &asked.resource, self.tap.clone(), self.life.clone())
            }
            Verb::List if parts.status.is_success() => {
                let bytes = body.collect().await?.to_bytes();
                self.tap.listed(&asked.selection, &bytes);
                whole(bytes)
            }
            _ => body,
        };
        Ok(Response::from_parts(parts, body))
    }

    /// Creates an intruder: an object without owner, under the name that the call is about to create. A Job looks succeeded.
    async fn intrude(&self, asked: &Asked, sending: &Sending) -> Result<(), BoxError> {
        let mut object: Value = serde_json::from_slice(&sending.body)?;
        if let Some(meta) = object["metadata"].as_object_mut() {
            meta.retain(|key, _| key == "name" || key == "namespace");
        }
        let job = asked.resource == "jobs";
        if job {
            object["spec"]["managedBy"] = json!("test.backstay.dev/nobody");
            object["spec"]["template"]["metadata"] = json!({});
        }
        match asked.resource.as_str() {
            "secrets" => object["data"] = json!({}),
            "controllerrevisions" => object["data"] = json!({"not": "a strategy"}),
            // Its strategy is another controller's, since ours would handle it otherwise.
            "backups" => object["spec"]["strategyRef"]["apiGroup"] = json!("foreign.example.org"),
            _ => {}
        }
        let body = Bytes::from(serde_json::to_vec(&object)?);
        let uri: Uri = sending.uri.path().parse()?;
        let headers = sending.headers.clone();
        let create = Sending { method: Method::POST, uri: uri.clone(), headers: headers.clone(), body };
        let mut made = self.send(&create).await?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if job {
            let now = "2026-01-01T00:00:00Z";
            let status = json!({"status": {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": [
                {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": now},
                {"type": "Complete", "status": "True", "lastTransitionTime": now}]}});
            let mut headers = headers;
            headers.insert("content-type", "application/merge-patch+json".parse()?);
            let body = Bytes::from(serde_json::to_vec(&status)?);
            let uri = format!("{}/{name}/status", uri.path()).parse()?;
            made = self.send(&Sending { method: Method::PATCH, uri, headers, body }).await?;
        }
        if !made.status().is_success() {
            return Err(format!("the intruder was refused: {}", made.status()).into());
        }
        let made: Value = serde_json::from_slice(&made.into_body().collect().await?.to_bytes())?;
        self.tap.intruded(format!("{}/{name}", uri.path()), made);
        Ok(())
    }
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn reset() -> BoxError {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the fault plan cut the connection").into()
}

/// Returns a forged answer of the API server.
fn refusal(code: u16, verb: Verb) -> Answered {
    let reason = match (code, verb) {
        (409, Verb::Create) => "AlreadyExists",
        (409, _) => "Conflict",
        (422, _) => "Invalid",
        (429, _) => "TooManyRequests",
        (504, _) => "Timeout",
        _ => "InternalError",
    };
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": format!("the fault plan answers {code}")});
    if code == 429 {
        status["details"] = json!({"retryAfterSeconds": 1});
    }
    let mut response = Response::new(whole(Bytes::from(status.to_string())));
    if let Ok(code) = http::StatusCode::from_u16(code) {
        *response.status_mut() = code;
    }
    response
}
