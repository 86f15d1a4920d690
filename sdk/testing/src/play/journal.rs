//! What happens in a cluster, line by line, with the simulated time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The lines. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    began: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Journal {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), lines: Arc::default() }
    }

    /// Adds a line.
    pub(super) fn say(&self, line: &str) {
        let line = format!("[{:7.1} s] {line}", self.began.elapsed().as_secs_f32());
        self.lock().push(line);
    }

    /// Returns all lines.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
