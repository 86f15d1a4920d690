//! A run that shall end before its time: deleted, or past its deadline. A component that wants to be called then gets its
//! chance to undo what it has begun, and no more than that: at the second deadline the run ends without asking.

use backstay_api::conditions::reasons;
use backstay_core::contract::{CancelCause, Cancellation, Mode};
use backstay_engine::{Component, World};
use jiff::Timestamp;

use super::end::component;
use crate::context::Context;
use crate::run::Halt;
use crate::run::object::Run;

/// Whether the run's component is to be called although the run shall end. One that is not loaded may come back in time.
pub(in crate::run) fn may_undo(run: &Run, ctx: &Context) -> bool {
    run.mode != Mode::Cleanup
        && run.undoes
        && run.status.run.is_some()
        && !run.status.is_terminal()
        && component(run, ctx).is_none_or(|c| c.descriptor().traits.cancel)
}

/// Whether a run of this mode is held by a finalizer until its end: the component wants to undo, or a restore may leave
/// something to the next one.
pub(in crate::run) fn holds_on(mode: Mode, component: &Component) -> bool {
    let descriptor = component.descriptor();
    let leaves = || descriptor.stages.iter().any(|s| s.mode == Mode::Restore && s.keeps_checkpoint);
    component.world() == World::Resource
        && match mode {
            Mode::Backup => descriptor.traits.cancel,
            Mode::Restore => descriptor.traits.cancel || leaves(),
            Mode::Cleanup => false,
        }
}

/// Why the run shall end, and by when; none while it may go on.
pub(super) fn cancellation(run: &Run, ctx: &Context) -> Option<Cancellation> {
    if !may_undo(run, ctx) {
        return None;
    }
    let (cause, _) = cause(run, ctx.clock.now())?;
    Some(Cancellation { cause, deadline: must_end(run, ctx)?.as_second() })
}

fn cause(run: &Run, now: Timestamp) -> Option<(CancelCause, Timestamp)> {
    // That a Backup is deleted is what its clean-up is for.
    if let Some(deleted) = run.deleted_at.filter(|_| run.mode != Mode::Cleanup) {
        return Some((CancelCause::Deleted, deleted));
    }
    let deadline = run.deadline().filter(|_| run.is_late(now))?;
    Some((CancelCause::Deadline, deadline))
}

/// When a run that shall end does so without its component's word; none for one that may go on.
pub(in crate::run) fn must_end(run: &Run, ctx: &Context) -> Option<Timestamp> {
    let (_, since) = cause(run, ctx.clock.now())?;
    if !may_undo(run, ctx) {
        return Some(since);
    }
    Some(since.saturating_add(ctx.settings.undo_deadline).unwrap_or(since))
}

/// Ends a run that has used up the time it had to undo what it had begun.
///
/// # Errors
/// The run fails.
pub(in crate::run) fn undone_in_time(run: &Run, ctx: &Context) -> Result<(), Halt> {
    let past = |end: &Timestamp| may_undo(run, ctx) && ctx.clock.now() >= *end;
    let Some(end) = must_end(run, ctx).filter(past) else { return Ok(()) };
    let message = format!(
        "the run was to end, and its strategy did not finish undoing what it had begun by {end}; look at the application{}",
        said(run)
    );
    Err(Halt::fail(reasons::UNDO_DEADLINE_EXCEEDED, message))
}

/// Ends a run that has used up its time, and whose component has nothing to undo.
///
/// # Errors
/// The run fails.
pub(super) fn in_time(run: &Run, ctx: &Context) -> Result<(), Halt> {
    if may_undo(run, ctx) || !run.is_late(ctx.clock.now()) {
        return Ok(());
    }
    let message = format!("the run's deadline has passed{}", said(run));
    Err(Halt::fail(reasons::RUN_DEADLINE_EXCEEDED, message))
}

fn said(run: &Run) -> String {
    run.status.ready().map(|c| format!("; the last that was said: {}", c.message)).unwrap_or_default()
}
