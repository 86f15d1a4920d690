//! Decides whether a run has to end early, and how long its component may undo what the run has begun.
//!
//! A run ends early when its object is deleted or its deadline passes. A component with the trait `cancel` is then called
//! until a second deadline; after that the run ends without a call.

use backstay_api::finalizers;
use jiff::{SignedDuration, Timestamp};

use crate::contract::{CancelCause, Cancellation, Descriptor, Mode};
use crate::status::RunStatus;

/// The facts of a run that decide about its early end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Mode of the run.
    pub mode: Mode,
    /// The run's inputs are on record.
    pub begun: bool,
    /// The run is `Succeeded` or `Failed`.
    pub ended: bool,
    /// The run's object has the finalizer that holds it until its component has undone what it began.
    pub held: bool,
    /// When the run's object was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The deadline on record.
    pub deadline: Option<Timestamp>,
    /// Whether the run's component declares `cancel`; `None` if it is not loaded: it may be loaded again in time.
    pub component_cancels: Option<bool>,
}

/// Whether and how a run ends early, at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The run goes on.
    GoesOn,
    /// The run has to end, and its component is not called again.
    Now {
        /// Why the run has to end.
        cause: CancelCause,
        /// When the run had to end.
        since: Timestamp,
    },
    /// The run has to end, and its component may undo what it began.
    Undoing {
        /// Why the run has to end.
        cause: CancelCause,
        /// When the component's time ends.
        until: Timestamp,
    },
    /// The component did not finish undoing in time.
    UndoTimeOver {
        /// When the component's time ended.
        until: Timestamp,
    },
}

impl RunFacts {
    /// Collects the facts of a run from its status and its object's finalizers.
    #[must_use]
    pub fn new(
        mode: Mode,
        status: &RunStatus,
        object_finalizers: &[String],
        deleted_at: Option<Timestamp>,
        component_cancels: Option<bool>,
    ) -> Self {
        Self {
            mode,
            begun: status.run.is_some(),
            ended: status.is_terminal(),
            held: object_finalizers.iter().any(|f| f == finalizers::UNDO),
            deleted_at,
            deadline: status.deadline(),
            component_cancels,
        }
    }

    /// Returns whether the run's component is called after the run has to end.
    #[must_use]
    pub fn may_cancel(&self) -> bool {
        self.mode != Mode::Cleanup
            && self.held
            && self.begun
            && !self.ended
            && self.component_cancels.unwrap_or(true)
    }

    /// Returns whether the run's deadline has passed.
    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Decides whether the run goes on at `now`. A component gets `undo_deadline` for undoing.
    #[must_use]
    pub fn ending(&self, now: Timestamp, undo_deadline: SignedDuration) -> Ending {
        // The deletion of a Backup starts its clean-up and does not end it.
        let deleted = self.deleted_at.filter(|_| self.mode != Mode::Cleanup);
        let late = || self.deadline.filter(|_| self.is_late(now));
        let (cause, since) = match (deleted, late()) {
            (Some(since), _) => (CancelCause::Deleted, since),
            (None, Some(since)) => (CancelCause::Deadline, since),
            (None, None) => return Ending::GoesOn,
        };
        if !self.may_cancel() {
            return Ending::Now { cause, since };
        }
        let until = since.saturating_add(undo_deadline).unwrap_or(since);
        if now >= until { Ending::UndoTimeOver { until } } else { Ending::Undoing { cause, until } }
    }

    /// Returns the time until a second after the run's next deadline; the longest duration if it has none.
    ///
    /// The extra second lets the Job end first: it fails at the deadline too, and names it.
    #[must_use]
    pub fn until_deadline(&self, now: Timestamp, undo_deadline: SignedDuration) -> std::time::Duration {
        let next = self.ending(now, undo_deadline).hard_deadline().or(self.deadline);
        let Some(next) = next else { return std::time::Duration::MAX };
        std::time::Duration::try_from(next.duration_since(now)).unwrap_or_default()
            + std::time::Duration::from_secs(1)
    }
}

impl Ending {
    /// Returns when the run ends without a call of its component; `None` for a run that goes on.
    #[must_use]
    pub fn hard_deadline(self) -> Option<Timestamp> {
        match self {
            Self::GoesOn => None,
            Self::Now { since, .. } => Some(since),
            Self::Undoing { until, .. } | Self::UndoTimeOver { until } => Some(until),
        }
    }

    /// Returns whether the run ends now, without another call of its component.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Now { .. } | Self::UndoTimeOver { .. })
    }

    /// Returns the cancellation to pass to the component, while it may undo.
    #[must_use]
    pub fn cancellation(self) -> Option<Cancellation> {
        match self {
            Self::Undoing { cause, until } => Some(Cancellation { cause, deadline: until.as_second() }),
            _ => None,
        }
    }
}

/// Returns whether a run of this mode gets the finalizer that holds its object: its component may undo what it began, or
/// a restore may hand its checkpoint over to the next restore.
#[must_use]
pub fn needs_finalizer(mode: Mode, descriptor: &Descriptor) -> bool {
    let hands_over = || descriptor.stages.iter().any(|s| s.mode == Mode::Restore && s.keeps_checkpoint);
    match mode {
        Mode::Backup => descriptor.traits.cancel,
        Mode::Restore => descriptor.traits.cancel || hands_over(),
        Mode::Cleanup => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Json, Stage, Traits};

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "c".into(),
            version: "1.0.0".into(),
            kinds: Vec::new(),
            parameters_schema: Json::Null,
            options_schema: Json::Null,
            access: Vec::new(),
            namespaces: Vec::new().into_iter().collect(),
            stages: Vec::new(),
            longest_run: 60,
            restores: Vec::new(),
            target_namespace_option: None,
            traits: Traits::default(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A run that has begun, with a component that cancels, and a deadline at 100.
    fn facts() -> RunFacts {
        RunFacts {
            mode: Mode::Restore,
            begun: true,
            ended: false,
            held: true,
            deleted_at: None,
            deadline: Some(at(100)),
            component_cancels: Some(true),
        }
    }

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn undoing(cause: CancelCause, until: i64) -> Ending {
        Ending::Undoing { cause, until: at(until) }
    }

    #[test]
    fn a_run_ends_at_its_deadline_or_deletion_once_its_component_has_undone() {
        use CancelCause::{Deadline, Deleted};
        let deleted = RunFacts { deleted_at: Some(at(50)), ..facts() };
        let plain = RunFacts { component_cancels: Some(false), ..facts() };
        for (what, facts, now, ending) in [
            ("before its deadline", facts(), 99, Ending::GoesOn),
            ("without a deadline", RunFacts { deadline: None, ..facts() }, 999, Ending::GoesOn),
            ("at its deadline", facts(), 100, undoing(Deadline, 160)),
            ("a second before the undo deadline", facts(), 159, undoing(Deadline, 160)),
            ("at the undo deadline", facts(), 160, Ending::UndoTimeOver { until: at(160) }),
            ("deleted", deleted.clone(), 60, undoing(Deleted, 110)),
            ("deleted, then late", deleted, 105, undoing(Deleted, 110)),
            ("late, nothing to undo", plain.clone(), 100, Ending::Now { cause: Deadline, since: at(100) }),
            (
                "deleted, nothing to undo",
                RunFacts { deleted_at: Some(at(50)), ..plain },
                60,
                Ending::Now { cause: Deleted, since: at(50) },
            ),
            (
                "a clean-up whose Backup is deleted",
                RunFacts { mode: Mode::Cleanup, deleted_at: Some(at(50)), ..facts() },
                60,
                Ending::GoesOn,
            ),
            (
                "a clean-up past its deadline",
                RunFacts { mode: Mode::Cleanup, ..facts() },
                100,
                Ending::Now { cause: Deadline, since: at(100) },
            ),
        ] {
            assert_eq!(facts.ending(at(now), MINUTE), ending, "{what}");
        }
    }

    #[test]
    fn only_a_held_and_begun_run_that_has_not_ended_may_cancel() {
        assert!(facts().may_cancel());
        assert!(
            RunFacts { component_cancels: None, ..facts() }.may_cancel(),
            "a component that is not loaded may come back"
        );
        for (what, facts) in [
            ("a clean-up", RunFacts { mode: Mode::Cleanup, ..facts() }),
            ("not begun", RunFacts { begun: false, ..facts() }),
            ("ended", RunFacts { ended: true, ..facts() }),
            ("not held by the finalizer", RunFacts { held: false, ..facts() }),
            ("its component does not cancel", RunFacts { component_cancels: Some(false), ..facts() }),
        ] {
            assert!(!facts.may_cancel(), "{what}");
        }
    }

    #[test]
    fn a_component_gets_a_cancellation_only_while_it_may_undo() {
        let cancellation = |now| facts().ending(at(now), MINUTE).cancellation();
        assert_eq!(cancellation(99), None);
        assert_eq!(cancellation(100), Some(Cancellation { cause: CancelCause::Deadline, deadline: 160 }));
        assert_eq!(cancellation(160), None);
    }

    #[test]
    fn the_wait_ends_a_second_after_the_next_deadline() {
        let next = |facts: RunFacts, now| facts.until_deadline(at(now), MINUTE).as_secs();
        assert_eq!(next(facts(), 90), 11);
        assert_eq!(next(facts(), 100), 61);
        assert_eq!(next(facts(), 500), 1);
        let endless = RunFacts { deadline: None, ..facts() };
        assert_eq!(endless.until_deadline(at(0), MINUTE), std::time::Duration::MAX);
    }

    #[test]
    fn runs_that_may_cancel_or_hand_over_need_a_finalizer() {
        let mut descriptor = descriptor();
        assert!(!needs_finalizer(Mode::Restore, &descriptor));
        descriptor.stages = vec![Stage {
            mode: Mode::Restore,
            name: "purge".into(),
            about: String::new(),
            keeps_checkpoint: true,
        }];
        assert!(needs_finalizer(Mode::Restore, &descriptor));
        assert!(!needs_finalizer(Mode::Backup, &descriptor));
        descriptor.traits.cancel = true;
        assert!(needs_finalizer(Mode::Backup, &descriptor));
        assert!(!needs_finalizer(Mode::Cleanup, &descriptor));
    }
}
