//! Plans: which slots of a schedule fire, and what is recorded of every slot (lifecycle R1).
//!
//! Every activation strictly after the anchor is a slot, and ends in exactly one recorded outcome. The anchor is the
//! Plan's creation, or the last change of its schedule. Firing has two phases, since a create must be confirmed:
//!
//! 1. [`decide`] says what is due. The host creates the BackupJob of [`Slot::name`], owned by the Plan.
//! 2. [`fired`] takes the API server's answer and gives the state to write to the Plan's status.
//!
//! A crash between the two loses nothing: the next `decide` either names the same slot again, and the create is
//! answered by "exists already", or finds the BackupJob among [`PlanView::runs`]. Both writers of two controllers that
//! overlap come to the same state; whoever loses the write reads the status again and decides again.

mod anchor;
mod fire;
mod settle;
mod status;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use backstay_api::names::plan_run_name;
use backstay_api::{DEFAULT_STARTING_DEADLINE_SECONDS, SlotCounts, SlotOutcome};
use jiff::{SignedDuration, Timestamp};

use crate::schedule::Schedule;

pub use anchor::{Anchor, AnchorCause};
pub use fire::{FireResult, Slot, fired};
pub use settle::{Recorded, reasons};

/// What is an ordinary delay between a slot and the look at it: such a slot is on time, whatever the deadline says.
const ORDINARY_DELAY: SignedDuration = SignedDuration::from_secs(10);

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
    /// When the schedule was last changed, where the host knows (newest `metadata.managedFields` entry that holds
    /// `spec.schedule`). Only read when the schedule is seen to have changed; `None` stands for `now`.
    pub changed_at: Option<Timestamp>,
    /// Names of the BackupJobs of the Plan's namespace whose controller has this Plan's uid. After a start, a complete
    /// list: it tells slots that fired from slots that were missed. Later it may lag behind the last create.
    pub runs: &'a BTreeSet<String>,
    /// What the status says.
    pub state: &'a PlanState,
}

/// What a Plan's status remembers of its slots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanState {
    /// Where slots count from. `None` before the Plan is looked at for the first time.
    pub anchor: Option<Anchor>,
    /// The latest slot with an outcome. Every slot up to it is settled.
    pub last_slot: Option<Timestamp>,
    /// The next slot that is to fire; `None` while the Plan is suspended or its schedule invalid.
    pub next_slot: Option<Timestamp>,
    /// The outcomes recorded last, newest first, at most [`backstay_api::RECENT_SLOTS`].
    pub recent: Vec<SlotOutcome>,
    /// All outcomes.
    pub counts: SlotCounts,
}

/// What to do for a Plan now.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanVerdict {
    /// The schedule cannot be used. Nothing fires, and there is nothing to wake up for but a change of the Plan.
    Invalid {
        /// Reason of the conditions `Error=True` and `Ready=False`.
        reason: &'static str,
        /// Names the field, the offending part and the remedy.
        message: String,
        /// The state to write: a schedule that comes back later counts from its return.
        state: PlanState,
        /// Slots of the schedule before, settled by this verdict.
        recorded: Recorded,
    },
    /// The schedule is valid.
    Scheduled {
        /// The state to write where nothing fires. Where a slot fires, [`fired`] makes the state to write from it.
        state: PlanState,
        /// Slots that this verdict settles; already part of `state`.
        recorded: Recorded,
        /// The slot to create a BackupJob for now.
        fire: Option<Slot>,
        /// When to decide again: the next slot, never a fixed pause. Also decide when the Plan changes.
        wake_at: Option<Timestamp>,
        /// Set where the anchor is new, for an Event.
        anchored: Option<AnchorCause>,
    },
}

/// Decides what is due for a Plan at `now`.
///
/// Pure and idempotent: the same view and time give the same verdict, and a view that holds the state of the verdict
/// before settles no slot twice. The work is bounded by ten years of days, however many slots they have; a gap longer
/// than that is counted for its last ten years, and [`Recorded::at_least`] says so.
#[must_use]
pub fn decide(view: &PlanView<'_>, now: Timestamp) -> PlanVerdict {
    let mut recorded = Recorded::default();
    let (mut state, anchor, anchored) = anchor::place(view, now, &mut recorded);
    let schedule = match Schedule::parse(view.cron, view.time_zone) {
        Ok(schedule) => schedule,
        Err(error) => {
            state.next_slot = None;
            let (reason, message) = (error.reason(), error.to_string());
            return PlanVerdict::Invalid { reason, message, state, recorded };
        }
    };
    let due = settle::Due::new(view, &schedule, anchor, state.floor(anchor), now);
    let fire = if view.suspend {
        due.skip(&mut state, &mut recorded);
        None
    } else {
        due.catch_up(&mut state, &mut recorded)
    };
    let wake_at = schedule.next_after(now.max(state.floor(anchor)), anchor);
    state.next_slot = wake_at.filter(|_| !view.suspend);
    PlanVerdict::Scheduled { state, recorded, fire, wake_at, anchored }
}

impl PlanState {
    /// Slots up to here are settled or none.
    fn floor(&self, anchor: Timestamp) -> Timestamp {
        self.last_slot.map_or(anchor, |last| last.max(anchor))
    }
}

impl PlanView<'_> {
    fn deadline(&self) -> SignedDuration {
        let seconds = self.starting_deadline_seconds.unwrap_or(DEFAULT_STARTING_DEADLINE_SECONDS);
        SignedDuration::from_secs(seconds).max(ORDINARY_DELAY)
    }

    fn slot(&self, at: Timestamp, now: Timestamp) -> Slot {
        Slot { at, name: plan_run_name(self.name, at.as_second()), delay: now.duration_since(at) }
    }
}
