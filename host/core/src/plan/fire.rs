//! The second phase of a slot: what the API server said to its BackupJob.

use backstay_api::conditions::reasons as words;
use backstay_api::{SlotCounts, SlotOutcome, Time, slot_outcome};
use jiff::{SignedDuration, Timestamp};

use super::{ORDINARY_DELAY, PlanState, settle};

/// A slot that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The time of the slot.
    pub at: Timestamp,
    /// Name of its BackupJob: the same whoever fires the slot, and however often.
    pub name: String,
    /// How long after its time the slot was decided.
    pub delay: SignedDuration,
}

/// What came of creating a slot's BackupJob. Any other answer of the API server is no result: try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FireResult {
    /// It was created.
    Created,
    /// It exists, and its controller has the Plan's uid.
    AlreadyOurs,
    /// It exists, and is somebody else's.
    NameTaken {
        /// Whose, in words, such as `Plan nightly (uid ...)` or `no owner`.
        by: String,
    },
}

/// The state after a slot's BackupJob was asked for: the slot is recorded once, as Fired, or as Missed where its name
/// is taken. `state` is that of the verdict that named the slot.
///
/// Idempotent: a slot that is recorded already stays as it is, but for one case. Where another controller, with a clock
/// ahead of ours, gave the slot up while its BackupJob was being made, the record is corrected to Fired.
#[must_use]
pub fn fired(state: &PlanState, slot: &Slot, result: FireResult) -> PlanState {
    let mut state = state.clone();
    let (outcome, counts) = outcome_of(slot, &result);
    if state.last_slot.is_none_or(|last| slot.at > last) {
        state.last_slot = Some(slot.at);
        state.add(counts, vec![outcome]);
        return state;
    }
    let given_up = state.recent.iter_mut().find(|known| known.slot.0 == slot.at);
    if let Some(known) = given_up
        && counts.fired == 1
        && known.outcome != slot_outcome::FIRED
    {
        let left = if known.outcome == slot_outcome::SKIPPED {
            &mut state.counts.skipped
        } else {
            &mut state.counts.missed
        };
        *left = left.saturating_sub(1).max(0);
        state.counts.fired = state.counts.fired.saturating_add(1);
        *known = outcome;
    }
    state
}

fn outcome_of(slot: &Slot, result: &FireResult) -> (SlotOutcome, SlotCounts) {
    let fired = SlotCounts { fired: 1, ..SlotCounts::default() };
    let (outcome, reason, message, counts) = match result {
        FireResult::AlreadyOurs => return (settle::found(slot), fired),
        FireResult::Created if slot.delay > ORDINARY_DELAY => {
            let message = format!("{} s after its time", slot.delay.as_secs());
            (slot_outcome::FIRED, words::LATE, Some(message), fired)
        }
        FireResult::Created => (slot_outcome::FIRED, words::ON_TIME, None, fired),
        FireResult::NameTaken { by } => {
            let message =
                format!("BackupJob {} exists and belongs to {by}: rename it or the Plan", slot.name);
            let missed = SlotCounts { missed: 1, ..SlotCounts::default() };
            (slot_outcome::MISSED, words::NAME_TAKEN, Some(message), missed)
        }
    };
    let outcome = SlotOutcome {
        slot: Time(slot.at),
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        message,
        backup_job: (counts.fired == 1).then(|| slot.name.clone()),
    };
    (outcome, counts)
}
