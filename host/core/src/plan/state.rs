//! The part of a Plan's status that tells which of its slots have an outcome.

use backstay_api::{PlanStatus, RECENT_SLOTS, SlotCounts, SlotOutcome, Time};
use jiff::Timestamp;

/// The moment that the slots of a schedule count from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Slots are strictly after this; `@every` counts from it. A whole second.
    pub at: Timestamp,
    /// The schedule with its time zone, as [`canonical`](crate::schedule::canonical) writes it.
    pub schedule: String,
}

/// The state of a Plan's slots, as its status stores it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlanState {
    /// Where slots count from. `None` before the first reconcile of the Plan.
    pub anchor: Option<Anchor>,
    /// The latest slot with an outcome. Every slot up to it has one.
    pub last_slot: Option<Timestamp>,
    /// The next slot that is to fire; `None` while the Plan is suspended or its schedule invalid.
    pub next_slot: Option<Timestamp>,
    /// The latest outcomes, newest first, at most [`backstay_api::RECENT_SLOTS`].
    pub recent: Vec<SlotOutcome>,
    /// Number of slots by outcome, since the Plan's creation.
    pub counts: SlotCounts,
}

impl From<&PlanStatus> for PlanState {
    /// Reads the state from a status. An anchor without its schedule counts as none.
    fn from(status: &PlanStatus) -> PlanState {
        let anchor = status.anchor.as_ref().zip(status.schedule.clone());
        PlanState {
            anchor: anchor.map(|(at, schedule)| Anchor { at: at.0, schedule }),
            last_slot: status.last_slot.as_ref().map(|time| time.0),
            next_slot: status.next_slot.as_ref().map(|time| time.0),
            recent: status.recent.iter().take(RECENT_SLOTS).cloned().collect(),
            counts: status.counts.unwrap_or_default(),
        }
    }
}

impl PlanState {
    /// Writes the state into a status and leaves its conditions and observed generation alone.
    pub fn apply_to(&self, status: &mut PlanStatus) {
        status.anchor = self.anchor.as_ref().map(|anchor| Time(anchor.at));
        status.schedule = self.anchor.as_ref().map(|anchor| anchor.schedule.clone());
        status.last_slot = self.last_slot.map(Time);
        status.next_slot = self.next_slot.map(Time);
        status.recent.clone_from(&self.recent);
        status.counts = Some(self.counts);
    }

    /// Returns the moment up to which no slot is left to decide.
    pub(super) fn floor(&self, anchor: Timestamp) -> Timestamp {
        self.last_slot.map_or(anchor, |last| last.max(anchor))
    }

    /// Adds outcomes, newest first, that are later than all recorded ones.
    pub(super) fn add(&mut self, counts: SlotCounts, outcomes: Vec<SlotOutcome>) {
        self.counts = sum(self.counts, counts);
        self.recent = newest_first(outcomes, &self.recent);
    }
}

pub(super) fn newest_first(mut newer: Vec<SlotOutcome>, older: &[SlotOutcome]) -> Vec<SlotOutcome> {
    newer.extend_from_slice(older);
    newer.truncate(RECENT_SLOTS);
    newer
}

pub(super) fn sum(a: SlotCounts, b: SlotCounts) -> SlotCounts {
    SlotCounts {
        fired: a.fired.saturating_add(b.fired),
        skipped: a.skipped.saturating_add(b.skipped),
        missed: a.missed.saturating_add(b.missed),
    }
}
