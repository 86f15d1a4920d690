//! Which kinds are applications, and which a Backup can be restored into.
//!
//! The controller may read more than its tenants: its own kinds and those of its machinery. A run that could name one of them
//! as its application would have it rendered into a pod of the tenant.

use backstay_api::{GROUP, STRATEGY_GROUP};

use crate::contract::GroupKind;

/// Groups of objects that the controller reads for its own work: no object of them is an application.
const OWN_WORK: &[&str] = &[GROUP, STRATEGY_GROUP, "", "batch", "events.k8s.io", "apiregistration.k8s.io"];

/// Returns whether objects of a kind can be applications, as far as the kind says. Whether the controller may read them is a
/// matter of its rights.
#[must_use]
pub fn is_application(kind: &GroupKind) -> bool {
    let below_own = kind.group.ends_with(&format!(".{GROUP}"));
    let revisions = kind.group == "apps" && kind.kind == "ControllerRevision";
    !below_own && !revisions && !OWN_WORK.contains(&kind.group.as_str())
}

/// Returns whether a Backup of an application of kind `source` can be restored into one of kind `target`: it is the same kind,
/// or the strategy says of both that it acts on them.
#[must_use]
pub fn can_restore_into(target: &GroupKind, source: &GroupKind, strategy_acts_on: &[GroupKind]) -> bool {
    target == source || (strategy_acts_on.contains(target) && strategy_acts_on.contains(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, kind: &str) -> GroupKind {
        GroupKind { group: group.into(), kind: kind.into() }
    }

    #[test]
    fn what_the_controller_reads_for_its_own_work_is_no_application() {
        for (group, of) in [
            ("backups.cozystack.io", "BackupClass"),
            ("strategy.backups.cozystack.io", "Job"),
            ("other.backups.cozystack.io", "X"),
            ("batch", "Job"),
            ("", "Pod"),
            ("apiregistration.k8s.io", "APIService"),
            ("apps", "ControllerRevision"),
        ] {
            assert!(!is_application(&kind(group, of)), "{of}.{group}");
        }
        for (group, of) in
            [("apps.cozystack.io", "Redis"), ("apps", "StatefulSet"), ("notbackups.cozystack.io", "X")]
        {
            assert!(is_application(&kind(group, of)), "{of}.{group}");
        }
    }

    #[test]
    fn a_backup_is_restored_into_its_own_kind_unless_the_strategy_acts_on_both() {
        let [redis, valkey] = ["Redis", "Valkey"].map(|k| kind("apps.cozystack.io", k));
        assert!(can_restore_into(&redis, &redis, &[]));
        assert!(!can_restore_into(&valkey, &redis, &[]));
        assert!(!can_restore_into(&valkey, &redis, std::slice::from_ref(&valkey)));
        assert!(can_restore_into(&valkey, &redis, &[redis.clone(), valkey.clone()]));
        assert!(!can_restore_into(&kind("example.org", "Redis"), &redis, &[]), "the group counts");
    }
}
