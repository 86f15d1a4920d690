//! The gate before a restore: a database is deleted only for a backup that the archive holds completely.

use backstay_sdk::{Backup, Value};

use crate::cluster::text;
use crate::names::metadata;
use crate::time::Instant;

/// The state of the backup in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The archive holds the whole backup.
    Whole,
    /// The archive does not hold all of it yet, or that is unknown; the observation.
    Pending(String),
    /// The archive will never hold all of it; the observation.
    Never(String),
    /// The operator's Backup is gone, and nothing shows that the archive still holds a base backup.
    Lost(String),
}

impl Proof {
    /// Judges by the operator's Backup, or if that is gone, by the recovery window of the archive. `first` is the
    /// earliest time that the archive can recover; `needed` is the time to recover, or the end of the backup.
    pub(crate) fn of(
        backup: &Backup,
        operators: Option<&Value>,
        first: Option<Instant>,
        needed: Option<Instant>,
        allow_missing: bool,
    ) -> Self {
        let Some(name) = backup.metadata.get(metadata::BACKUP_NAME).filter(|n| !n.is_empty()) else {
            let seen = format!("Backup {} does not say which one of CloudNativePG it is", backup.name);
            return Self::Never(seen);
        };
        let Some(operators) = operators else {
            let held = matches!((first, needed), (Some(first), Some(needed)) if first <= needed);
            return match held || allow_missing {
                true => Self::Whole,
                false => Self::Lost(name.clone()),
            };
        };
        let archived = !text(operators, "/status/endWal").is_empty();
        match text(operators, "/status/phase") {
            "completed" if archived => Self::Whole,
            "completed" => {
                Self::Pending(format!("Backup {name} of CloudNativePG does not say yet where it ends"))
            }
            "" => Self::Pending(format!("Backup {name} of CloudNativePG has no phase yet")),
            "failed" => Self::Never(format!("Backup {name} of CloudNativePG has failed")),
            phase => Self::Pending(format!("Backup {name} of CloudNativePG is in phase {phase}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::{GroupKind, json};
    use std::collections::BTreeMap;

    fn backup(named: bool) -> Backup {
        let metadata = named.then(|| (metadata::BACKUP_NAME.to_owned(), "b".to_owned()));
        Backup {
            name: "b1".to_owned(),
            uid: "u".to_owned(),
            run_uid: None,
            component_version: None,
            application: GroupKind::default(),
            application_name: "orders".to_owned(),
            taken_at: 0,
            metadata: metadata.into_iter().collect::<BTreeMap<_, _>>(),
            artifact: None,
            underlying_resources: None,
            private_data: None,
        }
    }

    fn gate(phase: &str, end: Option<&str>) -> Proof {
        let operators = json!({"status": {"phase": phase, "endWal": end}});
        Proof::of(&backup(true), Some(&operators), None, None, false)
    }

    #[test]
    fn only_a_completed_backup_with_its_last_log_opens_the_gate() {
        assert!(matches!(gate("running", None), Proof::Pending(_)));
        assert!(matches!(gate("failed", Some("0001")), Proof::Never(_)));
        assert!(matches!(gate("completed", None), Proof::Pending(_)));
        assert_eq!(gate("completed", Some("0001")), Proof::Whole);
        let unnamed = Proof::of(&backup(false), None, None, None, true);
        assert!(matches!(unnamed, Proof::Never(_)));
    }

    #[test]
    fn a_backup_that_is_gone_needs_a_window_that_reaches_back_or_consent() {
        let at = |s| Some(Instant::from_seconds(s));
        let of = |first, needed, allow| Proof::of(&backup(true), None, first, needed, allow);
        assert_eq!(of(at(10), at(20), false), Proof::Whole);
        assert!(matches!(of(at(30), at(20), false), Proof::Lost(_)));
        assert!(matches!(of(None, at(20), false), Proof::Lost(_)));
        assert!(matches!(of(at(10), None, false), Proof::Lost(_)));
        assert_eq!(of(None, None, true), Proof::Whole);
    }
}
