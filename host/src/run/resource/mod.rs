//! A run of the resource world: wakes in which the guest decides, and the host observes and acts for it.
//!
//! [`advance`] is one wake. What must survive is written before it counts: the conditions, then the checkpoint, then what
//! the decision asks for. So a process that dies anywhere begins the wake anew with the last checkpoint, and the guest
//! looks whether it has acted already. A process that lost its lease and does not know it is stopped by the same write: no
//! act goes without one, so it cannot act on a checkpoint that another process has written since. Only what a guest does
//! before it has remembered anything is not fenced.

mod act;
mod api;
mod end;
mod memory;
mod observe;
mod patience;
mod pods;
mod scene;
mod undo;
mod wait;

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Condition, Event, Mode, Outcome, Request, Stage, StepResult};
use backstay_core::resource::{Breach, Next, Pins, Stored, Stranded, Wake, room_for};
use kube::core::Status;

pub use end::collect;
pub(super) use end::{may_have_pods, over, settle, strand};
pub use memory::Memories;
pub(super) use undo::{holds_on, may_undo, must_end, undone_in_time};

use super::halt::Halt;
use super::object::Run;
use super::pinned::Pinned;
use super::{job, request};
use crate::api_error::ApiError;
use crate::context::{Context, fault};
use crate::records;
use memory::Memory;
use observe::Seen;
use scene::Scene;

impl From<Breach> for Halt {
    fn from(breach: Breach) -> Self {
        Self::fail(breach.reason, breach.message)
    }
}

/// One wake of a run. `Ok` means that the guest is done.
pub(super) async fn advance(
    run: &mut Run,
    pinned: &Pinned,
    ctx: &Arc<Context>,
) -> Result<Option<Outcome>, Halt> {
    let mut memory = ctx.memories.take(&run.uid);
    let done = patience::limited(wake(run, pinned, &mut memory, ctx)).await;
    ctx.memories.put(&run.uid, memory);
    done
}

async fn wake(
    run: &mut Run,
    pinned: &Pinned,
    memory: &mut Memory,
    ctx: &Arc<Context>,
) -> Result<Option<Outcome>, Halt> {
    undo::in_time(run, ctx)?;
    let mut request = told(run, pinned, memory, ctx).await?;
    let stored = stored(run, memory, ctx).await?;
    let since = stored.as_ref().map_or(request.started_at, |s| s.stage_since);
    let mut wake = Wake::new(stored.map(|s| s.checkpoint()), since, request.now);
    let pins = Pins::of(&request);
    let mut seen = Seen::new(memory.anew.now(ctx.settings.recheck));
    loop {
        // A wake can take minutes where calls are tried again: the run may have to end meanwhile.
        still_there(run, ctx)?;
        undo::in_time(run, ctx)?;
        undone_in_time(run, ctx)?;
        request.cancelled = undo::cancellation(run, ctx);
        let step = step(pinned, &request, &wake, ctx).await?;
        say(run, &step.conditions, &step.events, ctx).await?;
        let next = wake.take(step.checkpoint, step.decision)?;
        if !matches!(next, Next::Read(_)) {
            remember(run, pinned, &mut wake, &next, memory, ctx).await?;
        }
        let scene = Scene::new(run, pinned, &request, &pins, ctx);
        match next {
            Next::Read(queries) => {
                let answers = observe::answer(queries, &scene, memory, &mut seen).await?;
                wake.answered(answers);
            }
            Next::Act(actions) => {
                let results = act::act(actions, &scene, memory, &seen).await?;
                wake.acted(results);
            }
            Next::Wait(wait) => return Err(wait::wait(wait, &scene, memory, &seen)?),
            Next::Done(outcome) => return Ok(outcome),
            Next::Fail(failure) => return Err(job::refused(failure)),
        }
    }
}

/// What the guest is told of the run.
async fn told(run: &Run, pinned: &Pinned, memory: &mut Memory, ctx: &Arc<Context>) -> Result<Request, Halt> {
    let mut request = request::request(run, pinned, &mut memory.backup, ctx).await?;
    if memory.inherited.is_none() && run.mode == Mode::Restore {
        let component = &pinned.component.descriptor().name;
        memory.inherited = Some(records::inherited(component, &scene::target(run)?, ctx).await?);
    }
    request.inherited = memory.inherited.clone().flatten().filter(|left| left.run_uid != run.uid);
    Ok(request)
}

/// The checkpoint as it is stored.
async fn stored(run: &Run, memory: &mut Memory, ctx: &Context) -> Result<Option<Stored>, Halt> {
    if memory.checkpoint.is_none() {
        let found = records::checkpoint(&run.uid, ctx).await?;
        // An old list can show a run that is over as one that goes on, and its checkpoint is gone: it would begin anew.
        is_current(run, ctx).await?;
        memory.checkpoint = Some(found);
    }
    Ok(memory.checkpoint.iter().flatten().map(|(stored, _)| stored.clone()).next())
}

/// Whether the run is as it was seen, by the API server's own word.
async fn is_current(run: &Run, ctx: &Context) -> Result<(), Halt> {
    let doing = || format!("reading {}", run.title());
    let now = run.read_again(&ctx.client).await.map_err(|e| ApiError::new(doing(), e))?;
    if now.is_some_and(|now| now.resource_version == run.resource_version) {
        return Ok(());
    }
    Err(changed(doing()))
}

fn changed(doing: String) -> Halt {
    let changed = Status::failure("it has changed since it was seen", "Conflict").with_code(409);
    ApiError::new(doing, kube::Error::Api(changed.boxed())).into()
}

/// Whether the run is still not being deleted, as far as a watch shows; one that is begins a new wake, or none.
fn still_there(run: &Run, ctx: &Context) -> Result<(), Halt> {
    match ctx.caches.run(run) {
        Some(now) if now.deleting && !run.deleting => Err(changed(format!("going on with {}", run.title()))),
        _ => Ok(()),
    }
}

async fn step(
    pinned: &Pinned,
    request: &Request,
    wake: &Wake,
    ctx: &Arc<Context>,
) -> Result<StepResult, Halt> {
    let component = pinned.component.clone();
    let name = component.descriptor().name.clone();
    let (request, view) = (request.clone(), wake.view());
    let called = ctx.call(&name, "step", move || component.step(&request, &view)).await;
    Ok(called.map_err(|e| Halt::fail(e.reason(), fault(&name, &e)))?.value)
}

/// Puts the guest's conditions on the run, at once if they change anything, and posts its Events.
async fn say(
    run: &mut Run,
    conditions: &[Condition],
    events: &[Event],
    ctx: &Arc<Context>,
) -> Result<(), Halt> {
    room_for(conditions, &run.status.conditions, run.mode)?;
    let now = ctx.clock.now();
    for c in conditions {
        run.status.set(&c.type_, c.status, &c.reason, &ctx.withheld(&c.message), now);
    }
    if !conditions.is_empty() {
        let doing = format!("writing the conditions of {}", run.title());
        ctx.runs.write(run, &ctx.client).await.map_err(|e| ApiError::new(doing, e))?;
    }
    for event in events {
        match event.warning {
            true => ctx.warn(run, &event.reason, &event.message),
            false => ctx.note(run, &event.reason, &event.message),
        }
    }
    Ok(())
}

/// Writes the checkpoint, if there is one to write; before an act in any case, as the fence.
async fn remember(
    run: &Run,
    pinned: &Pinned,
    wake: &mut Wake,
    next: &Next,
    memory: &mut Memory,
    ctx: &Context,
) -> Result<(), Halt> {
    let acts = matches!(next, Next::Act(_));
    let Some((checkpoint, since)) = wake.checkpoint().filter(|_| acts || wake.unwritten().is_some()) else {
        return Ok(());
    };
    let mut pods = memory.stored().map(|stored| stored.pods.clone()).unwrap_or_default();
    if let Next::Act(actions) = next {
        pods::note(actions, &mut pods, run, ctx);
    }
    let stored = Stored {
        run: run.object.clone(),
        run_uid: run.uid.clone(),
        component: pinned.pin(),
        stage: checkpoint.stage.clone(),
        stage_since: since,
        data: checkpoint.data.clone(),
        pods,
        stranded: stranded(run, pinned, &checkpoint.stage)?,
        writer: ctx.writer.clone(),
    };
    memory.write(stored, ctx).await.map_err(|e| e.late_as(reasons::RUN_DEADLINE_EXCEEDED))?;
    tracing::debug!(run = %run.title(), stage = %checkpoint.stage, "checkpoint written");
    wake.written();
    Ok(())
}

/// What the run leaves behind if it ends in this stage other than well.
fn stranded(run: &Run, pinned: &Pinned, stage: &str) -> Result<Option<Stranded>, Halt> {
    let stages = &pinned.component.descriptor().stages;
    let keeps = |s: &Stage| s.mode == run.mode && s.name == stage && s.keeps_checkpoint;
    if run.mode != Mode::Restore || !stages.iter().any(keeps) {
        return Ok(None);
    }
    let backup_uid = pinned.record.backup_uid.clone().unwrap_or_default();
    Ok(Some(Stranded { target: scene::target(run)?, backup_uid }))
}
