//! BackupJob: one run that makes a Backup.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::names::NAME_LIMIT;
use crate::schema::field;
use crate::{LocalRef, RunRecord, TypedRef};

/// Spec of a BackupJob: what to back up, and by which class.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "BackupJob",
    plural = "backupjobs",
    shortname = "bkj",
    namespaced,
    status = "BackupJobStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A BackupJob is one run that backs up one application and, if it succeeds, leaves a Backup. It runs once; \
           create another one to back up again.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    selectable = ".spec.planRef.name",
    selectable = ".status.phase",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "How far the run has come"
    ),
    printcolumn(
        name = "Application",
        type_ = "string",
        json_path = ".spec.applicationRef.name",
        description = "Application that is backed up"
    ),
    printcolumn(
        name = "Backup",
        type_ = "string",
        json_path = ".status.backupRef.name",
        description = "Backup that the run made"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why the run is where it is"
    ),
    printcolumn(
        name = "Started",
        type_ = "date",
        json_path = ".status.startedAt",
        description = "Time since the run began"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct BackupJobSpec {
    /// The Plan that made this run; absent on a run that somebody made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_ref: Option<LocalRef>,
    /// The application to back up, in the namespace of the BackupJob. It is read once, when the run begins.
    pub application_ref: TypedRef,
    /// The BackupClass that says which strategy backs up the application. It cannot be changed.
    #[schemars(
        length(min = 1, max = NAME_LIMIT),
        extend("x-kubernetes-validations" = [
            {"rule": "self == oldSelf", "message": "backupClassName is immutable"}
        ])
    )]
    #[serde(deserialize_with = "lenient::name")]
    pub backup_class_name: String,
}

/// Status of a BackupJob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupJobStatus {
    /// How far the run has come: absent, Pending, Running, Succeeded or Failed. Succeeded and Failed are final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub phase: Option<String>,
    /// The Backup that the run made; set when it has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_ref: Option<LocalRef>,
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
    /// Conditions of the run: Ready, Reconciling, Stalled, and what the strategy reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::conditions")]
    #[schemars(schema_with = "field::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the BackupJob that the status is about.
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
