//! One wake of a run that takes steps: the guest decides, and the host observes and acts for it.
//!
//! The host writes before it goes on: the conditions, then the checkpoint, then it does what the decision asks for. So a
//! process that dies anywhere begins the wake anew with the last checkpoint, and the guest looks whether it has acted
//! already. The same write stops a second controller: a checkpoint is written before every act, and never over that of another
//! process, and the first one only for a run that goes on. Only acts of a guest that has no checkpoint yet are not fenced.

use backstay_core::contract::{Condition, Event, Mode, Outcome, Request, WriteError};
use backstay_core::run_report::is_new;
use backstay_core::steps::{Effect, Grants, Next, Pins, Wake, room_for};
use backstay_engine::Component;
use jiff::Timestamp;
use kube::Client;

use super::observe::Seen;
use super::retry_budget::RetryBudget;
use super::scope::StepScope;
use super::{act, budget, checkpoint, observe, pods, wait};
use crate::context::Context;
use crate::informers::stores::Stores;
use crate::records::checkpoints::Checkpoints;
use crate::run::cancel::check_deadlines;
use crate::run::not_done::{NotDone, guest_failed};
use crate::run::pinned::Pinned;
use crate::run::request;
use crate::run::save::save;
use crate::state::notices::Notices;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::step_cache::StepCache;

/// One wake of a run. `Ok` means that the guest is done.
///
/// # Errors
/// Why the run is not done.
pub(crate) async fn wake(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<Option<Outcome>, NotDone> {
    let mut cache = ctx.state.step_caches.take(&run.uid);
    let done = steps(run, pinned, &mut cache, ctx).await;
    cache.just_begun = false;
    if matches!(done, Err(NotDone::StrategyWaits { .. })) {
        // The status and an Event say for what it waits, at most.
        cache.spending(ctx.settings.budget).wrote(1);
    }
    ctx.state.step_caches.put(&run.uid, cache);
    done
}

async fn steps(
    run: &mut Run,
    pinned: &Pinned,
    cache: &mut StepCache,
    ctx: &Context,
) -> Result<Option<Outcome>, NotDone> {
    let (records, registry, undo_deadline) =
        (&ctx.records.checkpoints, &ctx.components.registry, ctx.settings.undo_deadline);
    check_deadlines(run, registry, ctx.clock.now(), undo_deadline)?;
    let limits = ctx.settings.budget;
    budget::check(run, cache, limits, ctx.clock.now())?;
    let mut request =
        build_request(run, pinned, cache, &ctx.cluster.client, &ctx.stores, records, ctx.clock.now()).await?;
    let stored = checkpoint::stored(run, cache, records, &ctx.cluster.client).await?;
    let since = stored.as_ref().map_or(request.started_at, |s| s.stage_since);
    let inherits = request.inherited.is_some();
    let mut wake = Wake::new(stored.map(|s| s.checkpoint()), since, request.now).inherits(inherits);
    let pins = Pins::of(&request);
    let retries = RetryBudget::new();
    let mut seen = Seen::new(cache.bypass_watches.elapsed(ctx.settings.recheck));
    loop {
        // Retries can make a wake take minutes: the run may have to end meanwhile.
        check_not_deleted(run, &ctx.stores)?;
        request.cancelled = check_deadlines(run, registry, ctx.clock.now(), undo_deadline)?;
        budget::check(run, cache, limits, ctx.clock.now())?;
        let (told, view) = (request.clone(), wake.view());
        let call = move |component: &Component| component.step(&told, &view);
        let (step, took) = ctx.components.timed_call(&pinned.component, run.caller(), "step", call).await;
        cache.spending(limits).called(took);
        let effects = wake.take_step(step?)?;
        let ride_along = conditions_ride_along(&effects, inherits);
        let wait = match effects.last() {
            Some(Effect::Go(Next::Wait(wait))) => Some((wait.reason.clone(), wait.message.clone())),
            _ => None,
        };
        for effect in effects {
            let next = match effect {
                Effect::Publish(conditions, events) => {
                    let (runs, now) = (&ctx.state.runs, ctx.clock.now());
                    let runs = (!ride_along).then_some(runs);
                    if let Some((reason, message)) = wait.as_ref().filter(|_| !conditions.is_empty()) {
                        begin_wait(run, reason, message, &ctx.notices, now);
                    }
                    let writes = publish(run, &conditions, &events, runs, &ctx.notices, now).await?;
                    cache.spending(limits).wrote(writes);
                    continue;
                }
                Effect::WriteCheckpoint { pod_runs, .. } => {
                    let pods = pods::merge(pod_runs, run, cache, &ctx.stores);
                    let client = &ctx.cluster.client;
                    let bytes =
                        checkpoint::write(run, pinned, &mut wake, pods, cache, records, client).await?;
                    cache.spending(limits).wrote_checkpoint(bytes);
                    continue;
                }
                Effect::Go(next) => next,
            };
            let descriptor = pinned.component.descriptor();
            let scope = StepScope {
                run,
                pinned,
                request: &request,
                pins: &pins,
                grants: Grants::new(descriptor, &pins),
                as_component: ctx.cluster.impersonation.client_for(&descriptor.name),
                cluster: &ctx.cluster,
                stores: &ctx.stores,
                key: &ctx.records.key,
                registry,
                runs: &ctx.state.runs,
                watch_pool: &ctx.state.watch_pool,
                notices: &ctx.notices,
                recheck: ctx.settings.recheck,
                budget: &retries,
            };
            match next {
                Next::Read(queries) => {
                    let answers = observe::answer(queries, &scope, cache, &mut seen).await?;
                    wake.answered(answers);
                }
                Next::Act(actions) => {
                    let results = act::act(actions, &scope, cache, &mut seen).await?;
                    let tried = results.iter().filter(|r| r.value != Err(WriteError::NotTried));
                    cache.spending(limits).wrote(tried.count());
                    wake.acted(results);
                }
                Next::Wait(wait) => return Err(wait::wait(wait, &scope, cache, &seen)?),
                Next::Done(outcome) => return Ok(outcome),
                Next::Fail(failure) => return Err(guest_failed(failure)),
            }
        }
    }
}

/// Builds the request of the wake's calls, with the checkpoint that an earlier restore handed over.
async fn build_request(
    run: &Run,
    pinned: &Pinned,
    cache: &mut StepCache,
    client: &Client,
    stores: &Stores,
    records: &Checkpoints,
    now: Timestamp,
) -> Result<Request, NotDone> {
    let mut request = request::build(run, pinned, &mut cache.backup, client, stores, records, now).await?;
    if cache.inherited.is_unread() && run.mode == Mode::Restore {
        let target = run.target_of(&pinned.record.application_ref);
        let component = &pinned.component.descriptor().name;
        cache.inherited = records.inherited(component, &target).await?.into();
    }
    request.inherited = cache.inherited.present().filter(|left| left.run_uid != run.uid).cloned();
    Ok(request)
}

/// Checks that no watch shows the deletion of a run that was not deleted when the wake began: the deleted run begins a new
/// wake, or none.
fn check_not_deleted(run: &Run, stores: &Stores) -> Result<(), NotDone> {
    match run.shown(stores) {
        Some(now) if now.deleting && !run.deleting => {
            Err(checkpoint::changed(format!("going on with {}", run.title())).into())
        }
        _ => Ok(()),
    }
}

/// Returns whether the conditions of a step are written with the status of its wait or of the run's end, which follow at once. They
/// go before a checkpoint that forgets why, and before what the run `inherits` is discarded.
fn conditions_ride_along(effects: &[Effect], inherits: bool) -> bool {
    let writes_checkpoint = effects.iter().any(|effect| matches!(effect, Effect::WriteCheckpoint { .. }));
    match effects.last() {
        Some(Effect::Go(Next::Wait(_))) => !writes_checkpoint,
        Some(Effect::Go(Next::Done(_))) => !writes_checkpoint && !inherits,
        _ => false,
    }
}

/// Sets in the status for what the run waits, and tells it if that is new: it is written with the conditions.
fn begin_wait(run: &mut Run, reason: &str, message: &str, notices: &Notices, now: Timestamp) {
    let message = notices.redact(message);
    if is_new(&run.status, reason) {
        notices.note(run, reason, &message);
    }
    run.status.paused(reason, &message, now);
}

/// Sets the guest's conditions, writes them by `runs` if they change anything, and posts its Events. Returns the number of writes.
async fn publish(
    run: &mut Run,
    conditions: &[Condition],
    events: &[Event],
    runs: Option<&RunCache>,
    notices: &Notices,
    now: Timestamp,
) -> Result<usize, NotDone> {
    let mut writes = events.len();
    room_for(conditions, &run.status.conditions, run.mode)?;
    for c in conditions {
        run.status.set(&c.type_, c.status, &c.reason, &notices.redact(&c.message), now);
    }
    if let Some(runs) = runs.filter(|_| !conditions.is_empty())
        && save(run, "writing the conditions", runs).await?
    {
        writes += 1;
    }
    for event in events {
        match event.warning {
            true => notices.warn(run, &event.reason, &event.message),
            false => notices.note(run, &event.reason, &event.message),
        }
    }
    Ok(writes)
}
