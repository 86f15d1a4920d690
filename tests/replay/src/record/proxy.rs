//! The proxy: requests go on as they came, and both they and their answers are written down first.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::State;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::net::TcpListener;

use super::log::Log;
use super::upstream::Upstream;
use super::who;
use crate::line::{self, Answer, What};

/// Headers of one connection. Bodies are recorded as they are, so nobody compresses them.
const OF_CONNECTION: [header::HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
];

struct Proxy {
    upstream: Upstream,
    log: Log,
    next: AtomicU64,
}

/// Serves until the task ends.
pub(super) async fn serve(listener: TcpListener, upstream: Upstream, log: Log) -> io::Result<()> {
    let proxy = Arc::new(Proxy { upstream, log, next: AtomicU64::new(1) });
    axum::serve(listener, Router::new().fallback(handle).with_state(proxy)).await
}

async fn handle(State(proxy): State<Arc<Proxy>>, request: Request<AxumBody>) -> Response<AxumBody> {
    let id = proxy.next.fetch_add(1, Ordering::Relaxed);
    let (mut parts, body) = request.into_parts();
    OF_CONNECTION.iter().for_each(|name| drop(parts.headers.remove(name)));
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        // Nothing of it has reached the API server.
        return failed("the request broke off");
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    proxy.log.write(What::Request(line::Request {
        id,
        method: parts.method.to_string(),
        target: target.clone(),
        headers: texts(&parts.headers, &[header::AUTHORIZATION]),
        who: who::who(&parts.headers),
        body: line::Body::of(&body),
    }));
    let mut sent = Request::new(Body::from(body));
    *sent.method_mut() = parts.method;
    *sent.headers_mut() = parts.headers;
    *sent.uri_mut() = target.parse().unwrap_or_default();
    match proxy.upstream.send(sent).await {
        Ok(response) => proxy.answer(id, &target, response).await,
        Err(error) => proxy.lost(id, &error.to_string()),
    }
}

impl Proxy {
    fn lost(&self, id: u64, why: &str) -> Response<AxumBody> {
        let body = line::Body::Text(why.to_owned());
        self.log.write(What::Answer(Answer { id, code: 0, headers: BTreeMap::new(), body }));
        failed(why)
    }

    async fn answer(&self, id: u64, target: &str, response: Response<Body>) -> Response<AxumBody> {
        let (mut parts, body) = response.into_parts();
        OF_CONNECTION.iter().for_each(|name| drop(parts.headers.remove(name)));
        let head = |body| {
            let mut headers = BTreeMap::<String, Vec<String>>::new();
            for (name, value) in texts(&parts.headers, &[]) {
                headers.entry(name).or_default().push(value);
            }
            What::Answer(Answer { id, code: parts.status.as_u16(), headers, body })
        };
        let stream = stream_of(target).filter(|_| parts.status == StatusCode::OK);
        if let Some(stream) = stream {
            self.log.write(head(line::Body::None));
            let part = Recorded { body, id, log: self.log.clone(), stream, rest: Vec::new(), bytes: 0 };
            return Response::from_parts(parts, AxumBody::from_stream(part));
        }
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return self.lost(id, "the answer broke off");
        };
        let unsigned = target.contains("/token").then(|| who::unsigned(&body)).flatten();
        self.log.write(head(line::Body::of(unsigned.as_deref().unwrap_or(&body))));
        Response::from_parts(parts, AxumBody::from(body))
    }
}

fn failed(why: &str) -> Response<AxumBody> {
    let mut response = Response::new(AxumBody::from(why.to_owned()));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

fn texts(headers: &HeaderMap, but: &[header::HeaderName]) -> Vec<(String, String)> {
    let kept = headers.iter().filter(|(name, _)| !but.contains(name));
    kept.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Watch,
    Log,
}

/// Which stream a GET of this target answers.
fn stream_of(target: &str) -> Option<Kind> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path.ends_with("/log") { Some(Kind::Log) } else { line::watches(query).then_some(Kind::Watch) }
}

/// A stream on its way to the client. When it is dropped, it or its client has ended.
struct Recorded {
    body: Body,
    id: u64,
    log: Log,
    stream: Kind,
    /// The beginning of a line.
    rest: Vec<u8>,
    bytes: u64,
}

impl Stream for Recorded {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut stream = http_body_util::BodyStream::new(&mut self.body);
        let frame = match stream.poll_next_unpin(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
            return Poll::Ready(Some(Err(io::Error::other("the answer broke off"))));
        };
        if self.stream == Kind::Log {
            self.bytes += data.len() as u64;
        } else {
            self.rest.extend_from_slice(&data);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event = line::Body::of(&line);
                self.log.write(What::Event { id: self.id, event });
            }
        }
        Poll::Ready(Some(Ok(data)))
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.log.write(What::End { id: self.id, bytes: self.bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_and_logs_are_streams() {
        assert!(stream_of("/api/v1/pods?watch=true&resourceVersion=7") == Some(Kind::Watch));
        assert!(stream_of("/api/v1/namespaces/a/pods/b/log?follow=true") == Some(Kind::Log));
        assert!(stream_of("/api/v1/pods?labelSelector=watch").is_none());
    }
}
