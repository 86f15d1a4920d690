//! What this process knows of a run of the resource world beside what is stored: it costs reads to know it anew, and
//! nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use backstay_core::contract::{Inherited, ObjectRef};
use backstay_core::resource::Stored;

use crate::run::request::Known;

/// By uid of the run.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<String, Memory>>);

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    /// The checkpoint as it is stored, with its resource version; `None` before it has been looked for.
    pub checkpoint: Option<Option<(Stored, String)>>,
    /// What an earlier run left on the target; `None` before it has been looked for.
    pub inherited: Option<Option<Inherited>>,
    /// The Backup.
    pub backup: Known,
    /// Resource versions that this run's writes have left, by object. A cache that is behind one of them is not read.
    pub written: HashMap<ObjectRef, String>,
}

impl Memories {
    /// Takes out what is known of a run. Whoever does so holds the run's lock.
    pub(super) fn take(&self, run_uid: &str) -> Memory {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(run_uid).unwrap_or_default()
    }

    /// Puts it back.
    pub(super) fn put(&self, run_uid: &str, memory: Memory) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(run_uid.to_owned(), memory);
    }

    /// Forgets a run.
    pub fn forget(&self, run_uid: &str) {
        drop(self.take(run_uid));
    }
}
