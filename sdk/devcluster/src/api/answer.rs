//! Answers, and how they are written.

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderValue, Response, header};
use serde_json::Value;

use super::body::Body;
use super::errors::Refusal;
use super::negotiate::Media;
use super::watch::Watch;
use crate::schema::go;

/// What a request is answered.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(header::HeaderName, String)>,
    pub(crate) content: Content,
}

/// The body of an answer.
pub(crate) enum Content {
    Object(Value),
    Text(String),
    Watch(Box<Watch>),
    Log(BoxStream<'static, Bytes>),
    Nothing,
}

impl Answer {
    pub(crate) fn new(code: u16, object: Value) -> Self {
        Self { code, headers: Vec::new(), content: Content::Object(object) }
    }

    pub(crate) fn text(code: u16, text: impl Into<String>) -> Self {
        Self { code, headers: Vec::new(), content: Content::Text(text.into()) }
    }

    /// The answer that a refusal is; a version of the future has none.
    pub(crate) fn refusal(refusal: Refusal) -> Result<Self, u64> {
        match refusal {
            Refusal::Later(version) => Err(version),
            Refusal::Text(code, text) => Ok(Self::text(code, text)),
            Refusal::Status(status) => {
                let mut answer = Self::new(status.code, status.body());
                let after = status.details.as_ref().and_then(|details| details.get("retryAfterSeconds"));
                if let Some(after) = after {
                    answer.headers.push((header::RETRY_AFTER, after.to_string()));
                }
                Ok(answer)
            }
        }
    }

    /// Writes the answer.
    pub(crate) fn response(self, media: Media, warnings: &[String]) -> Response<Body> {
        let own_type = self.headers.iter().any(|(name, _)| name == header::CONTENT_TYPE);
        let (content_type, body) = match self.content {
            Content::Object(object) => written(&object, media),
            Content::Text(text) => ("text/plain; charset=utf-8", Body::whole(text)),
            Content::Watch(watch) => ("application/json", Body::watch(*watch)),
            Content::Log(stream) => ("text/plain", Body::stream(stream)),
            Content::Nothing => ("", Body::whole("")),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            http::StatusCode::from_u16(self.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if !own_type && !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if !self.headers.iter().any(|(name, _)| name == header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        }
        let warnings = warnings.iter().map(|text| (header::WARNING, format!("299 - {}", go::quote(text))));
        for (name, value) in self.headers.into_iter().chain(warnings) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name, value);
            }
        }
        response
    }
}

fn written(object: &Value, media: Media) -> (&'static str, Body) {
    match media {
        Media::Json => {
            let mut text = go::body(object);
            text.push(b'\n');
            ("application/json", Body::whole(text))
        }
        Media::Yaml => ("application/yaml", Body::whole(super::yaml::written(object))),
    }
}
