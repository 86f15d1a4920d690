//! Deleting the objects of the plan, by uid and only while the release is suspended, until they are gone.

use backstay_sdk::step::{Action, Delete, Look, Propagation, Query, Stop, Watch};
use backstay_sdk::{CancelCause, Failure, ObjectRef, Value};

use super::fit::{volume_selection, volumes as volumes_query};
use super::hold::{DRAIN_SECONDS, keep_hold, questions, until};
use super::not_cancelled;
use super::prepare::{in_time, still_whole};
use crate::archiving;
use crate::cluster::{self, deleting, name, uid};
use crate::memory::Memory;
use crate::plan::{Plan, Volume};
use crate::release::{self, State};
use crate::run::{Next, Run, act};
use crate::stage::Stage;

/// Number of volumes in one act: a wake has 16 actions.
const AT_ONCE: usize = 8;
/// A deleted restore resumes the release this many seconds before the host ends it, even if objects remain.
const LAST_CALL_SECONDS: i64 = 30;

/// Deletes the Cluster of the plan, if it is not being deleted yet.
pub(crate) fn delete(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    look.all(questions(run).into_iter().chain([Query::Get(cluster::live(run.names))]))?;
    let found = look.get(cluster::live(run.names))?.object();
    let plan = memory.plan()?;
    let Some(cluster) = found.filter(|c| plan.has_cluster(c) && !deleting(c)) else {
        return Ok(Next::Stage(Stage::Volumes));
    };
    if plan.purged && run.request.cancelled.is_some() {
        return Ok(Next::Stage(Stage::Resume));
    }
    not_cancelled(run)?;
    if !plan.purged {
        in_time(run, plan.limit)?;
        still_whole(run, memory)?;
    }
    let plan = memory.plan_mut()?;
    if let Some(turn) = keep_hold(run, &look, plan)? {
        return Ok(turn);
    }
    plan.deletes(uid(cluster), run.request.now, DRAIN_SECONDS);
    act(vec![by_uid(run.names.cluster(), cluster)])
}

/// Deletes the volumes of the plan.
pub(crate) fn volumes(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    let further = [Query::Get(cluster::live(run.names)), Query::List(volumes_query(run.names))];
    look.all(questions(run).into_iter().chain(further))?;
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
    let others = [Query::live(&run.names.store()), Query::live(&run.names.release())];
    let further = [Query::Get(cluster::live(run.names)), Query::List(volumes_query(run.names))];
    look.all(further.into_iter().chain(others))?;
    let plan = memory.plan()?;
    let mut left = Vec::new();
    let cluster = look.get(cluster::live(run.names))?.object();
    match cluster.filter(|c| plan.has_cluster(c)) {
        Some(cluster) if !deleting(cluster) => return Ok(Next::Stage(Stage::Delete)),
        Some(_) => left.push(format!("Cluster {}", run.names.cluster)),
        None => {}
    }
    let list = look.list(volumes_query(run.names))?;
    let found = list.map(|l| l.items.as_slice()).unwrap_or_default();
    for volume in of_plan(run, plan, cluster, found) {
        if !deleting(volume) {
            return Ok(Next::Stage(Stage::Volumes));
        }
        left.push(volume_named(volume));
    }
    // The store is deleted with its Cluster; Helm could find it before and lose it after.
    let store = look.live(&run.names.store())?.object();
    if let Some(planned) = &plan.cluster
        && store.is_some_and(|s| archiving::is_owned_by(s, planned))
    {
        left.push(format!("ObjectStore {}", run.names.cluster));
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
    until(run, "Draining", format!("waiting until this is gone: {left}"), watch, deadline)
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
    let state = State::of(run.look(memory).live(&run.names.release())?);
    let plan = memory.plan_mut()?;
    plan.purged = true;
    // A new token for each purge.
    let token = format!("{}/{}", run.request.run_uid, plan.drain_limit.unwrap_or_default());
    let lifted = plan.theirs;
    plan.theirs &= matches!(state, State::Awake(_));
    match state {
        // The host crashed between two writes, and lifted a suspension of somebody else.
        State::Awake(found) if lifted => act(vec![release::suspend(run.names, found, None, true)]),
        State::Ours(found) => act(vec![release::remake(run.names, found, &token, true)]),
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
    found: &'v [Value],
) -> impl Iterator<Item = &'v Value> {
    let name = run.names.cluster.clone();
    let plan = plan.clone();
    let other = cluster.filter(|c| !plan.has_cluster(c)).map(|c| uid(c).to_owned());
    found.iter().filter(move |v| {
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
