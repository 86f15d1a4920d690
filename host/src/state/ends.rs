//! Runs whose end is written down, and of which something is still to be released.
//!
//! The watches show a run until it has ended. What the end of a run leaves to be done is done at once; where that fails, or the
//! process died before, the run is kept in mind here and read from the API server.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use super::queues::{Key, Kind};

/// The runs.
#[derive(Default)]
pub struct Ends(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    by_place: HashMap<(Kind, Key), String>,
    uids: HashSet<String>,
}

impl Ends {
    /// Keeps a run in mind, in the place of another one that had its name.
    pub fn add(&self, kind: Kind, key: Key, uid: &str) {
        let mut runs = self.0.lock();
        if let Some(other) = runs.by_place.insert((kind, key), uid.to_owned()) {
            runs.uids.remove(&other);
        }
        runs.uids.insert(uid.to_owned());
    }

    /// Returns the uid of a run that is kept in mind.
    #[must_use]
    pub fn uid(&self, kind: &Kind, key: &Key) -> Option<String> {
        self.0.lock().by_place.get(&(kind.clone(), key.clone())).cloned()
    }

    /// Returns whether a run of this uid is kept in mind.
    #[must_use]
    pub fn has_uid(&self, uid: &str) -> bool {
        self.0.lock().uids.contains(uid)
    }

    /// Forgets a run.
    pub fn done(&self, kind: &Kind, key: &Key) {
        let mut runs = self.0.lock();
        if let Some(uid) = runs.by_place.remove(&(kind.clone(), key.clone())) {
            runs.uids.remove(&uid);
        }
    }
}
