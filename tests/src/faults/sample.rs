//! The plans that are played on the test cluster in each run of CI: a tenth.

use std::collections::BTreeSet;

use super::plan::Plan;

/// One plan of this many.
const ONE_IN: usize = 10;

/// Returns a tenth of the plans, in their order: of each trouble, with one controller and with two, the plan with the least hash; the
/// others have the least hashes of all. The same plan has the same hash everywhere.
pub(super) fn tenth(plans: &[Plan]) -> Vec<Plan> {
    let mut by_hash: Vec<&Plan> = plans.iter().collect();
    by_hash.sort_by_cached_key(|plan| hash(&plan.to_string()));
    let mut troubles = BTreeSet::new();
    let (first, rest): (Vec<&Plan>, Vec<&Plan>) = by_hash
        .into_iter()
        .partition(|plan| troubles.insert((plan.scenario, plan.twin, plan.trouble.kind())));
    let most = plans.len().div_ceil(ONE_IN).max(first.len());
    let chosen: BTreeSet<String> =
        first.into_iter().chain(rest).take(most).map(|plan| plan.to_string()).collect();
    plans.iter().filter(|plan| chosen.contains(&plan.to_string())).cloned().collect()
}

/// Returns the hash FNV-1a of a text.
pub(super) fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::plan::{Call, Scenario, Trouble};

    fn late(nth: u32) -> Plan {
        let at = Call { what: "create jobs".into(), nth };
        Plan { scenario: Scenario::Backup, twin: false, trouble: Trouble::Late { at } }
    }

    #[test]
    fn a_tenth_of_the_plans_is_chosen_and_the_same_one_each_time() {
        let plans: Vec<Plan> = (1..=95).map(late).collect();
        let chosen = tenth(&plans);
        assert_eq!((chosen.len(), &chosen), (10, &tenth(&plans)));
        // What another run adds takes the place of few.
        let more: Vec<Plan> = (1..=99).map(late).collect();
        assert!(tenth(&more).iter().filter(|plan| chosen.contains(plan)).count() >= 8);
    }

    #[test]
    fn every_trouble_is_chosen_once_however_few_its_plans_are() {
        let mut plans: Vec<Plan> = (1..=95).map(late).collect();
        let die = Trouble::Die { at: Call { what: "create jobs".into(), nth: 1 }, stale: false };
        for twin in [false, true] {
            plans.push(Plan { scenario: Scenario::Backup, twin, trouble: die.clone() });
        }
        let chosen = tenth(&plans);
        assert_eq!(chosen.iter().filter(|plan| plan.trouble == die).count(), 2);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
