//! What happens in a cluster, line by line, with the simulated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The lines. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    began: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

#[derive(Debug)]
struct Line {
    at: f32,
    text: String,
    /// How often this came in a row.
    times: u32,
}

impl Journal {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), lines: Arc::default() }
    }

    /// Adds a line.
    pub(super) fn say(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f32();
        let mut lines = self.lock();
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
        self.lock().iter().map(whole).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
