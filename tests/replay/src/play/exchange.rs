//! One request, its answer, and the revisions at which the answer can have been made.

use serde_json::Value;

use super::target::Target;
use crate::line::{Answer, Request};

/// A request with what came of it.
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) target: Target,
    /// Microseconds since 1970.
    pub(super) sent: i64,
    pub(super) answered: i64,
    pub(super) answer: Option<Answer>,
    /// Events of a watch.
    pub(super) events: Vec<Value>,
    /// The version that the answer has: of its object, or of its list.
    pub(super) version: Option<u64>,
    /// A revision that was reached before the request was sent.
    pub(super) lower: u64,
    /// A revision that was not reached before it was answered.
    pub(super) upper: u64,
}

impl Exchange {
    pub(super) fn words(&self) -> String {
        self.target.words(&self.request.target)
    }

    /// Whether the answer says that the request was done.
    pub(super) fn done(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.code))
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.request.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// The revisions to ask at first, in their order.
    pub(super) fn first(&self) -> Vec<u64> {
        let version = self.version.filter(|_| self.done());
        match (self.target.verb.as_str(), version) {
            // The state of which the list tells.
            ("list" | "deletecollection", Some(version)) => vec![version],
            ("get", Some(version)) => vec![self.lower.max(version)],
            // A deletion can change the object before it goes.
            ("delete", Some(version)) if version > self.lower => {
                vec![version.saturating_sub(2), version.saturating_sub(1)]
            }
            ("create" | "update" | "patch", Some(version)) if version > self.lower => {
                vec![version.saturating_sub(1)]
            }
            _ => vec![self.lower],
        }
    }

    /// The last revision to ask at.
    pub(super) fn last(&self) -> u64 {
        match (self.target.verb.as_str(), self.version) {
            ("list", Some(version)) if self.done() => version,
            _ => self.upper,
        }
    }

    fn is_protobuf(&self, answer: &Answer) -> bool {
        let named = |value: &String| value.starts_with("application/vnd.kubernetes.protobuf");
        let sent = |(name, value): &(String, String)| name == "content-type" && named(value);
        self.request.headers.iter().any(sent)
            || answer.headers.get("content-type").is_some_and(|values| values.iter().any(named))
    }

    /// Why the answer cannot be compared, as far as the recording says it.
    pub(super) fn reason(&self, beginning: u64) -> Option<String> {
        let Some(answer) = &self.answer else {
            return Some("no answer: the client left before it came".into());
        };
        let path = self.request.target.split('?').next().unwrap_or_default();
        let server = |path: &str| !path.starts_with("/api/") && !path.starts_with("/apis") && path != "/api";
        match answer.code {
            0 => Some("no answer: the connection to the API server broke".into()),
            _ if self.is_protobuf(answer) => Some("not modelled: protobuf".into()),
            429 => Some("answered 429: the real API server was busy".into()),
            500 | 503 | 504 if busy(answer) => {
                Some("answered 500, 503 or 504: the real API server was busy".into())
            }
            200 if self.target.subresource == "log" => Some("the log of a container: a kubelet's".into()),
            _ if server(path) => Some(format!("about the real server itself: {path}")),
            _ => {
                let before = self.version.is_some_and(|version| version < beginning);
                (self.target.verb == "list" && before)
                    .then(|| "a list of the time before the recording, from a cache".into())
            }
        }
    }
}

fn busy(answer: &Answer) -> bool {
    let text = String::from_utf8_lossy(answer.body.bytes()).into_owned();
    ["etcdserver: ", "context deadline exceeded", "timed out", "timeout", "unavailable"]
        .iter()
        .any(|words| text.contains(words))
        && !text.contains("request is too large")
}
