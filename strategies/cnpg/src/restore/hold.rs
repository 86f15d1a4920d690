//! Holding the release: suspended, with the recovery in its application's values. Both must hold for every delete.

use backstay_sdk::step::{Action, Look, Patch, Query, Step, Stop, Watch};
use backstay_sdk::{Failure, Value};

use super::prepare::{in_time, planned, still_open, still_whole};
use super::{not_cancelled, values};
use crate::cluster::text;
use crate::memory::Memory;
use crate::plan::Plan;
use crate::release::{self, State};
use crate::run::{Next, RECHECK_SECONDS, Run, wait};
use crate::stage::Stage;

/// Seconds until deleted objects must be gone.
pub(super) const DRAIN_SECONDS: i64 = 15 * 60;
/// Seconds until a release that lags behind its application is checked again.
const LAGGING_SECONDS: u32 = 5;

/// The work that is left before deleting is safe.
pub(super) enum Hold {
    /// None: the release is suspended, and has the plan's values.
    Held,
    /// These actions.
    Act(Vec<Action>),
    /// A wait: the release does not have the application's values yet.
    Lagging,
    /// The application is gone.
    ApplicationMissing,
}

/// Asks for the objects that [`hold`] reads.
pub(super) fn questions(run: &Run<'_>) -> [Query; 2] {
    [Query::live(&run.request.application), Query::live(&run.names.release())]
}

/// Determines from live reads of this wake whether deleting is safe. The plan records whose suspension a write is
/// about to lift.
pub(super) fn hold(run: &Run<'_>, look: &Look<'_>, plan: &mut Plan) -> Result<Hold, Stop> {
    look.all(questions(run))?;
    let Some(application) = look.live(&run.request.application)?.object() else {
        return Ok(Hold::ApplicationMissing);
    };
    let state = State::of(look.live(&run.names.release())?);
    let uid = run.request.run_uid.as_str();
    if !values::holds(&application["spec"], &plan.wanted) {
        // A suspension of somebody else stays unmarked.
        plan.theirs |= matches!(state, State::Theirs(_));
        let by = (!plan.theirs).then_some(uid);
        return Ok(Hold::Act(recovery_written(run, application, state.object(), plan, by)));
    }
    let by = (!plan.theirs).then_some(uid);
    plan.theirs &= matches!(state, State::Awake(_));
    Ok(match state {
        State::Awake(release) => Hold::Act(vec![release::suspend(run.names, release, by, true)]),
        State::Ours(release) | State::Theirs(release) if !values::release_holds(release, &plan.wanted) => {
            Hold::Lagging
        }
        State::Absent | State::Ours(_) | State::Theirs(_) => Hold::Held,
    })
}

/// Writes the recovery into the application. That wakes its release, so the same act suspends it again.
fn recovery_written(
    run: &Run<'_>,
    application: &Value,
    release: Option<&Value>,
    plan: &Plan,
    by: Option<&str>,
) -> Vec<Action> {
    let mut actions = vec![write(run, application, values::patch(application, &plan.wanted))];
    actions.extend(release.map(|release| release::suspend(run.names, release, by, false)));
    actions
}

/// Patches the application, if it has not changed since it was read.
pub(super) fn write(run: &Run<'_>, application: &Value, body: Value) -> Action {
    let version = text(application, "/metadata/resourceVersion");
    Action::Patch(Patch {
        object: run.request.application.clone(),
        uid: None,
        resource_version: (!version.is_empty()).then(|| version.to_owned()),
        body,
    })
}

/// Waits for a release that does not have the application's values yet.
pub(super) fn lagging(run: &Run<'_>, look: &Look<'_>) -> Result<Next, Stop> {
    let message =
        format!("HelmRelease {} does not have the values of its application yet", run.names.cluster);
    let watch = vec![Watch::Object(run.names.release())];
    let pending = run.wait("ReleaseBehind", message.clone(), watch, LAGGING_SECONDS, look.deadline());
    Err(look.wait_or(pending, || Failure::new("ReleaseBehind", message)))
}

/// Suspends the release, and writes the recovery into the application in the same act.
pub(crate) fn suspend(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    match State::of(look.live(&run.names.release())?) {
        State::Absent | State::Ours(_) => Ok(Next::Stage(Stage::Patch)),
        State::Theirs(_) => {
            let message = format!(
                "HelmRelease {} is suspended, and not by a restore: nothing would make the recovered Cluster; resume it",
                run.names.cluster
            );
            let watch = vec![Watch::Object(run.names.release())];
            let pending =
                run.wait("ReleaseSuspended", message.clone(), watch, RECHECK_SECONDS, look.deadline());
            Err(look.wait_or(pending, || Failure::new("ReleaseSuspended", message)))
        }
        State::Awake(release) => {
            in_time(run, look.deadline())?;
            if !still_open(run, memory)? {
                return Ok(Next::Stage(Stage::Gate));
            }
            let plan = memory.plan_mut()?;
            // The release is awake now, whatever it was at planning, so it must be awake again after the restore.
            plan.release = crate::plan::Release::Awake;
            let by = Some(run.request.run_uid.as_str());
            let mut actions = vec![release::suspend(run.names, release, by, true)];
            if let Some(application) = look.live(&run.request.application)?.object()
                && !values::holds(&application["spec"], &plan.wanted)
            {
                actions.extend(recovery_written(run, application, Some(release), plan, by));
            }
            Ok(Next::Step(planned(plan, Step::act(actions))))
        }
    }
}

/// Writes the recovery into the application.
pub(crate) fn patch(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all(questions(run))?;
    if let State::Theirs(_) = State::of(look.live(&run.names.release())?) {
        return Ok(Next::Stage(Stage::Suspend));
    }
    still_whole(run, memory)?;
    let plan = memory.plan_mut()?;
    let hold = hold(run, &look, plan)?;
    // A lagging release is the better reason to fail.
    if !matches!(hold, Hold::Lagging) {
        in_time(run, look.deadline())?;
    }
    match hold {
        Hold::Held => {
            plan.deleting = true;
            Ok(Next::Stage(Stage::Delete))
        }
        Hold::Act(actions) => Ok(Next::Step(planned(plan, Step::act(actions)))),
        Hold::Lagging => lagging(run, &look),
        Hold::ApplicationMissing => Err(gone(run).into()),
    }
}

pub(super) fn gone(run: &Run<'_>) -> Failure {
    let message =
        format!("Postgres {} is gone, so that nothing can be recovered to it", run.request.application.name);
    Failure::new("TargetMissing", message)
}

/// Restores the hold in a stage that deletes, or waits for it. Returns `None` if deleting is safe.
pub(super) fn keep_hold(run: &Run<'_>, look: &Look<'_>, plan: &mut Plan) -> Result<Option<Next>, Stop> {
    match hold(run, look, plan)? {
        Hold::Held => Ok(None),
        Hold::Act(actions) => Ok(Some(Next::Step(Step::act(actions)))),
        Hold::Lagging => lagging(run, look).map(Some),
        Hold::ApplicationMissing => {
            let failure = gone(run);
            let watch = vec![Watch::Object(run.request.application.clone())];
            let pending =
                run.wait(&failure.reason, failure.message.clone(), watch, RECHECK_SECONDS, look.deadline());
            Err(look.wait_or(pending, || failure))
        }
    }
}

/// Waits as [`wait`] does, as the result of a stage.
pub(super) fn until(
    run: &Run<'_>,
    reason: &str,
    message: String,
    watch: Vec<Watch>,
    deadline: i64,
) -> Result<Next, Stop> {
    wait(run.wait(reason, message, watch, RECHECK_SECONDS, deadline))
}
