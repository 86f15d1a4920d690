//! Backup: the result of a run, and the facts that a restore needs.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{UNDERLYING_RESOURCES_BYTES, UNDERLYING_RESOURCES_LEVELS};
use crate::lenient;
use crate::schema::field;
use crate::{ComponentPin, FreeForm, LocalRef, RunRecord, TypedRef};

// There is no `Default`: a Backup must have the time when it was taken.
/// Spec of a Backup: what was backed up, when, and by which strategy.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "Backup",
    plural = "backups",
    shortname = "bkp",
    namespaced,
    status = "BackupStatus",
    derive = "PartialEq",
    doc = "A Backup is the record of data that a BackupJob has stored: where it is, and what it takes to restore it. \
           It outlives the BackupJob. The controller makes it; a RestoreJob names it.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Whether the Backup can be restored"
    ),
    printcolumn(
        name = "Application",
        type_ = "string",
        json_path = ".spec.applicationRef.name",
        description = "Application that was backed up"
    ),
    printcolumn(
        name = "Taken",
        type_ = "date",
        json_path = ".spec.takenAt",
        description = "Time since the data was taken"
    ),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.artifact.sizeBytes",
        description = "Size of the stored data in bytes"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct BackupSpec {
    /// The application that was backed up.
    pub application_ref: TypedRef,
    /// The Plan whose run made this Backup; absent on a run that somebody made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<LocalRef>,
    /// The strategy that made this Backup.
    pub strategy_ref: TypedRef,
    /// When the data was taken.
    #[schemars(schema_with = "field::time")]
    #[serde(deserialize_with = "lenient::time")]
    pub taken_at: Time,
    /// Parameters and names by which the strategy finds the data again. They hold no secrets.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_pairs")]
    pub driver_metadata: Option<BTreeMap<String, String>>,
}

/// Status of a Backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Whether the Backup can be restored: Pending, Ready or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub phase: Option<String>,
    /// Where the data is; absent if the strategy did not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The objects of another operator that hold the data: a self-typed object with `apiVersion` and `kind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::any_object")]
    pub underlying_resources: Option<FreeForm<UNDERLYING_RESOURCES_BYTES, UNDERLYING_RESOURCES_LEVELS>>,
    /// Conditions of the Backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::conditions")]
    #[schemars(schema_with = "field::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the Backup that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The component that made this Backup and restores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentPin>,
    /// Name of the ControllerRevision, in the controller's namespace, that holds the strategy as it was when the
    /// backup was made. A restore uses that one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub strategy_revision: Option<String>,
    /// Name of the Secret, in the controller's namespace, that holds what the strategy keeps of this Backup out of
    /// tenants' reach.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub private_data: Option<String>,
    /// The run that cleans up after this Backup, once it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<RunRecord>>,
}

// docs/rules.md R10.
/// Where the data of a Backup is. Facts that the strategy reported; nothing is invented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Where the data is, such as `s3://bucket/key`.
    #[serde(deserialize_with = "lenient::message")]
    pub uri: String,
    /// Size of the stored data in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Checksum of the stored data, such as `sha256:<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_message")]
    pub checksum: Option<String>,
}
