//! Cleaning up after a Backup: the Backup of CloudNativePG is deleted. The archive keeps its data until its own
//! retention removes it.

use backstay_sdk::step::{Action, Delete, Found, Propagation, Step, Stop};
use backstay_sdk::{Backup, Failure, Value};

use crate::cluster::{deleting, uid};
use crate::memory::Memory;
use crate::names::{RUN_LABEL, metadata};
use crate::run::{Next, Run, act};

/// Deletes the Backup of CloudNativePG, if it exists and belongs to the run that made the host's Backup.
pub(crate) fn clean(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let done = Ok(Next::Step(Step::done(None)));
    let backup = run.request.backup.as_ref();
    let backup =
        backup.ok_or_else(|| Failure::new("BackupMissing", "there is no Backup to clean up after"))?;
    let Some(name) = backup.metadata.get(metadata::BACKUP_NAME).filter(|n| !n.is_empty()) else {
        return done;
    };
    let object = run.names.backup(name);
    // Read live: with a stale cache the object would be left behind.
    let Found::Object(found) = run.look(memory).live(&object)? else { return done };
    if deleting(found) || run.look(memory).has_just_written(&object) || !is_of(found, backup, run) {
        return done;
    }
    act(vec![Action::Delete(Delete {
        object,
        uid: uid(found).to_owned(),
        resource_version: None,
        propagation: Propagation::Background,
    })])
}

/// Whether the run that made the host's Backup also made this object. A Backup without a component version is of the
/// Go implementation: it has the name of its BackupJob, which the object's labels name.
fn is_of(found: &Value, backup: &Backup, run: &Run<'_>) -> bool {
    let label = |name: &str| found["metadata"]["labels"][name].as_str();
    match &backup.run_uid {
        Some(uid) => label(RUN_LABEL) == Some(uid),
        None => {
            label("backups.cozystack.io/owned-by.BackupJobName") == Some(&backup.name)
                && label("backups.cozystack.io/owned-by.BackupJobNamespace") == Some(run.request.namespace())
        }
    }
}
