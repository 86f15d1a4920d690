//! What this process knows of runs beyond the watches: its own last writes, and its failures.
//!
//! A watch lags behind this process's own writes. A run that was just written must not be judged by its older state, or the
//! same write is tried again and refused. So the last write counts until the watch shows something newer.

use std::collections::HashMap;
use std::time::Duration;

use kube::Client;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::period::Period;
use super::run::Run;

/// The cache, by uid of the run.
pub struct RunCache {
    client: Client,
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Default)]
struct Entry {
    /// Resource versions that this process's writes have replaced, and the run as the last write left it.
    written: Option<(Vec<String>, Run)>,
    /// A conflict has shown that the known state is out of date: the run is read before the next step.
    invalid: bool,
    /// When this process wrote the status last.
    told_at: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// Until when the run is not reconciled, although its own writes enqueue it.
    paused_until: Option<Instant>,
    /// Once in a period, each of the run's Jobs is read from the API server.
    job_reads: HashMap<String, Period>,
    /// Somebody was told of another writer of the status.
    other_writer_told: bool,
    /// The API server said that the object no longer exists.
    gone: bool,
    /// The run has ended, by a write of this process.
    ended: bool,
}

impl RunCache {
    /// An empty cache, which reads and writes runs by `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, entries: Mutex::default() }
    }

    /// Returns the client that reads and writes runs.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock()
    }

    /// Returns the run as it is now, given what a watch showed; `None` if it no longer exists, or was said to be
    /// [`gone`](Self::gone).
    ///
    /// # Errors
    /// The API server's, where the run has to be read again.
    pub async fn current(&self, seen: Run) -> Result<Option<Run>, kube::Error> {
        if self.entries().get(&seen.uid).is_some_and(|entry| entry.gone) {
            return Ok(None);
        }
        if let Some(known) = self.known(&seen) {
            return Ok(Some(known));
        }
        let read = seen.read_again(&self.client).await?;
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&seen.uid) {
            entry.invalid = false;
            // What the watch shows until it catches up is older than what was just read.
            entry.written = read.clone().map(|run| (vec![seen.resource_version.clone()], run));
            if entry.written.as_ref().is_some_and(|(_, run)| run.resource_version == seen.resource_version) {
                entry.written = None;
            }
        }
        Ok(read)
    }

    /// Returns the run as this process's own writes or the watch have it; `None` if neither is up to date.
    fn known(&self, seen: &Run) -> Option<Run> {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&seen.uid) else { return Some(seen.clone()) };
        if entry.invalid {
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

    /// Writes the status of a run if it changed, and notes the write. Returns whether anything was written.
    ///
    /// # Errors
    /// The API server's.
    pub async fn write(&self, run: &mut Run) -> Result<bool, kube::Error> {
        let before = run.resource_version.clone();
        let written = run.write_status(&self.client).await?;
        if written {
            self.note_write(before, run);
            self.entries().entry(run.uid.clone()).or_default().told_at = Some(Instant::now());
        }
        Ok(written)
    }

    /// Returns what is left of this time since the last write of the run's status by this process; `None` if nothing is.
    #[must_use]
    pub fn left_since_told(&self, uid: &str, time: Duration) -> Option<Duration> {
        let told_at = self.entries().get(uid)?.told_at?;
        time.checked_sub(told_at.elapsed()).filter(|left| !left.is_zero())
    }

    /// Notes a write of this process other than of the status, which has replaced resource version `before`.
    pub fn note_write(&self, before: String, run: &Run) {
        let mut entries = self.entries();
        let entry = entries.entry(run.uid.clone()).or_default();
        let mut replaced = entry.written.take().map(|(replaced, _)| replaced).unwrap_or_default();
        replaced.push(before);
        entry.written = Some((replaced, run.clone()));
    }

    /// Returns whether the API server says that the run's object no longer exists. A 404 of a status can also come from a CRD
    /// without that subresource.
    pub async fn is_gone(&self, run: &Run) -> bool {
        matches!(run.read_again(&self.client).await, Ok(None))
    }

    /// Has the run read from the API server before the next step.
    pub fn invalidate(&self, uid: &str) {
        self.entries().entry(uid.to_owned()).or_default().invalid = true;
    }

    /// Ends a row of failures: a reconcile got as far as it can go now. The write that shows a failure ends none.
    pub fn went_well(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.failures = 0;
        }
    }

    /// Counts a failure, and returns the number of failures in a row.
    pub fn failed(&self, uid: &str) -> u32 {
        let mut entries = self.entries();
        let entry = entries.entry(uid.to_owned()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// Pauses a run: it is not reconciled for a while.
    pub fn pause(&self, uid: &str, duration: Duration) {
        self.entries().entry(uid.to_owned()).or_default().paused_until = Some(Instant::now() + duration);
    }

    /// Returns how long a run is still paused.
    #[must_use]
    pub fn paused_for(&self, uid: &str) -> Option<Duration> {
        let until = self.entries().get(uid)?.paused_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Returns whether to read the run's Job of this name from the API server, as a net under the watch.
    pub fn job_read_due(&self, uid: &str, job: &str, every: Duration) -> bool {
        let mut entries = self.entries();
        let reads = &mut entries.entry(uid.to_owned()).or_default().job_reads;
        reads.entry(job.to_owned()).or_default().elapsed(every)
    }

    /// Returns the uids of what is in the cache: runs, and Plans and strategies that failed.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.entries().keys().cloned().collect()
    }

    /// Returns whether somebody is to be told of another writer of the run's status: once for each run.
    pub fn tell_other_writer(&self, uid: &str) -> bool {
        !std::mem::replace(&mut self.entries().entry(uid.to_owned()).or_default().other_writer_told, true)
    }

    /// Notes that the object of a run no longer exists, although the watch may still show it: until the run is forgotten,
    /// nothing is done for it.
    pub fn gone(&self, uid: &str) {
        self.entries().entry(uid.to_owned()).or_default().gone = true;
    }

    /// Forgets a run.
    pub fn forget(&self, uid: &str) {
        self.entries().remove(uid);
    }

    /// Forgets a run that has ended, if the watch shows it at version `shown`, which is not older than the last write.
    pub fn caught_up(&self, uid: &str, shown: &str) {
        let mut entries = self.entries();
        let behind = |(replaced, _): &(Vec<String>, Run)| replaced.iter().any(|version| version == shown);
        if entries.get(uid).is_some_and(|entry| !entry.written.as_ref().is_some_and(behind)) {
            entries.remove(uid);
        }
    }

    /// Resets the counters of a run that has ended. Its last write still counts: a watch may show an older state.
    pub fn ended(&self, uid: &str) {
        if let Some(entry) = self.entries().get_mut(uid) {
            entry.failures = 0;
            entry.job_reads.clear();
            entry.ended = true;
        }
    }

    /// Returns whether it is known that a run has ended by a write of this process.
    #[must_use]
    pub fn has_ended(&self, uid: &str) -> bool {
        self.entries().get(uid).is_some_and(|entry| entry.ended)
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Mode;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::state::run::tests::{BACKUP_JOB, begun, changed, shown_run, stored_run};

    /// A cache, and a run as the watch shows it.
    fn given(server: &StandIn) -> (RunCache, Run) {
        (RunCache::new(server.client()), stored_run(Mode::Backup, begun(100), server))
    }

    async fn write(message: &str, run: &Run, cache: &RunCache) -> Run {
        let mut run = run.clone();
        run.status.message = Some(message.to_owned());
        assert!(cache.write(&mut run).await.unwrap());
        run
    }

    async fn version(cache: &RunCache, seen: &Run) -> String {
        cache.current(seen.clone()).await.unwrap().unwrap().resource_version
    }

    #[tokio::test]
    async fn the_last_own_write_counts_until_the_watch_shows_something_newer() {
        let server = StandIn::default();
        let (cache, first) = given(&server);
        let second = write("one", &first, &cache).await;
        let third = write("two", &second, &cache).await;
        server.sent();
        for behind in [&first, &second, &third] {
            assert_eq!(version(&cache, behind).await, third.resource_version);
        }

        server.put(BACKUP_JOB, changed(BACKUP_JOB, &json!({"status": {"message": "theirs"}}), &server));
        let newer = shown_run(Mode::Backup, &server);
        assert_eq!(cache.current(newer).await.unwrap().unwrap().status.message.as_deref(), Some("theirs"));
        assert_eq!(server.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn a_deletion_that_the_watch_shows_counts_beside_a_newer_own_write() {
        let server = StandIn::default();
        let (cache, mut first) = given(&server);
        let written = write("one", &first, &cache).await;
        first.deleting = true;
        let run = cache.current(first).await.unwrap().unwrap();
        assert_eq!((run.deleting, run.resource_version), (true, written.resource_version));
    }

    #[tokio::test]
    async fn an_invalid_run_is_read_once_and_that_state_counts_until_the_watch_shows_it() {
        let server = StandIn::default();
        let (cache, first) = given(&server);
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &json!({"status": {"message": "theirs"}}), &server));
        cache.invalidate(&first.uid);
        for _ in 0..2 {
            let run = cache.current(first.clone()).await.unwrap().unwrap();
            assert_eq!(run.status.message.as_deref(), Some("theirs"));
        }
        assert_eq!(server.calls(), ["GET backupjobs/nightly"]);
    }

    #[tokio::test]
    async fn an_invalid_run_stays_invalid_until_a_read_of_it_is_answered() {
        let server = StandIn::default();
        let (cache, first) = given(&server);
        cache.invalidate(&first.uid);
        server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        assert!(cache.current(first.clone()).await.is_err());
        server.remove(BACKUP_JOB);
        assert!(cache.current(first).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn failures_in_a_row_count_until_a_reconcile_goes_well_and_the_write_that_shows_them_ends_no_row() {
        let server = StandIn::default();
        let (cache, run) = given(&server);
        assert_eq!((cache.failed(&run.uid), cache.failed(&run.uid)), (1, 2));
        write("one", &run, &cache).await;
        assert_eq!(cache.failed(&run.uid), 3, "the status shows the failures, and they go on");
        cache.went_well(&run.uid);
        assert_eq!(cache.failed(&run.uid), 1);
        cache.ended(&run.uid);
        assert_eq!(cache.failed(&run.uid), 1);
    }

    #[tokio::test]
    async fn the_last_write_of_a_run_that_has_ended_counts_until_the_run_is_forgotten() {
        let server = StandIn::default();
        let (cache, first) = given(&server);
        let written = write("one", &first, &cache).await;
        cache.ended(&first.uid);
        assert_eq!(version(&cache, &first).await, written.resource_version);
        cache.forget(&first.uid);
        assert_eq!(version(&cache, &first).await, first.resource_version);
    }

    #[tokio::test]
    async fn a_run_that_has_ended_is_forgotten_once_the_watch_has_caught_up() {
        let server = StandIn::default();
        let (cache, first) = given(&server);
        let written = write("one", &first, &cache).await;
        cache.caught_up(&first.uid, &first.resource_version);
        assert_eq!(cache.uids(), std::slice::from_ref(&first.uid), "the watch is behind");
        cache.caught_up(&first.uid, &written.resource_version);
        assert_eq!(cache.uids(), [""; 0]);
        cache.failed(&first.uid);
        cache.caught_up(&first.uid, "any");
        assert_eq!(cache.uids(), [""; 0], "nothing of it was written");
    }

    #[tokio::test]
    async fn each_job_of_a_run_is_read_once_in_a_period() {
        let (cache, _) = given(&StandIn::default());
        for job in ["a", "b"] {
            assert!(!cache.job_read_due("u", job, Duration::MAX));
        }
        for job in ["a", "b"] {
            assert!(cache.job_read_due("u", job, Duration::ZERO), "{job}");
            assert!(!cache.job_read_due("u", job, Duration::MAX), "{job}");
        }
    }

    #[tokio::test]
    async fn a_run_is_gone_only_if_a_read_says_so() {
        let server = StandIn::default();
        let (cache, run) = given(&server);
        assert!(!cache.is_gone(&run).await, "only the subresource may be missing");
        server.fault(0, Fault::Answer(403, "Forbidden"));
        assert!(!cache.is_gone(&run).await);
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &json!({"metadata": {"uid": "another"}}), &server));
        assert!(cache.is_gone(&run).await, "another object has the name");
        server.remove(BACKUP_JOB);
        assert!(cache.is_gone(&run).await);
    }

    #[tokio::test]
    async fn a_run_is_paused_for_the_rest_of_its_pause() {
        let server = StandIn::default();
        let (cache, _) = given(&server);
        assert_eq!(cache.paused_for("u"), None);
        cache.pause("u", Duration::from_hours(1));
        let left = cache.paused_for("u").unwrap();
        assert!(left > Duration::from_mins(59) && left <= Duration::from_hours(1), "{left:?}");
        cache.pause("u", Duration::ZERO);
        assert_eq!(cache.paused_for("u"), None, "the pause is over");
    }
}
