//! Secrets of the controller's namespace that hold data of runs which take steps: checkpoints, the checkpoint that a
//! stranded restore hands over to the next one, and private data of Backups.
//!
//! Tenants can neither read nor write them. `docs/decisions/0010-records-of-runs.md` says why they are Secrets.

use std::hash::{BuildHasher, RandomState};

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
use kube::api::{DeleteParams, ListParams, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};

use crate::cluster::error::{ApiError, class, is_not_found};
use crate::cluster::write::{Created, create_or_get, delete_params, post_params};

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
    /// The records in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            writer: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        }
    }

    fn title(&self, name: &str) -> String {
        format!("Secret \"{}/{name}\"", self.namespace)
    }

    async fn read(&self, name: &str) -> Result<Option<Secret>, ApiError> {
        let found = self.api.get_opt(name).await;
        found.map_err(|e| ApiError::new(format!("reading {}", self.title(name)), e))
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
    /// The API server's.
    pub async fn delete(&self, run_uid: &str) -> Result<(), ApiError> {
        self.delete_with(&checkpoint_name(run_uid), &DeleteParams::default()).await
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
        let all = self.api.list_metadata(&ListParams::default().labels(selector)).await;
        Ok(all.map_err(|e| ApiError::new("listing records of runs", e))?.items)
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
