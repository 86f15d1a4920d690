//! Restoring. The operator cannot recover an existing Cluster, so the recovery is written into the application, the
//! Cluster and its volumes are deleted, and the chart creates them again.
//!
//! `prepare` writes nothing; `hold` suspends the release and writes the application; `purge` deletes the objects of
//! the plan and waits until they are gone; `recover` waits for the new Cluster; `rearchive` lets it archive again;
//! `undo` reverts the writes of `hold`, as long as nothing has been deleted.

mod fit;
mod gate;
mod hold;
mod prepare;
mod purge;
mod rearchive;
mod recover;
mod undo;
mod values;

pub(crate) use hold::{patch, suspend};
pub(crate) use prepare::{fit, gate};
pub(crate) use purge::{delete, drain, resume, volumes};
pub(crate) use rearchive::archive;
pub(crate) use recover::recover;
pub(crate) use undo::undo;

use backstay_sdk::{CancelCause, Condition, Failure};

use crate::run::Run;

/// Makes a condition of the run.
fn condition(type_: &str, status: bool, reason: &str, message: impl Into<String>) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: Some(status),
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// Fails a cancelled run. Nothing has been deleted at this point.
fn not_cancelled(run: &Run<'_>) -> Result<(), Failure> {
    let Some(cancelled) = &run.request.cancelled else { return Ok(()) };
    let cause = match cancelled.cause {
        CancelCause::Deleted => "the RestoreJob is being deleted",
        CancelCause::Deadline => "the restore is out of time",
    };
    Err(Failure::new("Cancelled", format!("{cause}; the database has not been touched")))
}
