//! Deleting the objects of the plan, by uid and only while the release is suspended, until they are gone.

use backstay_sdk::step::{
    Action, Delete, GetQuery, ListQuery, Look, Object, Propagation, Query, Step, Stop, Watch,
};
use backstay_sdk::{CancelCause, Failure, ObjectRef, Value};

use super::fit::{volume_selection, volumes as volumes_query};
use super::hold::{DRAIN_SECONDS, keep_hold, questions, until};
use super::not_cancelled;
use super::prepare::{in_time, plan_conditions, still_recoverable, still_whole};
use crate::archiving;
use crate::cluster::{self, deleting, name, uid};
use crate::memory::Memory;
use crate::plan::{Plan, Volume};
use crate::release::{self, State};
use crate::run::{Next, RECHECK_SECONDS, Run, act};
use crate::stage::Stage;

/// Number of volumes in one act: a wake has 16 actions.
const AT_ONCE: usize = 8;
/// A deleted restore resumes the release this many seconds before the host ends it, even if objects remain.
const LAST_CALL_SECONDS: i64 = 30;

/// Deletes the Cluster of the plan, if it is not being deleted yet, and its volumes in the same act.
pub(crate) fn delete(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    look.all(targets(run))?;
    let found = look.get(cluster::live(run.names))?.object();
    let plan = memory.plan()?;
    let Some(cluster) = found.filter(|c| plan.has_cluster(c) && !deleting(c)) else {
        return Ok(Next::Stage(Stage::Volumes));
    };
    if plan.purged && run.request.cancelled.is_some() {
        return Ok(Next::Stage(Stage::Resume));
    }
    not_cancelled(run)?;
    look.all(questions(run))?;
    if !plan.purged {
        in_time(run, plan.limit)?;
        still_whole(run, memory)?;
    } else if !still_recoverable(run, memory)? {
        // The Cluster that recovers is the last that is left of the backup.
        return Ok(Next::Stage(Stage::Resume));
    }
    let plan = memory.plan_mut()?;
    if let Some(turn) = keep_hold(run, &look, plan)? {
        return Ok(turn);
    }
    // An earlier delete has had no effect: the host was not there, or may not delete. The time to drain begins anew once, with the
    // volumes.
    let again = plan.deletes.iter().any(|known| known == uid(cluster));
    plan.deletes(uid(cluster), run.request.now, DRAIN_SECONDS);
    let mut actions = vec![by_uid(run.names.cluster(), cluster)];
    let volumes = look.list(volumes_query(run.names))?.map(|l| l.items.as_slice()).unwrap_or_default();
    let alive: Vec<&Value> = of_plan(run, plan, Some(cluster), volumes).filter(|v| !deleting(v)).collect();
    for volume in alive.into_iter().take(AT_ONCE) {
        if again {
            plan.deletes(uid(volume), run.request.now, DRAIN_SECONDS);
        }
        actions.push(by_uid(run.names.volume(name(volume)), volume));
    }
    act(actions)
}

/// Asks for what is to be deleted.
fn targets(run: &Run<'_>) -> [Query; 2] {
    [Query::Get(cluster::live(run.names)), Query::List(volumes_query(run.names))]
}

/// Deletes the volumes of the plan.
pub(crate) fn volumes(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    look.all(targets(run))?;
    let cluster = look.get(cluster::live(run.names))?.object();
    let list = look.list(volumes_query(run.names))?;
    let found = list.map(|l| l.items.as_slice()).unwrap_or_default();
    let plan = memory.plan_mut()?;
    if plan.cluster.is_none() && !plan.has_begun(cluster, found) {
        // The recorded deletes had no effect: the host may have crashed before them.
        plan.deletes.clear();
    }
    if plan.is_untouched() {
        not_cancelled(run)?;
        in_time(run, plan.limit)?;
        still_whole(run, memory)?;
    }
    let plan = memory.plan_mut()?;
    let alive: Vec<&Value> = of_plan(run, plan, cluster, found).filter(|v| !deleting(v)).collect();
    if alive.is_empty() {
        return Ok(Next::Stage(Stage::Drain));
    }
    if let Some(turn) = keep_hold(run, &look, plan)? {
        return Ok(turn);
    }
    let watch = vec![Watch::Objects(volume_selection(run.names))];
    if run.view.results.iter().any(|r| r.object.kind == "PersistentVolumeClaim") {
        if look.late() {
            let left: Vec<String> = alive.iter().map(|v| volume_named(v)).collect();
            return Err(not_gone(run, &look, &left)?.into());
        }
        let message = format!("{} volumes are still to be deleted", alive.len());
        return until(run, "DeletingVolumes", message, watch, run.request.now + 1);
    }
    let batch: Vec<&Value> = alive.into_iter().take(AT_ONCE).collect();
    for volume in &batch {
        plan.deletes(uid(volume), run.request.now, DRAIN_SECONDS);
    }
    act(batch.into_iter().map(|v| by_uid(run.names.volume(name(v)), v)).collect())
}

/// Waits until all objects are gone: a release that is resumed too early would find them while they are being deleted.
pub(crate) fn drain(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    let plan = memory.plan()?;
    // The watches show what is left. That nothing is left is read live.
    let known = run.view.answers.iter().any(|answer| answer.query == Query::Get(cluster::live(run.names)));
    let mut left = Vec::new();
    if !known {
        let there = still_there(run, &look, plan, Reads::Cached)?;
        if there.alive_in.is_none() {
            left = there.left;
        }
    }
    if left.is_empty() {
        let there = still_there(run, &look, plan, Reads::Live)?;
        if let Some(stage) = there.alive_in {
            return Ok(Next::Stage(stage));
        }
        left = there.left;
    }
    if left.is_empty() {
        return Ok(Next::Stage(Stage::Resume));
    }
    let deadline = match &run.request.cancelled {
        // No later run would resume the release.
        Some(c) if c.cause == CancelCause::Deleted => {
            let last_call = c.deadline - LAST_CALL_SECONDS;
            if run.request.now >= last_call {
                return Ok(Next::Stage(Stage::Resume));
            }
            last_call
        }
        _ => look.deadline(),
    };
    if look.late() {
        return Err(not_gone(run, &look, &left)?.into());
    }
    let left = left.join(", ");
    let watch = vec![
        Watch::Object(run.names.cluster()),
        Watch::Objects(volume_selection(run.names)),
        Watch::Object(run.names.store()),
    ];
    let message = format!("waiting until this is gone: {left}");
    let wait = run.wait("Draining", message, watch, RECHECK_SECONDS, deadline);
    let mut step = Step::wait(wait);
    step.conditions = plan_conditions(memory.plan()?);
    Ok(Next::Step(step))
}

/// Where objects are read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Cached,
    Live,
}

/// Objects of the plan that are not gone.
struct StillThere {
    /// Their names.
    left: Vec<String>,
    /// The stage that deletes one that is not being deleted.
    alive_in: Option<Stage>,
}

fn still_there(run: &Run<'_>, look: &Look<'_>, plan: &Plan, reads: Reads) -> Result<StillThere, Stop> {
    let live = reads == Reads::Live;
    let of_cluster = GetQuery { live, ..cluster::live(run.names) };
    let of_volumes = ListQuery { live, ..volumes_query(run.names) };
    let of_store = GetQuery { object: run.names.store(), live, fields: Vec::new() };
    look.all([
        Query::Get(of_cluster.clone()),
        Query::List(of_volumes.clone()),
        Query::Get(of_store.clone()),
    ])?;
    let (mut left, mut alive_in) = (Vec::new(), None);
    let cluster = look.get(of_cluster)?.object();
    if let Some(cluster) = cluster.filter(|c| plan.has_cluster(c)) {
        alive_in = (!deleting(cluster)).then_some(Stage::Delete);
        left.push(format!("Cluster {}", run.names.cluster));
    }
    let list = look.list(of_volumes)?;
    let found = list.map(|l| l.items.as_slice()).unwrap_or_default();
    for volume in of_plan(run, plan, cluster, found) {
        if !deleting(volume) {
            alive_in = alive_in.or(Some(Stage::Volumes));
        }
        left.push(volume_named(volume));
    }
    // The store is deleted with its Cluster; Helm could find it before and lose it after.
    if let Some(planned) = &plan.cluster
        && look.get(of_store)?.object().is_some_and(|store| archiving::is_owned_by(store, planned))
    {
        left.push(format!("ObjectStore {}", run.names.cluster));
    }
    Ok(StillThere { left, alive_in })
}

fn volume_named(volume: &Value) -> String {
    format!("PersistentVolumeClaim {}", name(volume))
}

fn not_gone(run: &Run<'_>, look: &Look<'_>, left: &[String]) -> Result<Failure, Stop> {
    let release = State::of(look.live(&run.names.release())?).description(run.names);
    let message = format!(
        "the deleted objects are not gone in time: {}; {release}; see their finalizers, then restore again: the new \
         restore goes on from here",
        left.join(", ")
    );
    Ok(Failure::new("DrainTimedOut", message))
}

/// Resumes the release, if a restore suspended it, and makes Helm upgrade it. Without that, Helm would see the values
/// of an earlier restore as unchanged, and not create the Cluster.
pub(crate) fn resume(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let (look, release) = (run.look(memory), run.names.release());
    // What this stage has just written is known as the API server returned it.
    let found = if look.has_just_written(&release) { look.object(&release) } else { look.live(&release) };
    let state = State::of(found?);
    let plan = memory.plan_mut()?;
    plan.purged = true;
    // A new token for each purge.
    let token = format!("{}/{}", run.request.run_uid, plan.drain_limit.unwrap_or_default());
    let lifted = plan.theirs;
    plan.theirs &= matches!(state, State::Awake(_));
    match state {
        // The host crashed between two writes, and lifted a suspension of somebody else.
        State::Awake(found) if lifted => act(vec![release::suspend(run.names, found, None, true)]),
        State::Ours(found) => {
            // The next stage sees whether it was resumed.
            memory.stage = Stage::Recover;
            act(vec![release::remake(run.names, found, &token, true)])
        }
        State::Awake(found) | State::Theirs(found) if !release::has_token(found, &token) => {
            act(vec![release::remake(run.names, found, &token, false)])
        }
        State::Absent | State::Awake(_) | State::Theirs(_) => Ok(Next::Stage(Stage::Recover)),
    }
}

/// Returns the volumes that the plan has deleted. A volume owned by a present Cluster that is not the plan's is left
/// out: Helm may have made it during planning, after the Cluster was read and before its volumes were.
fn of_plan<'v>(
    run: &Run<'_>,
    plan: &Plan,
    cluster: Option<&Value>,
    found: &'v [Object],
) -> impl Iterator<Item = &'v Value> {
    let name = run.names.cluster.clone();
    let plan = plan.clone();
    let other = cluster.filter(|c| !plan.has_cluster(c)).map(|c| uid(c).to_owned());
    found.iter().map(Object::value).filter(move |v| {
        Volume::of(v, &name)
            .is_some_and(|volume| plan.has_volume(&volume) && (other.is_none() || volume.owner != other))
    })
}

/// Deletes this object, by its uid.
fn by_uid(object: ObjectRef, seen: &Value) -> Action {
    Action::Delete(Delete {
        object,
        uid: uid(seen).to_owned(),
        resource_version: None,
        propagation: Propagation::Background,
    })
}
