//! Answers, and how they are written.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderValue, Response, header};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::body::Body;
use super::errors::Refusal;
use super::negotiate::Media;
use super::store::Stored;
use super::text::Text;
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
    Object(Item),
    List(List),
    Text(String),
    Watch(Box<Watch>),
    Log(BoxStream<'static, Bytes>),
    Nothing,
}

impl From<Value> for Content {
    fn from(object: Value) -> Self {
        Self::Object(Item { object: Arc::new(object), text: Text::default() })
    }
}

/// An object with its JSON.
pub(crate) struct Item {
    pub(crate) object: Arc<Value>,
    text: Text,
}

impl Item {
    /// Returns what is shown of a stored object: with the JSON that is kept if that is the object as it is stored.
    pub(crate) fn of(stored: Option<&Stored>, object: Arc<Value>) -> Self {
        let stored = stored.filter(|stored| Arc::ptr_eq(&stored.value, &object));
        Self { object, text: stored.map(|stored| stored.text.clone()).unwrap_or_default() }
    }

    /// Returns its JSON.
    pub(crate) fn json(&self) -> Bytes {
        self.text.of(&self.object)
    }
}

/// A list.
pub(crate) struct List {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: Value,
    pub(crate) items: Vec<Item>,
    /// Whether its items say of what kind they are: those of built-in kinds do not.
    pub(crate) named: bool,
}

impl List {
    /// Returns it as JSON, with its fields in order.
    fn json(&self) -> Vec<u8> {
        let begin = format!(r#"{{"apiVersion":{},"items":["#, Value::from(self.api_version.as_str()));
        let mut text = begin.into_bytes();
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                text.push(b',');
            }
            match self.named {
                true => text.extend_from_slice(&item.json()),
                false => text.extend(go::body(&Unnamed(&item.object))),
            }
        }
        text.extend(format!(r#"],"kind":{},"metadata":"#, Value::from(self.kind.as_str())).bytes());
        text.extend(go::body(&self.metadata));
        text.push(b'}');
        text
    }

    fn value(&self) -> Value {
        let items = self.items.iter().map(|item| match self.named {
            true => Value::clone(&item.object),
            false => {
                Unnamed(&item.object).fields().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
        });
        let items: Vec<Value> = items.collect();
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": self.metadata, "items": items})
    }
}

/// An object without its kind.
struct Unnamed<'a>(&'a Value);

impl<'a> Unnamed<'a> {
    fn fields(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let fields = self.0.as_object().into_iter().flatten();
        fields.filter(|(name, _)| !["kind", "apiVersion"].contains(&name.as_str()))
    }
}

impl Serialize for Unnamed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.fields())
    }
}

impl Answer {
    pub(crate) fn new(code: u16, content: impl Into<Content>) -> Self {
        Self { code, headers: Vec::new(), content: content.into() }
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
            Content::Object(item) => match media {
                Media::Json => json_body(item.json().to_vec()),
                Media::Yaml => yaml_body(&item.object),
            },
            Content::List(list) => match media {
                Media::Json => json_body(list.json()),
                Media::Yaml => yaml_body(&list.value()),
            },
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

fn json_body(mut text: Vec<u8>) -> (&'static str, Body) {
    text.push(b'\n');
    ("application/json", Body::whole(text))
}

fn yaml_body(value: &Value) -> (&'static str, Body) {
    ("application/yaml", Body::whole(super::yaml::written(value)))
}
