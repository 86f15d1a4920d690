//! The end of a run of the resource world: what it leaves to the next one, and what is cleared away.

use std::sync::Arc;

use backstay_core::contract::Mode;
use backstay_core::resource::Kept;
use backstay_engine::World;

use super::scene::target;
use super::stored;
use crate::api_error::{ApiError, chain};
use crate::context::Context;
use crate::records;
use crate::run::Halt;
use crate::run::object::Run;

/// A restore ends other than well: where data may be gone, its checkpoint is kept for the next run on the same target.
/// Done before the end is written down.
///
/// # Errors
/// The API server's: then the run has not ended.
pub(in crate::run) async fn strand(run: &Run, ctx: &Arc<Context>) -> Result<(), ApiError> {
    let Some(component) = component(run, ctx) else { return Ok(()) };
    if run.mode != Mode::Restore {
        return Ok(());
    }
    let mut memory = ctx.memories.take(&run.uid);
    let left = stored(run, &mut memory, ctx).await;
    ctx.memories.put(&run.uid, memory);
    let left = match left {
        Ok(Some(left)) => left,
        Err(Halt::Api(error)) => return Err(error),
        Ok(None) | Err(_) => return Ok(()),
    };
    let stages = &component.descriptor().stages;
    if !stages.iter().any(|s| s.mode == run.mode && s.name == left.stage && s.keeps_checkpoint) {
        return Ok(());
    }
    let Ok(target) = target(run) else { return Ok(()) };
    let backup_uid = run.status.run.as_ref().and_then(|r| r.backup_uid.clone()).unwrap_or_default();
    let kept = Kept { backup_uid, left };
    tracing::warn!(run = %run.title(), stage = %kept.left.stage, "restore ended midway, its record is kept for the next one");
    match records::keep(&kept, &target, ctx).await {
        Err(Halt::Api(error)) => Err(error),
        Err(other) => {
            // The run ends all the same, and says why; who restores next has to look for himself.
            tracing::error!(run = %run.title(), ?other, "record for the next restore not kept");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// A restore was done: what an earlier one left on the target is settled.
///
/// # Errors
/// The API server's.
pub(in crate::run) async fn settle(run: &Run, component: &str, ctx: &Arc<Context>) -> Result<(), Halt> {
    Ok(records::drop_kept(component, &target(run)?, ctx).await?)
}

/// The end is written down: clears away what is of no use any more. What cannot be cleared away now is collected later.
pub(in crate::run) async fn over(run: &Run, ctx: &Arc<Context>) {
    ctx.interests.forget(&run.uid);
    let memory = ctx.memories.take(&run.uid);
    if let Some(Some(_)) = memory.checkpoint
        && let Err(error) = records::drop_checkpoint(&run.uid, ctx).await
    {
        tracing::warn!(run = %run.title(), error = %chain(&error), "checkpoint not deleted, will be collected");
    }
}

/// Clears away what a controller that died at the end of a run has left.
///
/// # Errors
/// The API server's.
pub async fn collect(ctx: &Context) -> Result<usize, ApiError> {
    records::collect(ctx).await
}

/// The component of the run, if it is one of this world and loaded.
fn component<'a>(run: &Run, ctx: &'a Context) -> Option<&'a backstay_engine::Component> {
    let name = &run.status.run.as_ref()?.component.as_ref()?.name;
    ctx.registry.iter().find(|c| c.descriptor().name == *name && c.world() == World::Resource)
}
