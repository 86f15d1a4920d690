//! The locks that runs take on the application they act on (docs/rules.md F20).
//!
//! A restore excludes every other run on its target. Two backups of one application exclude each other if their
//! strategies are of one kind. Waiting runs get the lock in order of creation. A clean-up touches the stored data of one
//! Backup and not the application, so only restores exclude it: a clean-up that waits or fails blocks no backup.
//!
//! The controller acquires a lock before a run begins, releases it when the run ends, and restores the table at its start.

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
mod tests;
