//! Pages of lists, one after the other.
//!
//! The controller lists all its kinds at once when it starts, and a page of objects that tenants wrote may have 30 MB, in memory
//! twice. So a page waits until the one before it is decoded. A page that does not come keeps the others for a few seconds only.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tower::{BoxError, Layer, Service};

/// How long a page may keep the next one waiting.
const LEASE: Duration = Duration::from_secs(5);

/// Puts pages in a row.
#[derive(Clone)]
pub(super) struct Pages {
    turns: Arc<Semaphore>,
    lease: Duration,
}

impl Default for Pages {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), lease: LEASE }
    }
}

impl<S> Layer<S> for Pages {
    type Service = InTurn<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InTurn { inner, pages: self.clone() }
    }
}

/// See [`Pages`].
#[derive(Clone)]
pub(super) struct InTurn<S> {
    inner: S,
    pages: Pages,
}

/// The body of an answer.
type Body = UnsyncBoxBody<Bytes, BoxError>;

impl<S, R, B> Service<Request<R>> for InTurn<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let pages = is_page(&request).then(|| self.pages.clone());
        // Nothing is sent before the future is polled.
        let answer = self.inner.call(request);
        async move {
            let lease = match pages {
                Some(pages) => pages.turns.acquire_owned().await.ok().map(|turn| lease(turn, pages.lease)),
                None => None,
            };
            let answer = answer.await.map_err(Into::into)?;
            Ok(answer.map(|body| {
                let held = body.map_err(Into::<BoxError>::into).map_frame(move |frame| {
                    // The lease ends with the body.
                    let _held = &lease;
                    frame
                });
                held.boxed_unsync()
            }))
        }
        .boxed()
    }
}

fn is_page<B>(request: &Request<B>) -> bool {
    let has = |name: &str| {
        let query = request.uri().query().unwrap_or_default();
        query.split('&').any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name))
    };
    request.method() == Method::GET && has("limit") && !has("watch")
}

/// Holds a turn until the returned sender is dropped, and for so long at most.
fn lease(turn: OwnedSemaphorePermit, at_most: Duration) -> oneshot::Sender<()> {
    let (held, dropped) = oneshot::channel();
    tokio::spawn(async move {
        // Either way, the turn is over.
        let _ = tokio::time::timeout(at_most, dropped).await;
        drop(turn);
    });
    held
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;

    fn request(query: &str) -> Request<()> {
        Request::get(format!("/api/v1/pods?{query}")).body(()).expect("a request")
    }

    #[tokio::test]
    async fn t3_a_page_waits_until_the_body_of_the_one_before_is_read() {
        let mut pages = Pages::default().layer(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(b"page"))))
        }));
        let first = pages.call(request("&limit=20")).await.expect("an answer");
        let mut second = pages.call(request("&limit=20"));
        assert!((&mut second).now_or_never().is_none(), "it waits");
        assert!(pages.call(request("&watch=true&limit=1")).await.is_ok(), "a watch does not wait");
        assert!(pages.call(request("")).await.is_ok(), "a read does not wait");
        let body = first.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.as_ref(), b"page");
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn t2_a_page_that_does_not_come_keeps_no_other_kind_from_being_listed() {
        let pages = Pages { lease: Duration::from_millis(20), ..Pages::default() };
        let mut pages = pages.layer(service_fn(|request: Request<()>| async move {
            if request.uri().query() == Some("&limit=1") {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::new())))
        }));
        let mut hanging = pages.call(request("&limit=1"));
        assert!((&mut hanging).now_or_never().is_none(), "it hangs");
        let other = tokio::time::timeout(LEASE, pages.call(request("&limit=20"))).await;
        assert!(other.expect("its turn came").is_ok());
    }
}
