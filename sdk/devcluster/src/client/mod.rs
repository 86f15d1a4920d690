//! How the controllers and nodes of this crate speak to an API server: requests and watches, in JSON.
//!
//! They speak to the one in this crate, by [`Over`], and to any other for which somebody writes [`Client`].

mod informer;
mod over;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::Method;
use serde_json::{Value, json};

pub use informer::{Change, Informer, Key, key};
pub use over::Over;

use crate::at::at;

/// A client that is shared.
pub type Api = Arc<dyn Client>;

/// A refusal of the API server.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {}", .body["message"].as_str().unwrap_or("no message"))]
pub struct Refused {
    /// The HTTP code; 0 if there was no answer.
    pub code: u16,
    /// The body: a Status, or text.
    pub body: Value,
}

impl Refused {
    /// Returns the refusal of a request that got no answer.
    #[must_use]
    pub fn unreachable(why: impl std::fmt::Display) -> Self {
        Self { code: 0, body: json!({"message": why.to_string()}) }
    }

    /// Returns whether the object is not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.code == 404
    }

    /// Returns whether somebody else wrote first, or the object is another one by now.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }
}

/// One request, with all of what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub path: String,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Option<Value>,
}

/// What answers requests.
pub trait Client: Send + Sync + 'static {
    /// Sends a request and returns the body of its answer.
    ///
    /// # Errors
    /// The API server refuses, or does not answer.
    fn send(&self, ask: Ask) -> BoxFuture<'_, Result<Value, Refused>>;

    /// Opens a watch at a path with its query, and returns its events: objects with `type` and `object`.
    ///
    /// # Errors
    /// The API server refuses, or does not answer.
    fn watch(&self, path: String) -> BoxFuture<'_, Result<BoxStream<'static, Value>, Refused>>;

    /// Reads an object or a list.
    ///
    /// # Errors
    /// As [`Client::send`].
    fn get(&self, path: &str) -> BoxFuture<'_, Result<Value, Refused>> {
        self.send(Ask { method: Method::GET, path: path.to_owned(), content_type: JSON, body: None })
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As [`Client::send`].
    fn create(&self, path: &str, body: Value) -> BoxFuture<'_, Result<Value, Refused>> {
        self.send(Ask { method: Method::POST, path: path.to_owned(), content_type: JSON, body: Some(body) })
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As [`Client::send`].
    fn replace(&self, path: &str, body: Value) -> BoxFuture<'_, Result<Value, Refused>> {
        self.send(Ask { method: Method::PUT, path: path.to_owned(), content_type: JSON, body: Some(body) })
    }

    /// Writes a merge patch.
    ///
    /// # Errors
    /// As [`Client::send`].
    fn merge(&self, path: &str, body: Value) -> BoxFuture<'_, Result<Value, Refused>> {
        self.send(Ask { method: Method::PATCH, path: path.to_owned(), content_type: MERGE, body: Some(body) })
    }

    /// Deletes an object, with these options.
    ///
    /// # Errors
    /// As [`Client::send`].
    fn delete(&self, path: &str, options: Value) -> BoxFuture<'_, Result<Value, Refused>> {
        self.send(Ask {
            method: Method::DELETE,
            path: path.to_owned(),
            content_type: JSON,
            body: Some(options),
        })
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// Returns a text at a JSON pointer, or "".
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a whole number at a JSON pointer.
#[must_use]
pub fn number(value: &Value, pointer: &str) -> Option<i64> {
    at(value, pointer).and_then(Value::as_i64)
}

/// Returns the items of a list at a JSON pointer; none if there is no list.
#[must_use]
pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Returns the pairs of a map of texts at a JSON pointer.
pub fn pairs<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let map = at(value, pointer).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)))
}
