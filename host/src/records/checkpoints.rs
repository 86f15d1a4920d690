//! Secrets of the controller's namespace that hold data of runs which take steps: checkpoints, the checkpoint that a
//! stranded restore hands over to the next one, and private data of Backups.
//!
//! Tenants can neither read nor write them. `docs/decisions/0010-records-of-runs.md` says why they are Secrets.

use backstay_api::conditions::reasons;
use backstay_api::{Backup, labels};
use backstay_core::application_locks::Target;
use backstay_core::contract::{Inherited, Json};
use backstay_core::retry::Class;
use backstay_core::steps::{
    Handover, PrivateData, RecordError, StoredCheckpoint, checkpoint_name, handover_name, private_name,
};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Preconditions};
use kube::{Client, ResourceExt};

use crate::cluster::api::{Api, Page};
use crate::cluster::error::{ApiError, class, is_not_found};
use crate::cluster::write::{Created, create_or_get, delete_params, post_params};

/// Records in a page of a list: decoding a page takes the thread for a few milliseconds.
const PAGE: u32 = 500;

/// Why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Somebody altered the record.
    #[error("{0}; see what the run has done, and begin a new one")]
    Corrupt(RecordError),
    /// Another object has the record's name.
    #[error("{0} exists and is not a record of the controller; remove it")]
    NotARecord(String),
    /// A Backup names private data that no longer exists.
    #[error(
        "the private data of Backup {backup:?} no longer exists: {secret} not found; recover it from a cluster backup, or restore another Backup"
    )]
    PrivateDataMissing {
        /// Name of the Backup.
        backup: String,
        /// Kind and name of the Secret.
        secret: String,
    },
}

impl RecordsError {
    /// Reason of the condition, the Event and the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api(_) => reasons::API_ERROR,
            Self::Corrupt(_) | Self::NotARecord(_) => reasons::CHECKPOINT_CORRUPT,
            Self::PrivateDataMissing { .. } => reasons::PRIVATE_DATA_MISSING,
        }
    }
}

/// The records, one Secret each.
pub struct Checkpoints {
    api: Api<Secret>,
    namespace: String,
    /// Identity of this process, among those that may write the same checkpoint.
    writer: String,
}

impl Checkpoints {
    /// The records in `namespace`. `writer` tells this controller from others that may write the same checkpoint.
    #[must_use]
    pub fn new(client: Client, namespace: &str, writer: String) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned(), writer }
    }

    fn title(&self, name: &str) -> String {
        format!("Secret \"{}/{name}\"", self.namespace)
    }

    async fn read(&self, name: &str) -> Result<Option<Secret>, ApiError> {
        let found = self.api.get_opt(name).await;
        found.map_err(|e| ApiError::new(format!("reading {}", self.title(name)), e))
    }

    /// Returns whether a record exists.
    ///
    /// # Errors
    /// The API server's.
    pub async fn exists(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.read(name).await?.is_some())
    }

    /// Returns the checkpoint of a run, and the resource version of its Secret.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn get(&self, run_uid: &str) -> Result<Option<(StoredCheckpoint, String)>, RecordsError> {
        let Some(secret) = self.read(&checkpoint_name(run_uid)).await? else { return Ok(None) };
        let stored = StoredCheckpoint::from_secret(&secret, run_uid).map_err(RecordsError::Corrupt)?;
        Ok(Some((stored, secret.resource_version().unwrap_or_default())))
    }

    /// Writes a checkpoint of this process over the one at resource version `version`, or as the first one. Returns it as it
    /// was written, with its resource version.
    ///
    /// The version is the fence between two controllers: an equal checkpoint of another writer is a conflict, and writing
    /// the same checkpoint again costs a call, changes nothing, and still fails for a controller that is behind.
    ///
    /// # Errors
    /// The API server's; a conflict means that another controller is at work on the run.
    pub async fn write(
        &self,
        stored: StoredCheckpoint,
        version: Option<&str>,
    ) -> Result<(StoredCheckpoint, String), ApiError> {
        let stored = StoredCheckpoint { writer: self.writer.clone(), ..stored };
        let mut secret = stored.to_secret(&self.namespace);
        let name = secret.name_any();
        let written = match version {
            None => self.api.create(&post_params(), &secret).await,
            Some(version) => {
                secret.metadata.resource_version = Some(version.to_owned());
                self.api.replace(&name, &post_params(), &secret).await
            }
        };
        let error = match written {
            Ok(written) => return Ok((stored, written.resource_version().unwrap_or_default())),
            Err(error) => error,
        };
        // The answer to an earlier try may have been lost: then the stored checkpoint is this very one.
        if matches!(class(&error), Class::Conflict | Class::AlreadyExists)
            && let Some(there) = self.read(&name).await?
            && StoredCheckpoint::from_secret(&there, &stored.run_uid).is_ok_and(|s| s == stored)
        {
            return Ok((stored, there.resource_version().unwrap_or_default()));
        }
        Err(ApiError::new(format!("writing {}", self.title(&name)), error))
    }

    /// Deletes the checkpoint of a run, if there is one.
    ///
    /// # Errors
    /// The API server's; a conflict if the checkpoint has another resource version than `version`: somebody has written it
    /// since.
    pub async fn delete(&self, run_uid: &str, version: &str) -> Result<(), ApiError> {
        let preconditions = Some(Preconditions { uid: None, resource_version: Some(version.to_owned()) });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        self.delete_with(&checkpoint_name(run_uid), &params).await
    }

    /// Returns the checkpoint that an earlier run of this component handed over on a target.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn inherited(
        &self,
        component: &str,
        target: &Target,
    ) -> Result<Option<Inherited>, RecordsError> {
        Ok(self.handover(component, target).await?.map(|handover| handover.inherited()))
    }

    /// As [`Self::inherited`], with all that was stored.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn handover(&self, component: &str, target: &Target) -> Result<Option<Handover>, RecordsError> {
        let Some(secret) = self.read(&handover_name(component, target)).await? else { return Ok(None) };
        Handover::from_secret(&secret).map(Some).map_err(RecordsError::Corrupt)
    }

    /// Hands a checkpoint over to the next run on a target, in the place of an earlier one.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn hand_over(&self, handover: &Handover, target: &Target) -> Result<(), RecordsError> {
        self.put(&handover.to_secret(&self.namespace, target)).await
    }

    /// Deletes the checkpoints that earlier runs of a component left on a target, handed over or not. The checkpoint of the
    /// run with uid `run_uid` stays.
    ///
    /// # Errors
    /// The API server's.
    pub async fn discard_inherited(
        &self,
        run_uid: &str,
        component: &str,
        target: &Target,
    ) -> Result<(), ApiError> {
        let selector = format!("{}={}", labels::LEFT_ON, handover_name(component, target));
        for record in self.list(&selector).await? {
            if record.name_any() != checkpoint_name(run_uid) {
                self.delete_exactly(&record).await?;
            }
        }
        Ok(())
    }

    /// Stores the private data of the Backup that a run makes, and returns the name for the Backup's status.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn put_private(
        &self,
        namespace: &str,
        run_uid: &str,
        data: Json,
    ) -> Result<String, RecordsError> {
        let private = PrivateData { namespace: namespace.to_owned(), run_uid: run_uid.to_owned(), data };
        self.put(&private.to_secret(&self.namespace)).await?;
        Ok(private_name(run_uid))
    }

    /// Returns the private data of a Backup; `None` if its status names none.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn private(&self, backup: &Backup) -> Result<Option<Json>, RecordsError> {
        let Some(name) = backup.status.as_ref().and_then(|s| s.private_data.as_deref()) else {
            return Ok(None);
        };
        let namespace = backup.namespace().unwrap_or_default();
        match self.private_in(name, &namespace).await? {
            Some(private) => Ok(Some(private.data)),
            None => {
                Err(RecordsError::PrivateDataMissing { backup: backup.name_any(), secret: self.title(name) })
            }
        }
    }

    /// Returns the private data in the Secret `name`, of a Backup in `namespace`.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn private_in(&self, name: &str, namespace: &str) -> Result<Option<PrivateData>, RecordsError> {
        let Some(secret) = self.read(name).await? else { return Ok(None) };
        PrivateData::from_secret(&secret, namespace).map(Some).map_err(RecordsError::Corrupt)
    }

    /// Creates a Secret, or replaces the record of its name.
    async fn put(&self, secret: &Secret) -> Result<(), RecordsError> {
        let name = secret.name_any();
        let doing = |e| ApiError::new(format!("writing {}", self.title(&name)), e);
        let params = post_params();
        let created = create_or_get(self.api.create(&params, secret), || self.api.get_opt(&name)).await;
        let there = match created.map_err(doing)? {
            Created::New(_) => return Ok(()),
            Created::Existing(there) => there,
        };
        if there.labels().get(labels::RECORD) != secret.labels().get(labels::RECORD) {
            return Err(RecordsError::NotARecord(self.title(&name)));
        }
        let replacement = Secret {
            metadata: ObjectMeta { resource_version: there.resource_version(), ..secret.metadata.clone() },
            ..secret.clone()
        };
        self.api.replace(&name, &post_params(), &replacement).await.map_err(doing)?;
        Ok(())
    }

    /// Returns the metadata of the records that match a label selector.
    ///
    /// # Errors
    /// The API server's.
    pub async fn list(&self, selector: &str) -> Result<Vec<PartialObjectMeta<Secret>>, ApiError> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let page = self.page(selector, next).await?;
            all.extend(page.items);
            next = page.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// Returns a page of [`Self::list`]: the first one, or the one after it that a page names.
    ///
    /// # Errors
    /// The API server's.
    pub async fn page(
        &self,
        selector: &str,
        token: Option<String>,
    ) -> Result<Page<PartialObjectMeta<Secret>>, ApiError> {
        let params = ListParams { limit: Some(PAGE), continue_token: token, ..ListParams::default() };
        let page = self.api.list_metadata(&params.labels(selector)).await;
        page.map_err(|e| ApiError::new("listing records of runs", e))
    }

    /// Deletes the record that was listed, and no other that has its name.
    ///
    /// # Errors
    /// The API server's; a conflict means that the list is out of date.
    pub async fn delete_exactly(&self, record: &PartialObjectMeta<Secret>) -> Result<(), ApiError> {
        self.delete_with(&record.name_any(), &delete_params(record.metadata.uid.clone())).await
    }

    async fn delete_with(&self, name: &str, params: &DeleteParams) -> Result<(), ApiError> {
        match self.api.delete(name, params).await {
            Err(error) if !is_not_found(&error) => {
                Err(ApiError::new(format!("deleting {}", self.title(name)), error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use backstay_api::ComponentPin;
    use backstay_core::backup::run_ref;
    use backstay_core::contract::{GroupKind, Mode};
    use backstay_core::steps::HandoverTarget;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::controller::Surroundings;
    use crate::state::run::tests::{BACKUP, stored_run};

    pub(crate) const RECORDS: &str = "/api/v1/namespaces/backstay-system/secrets";

    pub(crate) fn records(server: &StandIn) -> Checkpoints {
        Checkpoints::new(server.client(), "backstay-system", Surroundings::this_machine().writer)
    }

    /// The checkpoint of a run, kept for the next restore of `orders` if the run ends badly.
    pub(crate) fn checkpoint(run_uid: &str) -> StoredCheckpoint {
        StoredCheckpoint {
            run: run_ref("RestoreJob", "tenant-a", "nightly"),
            run_uid: run_uid.to_owned(),
            component: ComponentPin {
                name: "copier".into(),
                version: "1.0.0".into(),
                digest: "sha256:0".into(),
            },
            stage: "purge".into(),
            stage_since: 7,
            data: json!({"old": "x"}),
            pods: [].into(),
            stranded: Some(HandoverTarget { target: target("orders"), backup_uid: "b1".into() }),
            writer: String::new(),
        }
    }

    pub(crate) fn target(name: &str) -> Target {
        Target {
            namespace: "tenant-a".into(),
            kind: GroupKind { group: "apps.cozystack.io".into(), kind: "Postgres".into() },
            name: name.into(),
        }
    }

    fn path(name: &str) -> String {
        format!("{RECORDS}/{name}")
    }

    /// Stores a Secret under another name than its own.
    fn put_as(name: &str, mut secret: Secret, server: &StandIn) {
        secret.metadata.name = Some(name.to_owned());
        server.put(&path(name), serde_json::to_value(secret).unwrap());
    }

    /// A Backup whose status names its private data.
    fn backup(private_data: Option<&str>, server: &StandIn) -> Backup {
        stored_run(Mode::Cleanup, json!({"privateData": private_data}), server);
        serde_json::from_value(server.get(BACKUP).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_checkpoint_is_created_and_then_written_over_the_known_version() {
        let server = StandIn::default();
        let records = records(&server);
        let (first, version) = records.write(checkpoint("u1"), None).await.unwrap();
        assert_eq!(records.get("u1").await.unwrap(), Some((first.clone(), version.clone())));

        let next = StoredCheckpoint { stage: "copy".into(), ..first };
        let (next, newer) = records.write(next, Some(&version)).await.unwrap();
        assert_ne!(newer, version);
        assert_eq!(records.get("u1").await.unwrap(), Some((next, newer)));
        assert_eq!(records.get("u2").await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_equal_checkpoint_of_another_controller_is_a_conflict() {
        let server = StandIn::default();
        let (one, other) = (records(&server), records(&server));
        let (_, version) = one.write(checkpoint("u1"), None).await.unwrap();
        let first = other.write(checkpoint("u1"), None).await.unwrap_err();
        assert_eq!(first.class(), Class::AlreadyExists);

        let (_, theirs) = other.write(checkpoint("u1"), Some(&version)).await.unwrap();
        let behind = one.write(checkpoint("u1"), Some(&version)).await.unwrap_err();
        assert_eq!(behind.class(), Class::Conflict);
        assert_eq!(one.get("u1").await.unwrap().unwrap().1, theirs);
    }

    #[tokio::test]
    async fn an_own_write_whose_answer_was_lost_is_found_again() {
        let server = StandIn::default();
        let records = records(&server);
        let mut version = None;
        for stage in ["purge", "copy"] {
            let next = || StoredCheckpoint { stage: stage.into(), ..checkpoint("u1") };
            server.fault(0, Fault::AnswerLost);
            let lost = records.write(next(), version.as_deref()).await.unwrap_err();
            assert_eq!(lost.class(), Class::Retry { after: None });
            let found = records.write(next(), version.as_deref()).await.unwrap();
            assert_eq!(records.get("u1").await.unwrap(), Some(found.clone()));
            version = Some(found.1);
        }
    }

    #[tokio::test]
    async fn a_checkpoint_of_another_run_or_without_content_is_corrupt() {
        let server = StandIn::default();
        let records = records(&server);
        put_as("checkpoint-u2", checkpoint("u1").to_secret("backstay-system"), &server);
        put_as("checkpoint-u3", Secret::default(), &server);
        for (run, why) in [("u2", "is of another run"), ("u3", "has no key \"record.json\"")] {
            let error = records.get(run).await.unwrap_err();
            let message = error.to_string();
            assert_eq!(error.reason(), "CheckpointCorrupt");
            assert!(message.contains(&format!("checkpoint-{run}")) && message.contains(why), "{message}");
        }
    }

    #[tokio::test]
    async fn a_checkpoint_is_deleted_and_a_missing_one_is_no_error() {
        let server = StandIn::default();
        let records = records(&server);
        let (_, version) = records.write(checkpoint("u1"), None).await.unwrap();
        records.delete("u1", &version).await.unwrap();
        assert_eq!(server.get(&path("checkpoint-u1")), None);
        records.delete("u1", &version).await.unwrap();
        server.fault(0, Fault::Answer(403, "Forbidden"));
        let error = records.delete("u1", &version).await.unwrap_err();
        assert!(error.to_string().contains("Secret \"backstay-system/checkpoint-u1\""), "{error}");
    }

    #[tokio::test]
    async fn records_are_listed_page_by_page() {
        let server = StandIn::default();
        server.pages_of(2);
        let records = records(&server);
        for run in ["u1", "u2", "u3", "u4", "u5"] {
            records.write(checkpoint(run), None).await.unwrap();
        }
        server.sent();
        assert_eq!(records.list(labels::RECORD).await.unwrap().len(), 5);
        assert_eq!(server.calls(), ["GET secrets"; 3]);
    }

    #[tokio::test]
    async fn a_checkpoint_that_another_controller_has_written_since_is_not_deleted() {
        let server = StandIn::default();
        let own = records(&server);
        let (_, version) = own.write(checkpoint("u1"), None).await.unwrap();
        records(&server).write(checkpoint("u1"), Some(&version)).await.unwrap();
        let error = own.delete("u1", &version).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
        assert!(server.get(&path("checkpoint-u1")).is_some());
    }

    #[tokio::test]
    async fn the_next_run_of_a_component_on_a_target_inherits_the_last_handover() {
        let server = StandIn::default();
        let records = records(&server);
        for run in ["u1", "u2"] {
            let (handover, to) = checkpoint(run).handover().unwrap();
            records.hand_over(&handover, &to).await.unwrap();
        }
        let inherited = records.inherited("copier", &target("orders")).await.unwrap().unwrap();
        assert_eq!((inherited.run_uid.as_str(), inherited.backup_uid.as_str()), ("u2", "b1"));
        assert_eq!(records.inherited("copier", &target("other")).await.unwrap(), None);
        assert_eq!(records.inherited("mover", &target("orders")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_handover_replaces_no_object_but_a_record_of_its_kind() {
        let server = StandIn::default();
        let name = handover_name("copier", &target("orders"));
        let (handover, to) = checkpoint("u1").handover().unwrap();
        for foreign in [Secret::default(), checkpoint("u2").to_secret("backstay-system")] {
            put_as(&name, foreign, &server);
            let before = server.get(&path(&name));
            let error = records(&server).hand_over(&handover, &to).await.unwrap_err();
            let says = format!(
                "Secret \"backstay-system/{name}\" exists and is not a record of the controller; remove it"
            );
            assert_eq!((error.to_string(), error.reason()), (says, "CheckpointCorrupt"));
            assert_eq!(server.get(&path(&name)), before);
        }
    }

    #[tokio::test]
    async fn a_handover_that_another_controller_overtakes_is_a_conflict() {
        let server = StandIn::default();
        let (handover, to) = checkpoint("u1").handover().unwrap();
        records(&server).hand_over(&handover, &to).await.unwrap();
        let (theirs, _) = checkpoint("u2").handover().unwrap();
        let mut secret = theirs.to_secret("backstay-system", &to);
        let name = secret.name_any();
        secret.metadata.uid = Some("theirs".to_owned());
        // Behind the create that finds the name taken and the read.
        server.fault(2, Fault::Overtaken(path(&name), serde_json::to_value(secret).unwrap()));
        let error = records(&server).hand_over(&handover, &to).await.unwrap_err();
        assert!(matches!(error, RecordsError::Api(ref e) if e.class() == Class::Conflict), "{error}");
    }

    #[tokio::test]
    async fn discarding_what_a_target_inherits_keeps_the_runs_own_checkpoint_and_other_targets() {
        let server = StandIn::default();
        let records = records(&server);
        let elsewhere = HandoverTarget { target: target("other"), backup_uid: "b1".into() };
        records.write(checkpoint("u1"), None).await.unwrap();
        records.write(checkpoint("u2"), None).await.unwrap();
        let other = StoredCheckpoint { stranded: Some(elsewhere), ..checkpoint("u3") };
        records.write(other, None).await.unwrap();
        let (handover, to) = checkpoint("u0").handover().unwrap();
        records.hand_over(&handover, &to).await.unwrap();

        records.discard_inherited("u1", "copier", &target("orders")).await.unwrap();

        let left = records.list(labels::RECORD).await.unwrap();
        let left: Vec<_> = left.iter().map(ResourceExt::name_any).collect();
        assert_eq!(left, ["checkpoint-u1", "checkpoint-u3"]);
    }

    #[tokio::test]
    async fn exactly_the_listed_record_is_deleted() {
        let server = StandIn::default();
        let records = records(&server);
        records.write(checkpoint("u1"), None).await.unwrap();
        let listed = records.list(labels::RECORD).await.unwrap();
        server.remove(&path("checkpoint-u1"));
        records.write(checkpoint("u1"), None).await.unwrap();
        assert_eq!(records.delete_exactly(&listed[0]).await.unwrap_err().class(), Class::Conflict);
        assert!(server.get(&path("checkpoint-u1")).is_some());
    }

    #[tokio::test]
    async fn private_data_comes_back_to_the_backup_of_its_namespace_only() {
        let server = StandIn::default();
        let records = records(&server);
        let data = json!({"password": "p"});
        assert_eq!(records.put_private("tenant-a", "u1", data.clone()).await.unwrap(), "private-u1");
        assert_eq!(records.private(&backup(Some("private-u1"), &server)).await.unwrap(), Some(data));

        let mut elsewhere = backup(Some("private-u1"), &server);
        elsewhere.metadata.namespace = Some("tenant-b".to_owned());
        let error = records.private(&elsewhere).await.unwrap_err();
        assert!(error.to_string().contains("is of a Backup of another namespace"), "{error}");
    }

    #[tokio::test]
    async fn private_data_that_is_missing_is_an_error_and_that_no_status_names_is_not_read() {
        let server = StandIn::default();
        let records = records(&server);
        let error = records.private(&backup(Some("private-u1"), &server)).await.unwrap_err();
        assert_eq!(error.reason(), "PrivateDataMissing");
        let message = error.to_string();
        assert!(message.contains("Backup \"nightly\"") && message.contains("private-u1"), "{message}");
        server.sent();
        assert_eq!(records.private(&backup(None, &server)).await.unwrap(), None);
        assert_eq!(server.calls(), [""; 0]);
    }
}
