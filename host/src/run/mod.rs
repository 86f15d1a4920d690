//! The steps of one run: a BackupJob, a RestoreJob, or the clean-up after a deleted Backup.
//!
//! The three share one flow, which `reconcile/run.rs` shows; each step is a file here.

pub(crate) mod application;
pub(crate) mod begin;
pub(crate) mod cancel;
pub(crate) mod draining;
pub(crate) mod finish;
pub(crate) mod hold;
pub(crate) mod jobs;
pub mod not_done;
pub(crate) mod pinned;
pub(crate) mod pod;
pub(crate) mod pod_logs;
pub(crate) mod pod_result;
pub(crate) mod publish;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod save;
pub(crate) mod steps;
