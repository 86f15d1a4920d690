//! The end of a run that takes steps: its checkpoint is handed over to the next restore, or deleted.

use backstay_core::contract::Mode;
use backstay_core::steps::StoredCheckpoint;

use super::checkpoint::stored;
use crate::cluster::error::{ApiError, chain};
use crate::components::registry::Registry;
use crate::records::checkpoints::{Checkpoints, RecordsError};
use crate::run::cancel::is_pod;
use crate::run::not_done::NotDone;
use crate::state::State;
use crate::state::run::Run;
use crate::state::step_cache::{Cached, StepCache};

/// Hands the checkpoint of a restore that ends badly over to the next run on its target, where data may be gone. The caller
/// does this before it writes the end of the run, or removes its finalizer.
///
/// # Errors
/// The API server's; the run has then not ended.
pub(crate) async fn hand_over(
    run: &Run,
    registry: &Registry,
    records: &Checkpoints,
    state: &State,
) -> Result<(), ApiError> {
    if run.mode != Mode::Restore || run.status.run.is_none() || is_pod(run, registry) {
        return Ok(());
    }
    let mut cache = state.step_caches.take(&run.uid);
    let stranded = rewrite(run, &mut cache, records, state, |stranded| stranded).await;
    state.step_caches.put(&run.uid, cache);
    let handed_over = match stranded.map(|stranded| stranded.and_then(StoredCheckpoint::handover)) {
        Ok(Some((handover, target))) => {
            tracing::warn!(run = %run.title(), stage = %handover.left.stage,
                "restore ended midway, its checkpoint is kept for the next one");
            records.hand_over(&handover, &target).await
        }
        Ok(None) => Ok(()),
        // The status of the run says so; there is nothing to hand over.
        Err(RecordsError::Api(error)) => Err(error.into()),
        Err(_) => return Ok(()),
    };
    match handed_over {
        Err(RecordsError::Api(error)) => Err(error),
        Err(error) => {
            // The run ends all the same, and its status says why. The user has to check the application before the next restore.
            tracing::error!(run = %run.title(), %error, "checkpoint for the next restore not kept");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Writes the checkpoint of a stranded run once more, as `change` says: a controller that is behind another one gets a
/// conflict, and so neither hands over nor discards that one's checkpoint. Returns `None` if there is no such checkpoint.
async fn rewrite(
    run: &Run,
    cache: &mut StepCache,
    records: &Checkpoints,
    state: &State,
    change: impl FnOnce(StoredCheckpoint) -> StoredCheckpoint,
) -> Result<Option<StoredCheckpoint>, RecordsError> {
    let stranded = stored(run, cache, records, state.runs.client()).await?.filter(|s| s.stranded.is_some());
    let Some(stranded) = stranded.map(change) else { return Ok(None) };
    cache.write(stranded.clone(), records).await?;
    Ok(Some(stranded))
}

/// Discards the checkpoints that this restore, which succeeded, and earlier ones left on the target.
///
/// # Errors
/// The API server's; a conflict if another controller is at work on the run.
pub(crate) async fn discard_inherited(
    run: &Run,
    component: &str,
    records: &Checkpoints,
    state: &State,
) -> Result<(), NotDone> {
    let mut cache = state.step_caches.take(&run.uid);
    let inherited_nothing = cache.inherited == Cached::Absent;
    // A checkpoint that outlives its run is then handed over to nobody.
    let settled = |stranded| StoredCheckpoint { stranded: None, ..stranded };
    let rewritten = rewrite(run, &mut cache, records, state, settled).await;
    state.step_caches.put(&run.uid, cache);
    rewritten?;
    if inherited_nothing {
        return Ok(());
    }
    let Some(target) = run.target() else { return Ok(()) };
    Ok(records.discard_inherited(&run.uid, component, &target).await?)
}

/// Clears what a run needs no more, once its end is written. Garbage collection deletes what cannot be deleted now.
pub(crate) async fn clear(run: &Run, records: &Checkpoints, state: &State) {
    state.watch_pool.forget(&run.uid);
    let cache = state.step_caches.take(&run.uid);
    if let Some((_, version)) = cache.checkpoint.present()
        && let Err(error) = records.delete(&run.uid, version).await
    {
        tracing::warn!(run = %run.title(), error = %chain(&error), "checkpoint not deleted, will be collected");
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Inherited;
    use backstay_core::retry::Class;
    use backstay_core::run_report::ApiFailure;
    use backstay_core::steps::handover_name;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::records::checkpoints::tests::{RECORDS, checkpoint, records, target};
    use crate::state::run::tests::{begun, stored_run};
    use crate::state::step_cache::Cached;

    /// A run of this mode that has begun, and its checkpoint, which is in the cache.
    async fn given(mode: Mode, checkpoint: StoredCheckpoint, server: &StandIn) -> (Run, Checkpoints, State) {
        let (run, records, state) =
            (stored_run(mode, begun(100), server), records(server), State::empty(server.client()));
        let mut cache = StepCache { checkpoint: Cached::Absent, ..StepCache::default() };
        cache.write(checkpoint, &records).await.unwrap();
        state.step_caches.put(&run.uid, cache);
        (run, records, state)
    }

    async fn inherited(records: &Checkpoints) -> Option<Inherited> {
        records.inherited("copier", &target("orders")).await.unwrap()
    }

    fn own(server: &StandIn) -> Option<Value> {
        server.get(&format!("{RECORDS}/checkpoint-run-1"))
    }

    #[tokio::test]
    async fn the_checkpoint_of_a_stranded_restore_is_handed_over_to_the_next_one() {
        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        hand_over(&run, &Registry::default(), &records, &state).await.unwrap();
        let inherited = inherited(&records).await.unwrap();
        assert_eq!((inherited.run_uid.as_str(), inherited.backup_uid.as_str()), ("run-1", "b1"));
        assert!(own(&server).is_some(), "it is deleted once the run's end is written");
    }

    #[tokio::test]
    async fn nothing_is_handed_over_where_no_data_can_be_gone() {
        let harmless = StoredCheckpoint { stranded: None, ..checkpoint("run-1") };
        for (mode, stored) in [(Mode::Restore, harmless), (Mode::Backup, checkpoint("run-1"))] {
            let server = StandIn::default();
            let (run, records, state) = given(mode, stored, &server).await;
            hand_over(&run, &Registry::default(), &records, &state).await.unwrap();
            assert_eq!(inherited(&records).await, None);
        }
    }

    #[tokio::test]
    async fn a_controller_that_is_behind_another_hands_nothing_over() {
        let server = StandIn::default();
        let (run, own, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        let (_, version) = own.get("run-1").await.unwrap().unwrap();
        records(&server).write(checkpoint("run-1"), Some(&version)).await.unwrap();
        let error = hand_over(&run, &Registry::default(), &own, &state).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
        assert_eq!(inherited(&own).await, None);
    }

    #[tokio::test]
    async fn a_handover_that_is_not_answered_keeps_the_run_from_ending() {
        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        server.fault(1, Fault::Answer(503, "ServiceUnavailable"));
        let error = hand_over(&run, &Registry::default(), &records, &state).await.unwrap_err();
        assert_eq!(error.class(), Class::Retry { after: None });
        hand_over(&run, &Registry::default(), &records, &state).await.unwrap();
        assert!(inherited(&records).await.is_some());
    }

    #[tokio::test]
    async fn a_foreign_object_in_the_place_of_the_handover_stays_and_the_run_ends() {
        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        let path = format!("{RECORDS}/{}", handover_name("copier", &target("orders")));
        server.put(&path, json!({"metadata": {"name": "theirs"}}));
        let theirs = server.get(&path);
        hand_over(&run, &Registry::default(), &records, &state).await.unwrap();
        assert_eq!(server.get(&path), theirs);
    }

    #[tokio::test]
    async fn a_restore_that_succeeded_discards_what_it_inherited_and_hands_nothing_over() {
        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        let (earlier, to) = checkpoint("run-0").handover().unwrap();
        records.hand_over(&earlier, &to).await.unwrap();
        records.write(checkpoint("run-0"), None).await.unwrap();

        discard_inherited(&run, "copier", &records, &state).await.unwrap();

        assert_eq!(inherited(&records).await, None);
        assert_eq!(records.get("run-0").await.unwrap(), None);
        let (own, _) = records.get("run-1").await.unwrap().unwrap();
        assert_eq!(own.stranded, None, "garbage collection would hand it over");
    }

    #[tokio::test]
    async fn a_controller_that_is_behind_another_discards_nothing() {
        let server = StandIn::default();
        let (run, own, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        let (earlier, to) = checkpoint("run-0").handover().unwrap();
        own.hand_over(&earlier, &to).await.unwrap();
        let (_, version) = own.get("run-1").await.unwrap().unwrap();
        records(&server).write(checkpoint("run-1"), Some(&version)).await.unwrap();
        let not_done = discard_inherited(&run, "copier", &own, &state).await.unwrap_err();
        assert!(matches!(not_done, NotDone::Api(ApiFailure { class: Class::Conflict, .. })), "{not_done:?}");
        assert!(inherited(&own).await.is_some());
    }

    #[tokio::test]
    async fn a_known_checkpoint_is_deleted_at_the_end_and_an_unknown_one_is_left_to_garbage_collection() {
        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        clear(&run, &records, &state).await;
        assert!(own(&server).is_some(), "the API server did not answer");
        server.sent();
        clear(&run, &records, &state).await;
        assert_eq!(server.calls(), [""; 0]);

        let server = StandIn::default();
        let (run, records, state) = given(Mode::Restore, checkpoint("run-1"), &server).await;
        clear(&run, &records, &state).await;
        assert_eq!(own(&server), None);
    }
}
