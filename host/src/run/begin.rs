//! The beginning of a run: its inputs are recorded, where tenants cannot change them, before anything is made from them.

use backstay_api::conditions::{reasons, types};
use backstay_api::{LocalRef, RunRecord, finalizers as names};
use backstay_core::cancel::needs_finalizer;
use backstay_core::contract::Mode;
use backstay_core::retry::Class;
use backstay_core::status::seconds;
use backstay_engine::World;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::not_done::NotDone;
use super::pinned::pin_of;
use super::resolve::Inputs;
use super::save::save;
use crate::records::Records;
use crate::state::finalizers;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;

/// Stores the strategy's revision, then writes the beginning of the run.
///
/// # Errors
/// The API server's; the run fails if the revision cannot be stored.
pub(crate) async fn begin(
    run: &mut Run,
    inputs: Inputs,
    records: &Records,
    runs: &RunCache,
    run_deadline: SignedDuration,
    now: Timestamp,
) -> Result<(), NotDone> {
    if inputs.component.descriptor().traits.credentials {
        records.credentials.project(run.namespace()).await?;
    }
    let revision = records.revisions.put(&inputs.revision).await?;
    let descriptor = inputs.component.descriptor();
    let longest = SignedDuration::from_secs(i64::from(descriptor.longest_run));
    let deadline = now.saturating_add(run_deadline.min(longest)).unwrap_or(now);
    // Before anything is made that may have to be undone or handed over. A backup of one pod is not worth a write more: it
    // overwrites nothing if it is run again.
    let hold = inputs.component.world() == World::Resource && needs_finalizer(run.mode, descriptor);
    let version = match hold || run.mode == Mode::Restore {
        true => match finalizers::mark_begun(run, hold, runs.client()).await {
            Err(error) if error.class() == Class::NotFound && runs.is_gone(run).await => {
                return Err(NotDone::Gone);
            }
            marked => marked?,
        },
        false => run.resource_version.clone(),
    };
    if run.resource_version != version {
        let before = std::mem::replace(&mut run.resource_version, version);
        run.marks.begun = true;
        if hold && !run.is_held() {
            run.finalizers.push(names::UNDO.to_owned());
        }
        runs.note_write(before, run);
    }
    if run.mode == Mode::Restore
        && let Some(backup) = &inputs.backup
    {
        finalizers::hold(backup, runs.client()).await?;
    }
    let (backup_ref, backup_uid) =
        inputs.backup.map(|b| (LocalRef::new(b.name_any()), b.uid().unwrap_or_default())).unzip();
    let record = RunRecord {
        application_ref: inputs.application,
        application_cluster_scoped: inputs.application_ref.namespace.is_none().then_some(true),
        application_version: Some(inputs.application_ref.api_version),
        strategy_ref: Some(inputs.strategy_ref),
        parameters: (!inputs.revision.parameters.is_empty()).then_some(inputs.revision.parameters),
        component: Some(pin_of(&inputs.component)),
        strategy_revision: Some(revision),
        deadline: Some(seconds(deadline)),
        job: None,
        backup_ref,
        backup_uid,
        options: inputs.options,
    };
    run.status.begin(record, now);
    if run.mode == Mode::Restore {
        let (pinned, reason, message) = if inputs.pinned {
            (true, reasons::STRATEGY_PINNED, "the strategy is the one of the time of the backup")
        } else {
            (false, reasons::NO_SNAPSHOT, "the Backup pins no strategy; the current one is used")
        };
        run.status.set(types::STRATEGY_PINNED, Some(pinned), reason, message, now);
    }
    save(run, "writing the beginning", runs).await?;
    Ok(())
}
