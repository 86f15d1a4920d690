//! Checkpoints of runs, handovers between restores, and private data of Backups: each is one Secret in the controller's
//! namespace, where tenants can neither read nor write (docs/decisions/0010-records-of-runs.md).

use std::collections::BTreeMap;

use backstay_api::{ComponentPin, labels};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::application_locks::Target;
use crate::contract::{Checkpoint, Inherited, Json, ObjectRef, Timestamp};
use crate::job::PodRunNote;

/// Key of the only entry of the Secrets.
const ENTRY: &str = "record.json";
/// Type of the Secrets.
const TYPE: &str = "backstay.dev/record";

/// The checkpoint of a run that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCheckpoint {
    /// The run's object.
    pub run: ObjectRef,
    /// Uid of the run.
    pub run_uid: String,
    /// The component that wrote the checkpoint.
    pub component: ComponentPin,
    /// The stage that the run is in.
    pub stage: String,
    /// When the run entered the stage.
    pub stage_since: Timestamp,
    /// Data of the component.
    pub data: Json,
    /// Notes of the run's pod runs, by name. They are not read from the Jobs, which tenants may change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, PodRunNote>,
    /// Set once data may be lost: the target and the Backup of the handover that the checkpoint becomes if the run does not
    /// succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stranded: Option<HandoverTarget>,
    /// The process that wrote the checkpoint. By it a process recognises that another one has taken the run over.
    #[serde(default)]
    pub writer: String,
}

/// The target and the Backup of a handover.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandoverTarget {
    /// The application that was being restored.
    pub target: Target,
    /// Uid of the Backup that was being restored.
    pub backup_uid: String,
}

impl StoredCheckpoint {
    /// Returns the checkpoint for the component.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { stage: self.stage.clone(), data: self.data.clone() }
    }

    /// Returns the Secret that stores the checkpoint.
    #[must_use]
    pub fn to_secret(&self, namespace: &str) -> Secret {
        let mut secret = secret(namespace, checkpoint_name(&self.run_uid), "checkpoint", &self.run_uid, self);
        if let Some(stranded) = &self.stranded {
            label_handover(&mut secret, &self.component.name, &stranded.target);
        }
        secret
    }

    /// Returns the handover to the next restore of the target, if data may be lost.
    #[must_use]
    pub fn handover(self) -> Option<(Handover, Target)> {
        let HandoverTarget { target, backup_uid } = self.stranded.clone()?;
        Some((Handover { backup_uid, left: self }, target))
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// The Secret holds no checkpoint, or another run's.
    pub fn from_secret(secret: &Secret, run_uid: &str) -> Result<Self, RecordError> {
        let stored: Self = read(secret)?;
        if stored.run_uid == run_uid {
            Ok(stored)
        } else {
            Err(RecordError::new(secret, "is of another run"))
        }
    }
}

/// The checkpoint of a restore that did not succeed after data may have been lost, for the next restore of its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// Uid of the Backup that was being restored.
    pub backup_uid: String,
    /// The last checkpoint of the restore.
    pub left: StoredCheckpoint,
}

impl Handover {
    /// Returns the handover for the component.
    #[must_use]
    pub fn inherited(&self) -> Inherited {
        Inherited {
            run_uid: self.left.run_uid.clone(),
            backup_uid: self.backup_uid.clone(),
            component_version: self.left.component.version.clone(),
            checkpoint: self.left.checkpoint(),
        }
    }

    /// Returns the Secret that stores the handover.
    #[must_use]
    pub fn to_secret(&self, namespace: &str, target: &Target) -> Secret {
        let component = &self.left.component.name;
        let mut secret =
            secret(namespace, handover_name(component, target), "kept", &self.left.run_uid, self);
        label_handover(&mut secret, component, target);
        secret
    }

    /// Reads a handover.
    ///
    /// # Errors
    /// The Secret holds no handover.
    pub fn from_secret(secret: &Secret) -> Result<Self, RecordError> {
        read(secret)
    }
}

/// Data of a strategy about a Backup that tenants cannot read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateData {
    /// Namespace of the Backup.
    pub namespace: String,
    /// Uid of the run that made it.
    pub run_uid: String,
    /// The data.
    pub data: Json,
}

impl PrivateData {
    /// Returns the Secret that stores the data.
    #[must_use]
    pub fn to_secret(&self, namespace: &str) -> Secret {
        secret(namespace, private_name(&self.run_uid), "private", &self.run_uid, self)
    }

    /// Reads the data for a Backup of this namespace.
    ///
    /// # Errors
    /// The Secret holds no such data, or another namespace's: a tenant who edits a Backup must not reach another tenant's
    /// data.
    pub fn from_secret(secret: &Secret, backup_namespace: &str) -> Result<Self, RecordError> {
        let private: Self = read(secret)?;
        if private.namespace == backup_namespace {
            Ok(private)
        } else {
            Err(RecordError::new(secret, "is of a Backup of another namespace"))
        }
    }
}

/// A Secret whose content does not match its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Secret {name:?} of the controller's namespace {why}")]
pub struct RecordError {
    name: String,
    why: String,
}

impl RecordError {
    fn new(secret: &Secret, why: impl Into<String>) -> Self {
        Self { name: secret.metadata.name.clone().unwrap_or_default(), why: why.into() }
    }
}

/// Returns the name of the Secret with the checkpoint of a run.
#[must_use]
pub fn checkpoint_name(run_uid: &str) -> String {
    format!("checkpoint-{run_uid}")
}

/// Returns the name of the Secret with the private data of the Backup that a run made.
#[must_use]
pub fn private_name(run_uid: &str) -> String {
    format!("private-{run_uid}")
}

/// Returns the name of the Secret with the handover of a component's restore of a target.
#[must_use]
pub fn handover_name(component: &str, target: &Target) -> String {
    let key = format!("{component}/{}/{}/{}", target.namespace, target.kind, target.name);
    let digest = Sha256::digest(key.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("kept-{hex}")
}

/// Labels a Secret with the name of the handover that it is or may become.
fn label_handover(secret: &mut Secret, component: &str, target: &Target) {
    let name = handover_name(component, target);
    secret.metadata.labels.get_or_insert_default().insert(labels::LEFT_ON.to_owned(), name);
}

fn secret<T: Serialize>(namespace: &str, name: String, what: &str, run_uid: &str, content: &T) -> Secret {
    // Plain data: serialising it cannot fail.
    let text = serde_json::to_vec(content).unwrap_or_default();
    let marks =
        [(labels::RECORD.to_owned(), what.to_owned()), (labels::RUN_UID.to_owned(), run_uid.to_owned())];
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            labels: Some(marks.into()),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.to_owned()),
        data: Some(BTreeMap::from([(ENTRY.to_owned(), ByteString(text))])),
        ..Secret::default()
    }
}

fn read<T: DeserializeOwned>(secret: &Secret) -> Result<T, RecordError> {
    let text = secret.data.as_ref().and_then(|d| d.get(ENTRY));
    let text = text.ok_or_else(|| RecordError::new(secret, format!("has no key {ENTRY:?}")))?;
    serde_json::from_slice(&text.0).map_err(|e| RecordError::new(secret, format!("does not decode: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::GroupKind;
    use serde_json::json;

    fn stored() -> StoredCheckpoint {
        StoredCheckpoint {
            run: crate::backup::run_ref("RestoreJob", "tenant-a", "r"),
            run_uid: "u1".into(),
            component: ComponentPin {
                name: "copier".into(),
                version: "1.0.0".into(),
                digest: "sha256:0".into(),
            },
            stage: "purge".into(),
            stage_since: 7,
            data: json!({"old": "x"}),
            pods: BTreeMap::new(),
            stranded: Some(HandoverTarget { target: target("orders"), backup_uid: "b1".into() }),
            writer: "w1".into(),
        }
    }

    fn target(name: &str) -> Target {
        Target {
            namespace: "tenant-a".into(),
            kind: GroupKind { group: "apps.cozystack.io".into(), kind: "Postgres".into() },
            name: name.into(),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_to_its_own_run_only() {
        let secret = stored().to_secret("backstay-system");
        assert_eq!(secret.metadata.name.as_deref(), Some("checkpoint-u1"));
        assert_eq!(StoredCheckpoint::from_secret(&secret, "u1").unwrap(), stored());
        assert!(
            StoredCheckpoint::from_secret(&secret, "u2").unwrap_err().to_string().contains("another run")
        );
    }

    #[test]
    fn a_handover_is_found_by_component_and_target_and_becomes_inherited() {
        let (handover, target_) = stored().handover().unwrap();
        assert_eq!(target_, target("orders"));
        let secret = handover.to_secret("backstay-system", &target("orders"));
        assert_eq!(secret.metadata.name, Some(handover_name("copier", &target("orders"))));
        assert_ne!(secret.metadata.name, Some(handover_name("copier", &target("other"))));
        assert_ne!(secret.metadata.name, Some(handover_name("mover", &target("orders"))));
        let inherited = Handover::from_secret(&secret).unwrap().inherited();
        assert_eq!((inherited.run_uid.as_str(), inherited.backup_uid.as_str()), ("u1", "b1"));
        assert_eq!(inherited.checkpoint.data, json!({"old": "x"}));
    }

    #[test]
    fn private_data_is_not_read_for_a_backup_of_another_namespace() {
        let private =
            PrivateData { namespace: "tenant-a".into(), run_uid: "u1".into(), data: json!({"p": "s"}) };
        let secret = private.to_secret("backstay-system");
        assert_eq!(PrivateData::from_secret(&secret, "tenant-a").unwrap(), private);
        assert!(PrivateData::from_secret(&secret, "tenant-b").is_err());
    }

    #[test]
    fn an_altered_secret_is_an_error_that_names_it() {
        let mut secret = stored().to_secret("backstay-system");
        secret.data = Some(BTreeMap::new());
        assert!(
            StoredCheckpoint::from_secret(&secret, "u1").unwrap_err().to_string().contains("checkpoint-u1")
        );
    }
}
