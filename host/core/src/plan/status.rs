//! A Plan's state in its status, and back.

use backstay_api::{PlanStatus, RECENT_SLOTS, Time};

use super::{Anchor, PlanState};

impl From<&PlanStatus> for PlanState {
    /// Reads what the status remembers. A status without an anchor, or with one whose schedule is unknown, is that of a
    /// Plan never looked at, but for the outcomes it has.
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
    /// Writes the state into a status; conditions and the observed generation are left alone.
    pub fn apply_to(&self, status: &mut PlanStatus) {
        status.anchor = self.anchor.as_ref().map(|anchor| Time(anchor.at));
        status.schedule = self.anchor.as_ref().map(|anchor| anchor.schedule.clone());
        status.last_slot = self.last_slot.map(Time);
        status.next_slot = self.next_slot.map(Time);
        status.recent.clone_from(&self.recent);
        status.counts = Some(self.counts);
    }
}
