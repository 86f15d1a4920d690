//! Slots of Plans whose BackupJob could not be created, and why: the outcome of a slot that is missed for it says so.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

/// The last such slot of each Plan, by the Plan's uid.
#[derive(Default)]
pub struct RefusedSlots(Mutex<HashMap<String, (Timestamp, String)>>);

impl RefusedSlots {
    /// The BackupJob of a slot was not created.
    pub fn note(&self, plan_uid: &str, slot: Timestamp, why: String) {
        self.0.lock().insert(plan_uid.to_owned(), (slot, why));
    }

    /// Returns the last slot of a Plan that was refused since it was [`RefusedSlots::forget`]ted, and why.
    #[must_use]
    pub fn last(&self, plan_uid: &str) -> Option<(Timestamp, String)> {
        self.0.lock().get(plan_uid).cloned()
    }

    /// Returns the uids of the Plans that have such a slot.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// The slot has an outcome, or the Plan is gone.
    pub fn forget(&self, plan_uid: &str) {
        self.0.lock().remove(plan_uid);
    }
}
