//! The lines of a recording: one JSON document each, in the order in which things happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether a query asks for a watch, as the API server reads it.
#[must_use]
pub(crate) fn watches(query: &str) -> bool {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("watch"));
    value
        .is_some_and(|value| value.is_empty() || value.starts_with('=') && !["=0", "=false"].contains(&value))
}

/// A line and when it was written.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since 1970.
    pub at: i64,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The recording begins.
    Begin {
        /// What the API server says of its version.
        version: Value,
        /// `userInfo` of who sends no token.
        administrator: Value,
    },
    /// All objects of a kind at a revision.
    State {
        /// The group of the kind.
        group: String,
        /// The plural of the kind.
        plural: String,
        /// The revision.
        revision: u64,
        /// The objects, with kind and version.
        items: Vec<Value>,
    },
    /// All kinds that there are have told their state: clients may begin.
    Ready {},
    /// An event of the recorder's own watch of a kind.
    Change {
        /// The group of the kind.
        group: String,
        /// The plural of the kind.
        plural: String,
        /// Whether the object is gone.
        gone: bool,
        /// The object after it, or as it was last, with the version of the change.
        object: Value,
    },
    /// A client asks.
    Request(Request),
    /// The head of an answer, and its body unless it is a stream.
    Answer(Answer),
    /// A line of the stream that answers a watch.
    Event {
        /// The number of the request.
        id: u64,
        /// The event.
        event: Body,
    },
    /// A stream has ended, or its client has left.
    End {
        /// The number of the request.
        id: u64,
        /// Bytes that a log had; 0 of a watch.
        bytes: u64,
    },
    /// The recorder could not keep up with a kind: what is recorded cannot be trusted.
    Gap {
        /// What is missing.
        of: String,
    },
}

/// A request of a client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Its number.
    pub id: u64,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its headers, but for the token.
    pub headers: Vec<(String, String)>,
    /// Who asks.
    pub who: Who,
    /// Its body.
    pub body: Body,
}

/// Who a client is by its credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The user of the kubeconfig, by a certificate.
    Administrator,
    /// The bearer of a token with these claims. Its signature is not recorded.
    Claims(Value),
    /// The bearer of a token that says nothing.
    Unknown,
    /// Who sends credentials of which the API server knows nothing.
    Anonymous,
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The number of the request.
    pub id: u64,
    /// The HTTP code; 0 if the API server could not be reached.
    pub code: u16,
    /// Its headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Its body.
    pub body: Body,
}

/// A body as it was written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// There is none, or it comes in parts.
    None,
    /// A text, mostly JSON.
    Text(String),
    /// Other bytes.
    Bytes(Vec<u8>),
}

impl Body {
    /// Returns the body that these bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok("") => Self::None,
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Returns the JSON of the body; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        json(self.bytes())
    }
}

/// Returns JSON, however deep it is; null if it is none.
#[must_use]
pub fn json(bytes: &[u8]) -> Value {
    let deep = |_| devcluster::schema::decode(bytes, false).map(|decoded| decoded.object);
    serde_json::from_slice(bytes).or_else(deep).unwrap_or_default()
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// It is none of a recording.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        // The first reads no deep JSON, the second is slow.
        serde_json::from_str(text).or_else(|_| serde_json::from_value(json(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_be_as_deep_as_the_api_server_allows() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let text = format!(
            r#"{{"at":1,"what":{{"change":{{"group":"","plural":"a","gone":false,"object":{deep}}}}}}}"#
        );
        let line = Line::read(&text).expect("a line");
        assert_eq!(serde_json::to_string(&line).expect("plain data"), text);
    }

    #[test]
    fn a_body_stays_as_it_was_written() {
        for text in ["{\"a\": 1.0, \"a\": 2}", "not JSON", "{\n}", ""] {
            let line = serde_json::to_string(&Body::of(text.as_bytes())).expect("plain data");
            let read: Body = serde_json::from_str(&line).expect("a body");
            assert_eq!(read.bytes(), text.as_bytes());
        }
    }
}
