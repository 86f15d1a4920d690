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
    let left = fenced(run, &mut memory, ctx).await;
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

/// The checkpoint, written once more: a controller that is behind another one must not keep what that one has settled.
async fn fenced(run: &Run, memory: &mut Memory, ctx: &Arc<Context>) -> Result<Option<Stored>, Halt> {
    let left = stored(run, memory, ctx).await?.filter(|left| left.stranded.is_some());
    if let Some(left) = &left {
        memory.write(Stored { writer: ctx.writer.clone(), ..left.clone() }, ctx).await?;
    }
    Ok(left)
}

/// A restore was done: what it and earlier ones left on the target is settled.
///
/// # Errors
/// The API server's; a conflict where another controller is at work.
pub(in crate::run) async fn settle(run: &Run, component: &str, ctx: &Arc<Context>) -> Result<(), Halt> {
    let mut memory = ctx.memories.take(&run.uid);
    let settled = settle_own(run, &mut memory, ctx).await;
    ctx.memories.put(&run.uid, memory);
    settled?;
    Ok(records::settle(&run.uid, component, &target(run)?, ctx).await?)
}

/// From now on the checkpoint of the run is nothing that it leaves behind: where it outlives its run, nobody is told of it.
async fn settle_own(run: &Run, memory: &mut Memory, ctx: &Arc<Context>) -> Result<(), Halt> {
    let Some(left) = stored(run, memory, ctx).await?.filter(|left| left.stranded.is_some()) else {
        return Ok(());
    };
    let settled = Stored { stranded: None, writer: ctx.writer.clone(), ..left };
    Ok(memory.write(settled, ctx).await?)
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
