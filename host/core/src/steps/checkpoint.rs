//! What is kept of runs in the controller's namespace, where tenants can neither read nor write: checkpoints, and the
//! private data of Backups (decisions.md 14). One Secret each.

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

/// Key of the one entry of such a Secret.
const ENTRY: &str = "record.json";
/// Type of such a Secret.
const TYPE: &str = "backstay.dev/record";

/// A checkpoint of a run that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredCheckpoint {
    /// The run's object.
    pub run: ObjectRef,
    /// Its uid.
    pub run_uid: String,
    /// The component that wrote it.
    pub component: ComponentPin,
    /// The stage that the run is in.
    pub stage: String,
    /// When it entered it.
    pub stage_since: Timestamp,
    /// What the guest remembers.
    pub data: Json,
    /// What is remembered of the pod runs that the run has asked for, by name. Their Jobs stand where tenants may write.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: BTreeMap<String, PodRunNote>,
    /// Data may be gone: what the checkpoint is kept for if the run ends other than well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stranded: Option<HandoverTarget>,
    /// The process that wrote it: an equal checkpoint of another process is that one's, which is then at work.
    #[serde(default)]
    pub writer: String,
}

/// What a restore leaves behind where it ends midway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandoverTarget {
    /// What was being restored.
    pub target: Target,
    /// Uid of the Backup that it was restored from.
    pub backup_uid: String,
}

impl StoredCheckpoint {
    /// What the guest is told of it.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { stage: self.stage.clone(), data: self.data.clone() }
    }

    /// The Secret that keeps it.
    #[must_use]
    pub fn to_secret(&self, namespace: &str) -> Secret {
        let mut secret = secret(namespace, checkpoint_name(&self.run_uid), "checkpoint", &self.run_uid, self);
        if let Some(stranded) = &self.stranded {
            mark(&mut secret, &self.component.name, &stranded.target);
        }
        secret
    }

    /// What the next run on the same target is to find, if this one ends here other than well.
    #[must_use]
    pub fn handover(self) -> Option<(Handover, Target)> {
        let HandoverTarget { target, backup_uid } = self.stranded.clone()?;
        Some((Handover { backup_uid, left: self }, target))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// It is none, or another run's.
    pub fn from_secret(secret: &Secret, run_uid: &str) -> Result<Self, RecordError> {
        let stored: Self = read(secret)?;
        if stored.run_uid == run_uid {
            Ok(stored)
        } else {
            Err(RecordError::new(secret, "is of another run"))
        }
    }
}

/// The checkpoint of a run that ended badly where data may be gone: what the next run on the same target is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// Uid of the Backup that was to be restored.
    pub backup_uid: String,
    /// What the run left.
    pub left: StoredCheckpoint,
}

impl Handover {
    /// What the guest is told of it.
    #[must_use]
    pub fn inherited(&self) -> Inherited {
        Inherited {
            run_uid: self.left.run_uid.clone(),
            backup_uid: self.backup_uid.clone(),
            component_version: self.left.component.version.clone(),
            checkpoint: self.left.checkpoint(),
        }
    }

    /// The Secret that keeps it.
    #[must_use]
    pub fn to_secret(&self, namespace: &str, target: &Target) -> Secret {
        let component = &self.left.component.name;
        let mut secret =
            secret(namespace, handover_name(component, target), "kept", &self.left.run_uid, self);
        mark(&mut secret, component, target);
        secret
    }

    /// Reads it back.
    ///
    /// # Errors
    /// It is none.
    pub fn from_secret(secret: &Secret) -> Result<Self, RecordError> {
        read(secret)
    }
}

/// What a strategy keeps of a Backup out of tenants' reach.
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
    /// The Secret that keeps it.
    #[must_use]
    pub fn to_secret(&self, namespace: &str) -> Secret {
        secret(namespace, private_name(&self.run_uid), "private", &self.run_uid, self)
    }

    /// Reads it back, for a Backup of this namespace.
    ///
    /// # Errors
    /// It is none, or of a Backup of another namespace: whoever may edit a Backup must not get at another's.
    pub fn from_secret(secret: &Secret, backup_namespace: &str) -> Result<Self, RecordError> {
        let private: Self = read(secret)?;
        if private.namespace == backup_namespace {
            Ok(private)
        } else {
            Err(RecordError::new(secret, "is of a Backup of another namespace"))
        }
    }
}

/// A Secret that is not what its name says.
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

/// Name of the Secret with the checkpoint of a run.
#[must_use]
pub fn checkpoint_name(run_uid: &str) -> String {
    format!("checkpoint-{run_uid}")
}

/// Name of the Secret with the private data of the Backup that a run made.
#[must_use]
pub fn private_name(run_uid: &str) -> String {
    format!("private-{run_uid}")
}

/// Name of the Secret with what a run of this component left behind on a target.
#[must_use]
pub fn handover_name(component: &str, target: &Target) -> String {
    let key = format!("{component}/{}/{}/{}", target.namespace, target.kind, target.name);
    let digest = Sha256::digest(key.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("kept-{hex}")
}

/// Marks a record by what it says is left on a target.
fn mark(secret: &mut Secret, component: &str, target: &Target) {
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
    fn what_is_kept_is_found_by_its_target_and_told_as_inherited() {
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
    fn private_data_is_not_told_to_a_backup_of_another_namespace() {
        let private =
            PrivateData { namespace: "tenant-a".into(), run_uid: "u1".into(), data: json!({"p": "s"}) };
        let secret = private.to_secret("backstay-system");
        assert_eq!(PrivateData::from_secret(&secret, "tenant-a").unwrap(), private);
        assert!(PrivateData::from_secret(&secret, "tenant-b").is_err());
    }

    #[test]
    fn a_secret_that_somebody_altered_is_an_error_that_names_it() {
        let mut secret = stored().to_secret("backstay-system");
        secret.data = Some(BTreeMap::new());
        assert!(
            StoredCheckpoint::from_secret(&secret, "u1").unwrap_err().to_string().contains("checkpoint-u1")
        );
    }
}
