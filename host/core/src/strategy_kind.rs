//! The strategy kind that a BackupClass entry or a Backup names. [`backstay_api::BackupClassSpec::binding`] selects the
//! entry.

use backstay_api::TypedRef;

use crate::contract::GroupKind;

/// Returns the kind that a strategy reference names; `None` if it names no group, since then no controller serves it.
#[must_use]
pub fn strategy_kind(strategy: &TypedRef) -> Option<GroupKind> {
    let group = strategy.api_group.as_deref().filter(|g| !g.is_empty())?;
    Some(GroupKind { group: group.to_owned(), kind: strategy.kind.clone() })
}

/// Returns whether a run waits for a missing strategy object. A run of kind Job fails at once, as in the Go
/// implementation (docs/rules.md F8).
#[must_use]
pub fn waits_for_strategy(kind: &GroupKind) -> bool {
    !(kind.group == "strategy.backups.cozystack.io" && kind.kind == "Job")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_strategy_reference_without_a_group_is_nobodys() {
        let none: TypedRef = serde_json::from_value(json!({"kind": "Job", "name": "x"})).unwrap();
        let empty: TypedRef =
            serde_json::from_value(json!({"apiGroup": "", "kind": "Job", "name": "x"})).unwrap();
        assert_eq!((strategy_kind(&none), strategy_kind(&empty)), (None, None));
    }

    #[test]
    fn f8_only_the_generic_job_fails_at_once_without_its_strategy() {
        let kind = |group: &str, kind: &str| GroupKind { group: group.into(), kind: kind.into() };
        assert!(!waits_for_strategy(&kind("strategy.backups.cozystack.io", "Job")));
        assert!(waits_for_strategy(&kind("strategy.backups.cozystack.io", "Vault")));
        assert!(waits_for_strategy(&kind("example.org", "Job")));
    }
}
