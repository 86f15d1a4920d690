//! Labels.
//!
//! All objects that a run makes have [`RUN_UID`]; its Job and pods also have the mode label of the strategy kind and the
//! owned-by labels. A pod template that sets one of these keys is refused at render.

/// Uid of the run that made the object; proves ownership.
pub const RUN_UID: &str = "backstay.dev/run-uid";
/// Name of the BackupJob **or RestoreJob** that owns the object. Scripts in the field select by it.
pub const OWNED_BY_NAME: &str = "backups.cozystack.io/owned-by.BackupJobName";
/// Namespace of the BackupJob or RestoreJob that owns the object.
pub const OWNED_BY_NAMESPACE: &str = "backups.cozystack.io/owned-by.BackupJobNamespace";
/// Who manages a projected Secret; see [`MANAGED_BY_BACKUPS`].
pub const MANAGED_BY: &str = "apps.cozystack.io/managed-by";
/// Value of [`MANAGED_BY`] on projected Secrets.
pub const MANAGED_BY_BACKUPS: &str = "cozystack-backups";

/// Name of the revision of the strategy that made a Backup.
pub const STRATEGY_REVISION: &str = "backstay.dev/strategy-revision";
/// Name of the Velero restore that made the object.
pub const VELERO_RESTORE: &str = "velero.io/restore-name";

/// On a run that the controller's finalizer holds until its component has undone what it began. It has no value. It finds such
/// runs among all others.
pub const HELD: &str = "backstay.dev/held";

/// Content of a Secret in the controller's namespace: `checkpoint`, `kept` (a handover) or `private` (data of a Backup).
pub const RECORD: &str = "backstay.dev/record";
/// Name of the handover that the Secret is or may become, by which the next restore of the target finds it.
pub const LEFT_ON: &str = "backstay.dev/left-on";

/// Values of the mode label.
pub mod mode {
    /// The pod makes a backup.
    pub const BACKUP: &str = "backup";
    /// The pod restores a Backup.
    pub const RESTORE: &str = "restore";
    /// The pod cleans up after a Backup that is being deleted.
    pub const CLEANUP: &str = "cleanup";
}

/// Returns the key of the mode label: `<lower-case kind>.<strategy group>/mode`.
#[must_use]
pub fn mode_key(strategy_group: &str, strategy_kind: &str) -> String {
    format!("{}.{strategy_group}/mode", strategy_kind.to_ascii_lowercase())
}

/// Returns whether only the host may set this label of a pod template.
#[must_use]
pub fn is_reserved(key: &str, strategy_group: &str, strategy_kind: &str) -> bool {
    matches!(key, RUN_UID | OWNED_BY_NAME | OWNED_BY_NAMESPACE)
        || key == mode_key(strategy_group, strategy_kind)
}

/// Returns the prefix of the keys under which a Backup's `spec.driverMetadata` holds the parameters of its strategy:
/// `<lower-case kind>.<strategy group>/parameter/`.
#[must_use]
pub fn parameter_prefix(strategy_group: &str, strategy_kind: &str) -> String {
    format!("{}.{strategy_group}/parameter/", strategy_kind.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_known_strategies_match_the_go_implementation() {
        let group = crate::STRATEGY_GROUP;
        assert_eq!(mode_key(group, "Job"), "job.strategy.backups.cozystack.io/mode");
        assert_eq!(mode_key(group, "Altinity"), "altinity.strategy.backups.cozystack.io/mode");
        assert_eq!(parameter_prefix(group, "Job"), "job.strategy.backups.cozystack.io/parameter/");
    }

    #[test]
    fn only_the_hosts_keys_are_reserved() {
        let group = crate::STRATEGY_GROUP;
        for key in [RUN_UID, OWNED_BY_NAME, OWNED_BY_NAMESPACE, "job.strategy.backups.cozystack.io/mode"] {
            assert!(is_reserved(key, group, "Job"), "{key}");
        }
        for key in ["app.kubernetes.io/name", "backups.cozystack.io/mine", "team"] {
            assert!(!is_reserved(key, group, "Job"), "{key}");
        }
    }
}
