//! A client over a service that answers HTTP requests.

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, BodyStream, Full};
use serde_json::Value;
use tower::{Service, ServiceExt};

use super::{Ask, Client, JSON, Refused};

/// A client over a service, as the API server of this crate is one. It says who it is by the header `User-Agent`.
#[derive(Clone, Debug)]
pub struct Over<S> {
    service: S,
    agent: &'static str,
    token: Option<String>,
}

impl<S> Over<S> {
    /// Speaks to this service as the program `agent`.
    pub const fn new(service: S, agent: &'static str) -> Self {
        Self { service, agent, token: None }
    }

    /// Sends this bearer token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

impl<S, B> Over<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: std::fmt::Display,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    async fn call(&self, ask: Ask) -> Result<Response<B>, Refused> {
        let body = ask.body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header("Content-Type", ask.content_type)
            .header("Accept", JSON)
            .header("User-Agent", self.agent);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(Refused::unreachable)?;
        self.service.clone().oneshot(request).await.map_err(Refused::unreachable)
    }
}

async fn whole<B>(response: Response<B>) -> Result<Value, Refused>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    let code = response.status();
    let bytes = response.into_body().collect().await.map_err(Refused::unreachable)?.to_bytes();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    if code.is_success() { Ok(body) } else { Err(Refused { code: code.as_u16(), body }) }
}

impl<S, B> Client for Over<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: std::fmt::Display,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    fn send(&self, ask: Ask) -> BoxFuture<'_, Result<Value, Refused>> {
        async move { whole(self.call(ask).await?).await }.boxed()
    }

    fn watch(&self, path: String) -> BoxFuture<'_, Result<BoxStream<'static, Value>, Refused>> {
        async move {
            let ask = Ask { method: Method::GET, path, content_type: JSON, body: None };
            let response = self.call(ask).await?;
            if !response.status().is_success() {
                return Err(whole(response).await.err().unwrap_or_else(|| Refused::unreachable("no answer")));
            }
            Ok(lines(response.into_body()))
        }
        .boxed()
    }
}

/// Returns the JSON documents of a body, one a line.
fn lines<B>(body: B) -> BoxStream<'static, Value>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
{
    let frames = BodyStream::new(body).filter_map(|frame| ready(frame.ok().and_then(|f| f.into_data().ok())));
    let mut rest = Vec::new();
    frames
        .flat_map(move |data| {
            rest.extend_from_slice(&data);
            let mut documents = Vec::new();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                documents.extend(serde_json::from_slice(&line));
            }
            futures::stream::iter(documents)
        })
        .boxed()
}
