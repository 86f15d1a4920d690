//! Labels (lifecycle section 3).
//!
//! What a run makes carries [`RUN_UID`]; its Job and pods carry the mode label of the strategy kind and the owned-by
//! labels too. These keys are the host's: an author who sets one on a pod is refused at render (decisions 13, 20).

/// Uid of the run that made the object: the proof of ownership.
pub const RUN_UID: &str = "backstay.dev/run-uid";
/// Name of the BackupJob **or RestoreJob** that owns the object. Scripts in the field select by it.
pub const OWNED_BY_NAME: &str = "backups.cozystack.io/owned-by.BackupJobName";
/// Namespace of the BackupJob or RestoreJob that owns the object.
pub const OWNED_BY_NAMESPACE: &str = "backups.cozystack.io/owned-by.BackupJobNamespace";
/// Who manages a projected Secret; see [`MANAGED_BY_BACKUPS`].
pub const MANAGED_BY: &str = "apps.cozystack.io/managed-by";
/// Value of [`MANAGED_BY`] on projected Secrets.
pub const MANAGED_BY_BACKUPS: &str = "cozystack-backups";

/// What a Secret of the controller's namespace keeps of a run: `checkpoint`, `kept` or `private`.
pub const RECORD: &str = "backstay.dev/record";
/// On those that tell the next restore of a target what was left on it: the name of the one that it finds.
pub const LEFT_ON: &str = "backstay.dev/left-on";

/// Values of the mode label.
pub mod mode {
    /// The pod makes a backup.
    pub const BACKUP: &str = "backup";
    /// The pod restores one.
    pub const RESTORE: &str = "restore";
    /// The pod cleans up after a Backup that is being deleted.
    pub const CLEANUP: &str = "cleanup";
}

/// Key of the label that says what a pod is for: `<lower-case kind>.<strategy group>/mode`.
#[must_use]
pub fn mode_key(strategy_group: &str, strategy_kind: &str) -> String {
    format!("{}.{strategy_group}/mode", strategy_kind.to_ascii_lowercase())
}

/// Whether a label key on a pod template is the host's to set, whatever the strategy kind.
#[must_use]
pub fn is_reserved(key: &str, strategy_group: &str, strategy_kind: &str) -> bool {
    matches!(key, RUN_UID | OWNED_BY_NAME | OWNED_BY_NAMESPACE)
        || key == mode_key(strategy_group, strategy_kind)
}

/// Prefix of the keys under which a Backup's `spec.driverMetadata` keeps the parameters of its strategy:
/// `<lower-case kind>.<strategy group>/parameter/`.
#[must_use]
pub fn parameter_prefix(strategy_group: &str, strategy_kind: &str) -> String {
    format!("{}.{strategy_group}/parameter/", strategy_kind.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_known_strategies_are_those_that_scripts_use() {
        let group = crate::STRATEGY_GROUP;
        assert_eq!(mode_key(group, "Job"), "job.strategy.backups.cozystack.io/mode");
        assert_eq!(mode_key(group, "Altinity"), "altinity.strategy.backups.cozystack.io/mode");
        assert_eq!(parameter_prefix(group, "Job"), "job.strategy.backups.cozystack.io/parameter/");
    }

    #[test]
    fn reserved_keys_are_the_hosts_and_no_other() {
        let group = crate::STRATEGY_GROUP;
        for key in [RUN_UID, OWNED_BY_NAME, OWNED_BY_NAMESPACE, "job.strategy.backups.cozystack.io/mode"] {
            assert!(is_reserved(key, group, "Job"), "{key}");
        }
        for key in ["app.kubernetes.io/name", "backups.cozystack.io/mine", "team"] {
            assert!(!is_reserved(key, group, "Job"), "{key}");
        }
    }
}
