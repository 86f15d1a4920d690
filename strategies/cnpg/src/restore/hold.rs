//! The release asleep, and the application saying what to recover: both must hold whenever something is deleted.

use backstay_sdk::step::{Action, Look, Patch, Query, Step, Stop, Watch};
use backstay_sdk::{Failure, Value};

use super::prepare::{in_time, planned, still_open, still_whole};
use super::{not_cancelled, values};
use crate::cluster::text;
use crate::memory::Memory;
use crate::plan::Plan;
use crate::release::{self, State};
use crate::run::{RECHECK_SECONDS, Run, Turn, wait};
use crate::stage::Stage;

/// How long what was deleted may take to be gone.
pub(super) const DRAIN_SECONDS: i64 = 15 * 60;
/// How soon a release is looked at again that has not taken over what the application says.
const BEHIND_SECONDS: u32 = 5;

/// What has to be done so that deleting is safe.
pub(super) enum Hold {
    /// Nothing: the release is asleep, and says what the plan says.
    Fast,
    /// This.
    Act(Vec<Action>),
    /// Somebody else's turn: the release has not taken over what the application says.
    Behind,
    /// The application is gone.
    Gone,
}

/// The questions for [`hold`].
pub(super) fn questions(run: &Run<'_>) -> [Query; 2] {
    [Query::live(&run.request.application), Query::live(&run.names.release())]
}

/// Whether deleting is safe now, by live reads of this wake. The plan remembers whose suspension a write is about to lift.
pub(super) fn hold(run: &Run<'_>, look: &Look<'_>, plan: &mut Plan) -> Result<Hold, Stop> {
    look.all(questions(run))?;
    let Some(application) = look.live(&run.request.application)?.object() else { return Ok(Hold::Gone) };
    let state = State::of(look.live(&run.names.release())?);
    let uid = run.request.run_uid.as_str();
    if !values::holds(&application["spec"], &plan.wanted) {
        // To write the application wakes its release, so that it is put to sleep again in the same breath. A suspension
        // that is not ours stays unmarked.
        plan.theirs |= matches!(state, State::Theirs(_));
        let mut actions = vec![write(run, application, values::patch(application, &plan.wanted))];
        let by = (!plan.theirs).then_some(uid);
        actions.extend(state.object().map(|r| release::suspend(run.names, r, by, false)));
        return Ok(Hold::Act(actions));
    }
    let by = (!plan.theirs).then_some(uid);
    plan.theirs &= matches!(state, State::Awake(_));
    Ok(match state {
        State::Awake(release) => Hold::Act(vec![release::suspend(run.names, release, by, true)]),
        State::Ours(release) | State::Theirs(release) if !values::release_holds(release, &plan.wanted) => {
            Hold::Behind
        }
        State::Absent | State::Ours(_) | State::Theirs(_) => Hold::Fast,
    })
}

/// A patch of the application as it was seen.
pub(super) fn write(run: &Run<'_>, application: &Value, body: Value) -> Action {
    let version = text(application, "/metadata/resourceVersion");
    Action::Patch(Patch {
        object: run.request.application.clone(),
        uid: None,
        resource_version: (!version.is_empty()).then(|| version.to_owned()),
        body,
    })
}

/// The wait for a release that has not taken over what the application says.
pub(super) fn behind(run: &Run<'_>, look: &Look<'_>) -> Result<Turn, Stop> {
    let message = format!("HelmRelease {} does not say yet what its application says", run.names.cluster);
    let watch = vec![Watch::Object(run.names.release())];
    let pending = run.wait("ReleaseBehind", message.clone(), watch, BEHIND_SECONDS, look.deadline());
    Err(look.wait_or(pending, || Failure::new("ReleaseBehind", message)))
}

/// The release, put to sleep.
pub(crate) fn suspend(run: &Run<'_>, memory: &mut Memory) -> Result<Turn, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    match State::of(look.live(&run.names.release())?) {
        State::Absent | State::Ours(_) => Ok(Turn::Go(Stage::Patch)),
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
                return Ok(Turn::Go(Stage::Gate));
            }
            let plan = memory.plan_mut()?;
            // By now it is awake, whatever it was when the plan was made: that is what it goes back to.
            plan.release = crate::plan::Release::Awake;
            let action = release::suspend(run.names, release, Some(&run.request.run_uid), true);
            Ok(Turn::End(planned(plan, Step::act(vec![action]))))
        }
    }
}

/// The application, told what to recover.
pub(crate) fn patch(run: &Run<'_>, memory: &mut Memory) -> Result<Turn, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all(questions(run))?;
    if let State::Theirs(_) = State::of(look.live(&run.names.release())?) {
        return Ok(Turn::Go(Stage::Suspend));
    }
    still_whole(run, memory)?;
    let plan = memory.plan_mut()?;
    let hold = hold(run, &look, plan)?;
    // What the release lacks is the better reason.
    if !matches!(hold, Hold::Behind) {
        in_time(run, look.deadline())?;
    }
    match hold {
        Hold::Fast => {
            plan.deleting = true;
            Ok(Turn::Go(Stage::Delete))
        }
        Hold::Act(actions) => Ok(Turn::End(planned(plan, Step::act(actions)))),
        Hold::Behind => behind(run, &look),
        Hold::Gone => Err(gone(run).into()),
    }
}

pub(super) fn gone(run: &Run<'_>) -> Failure {
    let message =
        format!("Postgres {} is gone, so that nothing can be recovered to it", run.request.application.name);
    Failure::new("TargetMissing", message)
}

/// What a stage that deletes does where deleting is not safe: make it so, or wait.
pub(super) fn keep_hold(run: &Run<'_>, look: &Look<'_>, plan: &mut Plan) -> Result<Option<Turn>, Stop> {
    match hold(run, look, plan)? {
        Hold::Fast => Ok(None),
        Hold::Act(actions) => Ok(Some(Turn::End(Step::act(actions)))),
        Hold::Behind => behind(run, look).map(Some),
        Hold::Gone => {
            let failure = gone(run);
            let watch = vec![Watch::Object(run.request.application.clone())];
            let pending =
                run.wait(&failure.reason, failure.message.clone(), watch, RECHECK_SECONDS, look.deadline());
            Err(look.wait_or(pending, || failure))
        }
    }
}

/// As [`wait`], for a turn that may be refused.
pub(super) fn until(
    run: &Run<'_>,
    reason: &str,
    message: String,
    watch: Vec<Watch>,
    deadline: i64,
) -> Result<Turn, Stop> {
    wait(run.wait(reason, message, watch, RECHECK_SECONDS, deadline))
}
