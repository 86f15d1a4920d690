//! The inputs of a decision about a Plan, and the slots that it names.

use std::collections::BTreeSet;

use backstay_api::DEFAULT_STARTING_DEADLINE_SECONDS;
use backstay_api::names::plan_run_name;
use jiff::{SignedDuration, Timestamp};

use super::state::PlanState;
use crate::schedule::canonical;

/// Slots that are decided within this time are on time, whatever the starting deadline.
pub(super) const ORDINARY_DELAY: SignedDuration = SignedDuration::from_secs(10);

/// A Plan as it was read, and the BackupJobs that it made.
#[derive(Debug, Clone)]
pub struct PlanView<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// `spec.schedule.cron`; empty where it is absent.
    pub cron: &'a str,
    /// `spec.timeZone`.
    pub time_zone: Option<&'a str>,
    /// `spec.startingDeadlineSeconds`.
    pub starting_deadline_seconds: Option<i64>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// When the schedule was last changed: the time of the newest `metadata.managedFields` entry that holds
    /// `spec.schedule`. Only read if the schedule differs from the anchor's; `None` stands for `now`.
    pub changed_at: Option<Timestamp>,
    /// Names of the BackupJobs whose controller has this Plan's uid. They tell fired slots from missed and skipped ones, so they
    /// need not be known where the verdict is the same without them
    /// ([`PlanVerdict::leaves_slots_unfired`](super::PlanVerdict::leaves_slots_unfired)). They may lag behind the last create.
    pub runs: &'a BTreeSet<String>,
    /// The slot whose BackupJob the API server did not create the last time, and why.
    pub refused: Option<(Timestamp, &'a str)>,
    /// The state read from the Plan's status.
    pub state: &'a PlanState,
}

/// A slot that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The time of the slot.
    pub at: Timestamp,
    /// Name of its BackupJob, a function of the Plan's name and the slot's time.
    pub name: String,
    /// How long after its time the slot was decided.
    pub delay: SignedDuration,
}

impl PlanView<'_> {
    /// Returns whether the schedule differs from the anchor's: only then [`Self::changed_at`] is read.
    #[must_use]
    pub fn is_rescheduled(&self) -> bool {
        let anchor = self.state.anchor.as_ref();
        anchor.is_some_and(|anchor| anchor.schedule != canonical(self.cron, self.time_zone))
    }

    pub(super) fn deadline(&self) -> SignedDuration {
        let seconds = self.starting_deadline_seconds.unwrap_or(DEFAULT_STARTING_DEADLINE_SECONDS);
        SignedDuration::from_secs(seconds).max(ORDINARY_DELAY)
    }

    pub(super) fn slot(&self, at: Timestamp, now: Timestamp) -> Slot {
        Slot { at, name: plan_run_name(self.name, at.as_second()), delay: now.duration_since(at) }
    }
}
