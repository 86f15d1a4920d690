//! The locks that runs take on the application they act on (docs/rules.md F20).
//!
//! A restore excludes every other run on its target. Two backups of one application exclude each other if their
//! strategies are of one kind. Waiting runs get the lock in order of creation. A clean-up touches the stored data of one
//! Backup and not the application, so only restores exclude it: a clean-up that waits or fails blocks no backup.
//!
//! The controller acquires a lock before a run begins, releases it when the run ends, and restores the table at its start.
//!
//! Thousands of runs can wait for one application, so nothing here looks at all of them: claims are kept in their order, by
//! what excludes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
    /// Mode of the run.
    pub mode: Mode,
    /// Namespace of the run's object.
    pub namespace: String,
    /// Name of the run's object.
    pub name: String,
    /// Kind of the run's strategy.
    pub strategy: GroupKind,
    /// When the run's object was created, in seconds; for a clean-up, when the Backup was deleted. Runs get the lock in
    /// order of this time, then of their uids.
    pub created: i64,
}

impl Claim {
    /// Returns kind and name of the run, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        let kind = match self.mode {
            Mode::Backup => "BackupJob",
            Mode::Restore => "RestoreJob",
            Mode::Cleanup => "Backup",
        };
        format!("{kind} \"{}/{}\"", self.namespace, self.name)
    }

    fn class(&self) -> Class {
        match self.mode {
            Mode::Restore => Class::Restore,
            Mode::Cleanup => Class::Cleanup,
            Mode::Backup => Class::Backup(self.strategy.clone()),
        }
    }

    fn order(&self) -> Order {
        (self.created, self.run_uid.clone())
    }
}

/// The order in which runs get a lock.
type Order = (i64, String);

/// Claims that exclude the same others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Restore,
    Cleanup,
    /// By the kind of the strategy.
    Backup(GroupKind),
}

impl Class {
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Restore, _) | (_, Self::Restore) => true,
            (Self::Backup(one), Self::Backup(other)) => one == other,
            (Self::Cleanup, _) | (_, Self::Cleanup) => false,
        }
    }
}

/// The locks on all applications. A run has at most one place: it holds the lock on a target, or waits for it.
#[derive(Debug, Default)]
pub struct LockTable {
    queues: HashMap<Arc<Target>, Queue>,
    /// By the uid of the run.
    places: HashMap<String, Place>,
}

/// Where the claim of a run is.
#[derive(Debug)]
struct Place {
    target: Arc<Target>,
    class: Class,
    order: Order,
    holds: bool,
}

/// The claims to one target.
#[derive(Debug, Default)]
struct Queue {
    holders: Claims,
    waiting: Claims,
}

impl Queue {
    /// Returns the claim that a waiting claim has to wait for.
    fn before(&self, class: &Class, order: &Order) -> Option<&Claim> {
        self.holders
            .first_excluding(class, &order.1)
            .or_else(|| self.waiting.first_excluding(class, &order.1).filter(|first| first.order() < *order))
    }

    /// Returns the waiting claims of a class, in order, up to the first that has to wait on.
    fn free(&self, class: &Class) -> Vec<Claim> {
        let waiting = self.waiting.0.get(class).into_iter().flatten();
        let may_go = |(order, _): &(&Order, &Claim)| {
            look();
            self.before(class, order).is_none()
        };
        let free = waiting.take_while(may_go).map(|(_, claim)| claim.clone());
        // The first excludes the next ones, unless they are clean-ups.
        free.take(if *class == Class::Cleanup { usize::MAX } else { 1 }).collect()
    }
}

/// Claims in their order, by class.
#[derive(Debug, Default)]
struct Claims(BTreeMap<Class, BTreeMap<Order, Claim>>);

impl Claims {
    fn insert(&mut self, claim: &Claim) {
        self.0.entry(claim.class()).or_default().insert(claim.order(), claim.clone());
    }

    fn remove(&mut self, class: &Class, order: &Order) {
        if let Some(claims) = self.0.get_mut(class) {
            claims.remove(order);
            if claims.is_empty() {
                self.0.remove(class);
            }
        }
    }

    /// Returns the first claim that excludes those of `class`, other than that of the run itself.
    fn first_excluding(&self, class: &Class, run_uid: &str) -> Option<&Claim> {
        let classes = self.0.iter().filter(|(other, _)| other.excludes(class));
        let another = |((_, uid), _): &(&Order, &Claim)| {
            look();
            uid != run_uid
        };
        let first = classes.filter_map(|(_, claims)| claims.iter().find(another));
        first.min_by_key(|(order, _)| *order).map(|(_, claim)| claim)
    }
}

impl LockTable {
    /// Acquires the lock for `claim`, or queues it, so that no later run overtakes it. A run that holds the lock already
    /// gets `Ok`. The caller has called [`Self::leave_others`] before.
    ///
    /// # Errors
    /// The claim of a run that holds the lock, or of the first one in the queue.
    pub fn try_acquire(&mut self, target: &Target, claim: &Claim) -> Result<(), Box<Claim>> {
        if self.places.get(&claim.run_uid).is_some_and(|place| place.holds) {
            return Ok(());
        }
        self.remove(&claim.run_uid);
        let before = self.queues.get(target).and_then(|q| q.before(&claim.class(), &claim.order())).cloned();
        self.put(target, claim, before.is_none());
        before.map_or(Ok(()), |before| Err(Box::new(before)))
    }

    /// Gives the lock to a run that had begun before the controller started, whoever else holds it.
    pub fn restore(&mut self, target: &Target, claim: &Claim) {
        if self.places.get(&claim.run_uid).is_none_or(|place| !place.holds) {
            self.remove(&claim.run_uid);
            self.put(target, claim, true);
        }
    }

    /// Gives the lock to a run that has begun, unless another run holds it: then the run waits as one that has not begun. A run
    /// that holds the lock already gets `Ok`. An earlier process may have begun a run, by a write that arrived late, after this one
    /// had given the turn to another.
    ///
    /// # Errors
    /// The claim of the run that holds the lock.
    pub fn resume(&mut self, target: &Target, claim: &Claim) -> Result<(), Box<Claim>> {
        if self.places.get(&claim.run_uid).is_some_and(|place| place.holds) {
            return Ok(());
        }
        let holders = self.queues.get(target).map(|queue| &queue.holders);
        let holder = holders.and_then(|all| all.first_excluding(&claim.class(), &claim.run_uid)).cloned();
        self.remove(&claim.run_uid);
        self.put(target, claim, holder.is_none());
        holder.map_or(Ok(()), |holder| Err(Box::new(holder)))
    }

    /// Queues a run that was waiting before the controller started, so that no later run overtakes it.
    pub fn enqueue(&mut self, target: &Target, claim: &Claim) {
        if !self.places.contains_key(&claim.run_uid) {
            self.put(target, claim, false);
        }
    }

    /// Releases the run's lock or its place in the queue, and returns the waiting runs that may go now and could not before:
    /// a restore first, then in order of creation. The caller enqueues them.
    pub fn release(&mut self, run_uid: &str) -> Vec<Claim> {
        let Some(Place { target, class, .. }) = self.remove(run_uid) else { return Vec::new() };
        let Some(queue) = self.queues.get(&target) else { return Vec::new() };
        let freed = queue.waiting.0.keys().filter(|waiting| class.excludes(waiting));
        let mut freed: Vec<Claim> = freed.flat_map(|class| queue.free(class)).collect();
        freed.sort_by_cached_key(|claim| (claim.mode != Mode::Restore, claim.order()));
        freed
    }

    /// Releases what the run has of other targets than this one: it may name another application than before. Returns the
    /// runs that may go now, as [`Self::release`] does.
    pub fn leave_others(&mut self, target: &Target, run_uid: &str) -> Vec<Claim> {
        match self.places.get(run_uid) {
            Some(place) if *place.target != *target => self.release(run_uid),
            _ => Vec::new(),
        }
    }

    /// Returns the target whose lock a run holds.
    #[must_use]
    pub fn held_by(&self, run_uid: &str) -> Option<&Target> {
        self.places.get(run_uid).filter(|place| place.holds).map(|place| place.target.as_ref())
    }

    /// Returns the first of the runs that wait for a run that holds a lock.
    #[must_use]
    pub fn first_behind(&self, run_uid: &str) -> Option<&Claim> {
        let place = self.places.get(run_uid).filter(|place| place.holds)?;
        self.queues.get(&place.target)?.waiting.first_excluding(&place.class, run_uid)
    }

    /// Returns the uids of all runs that hold a lock or wait for one.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    fn put(&mut self, target: &Target, claim: &Claim, holds: bool) {
        let target = match self.queues.get_key_value(target) {
            Some((target, _)) => target.clone(),
            None => Arc::new(target.clone()),
        };
        let queue = self.queues.entry(target.clone()).or_default();
        if holds {
            queue.holders.insert(claim)
        } else {
            queue.waiting.insert(claim)
        }
        let place = Place { target, class: claim.class(), order: claim.order(), holds };
        self.places.insert(claim.run_uid.clone(), place);
    }

    fn remove(&mut self, run_uid: &str) -> Option<Place> {
        let place = self.places.remove(run_uid)?;
        if let Some(queue) = self.queues.get_mut(&place.target) {
            let claims = if place.holds { &mut queue.holders } else { &mut queue.waiting };
            claims.remove(&place.class, &place.order);
            if queue.holders.0.is_empty() && queue.waiting.0.is_empty() {
                self.queues.remove(&place.target);
            }
        }
        Some(place)
    }
}

/// Counts the claims that are looked at: a test sees that their number does not grow with the runs that wait.
#[cfg(not(test))]
fn look() {}

#[cfg(test)]
use tests::look;

#[cfg(test)]
mod tests;
