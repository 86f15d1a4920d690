//! A run of the resource world: wakes in which the guest decides, and the host observes and acts for it.
//!
//! [`advance`] is one wake. What must survive is written before it counts: the conditions, then the checkpoint, then what
//! the decision asks for. So a process that dies anywhere begins the wake anew with the last checkpoint, and the guest
//! looks whether it has acted already.

mod act;
mod api;
mod end;
mod memory;
mod observe;
mod pods;
mod scene;
mod undo;
mod wait;

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Condition, Event, Outcome, Request, StepResult};
use backstay_core::resource::{Breach, Next, Stored, Wake};
use kube::core::Status;

pub use end::collect;
pub(super) use end::{over, settle, strand};
pub use memory::Memories;
pub(super) use undo::{may_undo, must_end, undone_in_time};

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
    undo::in_time(run, ctx)?;
    let mut memory = ctx.memories.take(&run.uid);
    let done = wake(run, pinned, &mut memory, ctx).await;
    ctx.memories.put(&run.uid, memory);
    done
}

async fn wake(
    run: &mut Run,
    pinned: &Pinned,
    memory: &mut Memory,
    ctx: &Arc<Context>,
) -> Result<Option<Outcome>, Halt> {
    let request = told(run, pinned, memory, ctx).await?;
    let stored = stored(run, memory, ctx).await?;
    let since = stored.as_ref().map_or(request.started_at, |s| s.stage_since);
    let mut wake = Wake::new(stored.map(|s| s.checkpoint()), since, request.now);
    let pins = scene::pins(run, pinned, &request);
    let mut seen = Seen::default();
    loop {
        let step = step(pinned, &request, &wake, ctx).await?;
        say(run, &step.conditions, &step.events, ctx).await?;
        let next = wake.take(step.checkpoint, step.decision)?;
        if !matches!(next, Next::Read(_)) {
            remember(run, pinned, &mut wake, memory, ctx).await?;
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
            Next::Wait(wait) => return Err(wait::wait(wait, &scene, &seen)?),
            Next::Done(outcome) => return Ok(outcome),
            Next::Fail(failure) => return Err(job::refused(failure)),
        }
    }
}

/// What the guest is told of the run.
async fn told(run: &Run, pinned: &Pinned, memory: &mut Memory, ctx: &Arc<Context>) -> Result<Request, Halt> {
    let mut request = request::request(run, pinned, &mut memory.backup, ctx).await?;
    request.cancelled = undo::cancellation(run, ctx);
    if memory.inherited.is_none() && run.mode == backstay_core::contract::Mode::Restore {
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
    let changed = Status::failure("it has changed since it was seen", "Conflict").with_code(409);
    Err(ApiError::new(doing(), kube::Error::Api(changed.boxed())).into())
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
    let now = ctx.clock.now();
    let credentials = ctx.projected.last();
    for c in conditions {
        let mut message = c.message.clone();
        if let Some(credentials) = &credentials {
            credentials.redact(&mut message);
        }
        run.status.set(&c.type_, c.status, &c.reason, &message, now);
    }
    if !conditions.is_empty() {
        let doing = format!("writing the conditions of {}", run.title());
        ctx.runs.write(run, &ctx.client).await.map_err(|e| ApiError::new(doing, e))?;
    }
    for event in events {
        match event.warning {
            true => ctx.events.warning(run.reference(), &event.reason, &event.message),
            false => ctx.events.normal(run.reference(), &event.reason, &event.message),
        }
    }
    Ok(())
}

/// Writes the checkpoint, if there is one to write.
async fn remember(
    run: &Run,
    pinned: &Pinned,
    wake: &mut Wake,
    memory: &mut Memory,
    ctx: &Context,
) -> Result<(), Halt> {
    let Some((checkpoint, since)) = wake.unwritten() else { return Ok(()) };
    let stored = Stored {
        run: run.object.clone(),
        run_uid: run.uid.clone(),
        component: pinned.pin(),
        stage: checkpoint.stage.clone(),
        stage_since: since,
        data: checkpoint.data.clone(),
    };
    let before = memory.checkpoint.iter().flatten().map(|(_, version)| version.as_str()).next();
    // From here on what is stored is known again only when the answer comes.
    let written = records::write_checkpoint(&stored, before, ctx).await;
    memory.checkpoint = None;
    let version = written.map_err(|e| e.late_as(reasons::RUN_DEADLINE_EXCEEDED))?;
    tracing::debug!(run = %run.title(), stage = %stored.stage, "checkpoint written");
    memory.checkpoint = Some(Some((stored, version)));
    wake.written();
    Ok(())
}
