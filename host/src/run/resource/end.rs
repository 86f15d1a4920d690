//! The end of a run of the resource world: what it leaves to the next one, and what is cleared away.

use std::sync::Arc;

use backstay_core::contract::Mode;
use backstay_core::resource::Stored;
use backstay_engine::World;

use super::memory::Memory;
use super::scene::target;
use super::stored;
use crate::api_error::{ApiError, chain};
use crate::context::Context;
use crate::records;
use crate::run::Halt;
use crate::run::object::Run;

/// A restore ends other than well: where data may be gone, its checkpoint is kept for the next run on the same target.
/// Done before the end is written down, or the run let go.
///
/// # Errors
/// The API server's: then the run has not ended.
pub(in crate::run) async fn strand(run: &Run, ctx: &Arc<Context>) -> Result<(), ApiError> {
    if run.mode != Mode::Restore || run.status.run.is_none() || is_pod(run, ctx) {
        return Ok(());
    }
    let mut memory = ctx.memories.take(&run.uid);
    let left = written_again(run, &mut memory, ctx, |left| left).await;
    ctx.memories.put(&run.uid, memory);
    let left = match left {
        Ok(left) => left,
        Err(Halt::Api(error)) => return Err(error),
        Err(_) => return Ok(()),
    };
    let Some((kept, target)) = left.and_then(Stored::kept) else { return Ok(()) };
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

/// The checkpoint of a run where data may be gone, written once more as `changed` says: a controller that is behind another
/// one is told so by this, and neither keeps nor settles what that one has. None if there is no such checkpoint.
async fn written_again(
    run: &Run,
    memory: &mut Memory,
    ctx: &Arc<Context>,
    changed: impl FnOnce(Stored) -> Stored,
) -> Result<Option<Stored>, Halt> {
    let left = stored(run, memory, ctx).await?.filter(|left| left.stranded.is_some());
    let Some(left) = left.map(changed) else { return Ok(None) };
    memory.write(Stored { writer: ctx.writer.clone(), ..left.clone() }, ctx).await?;
    Ok(Some(left))
}

/// A restore was done: what it and earlier ones left on the target is settled.
///
/// # Errors
/// The API server's; a conflict where another controller is at work.
pub(in crate::run) async fn settle(run: &Run, component: &str, ctx: &Arc<Context>) -> Result<(), Halt> {
    let mut memory = ctx.memories.take(&run.uid);
    // From now on it is nothing that the run leaves behind: where it outlives its run, nobody is told of it.
    let settled = written_again(run, &mut memory, ctx, |left| Stored { stranded: None, ..left }).await;
    ctx.memories.put(&run.uid, memory);
    settled?;
    Ok(records::settle(&run.uid, component, &target(run)?, ctx).await?)
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

/// Whether the run is one of the other world, by what is loaded.
fn is_pod(run: &Run, ctx: &Context) -> bool {
    component(run, ctx).is_some_and(|c| c.world() == World::Pod)
}

/// Whether the run may have asked for pods: what is known of it says so, or nothing is known.
pub(in crate::run) fn may_have_pods(run: &Run, ctx: &Context) -> bool {
    run.status.run.is_some() && !is_pod(run, ctx) && ctx.memories.has_pods(&run.uid).unwrap_or(true)
}

/// The component of the run, if it is loaded.
pub(super) fn component<'a>(run: &Run, ctx: &'a Context) -> Option<&'a backstay_engine::Component> {
    let name = &run.status.run.as_ref()?.component.as_ref()?.name;
    ctx.registry.iter().find(|c| c.descriptor().name == *name)
}
