//! Runs that were there when the controller started, and whose place among the runs of an application is not known yet.
//!
//! A RestoreJob that waits for its turn names a Backup, and the Backup names the application; of a Backup that is being deleted
//! the controller knows the metadata only. The API server is asked for neither before the controller is ready. Until such a run
//! has been reconciled once, later runs of its namespace that it could exclude wait for it: nobody overtakes it.

use std::collections::{BTreeMap, HashMap};

use crate::application_locks::Claim;
use crate::contract::Mode;

/// The order of a run: when it was created, then its uid.
type Order = (i64, String);

/// The runs without a place, by namespace.
#[derive(Debug, Default)]
pub struct Unplaced {
    namespaces: HashMap<String, Namespace>,
    /// The namespace of each run without a place, and its order.
    of_run: HashMap<String, (String, Order)>,
}

#[derive(Debug, Default)]
struct Namespace {
    /// Restores that wait for their turn: later runs wait for them.
    restores: BTreeMap<Order, Claim>,
    /// Clean-ups, each of which may have begun: every restore waits for them.
    cleanups: BTreeMap<Order, Claim>,
    /// Who waits until the place of another one is known: restores, and others.
    waiting_restores: BTreeMap<Order, Claim>,
    waiting: BTreeMap<Order, Claim>,
}

fn order(claim: &Claim) -> Order {
    (claim.created, claim.run_uid.clone())
}

impl Namespace {
    fn before(&self, claim: &Claim) -> Option<&Claim> {
        let first = self.restores.first_key_value().filter(|(first, _)| **first < order(claim));
        let begun = || self.cleanups.first_key_value().filter(|_| claim.mode == Mode::Restore);
        first.or_else(begun).map(|(_, claim)| claim)
    }

    /// Removes and returns those that need not wait here any more, in order.
    fn freed(&mut self) -> Vec<Claim> {
        let first = self.restores.first_key_value().map(|(order, _)| order.clone());
        let take = |waiting: &mut BTreeMap<Order, Claim>| {
            let later = first.as_ref().map(|first| waiting.split_off(first)).unwrap_or_default();
            std::mem::replace(waiting, later)
        };
        let mut freed = take(&mut self.waiting);
        if self.cleanups.is_empty() {
            freed.extend(take(&mut self.waiting_restores));
        }
        freed.into_values().collect()
    }
}

impl Unplaced {
    /// Adds a restore that waits for its turn, or a clean-up that may have begun.
    pub fn add(&mut self, claim: Claim) {
        self.of_run.insert(claim.run_uid.clone(), (claim.namespace.clone(), order(&claim)));
        let there = self.namespaces.entry(claim.namespace.clone()).or_default();
        let runs = match claim.mode {
            Mode::Cleanup => &mut there.cleanups,
            Mode::Backup | Mode::Restore => &mut there.restores,
        };
        runs.insert(order(&claim), claim);
    }

    /// Returns whether the place of a run is not known.
    #[must_use]
    pub fn contains(&self, run_uid: &str) -> bool {
        self.of_run.contains_key(run_uid)
    }

    /// Returns a run whose place has to be known before the run of `claim` may begin. [`Unplaced::placed`] then returns that
    /// claim when it need not wait any more.
    pub fn before(&mut self, claim: &Claim) -> Option<Claim> {
        let there = self.namespaces.get_mut(&claim.namespace)?;
        let before = there.before(claim)?.clone();
        let waiting = match claim.mode {
            Mode::Restore => &mut there.waiting_restores,
            Mode::Backup | Mode::Cleanup => &mut there.waiting,
        };
        waiting.insert(order(claim), claim.clone());
        Some(before)
    }

    /// Notes that the place of a run is known, or that it needs none. Returns the runs that waited for that, in order.
    pub fn placed(&mut self, run_uid: &str) -> Vec<Claim> {
        let Some((namespace, order)) = self.of_run.remove(run_uid) else { return Vec::new() };
        let Some(there) = self.namespaces.get_mut(&namespace) else { return Vec::new() };
        there.cleanups.remove(&order);
        there.restores.remove(&order);
        let freed = there.freed();
        if there.restores.is_empty() && there.cleanups.is_empty() {
            self.namespaces.remove(&namespace);
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::GroupKind;

    fn claim(uid: &str, mode: Mode, created: i64) -> Claim {
        Claim {
            run_uid: uid.into(),
            mode,
            namespace: "a".into(),
            name: uid.into(),
            strategy: GroupKind { group: "s".into(), kind: "Job".into() },
            created,
        }
    }

    fn given(runs: &[(&str, Mode, i64)]) -> Unplaced {
        let mut unplaced = Unplaced::default();
        runs.iter().for_each(|(uid, mode, created)| unplaced.add(claim(uid, *mode, *created)));
        unplaced
    }

    fn before(unplaced: &mut Unplaced, uid: &str, mode: Mode, created: i64) -> Option<String> {
        unplaced.before(&claim(uid, mode, created)).map(|claim| claim.run_uid)
    }

    fn placed(unplaced: &mut Unplaced, uid: &str) -> Vec<String> {
        unplaced.placed(uid).into_iter().map(|claim| claim.run_uid).collect()
    }

    #[test]
    fn f20_no_later_run_of_the_namespace_overtakes_a_restore_whose_target_is_not_known() {
        for mode in [Mode::Backup, Mode::Restore, Mode::Cleanup] {
            let mut unplaced = given(&[("r1", Mode::Restore, 10), ("r2", Mode::Restore, 20)]);
            assert_eq!(before(&mut unplaced, "earlier", mode, 5), None);
            assert_eq!(before(&mut unplaced, "between", mode, 15).as_deref(), Some("r1"));
            assert_eq!(before(&mut unplaced, "later", mode, 25).as_deref(), Some("r1"));
            assert_eq!(placed(&mut unplaced, "r1"), ["between"]);
            assert_eq!(before(&mut unplaced, "later", mode, 25).as_deref(), Some("r2"));
            assert_eq!(placed(&mut unplaced, "r2"), ["later"]);
            assert_eq!(before(&mut unplaced, "later", mode, 25), None);
        }
    }

    #[test]
    fn a_run_without_a_place_does_not_wait_for_itself_and_other_namespaces_do_not_wait() {
        let mut unplaced = given(&[("r", Mode::Restore, 10)]);
        assert_eq!(before(&mut unplaced, "r", Mode::Restore, 10), None);
        let elsewhere = Claim { namespace: "b".into(), ..claim("x", Mode::Restore, 99) };
        assert_eq!(unplaced.before(&elsewhere), None);
    }

    #[test]
    fn f20_every_restore_waits_for_a_clean_up_that_may_have_begun_and_backups_do_not() {
        let mut unplaced = given(&[("c1", Mode::Cleanup, 10), ("c2", Mode::Cleanup, 11)]);
        assert_eq!(before(&mut unplaced, "b", Mode::Backup, 20), None);
        assert_eq!(before(&mut unplaced, "c", Mode::Cleanup, 20), None);
        for (uid, created) in [("r1", 5), ("r2", 20)] {
            assert_eq!(before(&mut unplaced, uid, Mode::Restore, created).as_deref(), Some("c1"));
        }
        assert_eq!(placed(&mut unplaced, "c1"), [""; 0]);
        assert_eq!(placed(&mut unplaced, "c2"), ["r1", "r2"]);
        assert_eq!(placed(&mut unplaced, "c2"), [""; 0]);
        assert!(unplaced.namespaces.is_empty() && unplaced.of_run.is_empty());
    }
}
