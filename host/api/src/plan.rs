//! Plan: BackupJobs on a schedule, with the outcome of each slot.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TypedRef;
use crate::lenient;
use crate::names::{KIND_LIMIT, NAME_LIMIT};
use crate::schema::field;

/// Longest `spec.schedule.cron`. Every minute, hour, day and month by its own number takes 420 characters.
pub const CRON_LIMIT: usize = 1024;

/// `spec.startingDeadlineSeconds` of a Plan that names none.
pub const DEFAULT_STARTING_DEADLINE_SECONDS: i64 = 300;
/// Most outcomes in `status.recent`.
pub const RECENT_SLOTS: usize = 20;

/// Values of [`SlotOutcome::outcome`].
pub mod slot_outcome {
    /// The slot made its BackupJob.
    pub const FIRED: &str = "Fired";
    /// The slot was skipped on purpose, such as while the Plan was suspended.
    pub const SKIPPED: &str = "Skipped";
    /// The slot should have fired and did not.
    pub const MISSED: &str = "Missed";
}

/// Spec of a Plan: what to back up, and when.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "Plan",
    plural = "plans",
    namespaced,
    status = "PlanStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A Plan makes BackupJobs on a schedule. Deleting it deletes its BackupJobs; the Backups stay.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule.cron",
        description = "When the Plan fires"
    ),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        description = "Whether the Plan is paused"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextSlot",
        description = "When the Plan fires next"
    ),
    printcolumn(
        name = "Last",
        type_ = "date",
        json_path = ".status.lastSlot",
        description = "Time since the latest slot that has an outcome"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since the object was created"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// The application to back up, in the namespace of the Plan.
    pub application_ref: TypedRef,
    /// The BackupClass of the BackupJobs that the Plan makes.
    #[serde(deserialize_with = "lenient::name")]
    #[schemars(length(max = NAME_LIMIT))]
    pub backup_class_name: String,
    /// When to back up.
    pub schedule: PlanSchedule,
    /// IANA name of the time zone of the schedule, such as `Europe/Berlin`; UTC if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    #[schemars(length(max = NAME_LIMIT))]
    pub time_zone: Option<String>,
    /// How late, in seconds, a slot may still fire, such as after an outage. Older slots are missed. 300 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// Pause the Plan: its slots are skipped until this is false again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanSchedule {
    /// Kind of the schedule. The only one is `cron`, whatever is written here.
    #[serde(
        rename = "type",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::opt_name"
    )]
    #[schemars(length(max = KIND_LIMIT))]
    pub type_: Option<String>,
    /// Five cron fields (minute, hour, day of month, month, day of week), or `@hourly`, `@daily`, `@weekly`,
    /// `@monthly`, `@yearly`, or `@every` and a duration of at least one minute. `CRON_TZ=<zone> ` before it selects a
    /// time zone, as `timeZone` does.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_cron")]
    #[schemars(length(max = CRON_LIMIT))]
    pub cron: Option<String>,
}

// docs/rules.md R1.
/// Status of a Plan. Every slot after the anchor ends in exactly one outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Conditions of the Plan: Ready and Error say whether the schedule is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::conditions")]
    #[schemars(schema_with = "field::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the Plan that the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Slots count from here: when the Plan was created, or its schedule last changed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub anchor: Option<Time>,
    /// The schedule that the anchor belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_message")]
    pub schedule: Option<String>,
    /// When the Plan fires next.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub next_slot: Option<Time>,
    /// The latest slot that has an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_time")]
    #[schemars(schema_with = "field::time")]
    pub last_slot: Option<Time>,
    /// How many slots have ended in which outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<SlotCounts>,
    /// The outcomes of the latest slots, newest first, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient::recent")]
    #[schemars(length(max = 20))]
    pub recent: Vec<SlotOutcome>,
}

/// How many slots of a Plan have ended in which outcome, since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SlotCounts {
    /// Slots that made their BackupJob.
    pub fired: i64,
    /// Slots left out on purpose.
    pub skipped: i64,
    /// Slots that should have fired and did not.
    pub missed: i64,
}

/// The outcome of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotOutcome {
    /// The time of the slot.
    #[schemars(schema_with = "field::time")]
    #[serde(deserialize_with = "lenient::time")]
    pub slot: Time,
    /// Fired, Skipped or Missed.
    #[serde(deserialize_with = "lenient::name")]
    pub outcome: String,
    /// Why, in one word.
    #[serde(deserialize_with = "lenient::name")]
    pub reason: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_message")]
    pub message: Option<String>,
    /// Name of the BackupJob that the slot made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::opt_name")]
    pub backup_job: Option<String>,
}
