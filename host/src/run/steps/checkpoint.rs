//! The checkpoint of a run: read at the beginning of a wake, and written before every act.

use std::collections::BTreeMap;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Stage};
use backstay_core::job::PodRunNote;
use backstay_core::steps::{HandoverTarget, StoredCheckpoint, Wake};
use kube::Client;

use super::calls::size;
use crate::cluster::error::ApiError;
use crate::records::checkpoints::{Checkpoints, RecordsError};
use crate::run::pinned::{Pinned, pin_of};
use crate::state::run::Run;
use crate::state::step_cache::{Cached, StepCache};

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
    ApiError::conflict(doing, "it has changed since it was seen")
}

/// Writes the checkpoint of the wake, with the notes of the run's pod runs. Returns the bytes of its data.
///
/// A later checkpoint is fenced by the version of the one before. The first one has none before it: another controller may have
/// ended the run meanwhile, and deleted its checkpoint. So it counts only if the run has not changed once it is written.
///
/// # Errors
/// The API server's; a conflict if another controller has written the checkpoint since, or the first checkpoint does not count.
pub(crate) async fn write(
    run: &Run,
    pinned: &Pinned,
    wake: &mut Wake,
    pods: BTreeMap<String, PodRunNote>,
    cache: &mut StepCache,
    records: &Checkpoints,
    client: &Client,
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
    store(run, stored, cache, records, client)
        .await
        .map_err(|e| e.late_as(reasons::RUN_DEADLINE_EXCEEDED))?;
    tracing::debug!(run = %run.title(), stage = %checkpoint.stage, "checkpoint written");
    wake.written();
    Ok(bytes)
}

async fn store(
    run: &Run,
    stored: StoredCheckpoint,
    cache: &mut StepCache,
    records: &Checkpoints,
    client: &Client,
) -> Result<(), ApiError> {
    if cache.stored().is_some() {
        return cache.write(stored, records).await;
    }
    // Spares a checkpoint that would not count. Whoever has just begun the run knows it.
    if !std::mem::take(&mut cache.just_begun)
        && let Err(error) = check_current(run, client).await
    {
        cache.checkpoint = Cached::Unread;
        return Err(error);
    }
    cache.write(stored, records).await?;
    let doing = || format!("reading {}", run.title());
    let now = run.read_again(client).await.map_err(|e| ApiError::new(doing(), e))?;
    match now {
        Some(now) if now.resource_version == run.resource_version => return Ok(()),
        // Whoever goes on with the run finds the checkpoint.
        Some(now) if !now.is_finished() => {}
        _ => {
            if let Some((_, version)) = cache.checkpoint.present() {
                records.delete(&run.uid, version).await?;
            }
        }
    }
    cache.checkpoint = Cached::Unread;
    Err(changed(doing()))
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
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::records::checkpoints::tests::{RECORDS, checkpoint, records};
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

    /// Stores the first checkpoint of a run, whose object another controller changes before the call `overtaken`.
    async fn first(change: &Value, overtaken: usize) -> (StandIn, StepCache, Result<(), ApiError>) {
        let server = StandIn::default();
        let (records, client) = (records(&server), server.client());
        let run = stored_run(Mode::Restore, begun(100), &server);
        let mut cache = StepCache { checkpoint: Cached::Absent, ..StepCache::default() };
        let theirs = changed(RESTORE_JOB, change, &server);
        server.fault(overtaken, Fault::Overtaken(RESTORE_JOB.to_owned(), theirs));
        let written = store(&run, checkpoint(&run.uid), &mut cache, &records, &client).await;
        (server, cache, written)
    }

    #[tokio::test]
    async fn the_first_checkpoint_of_a_run_that_another_controller_has_ended_does_not_count_and_does_not_stay()
     {
        let ended = json!({"status": {"phase": "Failed"}});
        // Before the run is read, before the checkpoint is written, and right after that.
        for overtaken in 0..3 {
            let (server, cache, written) = first(&ended, overtaken).await;
            assert_eq!(written.unwrap_err().class(), Class::Conflict, "{overtaken}");
            assert!(cache.checkpoint.is_unread(), "{overtaken}");
            assert_eq!(server.get(&format!("{RECORDS}/checkpoint-run-1")), None, "{overtaken}");
            let posts = server.calls().iter().filter(|call| call.starts_with("POST")).count();
            assert_eq!(posts, usize::from(overtaken > 0), "{overtaken}");
        }
    }

    #[tokio::test]
    async fn the_first_checkpoint_of_a_run_that_has_changed_and_goes_on_is_there_for_whoever_goes_on() {
        let (server, cache, written) = first(&json!({"status": {"message": "theirs"}}), 1).await;
        assert_eq!(written.unwrap_err().class(), Class::Conflict);
        assert!(cache.checkpoint.is_unread());
        assert!(server.get(&format!("{RECORDS}/checkpoint-run-1")).is_some());
    }

    #[tokio::test]
    async fn the_run_is_read_around_the_first_checkpoint_only() {
        let server = StandIn::default();
        let (records, client) = (records(&server), server.client());
        let run = stored_run(Mode::Restore, begun(100), &server);
        let mut cache = StepCache { checkpoint: Cached::Absent, ..StepCache::default() };
        for _ in 0..2 {
            store(&run, checkpoint(&run.uid), &mut cache, &records, &client).await.unwrap();
        }
        let read = "GET restorejobs/nightly";
        assert_eq!(server.calls(), [read, "POST secrets", read, "PUT secrets/checkpoint-run-1"]);
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
