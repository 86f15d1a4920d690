//! What happened in a play, as lines or as their digest: two plays of one seed have the same trace.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The trace of a play.
pub(crate) struct Trace {
    begun: Instant,
    told: Mutex<Told>,
}

struct Told {
    digest: DefaultHasher,
    lines: Option<Vec<String>>,
    count: u64,
}

impl Trace {
    /// Begins now; keeps the lines, if they are asked for, and their digest.
    pub(crate) fn begin(lines: bool) -> Self {
        let told = Told { digest: DefaultHasher::new(), lines: lines.then(Vec::new), count: 0 };
        Self { begun: Instant::now(), told: Mutex::new(told) }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The simulated time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Adds a line.
    pub(crate) fn tell(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.3} {what}", self.elapsed().as_secs_f64());
        let mut told = self.told();
        line.hash(&mut told.digest);
        told.count += 1;
        if let Some(lines) = &mut told.lines {
            lines.push(line);
        }
    }

    /// Returns the digest and the number of the lines.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let told = self.told();
        (told.digest.finish(), told.count)
    }

    /// Returns the lines, if they were kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.told().lines.clone().unwrap_or_default()
    }
}
