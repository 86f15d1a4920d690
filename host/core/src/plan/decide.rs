//! The first phase of a slot: which slots of a Plan are due, and which of them fires.

use jiff::Timestamp;

use super::anchor::{self, AnchorCause};
use super::settle::{Due, Recorded};
use super::state::PlanState;
use super::view::{PlanView, Slot};
use crate::schedule::Schedule;

/// The decision about a Plan at a moment.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanVerdict {
    /// The schedule cannot be used. Nothing fires until the Plan changes.
    Invalid {
        /// Reason of the conditions `Error=True` and `Ready=False`.
        reason: &'static str,
        /// Names the field, the offending part and the remedy.
        message: String,
        /// The state to write. A schedule that is restored later counts from its return.
        state: PlanState,
        /// Slots of the previous schedule that this verdict records.
        recorded: Recorded,
    },
    /// The schedule is valid.
    Scheduled {
        /// The state to write if no slot fires. If one does, [`fired`](super::fired) makes the state to write from it.
        state: PlanState,
        /// Slots that this verdict records; already part of `state`.
        recorded: Recorded,
        /// The slot to create a BackupJob for now.
        fire: Option<Slot>,
        /// When to decide again: the next slot, never a fixed pause. Also decide when the Plan changes.
        wake_at: Option<Timestamp>,
        /// Set if the anchor is new, for an Event.
        anchored: Option<AnchorCause>,
    },
}

impl PlanVerdict {
    /// Returns whether slots are recorded as skipped or missed. Then all BackupJobs of the Plan have to be known
    /// ([`PlanView::runs`]): the slots of those have fired.
    #[must_use]
    pub fn leaves_slots_unfired(&self) -> bool {
        let (Self::Invalid { recorded, .. } | Self::Scheduled { recorded, .. }) = self;
        recorded.counts.skipped > 0 || recorded.counts.missed > 0
    }
}

/// Decides which slots of a Plan are due at `now`.
///
/// Pure and idempotent: the same view and time give the same verdict, and a view that holds the state of the previous
/// verdict records no slot twice. The work is bounded by ten years of days, however many slots they have; of a longer
/// gap only the last ten years are counted, and [`Recorded::at_least`] is set.
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
    let due = Due::new(view, &schedule, anchor, state.floor(anchor), now);
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
