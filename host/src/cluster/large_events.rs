//! Watches that have shown a large object end after it.
//!
//! The buffer of a watch grows to its largest event and stays that large for as long as the watch goes on, so that what one
//! tenant wrote once would be paid for by the controller for minutes, once in each kind. A watch that ends is begun anew where it
//! ended: nothing is listed again, and no event is lost.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tower::{BoxError, Layer, Service};

/// The largest event that does not end its watch.
const LARGE: usize = 256 << 10;

/// Ends watches.
#[derive(Clone)]
pub(super) struct LargeEvents;

impl<S> Layer<S> for LargeEvents {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Watched(inner)
    }
}

/// See [`LargeEvents`].
#[derive(Clone)]
pub(super) struct Watched<S>(S);

/// The body of an answer.
type Body = UnsyncBoxBody<Bytes, BoxError>;

impl<S, R, B> Service<Request<R>> for Watched<S>
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
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let watches = is_watch(&request);
        let answer = self.0.call(request);
        async move {
            let answer = answer.await.map_err(Into::into)?;
            Ok(answer.map(|body| {
                let body = body.map_err(Into::<BoxError>::into);
                if watches { StreamBody::new(ended(body)).boxed_unsync() } else { body.boxed_unsync() }
            }))
        }
        .boxed()
    }
}

fn is_watch<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET
        && query.split('&').any(|pair| pair == "watch" || pair == "watch=true" || pair == "watch=1")
}

/// Returns the frames of a watch up to the end of the first large event.
fn ended<B>(body: B) -> impl futures::Stream<Item = Result<Frame<Bytes>, BoxError>>
where
    B: http_body::Body<Data = Bytes, Error = BoxError>,
{
    // The bytes of the event that is being read; `None` once a large one has been read.
    stream::unfold((Box::pin(body.into_data_stream()), Some(0)), |(mut data, event)| async move {
        let event = event?;
        match data.try_next().await {
            Ok(Some(mut part)) => {
                let (end, event) = next(&part, event);
                part.truncate(end);
                Some((Ok(Frame::data(part)), (data, event)))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), (data, None))),
        }
    })
    .fuse()
}

/// Returns how much of a part is shown, and the bytes of the event at its end; see [`ended`].
fn next(part: &[u8], mut event: usize) -> (usize, Option<usize>) {
    let mut shown = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        shown += line.len();
        event += line.len();
        if line.ends_with(b"\n") {
            if event > LARGE {
                return (shown, None);
            }
            event = 0;
        }
    }
    (shown, Some(event))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::service_fn;

    use super::*;

    /// Returns what is shown of an answer with these parts.
    async fn shown(query: &str, parts: Vec<String>) -> Vec<u8> {
        let mut watched = LargeEvents.layer(service_fn(move |_: Request<()>| {
            let parts = parts.clone();
            let frames = parts.into_iter().map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
            async move { Ok::<_, BoxError>(Response::new(StreamBody::new(stream::iter(frames)))) }
        }));
        let request = Request::get(format!("/api/v1/pods?{query}")).body(()).expect("a request");
        let answer = watched.call(request).await.expect("an answer");
        answer.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    fn lines(text: &[u8]) -> Vec<usize> {
        text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).collect()
    }

    /// An event of so many bytes.
    fn event(bytes: usize) -> String {
        "x".repeat(bytes - 1) + "\n"
    }

    #[tokio::test]
    async fn t3_a_watch_ends_after_a_large_event_and_before_the_next_one() {
        let all = event(10) + &event(LARGE) + &event(LARGE + 1) + &event(20);
        for cut in [1, 10, 11, LARGE, 2 * LARGE, all.len() - 1] {
            let (one, other) = all.split_at(cut);
            let shown = shown("&watch=true&resourceVersion=7", vec![one.to_owned(), other.to_owned()]).await;
            assert_eq!(lines(&shown), [10, LARGE, LARGE + 1], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn small_events_and_other_answers_are_shown_whole() {
        let small = vec![event(10), event(20) + &event(LARGE)];
        assert_eq!(lines(&shown("&watch=true", small).await), [10, 20, LARGE]);
        let list = vec![event(LARGE + 1), event(10)];
        assert_eq!(lines(&shown("&limit=20", list).await), [LARGE + 1, 10]);
    }
}
