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
use crate::state::step_cache::StepCache;

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
    // A checkpoint that outlives its run is then handed over to nobody.
    let settled = |stranded| StoredCheckpoint { stranded: None, ..stranded };
    let rewritten = rewrite(run, &mut cache, records, state, settled).await;
    state.step_caches.put(&run.uid, cache);
    rewritten?;
    let Some(target) = run.target() else { return Ok(()) };
    Ok(records.discard_inherited(&run.uid, component, &target).await?)
}

/// Clears what a run needs no more, once its end is written. Garbage collection deletes what cannot be deleted now.
pub(crate) async fn clear(run: &Run, records: &Checkpoints, state: &State) {
    state.watch_pool.forget(&run.uid);
    let cache = state.step_caches.take(&run.uid);
    if cache.stored().is_some()
        && let Err(error) = records.delete(&run.uid).await
    {
        tracing::warn!(run = %run.title(), error = %chain(&error), "checkpoint not deleted, will be collected");
    }
}
