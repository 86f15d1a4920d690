//! The checkpoint of a run: read at the beginning of a wake, and written before every act.

use std::collections::BTreeMap;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Stage};
use backstay_core::job::PodRunNote;
use backstay_core::steps::{HandoverTarget, StoredCheckpoint, Wake};
use kube::Client;
use kube::core::Status;

use super::calls::size;
use crate::cluster::error::ApiError;
use crate::records::checkpoints::{Checkpoints, RecordsError};
use crate::run::pinned::{Pinned, pin_of};
use crate::state::run::Run;
use crate::state::step_cache::StepCache;

/// Returns the stored checkpoint, which is read once.
///
/// # Errors
/// See [`RecordsError`]; a conflict if the run has changed since it was seen.
pub(crate) async fn stored(
    run: &Run,
    cache: &mut StepCache,
    records: &Checkpoints,
    client: &Client,
) -> Result<Option<StoredCheckpoint>, RecordsError> {
    if cache.checkpoint.is_unread() {
        let found = records.get(&run.uid).await?;
        // An old list can show a finished run as unfinished, and the checkpoint of a finished run is deleted: such a run
        // would begin anew.
        check_current(run, client).await?;
        cache.checkpoint = found.into();
    }
    Ok(cache.stored().cloned())
}

/// Checks that the API server has the run at the resource version that was seen.
async fn check_current(run: &Run, client: &Client) -> Result<(), ApiError> {
    let doing = || format!("reading {}", run.title());
    let now = run.read_again(client).await.map_err(|e| ApiError::new(doing(), e))?;
    if now.is_some_and(|now| now.resource_version == run.resource_version) {
        return Ok(());
    }
    Err(changed(doing()))
}

/// The conflict of a run that has changed since it was seen. `doing` completes the sentence "… failed".
pub(crate) fn changed(doing: String) -> ApiError {
    let changed = Status::failure("it has changed since it was seen", "Conflict").with_code(409);
    ApiError::new(doing, kube::Error::Api(changed.boxed()))
}

/// Writes the checkpoint of the wake, with the notes of the run's pod runs. Returns the bytes of its data.
///
/// # Errors
/// The API server's; a conflict if another controller has written the checkpoint since.
pub(crate) async fn write(
    run: &Run,
    pinned: &Pinned,
    wake: &mut Wake,
    pods: BTreeMap<String, PodRunNote>,
    cache: &mut StepCache,
    records: &Checkpoints,
) -> Result<usize, ApiError> {
    let Some((checkpoint, since)) = wake.checkpoint() else { return Ok(0) };
    let bytes = size(&checkpoint.data);
    let stored = StoredCheckpoint {
        run: run.object.clone(),
        run_uid: run.uid.clone(),
        component: pin_of(&pinned.component),
        stage: checkpoint.stage.clone(),
        stage_since: since,
        data: checkpoint.data.clone(),
        pods,
        stranded: handover_target(run, pinned, &checkpoint.stage),
        writer: String::new(),
    };
    cache.write(stored, records).await.map_err(|e| e.late_as(reasons::RUN_DEADLINE_EXCEEDED))?;
    tracing::debug!(run = %run.title(), stage = %checkpoint.stage, "checkpoint written");
    wake.written();
    Ok(bytes)
}

/// Returns for whom the checkpoint is kept if the run ends badly in this stage.
fn handover_target(run: &Run, pinned: &Pinned, stage: &str) -> Option<HandoverTarget> {
    let stages = &pinned.component.descriptor().stages;
    let keeps = |s: &Stage| s.mode == run.mode && s.name == stage && s.keeps_checkpoint;
    if run.mode != Mode::Restore || !stages.iter().any(keeps) {
        return None;
    }
    let backup_uid = pinned.record.backup_uid.clone().unwrap_or_default();
    Some(HandoverTarget { target: run.target_of(&pinned.record.application_ref), backup_uid })
}

#[cfg(test)]
mod tests {
    use backstay_core::retry::Class;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::records::checkpoints::tests::{checkpoint, records};
    use crate::state::run::tests::{RESTORE_JOB, begun, changed, stored_run};

    #[tokio::test]
    async fn a_checkpoint_is_read_once_and_so_is_its_absence() {
        for exists in [true, false] {
            let server = StandIn::default();
            let (records, client) = (records(&server), server.client());
            let run = stored_run(Mode::Restore, begun(100), &server);
            if exists {
                records.write(checkpoint(&run.uid), None).await.unwrap();
            }
            server.sent();
            let mut cache = StepCache::default();
            for _ in 0..2 {
                let stored = stored(&run, &mut cache, &records, &client).await.unwrap();
                assert_eq!(stored.map(|s| s.stage), exists.then(|| "purge".to_owned()));
            }
            assert_eq!(server.calls(), ["GET secrets/checkpoint-run-1", "GET restorejobs/nightly"]);
        }
    }

    #[tokio::test]
    async fn a_run_that_has_changed_or_gone_since_it_was_seen_has_no_checkpoint_to_go_on_from() {
        let server = StandIn::default();
        let (records, client) = (records(&server), server.client());
        let run = stored_run(Mode::Restore, begun(100), &server);
        let mut cache = StepCache::default();
        server.put(RESTORE_JOB, changed(RESTORE_JOB, &json!({"status": {"phase": "Failed"}}), &server));
        for _ in 0..2 {
            let error = stored(&run, &mut cache, &records, &client).await.unwrap_err();
            assert!(matches!(error, RecordsError::Api(ref e) if e.class() == Class::Conflict), "{error}");
            assert!(cache.checkpoint.is_unread());
            server.remove(RESTORE_JOB);
        }
    }
}
