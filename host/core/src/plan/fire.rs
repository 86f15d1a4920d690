//! The second phase of a slot: the API server's answer to the create of its BackupJob.

use backstay_api::conditions::reasons as words;
use backstay_api::{SlotCounts, SlotOutcome, Time, slot_outcome};

use super::settle;
use super::state::PlanState;
use super::view::{ORDINARY_DELAY, Slot};

/// The result of creating a slot's BackupJob. Any other answer of the API server is no result; the create is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FireResult {
    /// The BackupJob was created.
    Created,
    /// The BackupJob exists, and its controller has the Plan's uid.
    AlreadyOurs,
    /// A BackupJob of that name exists, and another object or nobody controls it.
    NameTaken {
        /// Its owner for messages, such as `Plan nightly (uid ...)` or `no owner`.
        by: String,
    },
}

/// Returns the state after the create of a slot's BackupJob: the slot is recorded once, as Fired, or as Missed if its
/// name is taken. `state` is that of the verdict that named the slot.
///
/// Idempotent: a recorded slot keeps its outcome, with one exception. If another controller, whose clock is ahead, recorded
/// the slot as missed while its BackupJob was being created, the outcome is corrected to Fired.
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
        let wrong = if known.outcome == slot_outcome::SKIPPED {
            &mut state.counts.skipped
        } else {
            &mut state.counts.missed
        };
        *wrong = wrong.saturating_sub(1).max(0);
        state.counts.fired = state.counts.fired.saturating_add(1);
        *known = outcome;
    }
    state
}

fn outcome_of(slot: &Slot, result: &FireResult) -> (SlotOutcome, SlotCounts) {
    let fired = SlotCounts { fired: 1, ..SlotCounts::default() };
    let (outcome, reason, message, counts) = match result {
        FireResult::AlreadyOurs => return (settle::already_created(slot), fired),
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
