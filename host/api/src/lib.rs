//! Kubernetes API types of Backstay: CRDs, conditions, labels and names.
//!
//! The kinds of the group `backups.cozystack.io` have the fields of the Go implementation, so that its objects decode
//! here and read the same; additional fields are optional. The crate is data and pure functions: no client, clock or I/O.
//!
//! - kinds, one file each: [`BackupClass`], [`BackupJob`], [`Backup`], [`RestoreJob`], [`Plan`];
//! - their common types: [`TypedRef`], [`LocalRef`], [`RunRecord`], [`phase`];
//! - constants of the API: [`conditions`], [`labels`], [`annotations`], [`finalizers`];
//! - [`bounds`] and [`FreeForm`]: how much of an object is kept, whatever its author wrote;
//! - [`names`]: makes and shortens the names of objects;
//! - [`admission`]: the source of `deploy/admission`;
//! - [`crds`] and [`strategy_crd`]: the source of `deploy/crds`.

// The lint takes the `type_` of two printer columns for one attribute given twice.
#![allow(clippy::duplicated_attributes)]

pub mod admission;
pub mod annotations;
mod backup;
mod backup_class;
mod backup_job;
pub mod bounds;
pub mod conditions;
mod crd;
pub mod finalizers;
mod free_form;
pub mod labels;
mod lenient;
pub mod names;
pub mod phase;
mod plan;
mod refs;
mod restore_job;
mod run_record;
mod schema;
mod strategy_crd;

pub use backup::{Artifact, Backup, BackupSpec, BackupStatus};
pub use backup_class::{
    ApplicationSelector, BackupClass, BackupClassSpec, BackupClassStatus, StrategyBinding,
};
pub use backup_job::{BackupJob, BackupJobSpec, BackupJobStatus};
pub use crd::crds;
pub use free_form::{FreeForm, Unreadable};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use lenient::{AnyTime, Cut};
pub use plan::{
    CRON_LIMIT, DEFAULT_STARTING_DEADLINE_SECONDS, Plan, PlanSchedule, PlanSpec, PlanStatus, RECENT_SLOTS,
    SlotCounts, SlotOutcome, slot_outcome,
};
pub use refs::{DEFAULT_APPLICATION_GROUP, LocalRef, TypedRef};
pub use restore_job::{RestoreJob, RestoreJobSpec, RestoreJobStatus};
pub use run_record::{ComponentPin, JobRecord, RunRecord};
pub use schema::SchemaError;
pub use strategy_crd::strategy_crd;

/// API group of BackupClass, BackupJob, Backup, RestoreJob and Plan.
pub const GROUP: &str = "backups.cozystack.io";
/// API version of [`GROUP`], served and stored.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of the kinds of [`GROUP`].
pub const API_VERSION: &str = "backups.cozystack.io/v1alpha1";
/// API group of the strategies of the Go implementation; a component may serve kinds in any group.
pub const STRATEGY_GROUP: &str = "strategy.backups.cozystack.io";
