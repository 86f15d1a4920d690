//! Pages of lists: one after the other, and as large as memory allows.
//!
//! The controller lists all its kinds at once when it starts, and a page of objects that tenants wrote may have 30 MB, in memory
//! twice. So a page waits until the one before it is decoded. A page that does not come keeps the others for a few seconds only.
//!
//! Nearly all objects are small, and a list in pages of [`PAGE`] objects takes many times longer than it must. So a list that asks
//! for [`PAGE`] objects gets more of them while its pages are small. A larger page that turns out to have more than [`CEILING`] is
//! not read to its end: the same place is asked for again with [`PAGE`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, stream};
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tower::{BoxError, Layer, Service, ServiceExt};

/// Objects in a page of a list: each may have 1.5 MB, and the text of a page is in memory twice. A request for so many is answered
/// with more of them, [`MOST`] at most, while they are small.
pub(crate) const PAGE: u32 = 20;
/// Most objects in a page.
const MOST: u32 = 500;
/// Most bytes of a page that has more than [`PAGE`] objects.
const CEILING: usize = 4 << 20;
/// A page of at most so many bytes is followed by one of [`GROWTH`] times as many objects.
const SMALL: usize = CEILING / 16;
/// How many times as many objects the page after a small one has.
const GROWTH: u32 = 4;
/// Lists whose sizes are remembered. Tenants' objects name some of them, so that there may be any number.
const LISTS: usize = 64;
/// How long a page may keep the next one waiting.
const LEASE: Duration = Duration::from_secs(5);

/// Puts pages in a row, and settles their sizes.
#[derive(Clone)]
pub(super) struct Pages {
    turns: Arc<Semaphore>,
    lease: Duration,
    sizes: Arc<Sizes>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(1)), lease: LEASE, sizes: Arc::default() }
    }
}

impl<S> Layer<S> for Pages {
    type Service = InTurn<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InTurn { inner: Arc::new(AsyncMutex::new(inner)), pages: self.clone() }
    }
}

/// See [`Pages`].
pub(super) struct InTurn<S> {
    // A page may take two requests. The lock is held until the service is ready, not until it has answered.
    inner: Arc<AsyncMutex<S>>,
    pages: Pages,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl<S, B> Service<Request<Body>> for InTurn<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, pages) = (self.inner.clone(), self.pages.clone());
        async move {
            match limit(&request) {
                Some(limit) => pages.page(&inner, request, limit).await,
                None => sent(&inner, request).await,
            }
        }
        .boxed()
    }
}

/// Sends a request.
async fn sent<S, B>(inner: &AsyncMutex<S>, request: Request<Body>) -> Result<Answer, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let answer = match inner.lock().await.ready().await {
        Ok(inner) => inner.call(request),
        Err(error) => return Err(error.into()),
    };
    match answer.await {
        Ok(answer) => Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync())),
        Err(error) => Err(error.into()),
    }
}

/// Reads a body, in the parts in which it comes; `None` if it has more than so many bytes, in which case the rest is not read.
async fn read(mut body: UnsyncBoxBody<Bytes, BoxError>, most: usize) -> Result<Option<Vec<Bytes>>, BoxError> {
    let (mut parts, mut bytes) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(part) = frame?.into_data() {
            bytes += part.len();
            if bytes > most {
                return Ok(None);
            }
            parts.push(part);
        }
    }
    Ok(Some(parts))
}

impl Pages {
    /// Waits for its turn and asks for a page of `limit` objects, or a larger one where that is settled here. The turn ends with
    /// the body of the answer.
    async fn page<S, B>(
        &self,
        inner: &AsyncMutex<S>,
        request: Request<Body>,
        limit: u32,
    ) -> Result<Answer, BoxError>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let lease = self.turns.clone().acquire_owned().await.ok().map(|turn| lease(turn, self.lease));
        if limit != PAGE {
            return sent(inner, request).await.map(|answer| held(answer, lease));
        }
        let list = request.uri().path().to_owned();
        let size = self.sizes.next(&list);
        if size > PAGE {
            let (head, body) = sent(inner, with_limit(&request, size)?).await?.into_parts();
            if let Some(body) = read(body, CEILING).await? {
                return Ok(held(self.learn(&list, size, head, body), lease));
            }
        }
        let (head, body) = sent(inner, request).await?.into_parts();
        let body = read(body, usize::MAX).await?.unwrap_or_default();
        Ok(held(self.learn(&list, PAGE, head, body), lease))
    }

    /// Settles the size of the next page of a list by one of `size` objects, and returns the answer.
    fn learn(&self, list: &str, size: u32, head: Parts, body: Vec<Bytes>) -> Answer {
        if head.status.is_success() {
            self.sizes.seen(list, size, body.iter().map(Bytes::len).sum());
        }
        let frames = stream::iter(body.into_iter().map(|part| Ok(Frame::data(part))));
        Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
    }
}

/// Returns the answer with a body that holds the turn.
fn held(answer: Answer, lease: Option<oneshot::Sender<()>>) -> Answer {
    answer.map(|body| {
        let held = body.map_frame(move |frame| {
            // The lease ends with the body.
            let _held = &lease;
            frame
        });
        held.boxed_unsync()
    })
}

/// Returns how many objects a request for a page asks for; `None` for other requests.
fn limit<B>(request: &Request<B>) -> Option<u32> {
    let value = |name: &str| {
        let query = request.uri().query().unwrap_or_default();
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    };
    let limit = value("limit").filter(|_| request.method() == Method::GET && value("watch").is_none())?;
    // Not a number of objects: the API server says so.
    Some(limit.parse().unwrap_or(0))
}

/// Returns the same request for a page of another size.
fn with_limit(request: &Request<Body>, limit: u32) -> Result<Request<Body>, BoxError> {
    let mut uri = request.uri().clone().into_parts();
    let query = request.uri().query().unwrap_or_default().split('&');
    let query: Vec<_> = query.filter(|pair| !pair.is_empty() && !pair.starts_with("limit=")).collect();
    let others = if query.is_empty() { String::new() } else { format!("&{}", query.join("&")) };
    uri.path_and_query =
        Some(PathAndQuery::try_from(format!("{}?limit={limit}{others}", request.uri().path()))?);
    let mut other = Request::new(Body::empty());
    *other.method_mut() = request.method().clone();
    *other.uri_mut() = Uri::from_parts(uri)?;
    *other.version_mut() = request.version();
    *other.headers_mut() = request.headers().clone();
    *other.extensions_mut() = request.extensions().clone();
    Ok(other)
}

/// How many objects the next page of each list has.
#[derive(Default)]
struct Sizes(Mutex<HashMap<String, u32>>);

impl Sizes {
    fn next(&self, list: &str) -> u32 {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(list).copied().unwrap_or(PAGE)
    }

    /// Settles the next size after a page of `size` objects that had so many bytes.
    fn seen(&self, list: &str, size: u32, bytes: usize) {
        let next = if bytes <= SMALL { size.saturating_mul(GROWTH).min(MOST) } else { size };
        // A page of few objects is no larger than it must be, however large they are.
        let next = if bytes > CEILING { PAGE } else { next };
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if next == PAGE {
            sizes.remove(list);
        } else {
            if sizes.len() >= LISTS && !sizes.contains_key(list) {
                sizes.clear();
            }
            sizes.insert(list.to_owned(), next);
        }
    }
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
    use std::sync::Mutex;

    use http::StatusCode;
    use http_body_util::Full;
    use tower::service_fn;

    use super::*;

    fn request(query: &str) -> Request<Body> {
        Request::get(format!("/api/v1/pods?{query}")).body(Body::empty()).expect("a request")
    }

    /// The limits of the requests that a list of objects of these sizes takes, page by page to its end, and the bytes of the
    /// largest answer.
    async fn listed(pages: &Pages, objects: &[usize]) -> (Vec<u32>, usize) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let service = service_fn({
            let (asked, objects) = (asked.clone(), objects.to_vec());
            move |request: Request<Body>| {
                let limit = limit(&request).expect("a page");
                asked.lock().expect("no panic").push(limit);
                let from: usize = request
                    .uri()
                    .query()
                    .and_then(|q| q.rsplit_once("continue="))
                    .map_or(0, |(_, c)| c.parse().expect("a place"));
                let page = objects[from..].iter().take(limit as usize);
                let answer = Response::builder().header("shown", page.clone().count());
                let body = Full::new(Bytes::from(vec![b'x'; page.sum()]));
                async move { answer.body(body).map_err(BoxError::from) }
            }
        });
        let mut service = pages.layer(service);
        let (mut from, mut largest) = (0, 0);
        while from < objects.len() {
            let answer =
                service.call(request(&format!("limit={PAGE}&continue={from}"))).await.expect("an answer");
            let shown: usize = answer.headers()["shown"].to_str().expect("a text").parse().expect("a number");
            let bytes = answer.into_body().collect().await.expect("a body").to_bytes().len();
            assert_eq!(
                bytes,
                objects[from..from + shown].iter().sum::<usize>(),
                "no object twice, none left out"
            );
            (from, largest) = (from + shown, largest.max(bytes));
        }
        let asked = asked.lock().expect("no panic").clone();
        (asked, largest)
    }

    #[tokio::test]
    async fn pages_of_small_objects_grow_and_stay_large() {
        let pages = Pages::default();
        let (asked, _) = listed(&pages, &[1 << 10; 3000]).await;
        assert_eq!(asked, [20, 80, 320, 320, 320, 320, 320, 320, 320, 320, 320, 320]);
        let (asked, _) = listed(&pages, &[100; 1400]).await;
        assert_eq!(asked, [500, 500, 500], "what a list was told before is not forgotten");
    }

    #[tokio::test]
    async fn t3_large_objects_behind_small_ones_are_never_in_memory_together() {
        let mut objects = vec![100; 1000];
        objects.extend([1_400_000; 30]);
        objects.extend([100; 1000]);
        let (asked, largest) = listed(&Pages::default(), &objects).await;
        assert!(largest <= PAGE as usize * 1_400_000, "{largest} bytes of pages {asked:?}");
        assert!(asked.len() < 25, "a larger page is tried now and then: {asked:?}");
        let (asked, _) = listed(&Pages::default(), &[100_000; 100]).await;
        assert_eq!(asked, [PAGE; 5], "pages of 2 MB do not grow");
    }

    #[tokio::test]
    async fn what_is_no_success_says_nothing_about_sizes() {
        let pages = Pages::default();
        let mut service = pages.layer(service_fn(|request: Request<Body>| async move {
            assert_eq!(limit(&request), Some(PAGE));
            let gone = Response::builder().status(StatusCode::GONE);
            gone.body(Full::new(Bytes::from_static(b"{}"))).map_err(BoxError::from)
        }));
        for _ in 0..3 {
            let answer = service.call(request("limit=20&continue=old")).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::GONE);
        }
    }

    #[tokio::test]
    async fn a_list_that_asks_for_another_number_gets_that_number() {
        let pages = Pages::default();
        listed(&pages, &[10; 20]).await;
        let mut service = pages.layer(service_fn(|request: Request<Body>| async move {
            let limit = limit(&request).unwrap_or(0).to_string();
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(limit))))
        }));
        for (query, limit) in [("limit=7", "7"), ("limit=500&labelSelector=a", "500"), ("limit=20", "80")] {
            let answer = service.call(request(query)).await.expect("an answer");
            assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), limit);
        }
    }

    #[test]
    fn a_larger_page_is_the_same_request_but_for_its_size() {
        for (query, larger) in [
            ("limit=20", "limit=80"),
            ("&limit=20&continue=abc%3D", "limit=80&continue=abc%3D"),
            (
                "labelSelector=a%3Db&limit=20&resourceVersion=0",
                "limit=80&labelSelector=a%3Db&resourceVersion=0",
            ),
        ] {
            let mut small = request(query);
            small.headers_mut().insert("accept", "application/json".parse().expect("a value"));
            let large = with_limit(&small, 80).expect("a request");
            assert_eq!(large.uri().to_string(), format!("/api/v1/pods?{larger}"));
            assert_eq!((large.method(), large.headers()), (small.method(), small.headers()));
        }
    }

    #[tokio::test]
    async fn sizes_of_few_lists_are_kept() {
        let sizes = Sizes::default();
        for list in 0..10 * LISTS {
            sizes.seen(&list.to_string(), PAGE, 1);
            assert_eq!(sizes.next(&list.to_string()), PAGE * GROWTH);
        }
        assert!(sizes.0.lock().expect("no panic").len() <= LISTS);
    }

    #[tokio::test]
    async fn t3_a_page_waits_until_the_body_of_the_one_before_is_read() {
        let mut pages = Pages::default().layer(service_fn(|_: Request<Body>| async {
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
        let mut pages = pages.layer(service_fn(|request: Request<Body>| async move {
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
