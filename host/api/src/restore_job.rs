//! RestoreJob: one run that restores a Backup.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::schema::field;
use crate::{FreeForm, LocalRef, RunRecord, TypedRef};

/// Spec of a RestoreJob: what to restore, and into which application.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "RestoreJob",
    plural = "restorejobs",
    shortname = "rsj",
    namespaced,
    status = "RestoreJobStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A RestoreJob is one run that restores a Backup into the application it was taken from, or into another \
           one of the same namespace. It runs once.",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "How far the run has come"
    ),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".spec.backupRef.name",
        description = "Backup that is restored"
    ),
    printcolumn(
        name = "Target",
        type_ = "string",
        json_path = ".status.run.applicationRef.name",
        description = "Application that the data goes to"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why the run is where it is"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RestoreJobSpec {
    /// The Backup to restore, in the namespace of the RestoreJob.
    pub backup_ref: LocalRef,
    /// The application to restore into, in the same namespace. Absent: the application that was backed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_application_ref: Option<TypedRef>,
    /// Options of the strategy, such as a point in time; each strategy documents its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::any_object")]
    pub options: Option<FreeForm>,
}

/// Status of a RestoreJob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreJobStatus {
    /// How far the run has come: absent, Pending, Running, Succeeded or Failed. Succeeded and Failed are final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub phase: Option<String>,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub started_at: Option<Time>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub completed_at: Option<Time>,
    /// Why the run failed, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_message")]
    pub message: Option<String>,
    /// Conditions of the run: Ready, Reconciling, Stalled, StrategyPinned, and what the strategy reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::conditions")]
    #[schemars(schema_with = "field::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the RestoreJob that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Since when the run has been waiting for the thing that its `Ready` condition names.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub waiting_since: Option<Time>,
    /// The inputs of the run, resolved once, and what it has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<RunRecord>>,
}
