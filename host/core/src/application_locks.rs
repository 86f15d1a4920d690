//! The locks that runs take on the application they act on (docs/rules.md F20).
//!
//! A restore excludes every other run on its target. Two backups of one application exclude each other if their
//! strategies are of one kind. Waiting runs get the lock in order of creation. A clean-up touches the stored data of one
//! Backup and not the application, so only restores exclude it: a clean-up that waits or fails blocks no backup.
//!
//! The shell acquires a lock before a run begins, releases it when the run ends, and restores the table at its start.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::contract::{GroupKind, Mode};

/// An application that runs act on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Namespace of the application.
    pub namespace: String,
    /// Kind of the application.
    pub kind: GroupKind,
    /// Name of the application.
    pub name: String,
}

/// The claim of a run to the lock on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Uid of the run.
    pub run_uid: String,
    /// Kind and name of the run, for messages.
    pub run: String,
    /// Mode of the run.
    pub mode: Mode,
    /// Kind of the run's strategy.
    pub strategy: GroupKind,
    /// When the run's object was created, in seconds; for a clean-up, when the Backup was deleted. Runs get the lock in
    /// order of this time, then of their uids.
    pub created: i64,
}

impl Claim {
    fn excludes(&self, other: &Self) -> bool {
        self.run_uid != other.run_uid
            && match (self.mode, other.mode) {
                (Mode::Restore, _) | (_, Mode::Restore) => true,
                (Mode::Backup, Mode::Backup) => self.strategy == other.strategy,
                (Mode::Cleanup, _) | (_, Mode::Cleanup) => false,
            }
    }

    fn order(&self) -> (i64, &str) {
        (self.created, &self.run_uid)
    }
}

/// The locks on all applications.
#[derive(Debug, Default)]
pub struct LockTable(HashMap<Target, Queue>);

#[derive(Debug, Default)]
struct Queue {
    holders: Vec<Claim>,
    waiting: Vec<Claim>,
}

impl LockTable {
    /// Acquires the lock for `claim`, or queues it, so that no later run overtakes it. A run that holds the lock already
    /// gets `Ok`.
    ///
    /// # Errors
    /// The claim of the run that holds the lock or is first in the queue.
    pub fn try_acquire(&mut self, target: &Target, claim: &Claim) -> Result<(), Claim> {
        let queue = self.0.entry(target.clone()).or_default();
        if queue.holders.iter().any(|h| h.run_uid == claim.run_uid) {
            return Ok(());
        }
        let before = queue
            .holders
            .iter()
            .find(|h| h.excludes(claim))
            .or_else(|| {
                queue
                    .waiting
                    .iter()
                    .filter(|w| w.excludes(claim) && w.order() < claim.order())
                    .min_by_key(|w| w.order())
            })
            .cloned();
        queue.waiting.retain(|w| w.run_uid != claim.run_uid);
        match before {
            None => {
                queue.holders.push(claim.clone());
                Ok(())
            }
            Some(before) => {
                queue.waiting.push(claim.clone());
                Err(before)
            }
        }
    }

    /// Gives the lock to a run that had begun before the controller started, whoever else holds it.
    pub fn restore(&mut self, target: &Target, claim: Claim) {
        let queue = self.0.entry(target.clone()).or_default();
        queue.waiting.retain(|w| w.run_uid != claim.run_uid);
        if !queue.holders.iter().any(|h| h.run_uid == claim.run_uid) {
            queue.holders.push(claim);
        }
    }

    /// Queues a run that was waiting before the controller started, so that no later run overtakes it.
    pub fn enqueue(&mut self, target: &Target, claim: Claim) {
        let queue = self.0.entry(target.clone()).or_default();
        if !queue.holders.iter().chain(&queue.waiting).any(|c| c.run_uid == claim.run_uid) {
            queue.waiting.push(claim);
        }
    }

    /// Releases the run's lock or its place in the queue, and returns the runs waiting for the same targets, in order. The
    /// caller enqueues them.
    pub fn release(&mut self, run_uid: &str) -> Vec<Claim> {
        let mut woken = Vec::new();
        self.0.retain(|_, queue| {
            let before = queue.holders.len() + queue.waiting.len();
            queue.holders.retain(|c| c.run_uid != run_uid);
            queue.waiting.retain(|c| c.run_uid != run_uid);
            if queue.holders.len() + queue.waiting.len() < before {
                woken.extend(queue.waiting.iter().cloned());
            }
            !(queue.holders.is_empty() && queue.waiting.is_empty())
        });
        woken.sort_by(|a, b| a.order().cmp(&b.order()));
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            namespace: "a".into(),
            kind: GroupKind { group: "g".into(), kind: "K".into() },
            name: "n".into(),
        }
    }

    fn claim(uid: &str, mode: Mode, strategy: &str, created: i64) -> Claim {
        Claim {
            run_uid: uid.into(),
            run: format!("Run {uid}"),
            mode,
            strategy: GroupKind { group: "s".into(), kind: strategy.into() },
            created,
        }
    }

    #[test]
    fn f20_a_restore_excludes_every_other_run() {
        let mut locks = LockTable::default();
        locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
        assert_eq!(
            locks.try_acquire(&target(), &claim("r", Mode::Restore, "Vault", 2)).unwrap_err().run_uid,
            "b"
        );
        assert_eq!(locks.release("b")[0].run_uid, "r");
        locks.try_acquire(&target(), &claim("r", Mode::Restore, "Vault", 2)).unwrap();
        assert_eq!(
            locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 3)).unwrap_err().run_uid,
            "r"
        );
    }

    #[test]
    fn f20_backups_of_one_strategy_kind_take_turns_and_others_do_not() {
        let mut locks = LockTable::default();
        locks.try_acquire(&target(), &claim("b1", Mode::Backup, "Job", 1)).unwrap();
        assert!(locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).is_err());
        locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Velero", 3)).unwrap();
    }

    #[test]
    fn f20_turns_go_in_order_of_creation() {
        let mut locks = LockTable::default();
        locks.try_acquire(&target(), &claim("b1", Mode::Backup, "Job", 1)).unwrap();
        assert!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).is_err());
        assert!(locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).is_err());
        let woken: Vec<_> = locks.release("b1").into_iter().map(|c| c.run_uid).collect();
        assert_eq!(woken, ["b2", "b3"]);
        assert_eq!(
            locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap_err().run_uid,
            "b2"
        );
        locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).unwrap();
    }

    #[test]
    fn f20_a_clean_up_and_a_restore_exclude_each_other_and_backups_go_on_beside_a_clean_up() {
        let mut locks = LockTable::default();
        locks.try_acquire(&target(), &claim("c", Mode::Cleanup, "Job", 1)).unwrap();
        locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 2)).unwrap();
        locks.try_acquire(&target(), &claim("c2", Mode::Cleanup, "Job", 3)).unwrap();
        assert_eq!(
            locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 4)).unwrap_err().run_uid,
            "c"
        );
        // A clean-up that was created after the restore does not begin before it.
        assert_eq!(
            locks.try_acquire(&target(), &claim("c3", Mode::Cleanup, "Job", 5)).unwrap_err().run_uid,
            "r"
        );
        for uid in ["b", "c", "c2"] {
            locks.release(uid);
        }
        locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 4)).unwrap();
        assert_eq!(
            locks.try_acquire(&target(), &claim("c", Mode::Cleanup, "Job", 1)).unwrap_err().run_uid,
            "r"
        );
    }

    #[test]
    fn f20_turns_go_in_order_of_creation_after_a_restart_whoever_asks_first() {
        let mut locks = LockTable::default();
        locks.enqueue(&target(), claim("b3", Mode::Backup, "Job", 3));
        locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
        assert_eq!(
            locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap_err().run_uid,
            "b2"
        );
        locks.try_acquire(&target(), &claim("b2", Mode::Backup, "Job", 2)).unwrap();
        // A run that holds the lock is not queued.
        locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
        assert_eq!(locks.release("b2").len(), 1);
    }

    #[test]
    fn a_run_that_gives_up_waiting_holds_nobody_up() {
        let mut locks = LockTable::default();
        locks.enqueue(&target(), claim("b2", Mode::Backup, "Job", 2));
        assert!(locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).is_err());
        assert_eq!(locks.release("b2")[0].run_uid, "b3");
        locks.try_acquire(&target(), &claim("b3", Mode::Backup, "Job", 3)).unwrap();
    }

    #[test]
    fn claiming_twice_and_resuming_are_harmless() {
        let mut locks = LockTable::default();
        locks.restore(&target(), claim("b", Mode::Backup, "Job", 1));
        locks.try_acquire(&target(), &claim("b", Mode::Backup, "Job", 1)).unwrap();
        assert!(locks.release("b").is_empty());
        assert!(locks.0.is_empty());
    }

    #[test]
    fn other_applications_are_not_held_up() {
        let mut locks = LockTable::default();
        locks.try_acquire(&target(), &claim("r", Mode::Restore, "Job", 1)).unwrap();
        let other = Target { name: "m".into(), ..target() };
        locks.try_acquire(&other, &claim("b", Mode::Backup, "Job", 2)).unwrap();
    }
}
