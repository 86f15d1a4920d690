//! Undoing the writes of a restore that ends before it has deleted anything.

use backstay_sdk::Failure;
use backstay_sdk::step::{Decision, Query, Step, Stop};

use super::fit::volumes;
use super::hold::{questions, write};
use super::prepare::plan_conditions;
use super::values;
use crate::cluster;
use crate::memory::Memory;
use crate::plan::Release;
use crate::release::{self, State};
use crate::run::{Next, Run, act};
use crate::stage::Stage;

/// Restores the application and the release, and ends the run with its failure.
pub(crate) fn undo(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    let further = [Query::Get(cluster::live(run.names)), Query::List(volumes(run.names))];
    look.all(questions(run).into_iter().chain(further))?;
    let plan = memory.plan()?.clone();
    let Some(why) = memory.data.undo.clone() else {
        return Err(Failure::new("InvalidCheckpoint", "there is nothing to say why the restore ends").into());
    };
    let list = look.list(volumes(run.names))?;
    let found = list.map(|l| l.items.as_slice()).unwrap_or_default();
    let state = State::of(look.live(&run.names.release())?);
    // A target without a Cluster lacks only objects that this restore deleted.
    let was_deleting = plan.deleting && (plan.cluster.is_some() || !plan.deletes.is_empty());
    if was_deleting && plan.has_begun(look.get(cluster::live(run.names))?.object(), found) {
        // A delete took effect after all, or somebody else deleted: only going on brings the database back.
        memory.data.undo = None;
        return Ok(Next::Stage(Stage::Volumes));
    }
    let uid = run.request.run_uid.as_str();
    let application = look.live(&run.request.application)?.object();
    if let Some((application, back)) =
        application.and_then(|a| values::put_back(a, &plan.wanted, &plan.before).map(|back| (a, back)))
    {
        let mut actions = vec![write(run, application, back)];
        // A write of the application wakes its release. A release that was suspended before, or that somebody else has
        // suspended since, stays suspended.
        let theirs = plan.theirs || matches!(state, State::Theirs(_));
        memory.plan_mut()?.theirs = theirs;
        let by = match (plan.release, state) {
            _ if theirs => Some(None),
            (Release::LeftAsleep, _) => Some(Some(uid)),
            (Release::Absent | Release::Awake, _) => None,
        };
        if let (Some(by), Some(release)) = (by, state.object()) {
            actions.push(release::suspend(run.names, release, by, false));
        }
        return act(actions);
    }
    match (plan.release, state) {
        // The host crashed between two writes, and lifted a suspension of somebody else.
        (_, State::Awake(release)) if plan.theirs => {
            act(vec![release::suspend(run.names, release, None, true)])
        }
        (Release::Absent | Release::Awake, State::Ours(release)) => {
            act(vec![release::resume(run.names, release)])
        }
        _ => {
            let message = format!("{}; what the restore had written has been put back", why.message);
            let mut step = Step::new(Decision::Fail(Failure::new(why.reason, message)));
            step.conditions = plan_conditions(&plan);
            Ok(Next::Step(step))
        }
    }
}
