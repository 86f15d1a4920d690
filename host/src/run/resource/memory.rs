//! What this process knows of a run of the resource world beside what is stored: it costs reads to know it anew, and
//! nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use backstay_core::contract::{Inherited, ObjectRef};
use backstay_core::job::PodRunNote;
use backstay_core::resource::Stored;

use crate::api_error::ApiError;
use crate::context::Context;
use crate::due::Due;
use crate::records;
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
    /// When what watches show is set aside, and everything is read from the API server: a net under them.
    pub anew: Due,
    /// What this run's writes have left, by object. A cache that is behind one of them is not read.
    pub written: HashMap<ObjectRef, Written>,
}

/// What a write has left.
pub(super) enum Written {
    /// The object at this resource version.
    At(String),
    /// The object of this uid is deleted, or being deleted.
    Deleted(String),
    /// Nobody knows: the write may have happened.
    Unknown,
}

impl Memory {
    /// The checkpoint that is stored, as far as that is known.
    pub(super) fn stored(&self) -> Option<&Stored> {
        self.checkpoint.iter().flatten().map(|(stored, _)| stored).next()
    }

    /// Writes a checkpoint over the one that is known.
    ///
    /// # Errors
    /// The API server's; then what is stored is read anew before the next step.
    pub(super) async fn write(&mut self, stored: Stored, ctx: &Context) -> Result<(), ApiError> {
        // From here on what is stored is known again only when the answer comes.
        let before = self.checkpoint.take().flatten().map(|(_, version)| version);
        let version = records::write_checkpoint(&stored, before.as_deref(), ctx).await?;
        self.checkpoint = Some(Some((stored, version)));
        Ok(())
    }

    /// What is on record of a pod run of this name; none if it was not asked for. A guest without any checkpoint has no
    /// record, and what its Job says is all there is.
    pub(super) fn pod(&self, name: &str) -> Option<PodRunNote> {
        self.stored().map(|stored| stored.pods.get(name).cloned().unwrap_or_default())
    }
}

impl Memories {
    /// Whether the run has asked for pods, as far as that is known.
    pub(super) fn has_pods(&self, run_uid: &str) -> Option<bool> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(run_uid)?.stored().map(|stored| !stored.pods.is_empty())
    }

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
