//! What happens in a cluster, line by line, with the simulated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The lines. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    began: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
struct Line {
    at: f32,
    text: String,
    /// How often this came in a row.
    times: u32,
}

impl Journal {
    /// Begins after this time.
    pub(super) fn begin(after: Duration) -> Self {
        Self { began: Instant::now() + after, lines: Arc::default(), requests: Arc::default() }
    }

    /// Adds a line.
    pub(super) fn say(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f32();
        let mut lines = locked(&self.lines);
        match lines.last_mut() {
            Some(last) if last.text == text => last.times += 1,
            _ => lines.push(Line { at, text: text.to_owned(), times: 1 }),
        }
    }

    /// Returns all lines.
    pub(super) fn lines(&self) -> Vec<String> {
        let whole = |Line { at, text, times }: &Line| match times {
            1 => format!("[{at:7.1} s] {text}"),
            _ => format!("[{at:7.1} s] {text} ({times} times)"),
        };
        locked(&self.lines).iter().map(whole).collect()
    }

    /// Adds a request of the controller.
    pub(super) fn ask(&self, request: Option<String>) {
        locked(&self.requests).extend(request);
    }

    /// Returns the requests since this was asked last.
    pub(super) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.requests))
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
