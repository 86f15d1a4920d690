//! The status of a run: the one place that writes phases and conditions.
//!
//! Conditions follow kstatus (docs/operations/status.md), so that `kubectl wait --for=condition=Ready` works: a run that
//! waits or is in progress has `Reconciling=True` and `Ready=False`; a succeeded run has `Ready=True`; a failed run has
//! `Ready=False` and `Stalled=True`.

use backstay_api::conditions::{reasons, types};
use backstay_api::{BackupJobStatus, Condition, LocalRef, RestoreJobStatus, RunRecord, Time, phase};
use jiff::Timestamp;
use serde::Serialize;

use crate::contract::Mode;

/// Longest message written, in bytes; a condition holds 32 KiB at most.
const MESSAGE: usize = 16 * 1024;
/// Longest message of a status that has to be small.
const REDUCED_MESSAGE: usize = 256;

/// The status of a BackupJob or RestoreJob. Only a BackupJob has `backupRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Phase of the run, see [`phase`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The Backup that the run made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_ref: Option<LocalRef>,
    /// When the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// Why the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Conditions, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Generation of the object that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Since when the run has waited for the reason of `Ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,
    /// The run's inputs, on record from its beginning on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<RunRecord>>,
}

/// Converts the status of a kind. It names every field, so that a new field does not compile until it is added here.
macro_rules! status_of {
    ($kind:ident { $($own:ident)? }, $backup_ref:expr) => {
        impl From<&$kind> for RunStatus {
            fn from(status: &$kind) -> Self {
                let $kind {
                    $($own,)?
                    phase,
                    started_at,
                    completed_at,
                    message,
                    conditions,
                    observed_generation,
                    waiting_since,
                    run,
                } = status.clone();
                Self {
                    phase,
                    backup_ref: $backup_ref,
                    started_at,
                    completed_at,
                    message,
                    conditions,
                    observed_generation,
                    waiting_since,
                    run,
                }
            }
        }
    };
}

status_of!(BackupJobStatus { backup_ref }, backup_ref);
status_of!(RestoreJobStatus {}, None);

/// How far the clock that wrote a time may be ahead.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

impl RunStatus {
    /// Returns whether the run has ended.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        phase::is_terminal(self.phase.as_deref())
    }

    /// Returns the deadline on record; `None` before the run has begun.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        Some(self.run.as_ref()?.deadline.as_ref()?.0)
    }

    /// Returns the condition `Ready`, if it is set.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.type_ == types::READY)
    }

    /// Returns whether a restore uses the current strategy, because its Backup pins none.
    #[must_use]
    pub fn is_unpinned(&self) -> bool {
        self.conditions.iter().any(|c| c.type_ == types::STRATEGY_PINNED && c.status == "False")
    }

    /// Marks the run as blocked, before it has begun or after. The wait counts from the first call with its reason until the
    /// run goes on; a beginning that is still to come was written by a clock that was wrong, and now counts instead.
    pub fn wait(&mut self, reason: &str, message: &str, now: Timestamp) {
        let same = self.ready().is_some_and(|c| c.reason == reason);
        if self.run.is_none() {
            self.phase = Some(phase::PENDING.to_owned());
        }
        let begun = self.waiting_since.as_ref().is_some_and(|since| since.0.duration_since(now) <= AHEAD);
        if !same || !begun {
            self.waiting_since = Some(seconds(now));
        }
        self.set(types::READY, Some(false), reason, message, now);
        self.set(types::RECONCILING, Some(true), reason, message, now);
    }

    /// Removes phase and conditions of a wait: another controller serves the run.
    pub fn withdraw(&mut self) {
        self.phase = None;
        self.message = None;
        self.waiting_since = None;
        self.unset(&[types::READY, types::RECONCILING]);
    }

    /// Returns how long the run has waited for `reason`; zero if it waits for another reason or not at all. Older CRDs drop
    /// `waitingSince`: then a run that has not begun has waited since its condition `Ready` is False.
    #[must_use]
    pub fn waited(&self, reason: &str, now: Timestamp) -> jiff::SignedDuration {
        let Some(ready) = self.ready().filter(|c| c.reason == reason) else {
            return jiff::SignedDuration::ZERO;
        };
        match &self.waiting_since {
            Some(since) => now.duration_since(since.0),
            None if self.run.is_none() && self.started_at.is_none() => {
                now.duration_since(ready.last_transition_time.0)
            }
            None => jiff::SignedDuration::ZERO,
        }
    }

    /// Begins the run with the inputs in `record`.
    pub fn begin(&mut self, record: RunRecord, now: Timestamp) {
        self.phase = Some(phase::RUNNING.to_owned());
        self.started_at.get_or_insert_with(|| seconds(now));
        self.waiting_since = None;
        self.run = Some(Box::new(record));
        self.running("the run has begun", now);
    }

    /// Marks the run as in progress.
    pub fn running(&mut self, message: &str, now: Timestamp) {
        self.paused(reasons::RUNNING, message, now);
    }

    /// Marks the run as in progress while its strategy waits; the strategy itself bounds that wait.
    pub fn paused(&mut self, reason: &str, message: &str, now: Timestamp) {
        self.waiting_since = None;
        self.set(types::READY, Some(false), reason, message, now);
        self.set(types::RECONCILING, Some(true), reason, message, now);
    }

    /// Marks the run as succeeded.
    pub fn succeed(&mut self, mode: Mode, message: &str, now: Timestamp) {
        let reason = match mode {
            Mode::Backup => reasons::BACKUP_COMPLETED,
            Mode::Restore => reasons::RESTORE_COMPLETED,
            Mode::Cleanup => reasons::CLEANUP_COMPLETED,
        };
        self.phase = Some(phase::SUCCEEDED.to_owned());
        self.completed_at = Some(seconds(now));
        self.message = None;
        self.waiting_since = None;
        self.set(types::READY, Some(true), reason, message, now);
        self.unset(&[types::RECONCILING, types::STALLED, types::THROTTLED]);
    }

    /// Says that the run is slowed, or no longer.
    pub fn throttled(&mut self, message: Option<&str>, now: Timestamp) {
        match message {
            Some(message) => {
                self.set(types::THROTTLED, Some(true), reasons::STRATEGY_EXCEEDS_BUDGET, message, now);
            }
            None => self.unset(&[types::THROTTLED]),
        }
    }

    /// Marks the run as failed. `startedAt` may stay empty: a run can fail before it begins.
    pub fn fail(&mut self, reason: &str, message: &str, now: Timestamp) {
        let message = sanitize(message, MESSAGE);
        self.phase = Some(phase::FAILED.to_owned());
        self.completed_at = Some(seconds(now));
        self.message = Some(message.clone());
        self.waiting_since = None;
        self.set(types::READY, Some(false), reason, &message, now);
        self.set(types::STALLED, Some(true), reason, &message, now);
        self.unset(&[types::RECONCILING]);
    }

    /// Reduces the status to phase, reason and message, with the record that is stored: an object can be too large for more.
    pub fn reduce(&mut self, stored: Option<Box<RunRecord>>) {
        let cut = |text: &str| sanitize(text, REDUCED_MESSAGE);
        self.conditions.retain(|c| [types::READY, types::STALLED].contains(&c.type_.as_str()));
        for condition in &mut self.conditions {
            condition.message = cut(&condition.message);
        }
        self.message = self.message.as_deref().map(cut);
        self.run = stored;
    }

    /// Sets a condition. Its transition time changes only with its status.
    pub fn set(&mut self, type_: &str, status: Option<bool>, reason: &str, message: &str, now: Timestamp) {
        set_condition(&mut self.conditions, self.observed_generation, type_, status, reason, message, now);
    }

    fn unset(&mut self, types: &[&str]) {
        self.conditions.retain(|c| !types.contains(&c.type_.as_str()));
    }
}

/// Sets a condition in a list, by type. Its transition time changes only with its status.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    generation: Option<i64>,
    type_: &str,
    status: Option<bool>,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let status = match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let found = conditions.iter_mut().find(|c| c.type_ == type_);
    let since = found.as_ref().filter(|c| c.status == status).map(|c| c.last_transition_time.clone());
    let condition = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: sanitize(message, MESSAGE),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| seconds(now)),
    };
    match found {
        Some(there) => *there = condition,
        None => conditions.push(condition),
    }
}

/// Cuts a time to whole seconds, as Kubernetes does: a time read back equals the time written.
#[must_use]
pub fn seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Cuts a text to `bytes` and replaces control characters other than line breaks and tabs: messages of pods reach
/// terminals.
#[must_use]
pub fn sanitize(text: &str, bytes: usize) -> String {
    let harmless =
        |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let mut text: String = text.chars().map(harmless).collect();
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Returns the JSON merge patch (RFC 7386) that turns `old` into `new`; `None` if they are equal.
#[must_use]
pub fn merge_diff(old: &serde_json::Value, new: &serde_json::Value) -> Option<serde_json::Value> {
    use serde_json::Value::{Null, Object};
    match (old, new) {
        (old, new) if old == new => None,
        (Object(old), Object(new)) => {
            let mut patch = serde_json::Map::new();
            for (key, value) in new {
                match old.get(key) {
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                    Some(before) => {
                        if let Some(difference) = merge_diff(before, value) {
                            patch.insert(key.clone(), difference);
                        }
                    }
                }
            }
            for key in old.keys().filter(|k| !new.contains_key(*k)) {
                patch.insert(key.clone(), Null);
            }
            Some(Object(patch))
        }
        (_, new) => Some(new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn conditions(status: &RunStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
    }

    #[test]
    fn kstatus_a_waiting_run_reconciles_and_is_not_ready() {
        let mut status = RunStatus::default();
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(1));
        assert_eq!(
            conditions(&status),
            ["Ready=False/BackupClassNotFound", "Reconciling=True/BackupClassNotFound"]
        );
        assert_eq!(status.phase.as_deref(), Some("Pending"));
        assert_eq!(status.started_at, None);
    }

    #[test]
    fn kstatus_a_run_that_succeeded_is_ready_and_nothing_else() {
        let mut status = RunStatus::default();
        status.begin(RunRecord::default(), at(1));
        status.succeed(Mode::Backup, "done", at(2));
        assert_eq!(conditions(&status), ["Ready=True/BackupCompleted"]);
        assert_eq!((status.phase.as_deref(), status.message), (Some("Succeeded"), None));
    }

    #[test]
    fn kstatus_a_run_that_failed_is_stalled() {
        let mut status = RunStatus::default();
        status.begin(RunRecord::default(), at(1));
        status.fail("BackupFailed", "why", at(2));
        assert_eq!(conditions(&status), ["Ready=False/BackupFailed", "Stalled=True/BackupFailed"]);
        assert_eq!(status.message.as_deref(), Some("why"));
    }

    #[test]
    fn t12_a_reduced_status_has_phase_reason_and_message_and_the_record_that_is_stored() {
        let mut status = RunStatus::default();
        let record = RunRecord { strategy_revision: Some("r".into()), ..RunRecord::default() };
        status.begin(record.clone(), at(1));
        status.set("StrategyPinned", Some(true), "StrategyPinned", "m", at(1));
        status.fail("ObjectTooLarge", &"x".repeat(5000), at(2));
        let mut begun = status.clone();
        begun.reduce(Some(Box::new(record)));
        status.reduce(None);
        assert_eq!(conditions(&status), ["Ready=False/ObjectTooLarge", "Stalled=True/ObjectTooLarge"]);
        assert_eq!(
            (status.phase.as_deref(), status.run.is_none(), begun.run.is_some()),
            (Some("Failed"), true, true)
        );
        assert!(serde_json::to_string(&status).unwrap().len() < 1500);
    }

    #[test]
    fn f9_a_wait_is_counted_from_its_own_beginning() {
        let mut status = RunStatus::default();
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(100));
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(130));
        assert_eq!(status.waited(reasons::BACKUP_CLASS_NOT_FOUND, at(160)).as_secs(), 60);
        status.wait(reasons::STRATEGY_NOT_READY, "m", at(200));
        assert_eq!(status.waited(reasons::STRATEGY_NOT_READY, at(260)).as_secs(), 60);
        assert_eq!(status.waited(reasons::BACKUP_CLASS_NOT_FOUND, at(260)).as_secs(), 0);
    }

    #[test]
    fn f9_a_wait_that_began_by_a_clock_that_was_ahead_ends_in_time_all_the_same() {
        let mut status = RunStatus::default();
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(5000));
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(4995));
        assert_eq!(status.waited(reasons::BACKUP_CLASS_NOT_FOUND, at(5060)).as_secs(), 60);
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(100));
        assert_eq!(status.waited(reasons::BACKUP_CLASS_NOT_FOUND, at(160)).as_secs(), 60);
    }

    #[test]
    fn a_run_that_has_begun_counts_its_waits_too_until_it_goes_on() {
        let mut status = RunStatus::default();
        status.begin(RunRecord::default(), at(100));
        status.wait(reasons::COMPONENT_MISSING, "gone", at(200));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert_eq!(status.waited(reasons::COMPONENT_MISSING, at(260)).as_secs(), 60);
        status.running("back", at(300));
        assert_eq!(status.waiting_since, None);
        status.wait(reasons::COMPONENT_MISSING, "gone again", at(400));
        assert_eq!(status.waited(reasons::COMPONENT_MISSING, at(410)).as_secs(), 10);
    }

    #[test]
    fn a_wait_ends_although_older_crds_drop_the_time_of_its_beginning() {
        let mut status = RunStatus::default();
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(100));
        status.waiting_since = None;
        status.wait(reasons::BACKUP_CLASS_NOT_FOUND, "m", at(130));
        status.waiting_since = None;
        assert_eq!(status.waited(reasons::BACKUP_CLASS_NOT_FOUND, at(160)).as_secs(), 60);
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let mut status = RunStatus::default();
        status.wait("A", "m", at(1));
        status.fail("B", "m", at(9));
        assert_eq!(status.ready().unwrap().last_transition_time, seconds(at(1)));
    }

    #[test]
    fn f7_a_run_that_turns_out_to_be_another_controllers_says_nothing_any_more() {
        let mut status = RunStatus::default();
        status.wait("BackupClassNotFound", "not there yet", at(1));
        status.withdraw();
        assert_eq!(status, RunStatus::default());
    }

    #[test]
    fn a_message_cannot_take_over_the_terminal_that_shows_it() {
        let mut status = RunStatus::default();
        status.fail("X", "a\u{1b}[2J\tb\n\u{7}", at(1));
        assert_eq!(status.message.as_deref(), Some("a\u{fffd}[2J\tb\n\u{fffd}"));
        assert_eq!(status.message, status.ready().map(|c| c.message.clone()));
        assert_eq!(sanitize("éé", 3), "é");
    }

    #[test]
    fn a_status_that_does_not_change_is_not_written() {
        let mut status = RunStatus::default();
        status.wait("A", "m", at(1));
        let before = serde_json::to_value(&status).unwrap();
        status.wait("A", "m", at(5));
        assert_eq!(merge_diff(&before, &serde_json::to_value(&status).unwrap()), None);
    }

    #[test]
    fn a_merge_patch_names_what_changed_and_removes_what_is_gone() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 3}, "e": [2], "f": 4});
        assert_eq!(merge_diff(&old, &new), Some(json!({"b": {"c": 3, "d": null}, "e": [2], "f": 4})));
    }
}
