//! The record in a run's status: the inputs that decide the run from its beginning on.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;
use crate::schema::field;
use crate::{FreeForm, LocalRef, TypedRef};

// docs/rules.md R2, R6, R9.
/// The inputs of a run, resolved once when it began, and what it has made since.
///
/// Written by the controller alone. Editing the class, the strategy, the application reference or the options of a
/// run that has begun changes nothing in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// The application that the run acts on, with its group filled in. On a restore it is the target.
    pub application_ref: TypedRef,
    /// `group/version` (or `v1`) under which the application was read.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub application_version: Option<String>,
    /// Whether the application is in no namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_cluster_scoped: Option<bool>,
    /// The strategy, as resolved when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_ref: Option<TypedRef>,
    /// Parameters of the BackupClass entry, or on a restore those of the Backup.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_pairs")]
    pub parameters: Option<BTreeMap<String, String>>,
    /// The component that serves the strategy, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentPin>,
    /// Name of the ControllerRevision, in the controller's namespace, that holds the strategy's spec.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub strategy_revision: Option<String>,
    /// When the run is ended if it has not ended by then.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub deadline: Option<Time>,
    /// The batch/v1 Job that the run made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRecord>,
    /// The Backup that the run made, or on a restore the one it restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_ref: Option<LocalRef>,
    /// Uid of that Backup: another Backup of the same name is not the one of this run.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub backup_uid: Option<String>,
    /// The options of a restore as they were when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::any_object")]
    pub options: Option<FreeForm>,
}

/// A strategy component, pinned by its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentPin {
    /// Name of the component.
    #[serde(deserialize_with = "lenient::name")]
    pub name: String,
    /// Semantic version of the component.
    #[serde(deserialize_with = "lenient::name")]
    pub version: String,
    /// Digest of the component's file, `sha256:<hex>`.
    #[serde(deserialize_with = "lenient::name")]
    pub digest: String,
}

// docs/rules.md R2.
/// The batch/v1 Job of a run. Its result is believed only if its uid is the one written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// Name of the Job, in the run's namespace.
    #[serde(deserialize_with = "lenient::name")]
    pub name: String,
    /// Uid of the Job.
    #[serde(deserialize_with = "lenient::name")]
    pub uid: String,
    /// Data of the component that it gets back with the result, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_message")]
    pub data: Option<String>,
    /// How many of the last lines of each container's log are read if the Job fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::count")]
    pub log_lines: Option<u32>,
}
