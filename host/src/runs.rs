//! What this process knows of runs beyond what the watches tell it: its own writes, and its failures.
//!
//! A watch lags behind our own writes. A run that has just been written must not be judged by what it was before, or the
//! same write is tried again and refused. So the last write is kept until the watch shows something newer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;

use crate::context::Context;
use crate::due::Due;
use crate::run::Run;

/// Runs by uid.
#[derive(Default)]
pub struct Runs(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    /// Resource versions that our writes have replaced, and what the last of them left.
    written: Option<(Vec<String>, Run)>,
    /// A conflict has shown that what we have is out of date: read before the next step.
    distrusted: bool,
    /// Failures in a row.
    failures: u32,
    /// Held by whoever looks at the run.
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Until when it is left alone, although its own writes lead back to it.
    rests_until: Option<Instant>,
    /// When the Job is to be read from the API server rather than from a watch.
    job_read: Due,
}

impl Runs {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // A panic while this lock was held leaves at worst a missing entry, which costs a read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run as it is now, given what a watch showed; `None` if it is gone.
    ///
    /// # Errors
    /// The API server's, where the run has to be read again.
    pub async fn current(&self, seen: Run, ctx: &Context) -> Result<Option<Run>, kube::Error> {
        if let Some(known) = self.known(&seen) {
            return Ok(Some(known));
        }
        let read = seen.read_again(&ctx.client).await?;
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&seen.uid) {
            entry.distrusted = false;
            // What the watch shows until it catches up is older than what was just read.
            entry.written = read.clone().map(|run| (vec![seen.resource_version.clone()], run));
            if entry.written.as_ref().is_some_and(|(_, run)| run.resource_version == seen.resource_version) {
                entry.written = None;
            }
        }
        Ok(read)
    }

    /// The run as our own writes or the watch have it; `None` if neither can be believed.
    fn known(&self, seen: &Run) -> Option<Run> {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&seen.uid) else { return Some(seen.clone()) };
        if entry.distrusted {
            return None;
        }
        if let Some((replaced, run)) = &entry.written
            && replaced.contains(&seen.resource_version)
        {
            let mut run = run.clone();
            run.deleting |= seen.deleting;
            return Some(run);
        }
        entry.written = None;
        Some(seen.clone())
    }

    /// Writes the status of a run, if it changed, and remembers the write. Returns whether anything was written.
    ///
    /// # Errors
    /// The API server's.
    pub async fn write(&self, run: &mut Run, client: &Client) -> Result<bool, kube::Error> {
        let before = run.resource_version.clone();
        let written = run.write_status(client).await?;
        if written {
            let mut entries = self.entries();
            let entry = entries.entry(run.uid.clone()).or_default();
            let mut replaced = entry.written.take().map(|(replaced, _)| replaced).unwrap_or_default();
            replaced.push(before);
            entry.written = Some((replaced, run.clone()));
            entry.failures = 0;
        }
        Ok(written)
    }

    /// Remembers that a write of ours which was not of the status has replaced what was there at `before`.
    pub fn replaced(&self, before: String, run: &Run) {
        let mut entries = self.entries();
        let entry = entries.entry(run.uid.clone()).or_default();
        let mut replaced = entry.written.take().map(|(replaced, _)| replaced).unwrap_or_default();
        replaced.push(before);
        entry.written = Some((replaced, run.clone()));
    }

    /// What is held while somebody looks at the run.
    pub fn lock(&self, uid: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.entries().entry(uid.to_owned()).or_default().lock.clone()
    }

    /// Reads the run again before the next step.
    pub fn distrust(&self, uid: &str) {
        self.entries().entry(uid.to_owned()).or_default().distrusted = true;
    }

    /// Counts a failure; returns how many there have been in a row.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut entries = self.entries();
        let entry = entries.entry(uid.to_owned()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// Leaves a run alone for a while.
    pub fn rest(&self, uid: &str, how_long: Duration) {
        self.entries().entry(uid.to_owned()).or_default().rests_until = Some(Instant::now() + how_long);
    }

    /// For how long a run is still to be left alone.
    #[must_use]
    pub fn resting(&self, uid: &str) -> Option<Duration> {
        let until = self.entries().get(uid)?.rests_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Whether it is time to read the run's Job from the API server, as a net under the watch.
    pub fn job_read_due(&self, uid: &str, every: Duration) -> bool {
        self.entries().entry(uid.to_owned()).or_default().job_read.now(every)
    }

    /// Forgets a run that is gone.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Forgets what is known of a run that has ended, but for its last write: a watch may still show what it was.
    pub fn ended(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.failures = 0;
            entry.job_read = Due::default();
        }
    }
}
