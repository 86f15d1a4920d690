//! Events go an hour after they were last written, as those of a kube-apiserver do by its `--event-ttl`.
//!
//! The server has no task of its own: they go with the first request after their time, for watches too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::state::State;
use super::store::{Family, Key};

/// How long an Event stays that nobody writes.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// When which Event goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fading {
    until: BTreeMap<Key, Timestamp>,
    order: BTreeSet<(Timestamp, Key)>,
    /// The revision up to which writes were noted.
    noted: u64,
}

fn events() -> Family {
    (String::new(), "events".into())
}

fn is_events(family: &Family) -> bool {
    family.0.is_empty() && family.1 == "events"
}

impl Fading {
    /// When an Event goes.
    pub(crate) fn until(&self, family: &Family, key: &Key) -> Option<Timestamp> {
        if is_events(family) { self.until.get(key).copied() } else { None }
    }

    /// Says when an Event goes, or that it is gone.
    pub(crate) fn set(&mut self, key: &Key, until: Option<Timestamp>) {
        if let Some(before) = self.until.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(until) = until {
            self.until.insert(key.clone(), until);
            self.order.insert((until, key.clone()));
        }
    }

    fn due(&self, now: Timestamp) -> Option<Key> {
        self.order.first().filter(|(until, _)| *until <= now).map(|(_, key)| key.clone())
    }
}

impl State {
    /// Notes which Events were written until now, and removes those whose time is over.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        let Self { store, fading: Some(fading), .. } = self else { return };
        let later = now.saturating_add(LIFE).unwrap_or(Timestamp::MAX);
        match store.since(fading.noted) {
            Ok(changes) => {
                for change in changes.filter(|change| is_events(&change.family)) {
                    fading.set(&change.key, change.after.is_some().then_some(later));
                }
            }
            // The changes are not known any more: what is there, and was not there before, counts from now on.
            Err(_) => {
                let there: BTreeSet<Key> = store.family(&events()).map(|(key, _)| key.clone()).collect();
                let gone: Vec<Key> =
                    fading.until.keys().filter(|key| !there.contains(*key)).cloned().collect();
                gone.iter().for_each(|key| fading.set(key, None));
                for key in
                    there.iter().filter(|key| !fading.until.contains_key(*key)).cloned().collect::<Vec<_>>()
                {
                    fading.set(&key, Some(later));
                }
            }
        }
        while let Some(key) = fading.due(now) {
            fading.set(&key, None);
            store.commit(&events(), key, None);
        }
        fading.noted = store.revision();
    }
}
