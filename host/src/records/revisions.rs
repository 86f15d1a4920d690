//! Strategy revisions: ControllerRevisions of the controller's namespace, each stored once and read once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::names;
use backstay_core::retry::Class;
use backstay_core::revision::{self, Revision, RevisionError as ContentError};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;

use crate::cluster::error::{ApiError, class};
use crate::cluster::write::{Created, create_or_get, delete_params, post_params};

/// A revision younger than this is never collected: the run that stored it may not name it yet.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// Why a revision cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum RevisionsError {
    /// The API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The revision no longer exists.
    #[error(
        "the pinned strategy revision (ControllerRevision {0:?}) no longer exists; restore a different Backup, or recover it from a cluster backup"
    )]
    Missing(String),
    /// The object of that name holds something else.
    #[error("{0}")]
    Corrupt(ContentError),
    /// The object of that name holds something else, and is in the way of a new revision.
    #[error("{0}; delete it")]
    NameTaken(ContentError),
}

impl RevisionsError {
    /// Reason of the condition, the Event and the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api(_) => reasons::API_ERROR,
            Self::Missing(_) | Self::Corrupt(_) | Self::NameTaken(_) => reasons::STRATEGY_SNAPSHOT_CORRUPT,
        }
    }
}

/// The revisions, with those that this process has stored or read. A name is the hash of the content, so the content of a
/// known name cannot change.
pub struct Revisions {
    api: Api<ControllerRevision>,
    namespace: String,
    known: Mutex<HashMap<String, Arc<Revision>>>,
}

impl Revisions {
    /// The revisions in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            known: Mutex::default(),
        }
    }

    /// Stores a revision unless an equal one is stored, and returns its name. An existing object is believed only once it has
    /// been read.
    ///
    /// # Errors
    /// See [`RevisionsError`].
    pub async fn put(&self, revision: &Revision) -> Result<String, RevisionsError> {
        let name = revision.object_name();
        if self.known.lock().contains_key(&name) {
            return Ok(name);
        }
        let object = revision.to_object(&self.namespace);
        let created =
            create_or_get(self.api.create(&post_params(), &object), || self.api.get_opt(&name)).await;
        let doing = || format!("storing strategy revision \"{}/{name}\"", self.namespace);
        if let Created::Existing(found) = created.map_err(|e| ApiError::new(doing(), e))? {
            Revision::from_object(&found).map_err(RevisionsError::NameTaken)?;
        }
        self.known.lock().insert(name.clone(), Arc::new(revision.clone()));
        Ok(name)
    }

    /// Reads a revision, and checks that its content is the one that its name says.
    ///
    /// # Errors
    /// See [`RevisionsError`].
    pub async fn get(&self, name: &str) -> Result<Revision, RevisionsError> {
        if let Some(revision) = self.known.lock().get(name) {
            return Ok(revision.as_ref().clone());
        }
        let title = format!("{}/{name}", self.namespace);
        let found = self.api.get_opt(name).await;
        let found = found.map_err(|e| ApiError::new(format!("reading strategy revision {title:?}"), e))?;
        let object = found.ok_or(RevisionsError::Missing(title))?;
        let revision = Revision::from_object(&object).map_err(RevisionsError::Corrupt)?;
        self.known.lock().insert(name.to_owned(), Arc::new(revision.clone()));
        Ok(revision)
    }

    /// Deletes the revisions that `used` does not name, and returns how many. Young ones stay.
    ///
    /// # Errors
    /// The API server's.
    pub async fn collect(&self, used: &BTreeSet<String>, now: Timestamp) -> Result<usize, ApiError> {
        let all = self.api.list(&ListParams::default().labels(revision::LABEL)).await;
        let all = all.map_err(|e| ApiError::new("listing strategy revisions", e))?;
        let mut collected = 0;
        for object in all.items {
            let name = object.name_any();
            let created = object.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
            let young = now.duration_since(created) < YOUNG;
            // A label holds a shortened form of a long name.
            if young || used.contains(&name) || used.contains(&names::label_value(&name)) {
                continue;
            }
            self.known.lock().remove(&name);
            match self.api.delete(&name, &delete_params(object.metadata.uid.clone())).await {
                Ok(_) => collected += 1,
                Err(error) if matches!(class(&error), Class::NotFound | Class::Conflict) => {}
                Err(error) => {
                    return Err(ApiError::new(format!("deleting strategy revision {name:?}"), error));
                }
            }
        }
        Ok(collected)
    }
}
