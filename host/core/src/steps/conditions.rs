//! Bounds the conditions that a component sets on its run, since the whole status has to fit into one object.

use std::collections::BTreeSet;

use backstay_api::Condition;
use backstay_api::conditions::types;

use super::violation::ContractViolation;
use crate::contract::{self, Mode};

/// Most types of conditions that a component may set on a run.
const TYPES: usize = 16;
/// Most types on a Backup in clean-up, which has the conditions of its outcome already.
const TYPES_OF_CLEANUP: usize = 48;

/// Checks that new conditions fit beside the existing ones of a run.
///
/// # Errors
/// The conditions have too many types in all.
pub fn room_for(
    new: &[contract::Condition],
    existing: &[Condition],
    mode: Mode,
) -> Result<(), ContractViolation> {
    let limit = if mode == Mode::Cleanup { TYPES_OF_CLEANUP } else { TYPES };
    let existing = existing.iter().map(|c| c.type_.as_str()).filter(|t| !types::ALL.contains(t));
    let all: BTreeSet<_> = existing.chain(new.iter().map(|c| c.type_.as_str())).collect();
    if all.len() > limit {
        return Err(ContractViolation::rule(format!(
            "step has set conditions of {} types on the run where {limit} are allowed in all; use one type again",
            all.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::RunStatus;

    fn numbered(types: std::ops::Range<u32>) -> Vec<contract::Condition> {
        let of = |i| contract::Condition {
            type_: format!("C{i}"),
            status: None,
            reason: "Told".into(),
            message: String::new(),
        };
        types.map(of).collect()
    }

    #[test]
    fn a_guest_has_sixteen_types_of_conditions_on_a_run_beside_the_hosts() {
        let mut status = RunStatus::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        status.wait("Pending", "m", now);
        for condition in numbered(0..10) {
            status.set(&condition.type_, None, "Told", "", now);
        }
        let judge = |types| room_for(&numbered(types), &status.conditions, Mode::Backup);
        assert_eq!(judge(5..16), Ok(()));
        let violation = judge(10..17).unwrap_err();
        assert!(violation.message.contains("17 types"), "{violation}");
        assert_eq!(room_for(&numbered(10..26), &status.conditions, Mode::Cleanup), Ok(()));
    }
}
