//! Strategy revisions: ControllerRevisions of the controller's namespace, each stored once and read once.

use std::collections::{BTreeSet, HashMap};

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
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    revision: Revision,
    /// A run has asked for the revision since the last collection, and may not name it yet.
    wanted: bool,
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
        if let Some(known) = self.known.lock().get_mut(&name) {
            known.wanted = true;
            return Ok(name);
        }
        let object = revision.to_object(&self.namespace);
        let created =
            create_or_get(self.api.create(&post_params(), &object), || self.api.get_opt(&name)).await;
        let doing = || format!("storing strategy revision \"{}/{name}\"", self.namespace);
        if let Created::Existing(found) = created.map_err(|e| ApiError::new(doing(), e))? {
            Revision::from_object(&found).map_err(RevisionsError::NameTaken)?;
        }
        self.known.lock().insert(name.clone(), Known { revision: revision.clone(), wanted: true });
        Ok(name)
    }

    /// Reads a revision, and checks that its content is the one that its name says.
    ///
    /// # Errors
    /// See [`RevisionsError`].
    pub async fn get(&self, name: &str) -> Result<Revision, RevisionsError> {
        if let Some(known) = self.known.lock().get(name) {
            return Ok(known.revision.clone());
        }
        let title = format!("{}/{name}", self.namespace);
        let found = self.api.get_opt(name).await;
        let found = found.map_err(|e| ApiError::new(format!("reading strategy revision {title:?}"), e))?;
        let object = found.ok_or(RevisionsError::Missing(title))?;
        let revision = Revision::from_object(&object).map_err(RevisionsError::Corrupt)?;
        self.known.lock().insert(name.to_owned(), Known { revision: revision.clone(), wanted: false });
        Ok(revision)
    }

    /// Deletes the revisions that `used` does not name, and returns how many. Young ones stay, and those that a run has asked
    /// for since the last collection.
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
            if self.known.lock().remove(&name).is_some_and(|known| known.wanted) {
                continue;
            }
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
    async fn a_revision_is_stored_once_and_then_known() {
        let server = StandIn::default();
        let revisions = revisions(&server);
        let name = revisions.put(&revision("a")).await.unwrap();
        assert_eq!(revisions.put(&revision("a")).await.unwrap(), name);
        assert_eq!(revisions.get(&name).await.unwrap(), revision("a"));
        assert_eq!(server.calls(), ["POST controllerrevisions"]);
        assert_ne!(revisions.put(&revision("b")).await.unwrap(), name);
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

    #[tokio::test]
    async fn only_revisions_that_are_old_and_unused_are_collected() {
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
        let used = [names[1].clone(), names::label_value(&names[2])].into();
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let revisions = revisions(&server);
        revisions.get(&names[0]).await.unwrap();

        let young = created + SignedDuration::from_mins(59);
        assert_eq!(revisions.collect(&used, young).await.unwrap(), 0);
        assert_eq!(revisions.collect(&used, created + YOUNG).await.unwrap(), 1);

        assert!(server.get(&path(&names[0])).is_none());
        for kept in [names[1].as_str(), names[2].as_str(), "x"] {
            assert!(server.get(&path(kept)).is_some(), "{kept}");
        }
        revisions.put(&revision("unused")).await.unwrap();
        assert!(server.get(&path(&names[0])).is_some(), "it is stored anew");
    }

    #[tokio::test]
    async fn an_old_revision_that_a_run_has_just_asked_for_outlives_the_next_collection() {
        let server = StandIn::default();
        let name = revisions(&server).put(&revision("a")).await.unwrap();
        let later: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        let revisions = revisions(&server);
        revisions.get(&name).await.unwrap();
        revisions.put(&revision("a")).await.unwrap();
        // The run's status does not name it yet.
        assert_eq!(revisions.collect(&BTreeSet::new(), later).await.unwrap(), 0);
        assert_eq!(revisions.collect(&BTreeSet::new(), later).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_revision_that_is_replaced_or_deleted_meanwhile_is_not_counted() {
        let server = StandIn::default();
        revisions(&server).put(&revision("a")).await.unwrap();
        let revisions = revisions(&server);
        let later: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        for (code, reason) in [(409, "Conflict"), (404, "NotFound")] {
            server.fault(1, Fault::Answer(code, reason));
            assert_eq!(revisions.collect(&BTreeSet::new(), later).await.unwrap(), 0);
        }
        server.fault(1, Fault::Answer(403, "Forbidden"));
        assert!(revisions.collect(&BTreeSet::new(), later).await.is_err());
    }
}
