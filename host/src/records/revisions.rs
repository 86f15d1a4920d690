//! Strategy revisions: ControllerRevisions of the controller's namespace, each stored once and read once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backstay_api::conditions::reasons;
use backstay_api::names;
use backstay_core::retry::Class;
use backstay_core::revision::{self, Revision, RevisionError as ContentError};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::unused::{Unused, at_most};
use crate::cluster::api::Api;
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
        "the pinned strategy revision (ControllerRevision {0:?}) no longer exists; restore another Backup, or recover it from a cluster backup"
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
    known: Mutex<HashMap<String, Revision>>,
    unused: Unused,
    /// Revisions that are being deleted now.
    going: Mutex<BTreeSet<String>>,
    /// Of each revision, when the last look at it began that found it stored.
    looks: Mutex<HashMap<String, Arc<AsyncMutex<u64>>>>,
    /// Numbers what is asked for and the looks, in their order.
    order: AtomicU64,
}

/// What a collection has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects that were deleted.
    pub deleted: usize,
    /// Unused objects that stay until the next pass, since too many seem unused at once.
    pub held_back: usize,
}

impl Revisions {
    /// The revisions in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            known: Mutex::default(),
            unused: Unused::default(),
            going: Mutex::default(),
            looks: Mutex::default(),
            order: AtomicU64::new(1),
        }
    }

    /// Stores a revision unless an equal one is stored, and returns its name. That it was stored once proves nothing: an existing
    /// object is read each time, and one that was deleted is made anew. Runs that ask while a look at the same revision is under way
    /// share the one after it.
    ///
    /// # Errors
    /// See [`RevisionsError`].
    pub async fn put(&self, revision: &Revision) -> Result<String, RevisionsError> {
        let name = revision.object_name();
        self.unused.asked_for(&name);
        let doing = || format!("storing strategy revision \"{}/{name}\"", self.namespace);
        if self.going.lock().contains(&name) {
            return Err(ApiError::conflict(doing(), "it is being deleted").into());
        }
        let look = self.looks.lock().entry(name.clone()).or_default().clone();
        let asked = self.next();
        let mut stored_at = look.lock().await;
        if *stored_at > asked {
            return Ok(name);
        }
        let begun = self.next();
        let known = self.known.lock().contains_key(&name);
        let found =
            if known { self.api.get_opt(&name).await.map_err(|e| ApiError::new(doing(), e))? } else { None };
        let existing = match found {
            Some(found) => Some(found),
            None => {
                let object = revision.to_object(&self.namespace);
                let params = post_params();
                let created = self.api.create(&params, &object);
                let created = create_or_get(created, || self.api.get_opt(&name)).await;
                match created.map_err(|e| ApiError::new(doing(), e))? {
                    Created::New(_) => None,
                    Created::Existing(found) => Some(found),
                }
            }
        };
        if let Some(found) = existing {
            Revision::from_object(&found).map_err(RevisionsError::NameTaken)?;
        }
        self.known.lock().insert(name.clone(), revision.clone());
        *stored_at = begun;
        Ok(name)
    }

    fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads a revision, and checks that its content is the one that its name says.
    ///
    /// # Errors
    /// See [`RevisionsError`].
    pub async fn get(&self, name: &str) -> Result<Revision, RevisionsError> {
        self.unused.asked_for(name);
        if let Some(known) = self.known.lock().get(name) {
            return Ok(known.clone());
        }
        let title = format!("{}/{name}", self.namespace);
        let found = self.api.get_opt(name).await;
        let found = found.map_err(|e| ApiError::new(format!("reading strategy revision {title:?}"), e))?;
        let object = found.ok_or(RevisionsError::Missing(title))?;
        let revision = Revision::from_object(&object).map_err(RevisionsError::Corrupt)?;
        self.known.lock().insert(name.to_owned(), revision.clone());
        Ok(revision)
    }

    /// Returns whether a revision exists.
    ///
    /// # Errors
    /// The API server's.
    pub async fn exists(&self, name: &str) -> Result<bool, ApiError> {
        let found = self.api.get_opt(name).await;
        Ok(found.map_err(|e| ApiError::new(format!("reading strategy revision {name:?}"), e))?.is_some())
    }

    /// Returns the revisions that exist.
    ///
    /// # Errors
    /// The API server's.
    pub async fn list(&self) -> Result<Vec<PartialObjectMeta<ControllerRevision>>, ApiError> {
        let all = self.api.list_metadata(&ListParams::default().labels(revision::LABEL)).await;
        Ok(all.map_err(|e| ApiError::new("listing strategy revisions", e))?.items)
    }

    /// Deletes those of `all` revisions that `used` does not name and did not name a day ago, a tenth at a time. Young ones stay,
    /// and those that a run has asked for meanwhile.
    ///
    /// # Errors
    /// The API server's.
    pub async fn collect(
        &self,
        all: &[PartialObjectMeta<ControllerRevision>],
        used: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Collected, ApiError> {
        let unused = |object: &&PartialObjectMeta<ControllerRevision>| {
            let name = object.name_any();
            let created = object.metadata.creation_timestamp.as_ref().map_or(now, |t| t.0);
            // A label holds a shortened form of a long name.
            now.duration_since(created) >= YOUNG
                && !used.contains(&name)
                && !used.contains(&names::label_value(&name))
        };
        let uids: HashMap<_, _> =
            all.iter().filter(unused).map(|o| (o.name_any(), o.metadata.uid.clone())).collect();
        let long = self.unused.look(&uids.keys().cloned().collect(), now);
        let mut collected =
            Collected { deleted: 0, held_back: long.len().saturating_sub(at_most(all.len())) };
        for name in long.iter().take(at_most(all.len())) {
            self.going.lock().insert(name.clone());
            let deleted = self.delete(name, uids.get(name).cloned().flatten()).await;
            self.going.lock().remove(name);
            collected.deleted += usize::from(deleted?);
        }
        Ok(collected)
    }

    /// Deletes a revision unless a run has asked for it meanwhile, and returns whether it did.
    async fn delete(&self, name: &str, uid: Option<String>) -> Result<bool, ApiError> {
        if !self.unused.is_unused(name) {
            return Ok(false);
        }
        self.known.lock().remove(name);
        self.looks.lock().remove(name);
        match self.api.delete(name, &delete_params(uid)).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(class(&error), Class::NotFound | Class::Conflict) => Ok(false),
            Err(error) => Err(ApiError::new(format!("deleting strategy revision {name:?}"), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::GroupKind;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};

    fn revisions(server: &StandIn) -> Revisions {
        Revisions::new(server.client(), "backstay-system")
    }

    fn revision(spec: &str) -> Revision {
        Revision {
            kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() },
            name: "dump".into(),
            spec: json!({"image": spec}),
            parameters: [].into(),
        }
    }

    fn path(name: &str) -> String {
        format!("/apis/apps/v1/namespaces/backstay-system/controllerrevisions/{name}")
    }

    /// Stores an object of the name of `wanted` that holds another revision.
    fn alter(wanted: &Revision, server: &StandIn) -> String {
        let mut object = revision("altered").to_object("backstay-system");
        object.metadata.name = Some(wanted.object_name());
        server.put(&path(&wanted.object_name()), serde_json::to_value(object).unwrap());
        wanted.object_name()
    }

    #[tokio::test]
    async fn a_revision_is_stored_once_and_looked_at_whenever_a_run_pins_it() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        let name = revisions.put(&revision("a")).await.unwrap();
        assert_eq!(revisions.put(&revision("a")).await.unwrap(), name);
        assert_eq!(revisions.get(&name).await.unwrap(), revision("a"));
        assert_eq!(
            server.calls(),
            ["POST controllerrevisions".to_owned(), format!("GET controllerrevisions/{name}")]
        );
        server.remove(&path(&name));
        revisions.put(&revision("a")).await.unwrap();
        assert!(server.get(&path(&name)).is_some(), "it is made anew");
        alter(&revision("a"), &server);
        assert!(matches!(revisions.put(&revision("a")).await, Err(RevisionsError::NameTaken(_))));
        assert_ne!(revisions.put(&revision("b")).await.unwrap(), name);
    }

    #[tokio::test]
    async fn runs_that_begin_together_share_a_look_that_begins_after_each_of_them_has_asked() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        let name = revisions.put(&revision("a")).await.unwrap();
        let asked = revision("a");
        let together = (0..50).map(|_| revisions.put(&asked));
        let names = futures::future::try_join_all(together).await.unwrap();
        assert!(names.iter().all(|n| *n == name));
        let looks = server.calls().iter().filter(|call| call.starts_with("GET")).count();
        assert!((1..=2).contains(&looks), "{:?}", server.calls());
        server.remove(&path(&name));
        revisions.put(&revision("a")).await.unwrap();
        assert!(server.get(&path(&name)).is_some(), "a later run looks for itself");
    }

    #[tokio::test]
    async fn a_revision_that_another_process_stored_is_found_and_read_once() {
        let server = StandIn::default();
        let name = revisions(&server).put(&revision("a")).await.unwrap();
        assert_eq!(revisions(&server).put(&revision("a")).await.unwrap(), name);
        server.sent();
        let revisions = revisions(&server);
        for _ in 0..2 {
            assert_eq!(revisions.get(&name).await.unwrap(), revision("a"));
        }
        assert_eq!(server.calls(), [format!("GET controllerrevisions/{name}")]);
    }

    #[tokio::test]
    async fn a_foreign_object_of_the_name_is_refused_each_time_with_what_to_do() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        let name = alter(&revision("a"), &server);
        for _ in 0..2 {
            let error = revisions.put(&revision("a")).await.unwrap_err();
            assert_eq!(error.reason(), "StrategySnapshotCorrupt");
            let message = error.to_string();
            assert!(message.contains(&name) && message.ends_with("; delete it"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_revision_that_is_missing_or_altered_names_itself() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        let missing = revisions.get("job-dump-0").await.unwrap_err();
        assert!(missing.to_string().contains("\"backstay-system/job-dump-0\""), "{missing}");
        let name = alter(&revision("a"), &server);
        let altered = revisions.get(&name).await.unwrap_err();
        let message = altered.to_string();
        assert!(message.contains(&name) && message.contains("was altered"), "{message}");
        assert!(matches!(altered, RevisionsError::Corrupt(_)), "{message}");
    }

    async fn collected(revisions: &Revisions, used: &[&str], now: Timestamp) -> Result<Collected, ApiError> {
        let used = used.iter().map(ToString::to_string).collect();
        revisions.collect(&revisions.list().await?, &used, now).await
    }

    fn deleted(deleted: usize) -> Collected {
        Collected { deleted, held_back: 0 }
    }

    const DAY: SignedDuration = crate::records::unused::UNUSED_FOR;

    #[tokio::test]
    async fn only_revisions_that_are_old_and_unused_for_a_day_are_collected() {
        let server = StandIn::default();
        let earlier = revisions(&server);
        let mut names = Vec::new();
        for revision in
            [revision("unused"), revision("used"), Revision { name: "n".repeat(200), ..revision("a") }]
        {
            names.push(earlier.put(&revision).await.unwrap());
        }
        let unmarked = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        server.put(&path("x"), unmarked);
        // A label holds a long name in its shortened form.
        let shortened = names::label_value(&names[2]);
        let used = [names[1].as_str(), shortened.as_str()];
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let revisions = revisions(&server);

        let young = created + SignedDuration::from_mins(59);
        assert_eq!(collected(&revisions, &used, young).await.unwrap(), deleted(0));
        assert_eq!(collected(&revisions, &used, created + YOUNG).await.unwrap(), deleted(0));
        assert_eq!(collected(&revisions, &used, young + DAY).await.unwrap(), deleted(0));
        assert_eq!(collected(&revisions, &used, created + YOUNG + DAY).await.unwrap(), deleted(1));

        assert!(server.get(&path(&names[0])).is_none());
        for kept in [names[1].as_str(), names[2].as_str(), "x"] {
            assert!(server.get(&path(kept)).is_some(), "{kept}");
        }
        revisions.put(&revision("unused")).await.unwrap();
        assert!(server.get(&path(&names[0])).is_some(), "it is stored anew");
    }

    #[tokio::test]
    async fn an_old_revision_that_a_run_has_just_asked_for_stays_for_another_day() {
        let server = StandIn::default();
        let later: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        let revisions = revisions(&server);
        let name = revisions.put(&revision("a")).await.unwrap();
        assert_eq!(collected(&revisions, &[], later).await.unwrap(), deleted(0));
        revisions.put(&revision("a")).await.unwrap();
        // The run's status does not name it yet.
        assert_eq!(collected(&revisions, &[], later + DAY).await.unwrap(), deleted(0));
        revisions.get(&name).await.unwrap();
        assert_eq!(collected(&revisions, &[], later + DAY * 2).await.unwrap(), deleted(0));
        assert_eq!(collected(&revisions, &[], later + DAY * 3).await.unwrap(), deleted(1));
    }

    #[tokio::test]
    async fn of_many_revisions_that_seem_unused_at_once_a_tenth_is_deleted_in_a_pass() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        for image in 0..200 {
            revisions.put(&revision(&image.to_string())).await.unwrap();
        }
        let later: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        collected(&revisions, &[], later).await.unwrap();
        let pass = collected(&revisions, &[], later + DAY).await.unwrap();
        assert_eq!(pass, Collected { deleted: 20, held_back: 180 });
    }

    #[tokio::test]
    async fn a_revision_that_is_replaced_or_deleted_meanwhile_is_not_counted() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        revisions.put(&revision("a")).await.unwrap();
        let later: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        collected(&revisions, &[], later).await.unwrap();
        for (code, reason) in [(409, "Conflict"), (404, "NotFound")] {
            server.fault(1, Fault::Answer(code, reason));
            assert_eq!(collected(&revisions, &[], later + DAY).await.unwrap(), deleted(0));
        }
        server.fault(1, Fault::Answer(403, "Forbidden"));
        assert!(collected(&revisions, &[], later + DAY).await.is_err());
    }
}
