//! Watches of the recording, open in the model.

use std::collections::VecDeque;

use devcluster::api::Body;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::compare;

/// A watch whose recorded events have not all come.
pub(super) struct Open {
    /// Which request it is.
    pub(super) at: usize,
    body: Body,
    rest: Vec<u8>,
    expected: VecDeque<Value>,
    given: usize,
}

/// What became of an open watch.
pub(super) enum Seen {
    /// It waits for more.
    Waiting,
    /// All events have come.
    All,
    /// Another event came, or none can come.
    Other(Vec<String>),
}

/// Whether an event is compared: when bookmarks come is nobody's promise.
pub(super) fn counts(event: &Value) -> bool {
    event.get("type").is_none_or(|kind| kind != "BOOKMARK")
}

impl Open {
    pub(super) fn new(at: usize, body: Body, events: &[Value]) -> Self {
        let expected = events.iter().filter(|event| counts(event)).cloned().collect();
        Self { at, body, rest: Vec::new(), expected, given: 0 }
    }

    /// Reads what the model tells by now.
    pub(super) fn look(&mut self) -> Seen {
        while !self.expected.is_empty() {
            let Some(frame) = self.body.frame().now_or_never() else { return Seen::Waiting };
            let Some(Ok(frame)) = frame else { return Seen::Other(self.missing("it ended")) };
            self.rest.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event = crate::line::json(&line);
                if !counts(&event) {
                    continue;
                }
                let Some(expected) = self.expected.pop_front() else { break };
                let found = compare::differences(&expected, &event, 0);
                if !found.is_empty() {
                    let number = self.given + 1;
                    return Seen::Other(
                        found.into_iter().map(|one| format!("event {number}: {one}")).collect(),
                    );
                }
                self.given += 1;
            }
        }
        Seen::All
    }

    /// How many events have come that were compared.
    pub(super) fn given(&self) -> usize {
        self.given
    }

    /// What to say of a watch that is not complete.
    pub(super) fn missing(&self, why: &str) -> Vec<String> {
        let next = self.expected.front().map(compare::short).unwrap_or_default();
        vec![format!("{why} before event {} of {}: {next}", self.given + 1, self.given + self.expected.len())]
    }
}
