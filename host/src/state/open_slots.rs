//! Slots of Plans whose outcome is not on record yet: the BackupJob of one could not be created, and why, which the outcome of a
//! missed slot says; or it was created, and is not created again, since somebody may have deleted it meanwhile.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

/// The last such slots of each Plan, by the Plan's uid.
#[derive(Default)]
pub struct OpenSlots(Mutex<HashMap<String, Open>>);

#[derive(Default)]
struct Open {
    refused: Option<(Timestamp, String)>,
    /// Name of the BackupJob.
    fired: Option<String>,
}

impl OpenSlots {
    /// The BackupJob of a slot was not created.
    pub fn refused(&self, plan_uid: &str, slot: Timestamp, why: String) {
        self.0.lock().entry(plan_uid.to_owned()).or_default().refused = Some((slot, why));
    }

    /// Returns the last slot of a Plan that was refused since it was [`OpenSlots::forget`]ted, and why.
    #[must_use]
    pub fn last_refused(&self, plan_uid: &str) -> Option<(Timestamp, String)> {
        self.0.lock().get(plan_uid)?.refused.clone()
    }

    /// The BackupJob of a slot was created.
    pub fn fired(&self, plan_uid: &str, backup_job: &str) {
        self.0.lock().entry(plan_uid.to_owned()).or_default().fired = Some(backup_job.to_owned());
    }

    /// Returns whether the BackupJob of this name was created since the Plan was [`OpenSlots::forget`]ted.
    #[must_use]
    pub fn has_fired(&self, plan_uid: &str, backup_job: &str) -> bool {
        self.0.lock().get(plan_uid).is_some_and(|open| open.fired.as_deref() == Some(backup_job))
    }

    /// Returns the uids of the Plans that have such a slot.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// The slots have outcomes on record, or the Plan is gone.
    pub fn forget(&self, plan_uid: &str) {
        self.0.lock().remove(plan_uid);
    }
}
