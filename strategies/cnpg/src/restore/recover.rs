//! Waiting for the Cluster that this restore caused.

use backstay_sdk::step::{Decision, Look, Query, Step, Stop, Watch};
use backstay_sdk::{Condition, Event, Failure, Value};

use super::condition;
use super::fit::volumes;
use super::hold::DRAIN_SECONDS;
use super::prepare::plan_conditions;
use crate::archiving;
use crate::cluster::{self, Cluster, deleting, uid};
use crate::memory::Memory;
use crate::names::Names;
use crate::plan::{Plan, Volume};
use crate::recovery_log::{self, SIGNATURE, Verdict};
use crate::release::State;
use crate::run::{Next, RECHECK_SECONDS, Run};
use crate::stage::Stage;

/// Seconds that a restored database waits for its archive before the run ends.
const ARCHIVE_SECONDS: i64 = 5 * 60;

/// Waits until the recovered Cluster is healthy.
pub(crate) fn recover(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    look.all([Query::Get(cluster::cached(run.names)), Query::get(&run.names.release())])?;
    if let State::Ours(_) = State::of(look.object(&run.names.release())?) {
        // The write that resumes it was lost, or somebody has taken it back.
        return Ok(Next::Stage(Stage::Resume));
    }
    let plan = memory.plan()?;
    let is_new = |found: &&Value| !plan.has_cluster(found);
    let mut cluster = look.get(cluster::cached(run.names))?.object().filter(is_new).map(Cluster);
    if cluster.is_some_and(|c| plan.has_made(c) && c.healthy()) {
        // A success is read live, because a cache can be behind.
        cluster = look.get(cluster::live(run.names))?.object().filter(is_new).map(Cluster);
    }
    let ours = cluster.filter(|c| plan.has_made(*c));
    // A recovered Cluster counts as restored even after the deadline.
    if ours.is_some_and(Cluster::healthy) {
        memory.data.archive_until = Some(run.request.now + ARCHIVE_SECONDS);
        return Ok(Next::Stage(Stage::Archive));
    }
    if run.request.cancelled.is_some() {
        let message =
            "the run was ended while the database was recovering, which goes on by itself; see its Cluster";
        return Ok(end(plan, Decision::Fail(Failure::new("Cancelled", message))));
    }
    if let Some(judged) = ours.filter(|_| plan.target.is_some() && !plan.target_asked)
        // A live source may commit at any time, and then the operator's own next try reaches the target.
        && (source_is_gone(run, &look)? || run.request.now >= plan.limit - plan.timeout / 2)
        && let Verdict::Unreachable(pod) = recovery_log::last_try(&look, run.view, run.names, judged)?
    {
        return to_the_end(run, memory, judged.uid(), &pod);
    }
    let (reason, state) = state(run, &look, cluster, ours)?;
    if run.request.now >= plan.limit {
        return expire(run, &look, plan, ours, &state);
    }
    if let Some(stray) = cluster.filter(|c| !c.deleting() && !c.recovered()) {
        return if plan.stray { Ok(strayed(run, plan)) } else { adopt_stray(run, memory, stray.uid()) };
    }
    let mut watch = vec![Watch::Object(run.names.cluster()), Watch::Object(run.names.release())];
    if plan.target.is_some() && !plan.target_asked {
        watch.push(Watch::Objects(archiving::pods(run.names)));
    }
    let wait = run.wait(reason, state, watch, RECHECK_SECONDS, plan.limit);
    Ok(end(plan, Decision::Wait(wait)))
}

/// Describes the state that the run waits in.
fn state(
    run: &Run<'_>,
    look: &Look<'_>,
    cluster: Option<Cluster<'_>>,
    ours: Option<Cluster<'_>>,
) -> Result<(&'static str, String), Stop> {
    let name = &run.names.cluster;
    let release = State::of(look.object(&run.names.release())?);
    let (reason, mut message) = match (ours, cluster) {
        (Some(c), _) => ("Recovering", format!("Cluster {name} recovers: {}", c.phase())),
        (None, Some(c)) if c.deleting() => ("WaitingForCluster", format!("Cluster {name} is being deleted")),
        (None, Some(_)) => {
            let message = format!("Cluster {name} recovers something else than this restore asked for");
            ("WaitingForCluster", message)
        }
        (None, None) => ("WaitingForCluster", format!("Cluster {name} is not there yet")),
    };
    if ours.is_none() {
        message.push_str(&format!("; {}", release.description(run.names)));
        if let State::Theirs(_) = release {
            message.push_str("; resume it, which makes the Cluster");
        }
    }
    if let Some(trouble) = release.trouble() {
        message.push_str(&format!("; Helm says: {trouble}"));
    }
    Ok((reason, message))
}

/// Ends the run with the conditions of the target.
fn end(plan: &Plan, decision: Decision) -> Next {
    Next::Step(with_conditions(plan, decision))
}

fn with_conditions(plan: &Plan, decision: Decision) -> Step {
    let mut step = Step::new(decision);
    step.conditions = conditions(plan);
    step
}

/// Returns the conditions that tell what happened to the target.
pub(super) fn conditions(plan: &Plan) -> Vec<Condition> {
    let purged = match &plan.cluster {
        Some(uid) => format!("Cluster {uid} and its volumes are gone"),
        None => "there was no Cluster; volumes left of one are gone".to_owned(),
    };
    let mut conditions = plan_conditions(plan);
    conditions.push(condition("TargetPurged", true, "ClusterPurged", purged));
    if plan.to_the_end {
        conditions.push(condition(
            "RecoveredToEndOfArchive",
            true,
            "NothingAfterBackup",
            "nothing had been written to the archive after the backup when its end was recovered to; what a source that \
             lives on commits while a copy recovers may be in it",
        ));
    }
    conditions
}

/// Whether nothing writes to the source archive any more: in place its database was deleted, and a copy's source may
/// have no archive.
fn source_is_gone(run: &Run<'_>, look: &Look<'_>) -> Result<bool, Stop> {
    let Some(backup) = &run.request.backup else { return Ok(false) };
    if backup.application_name == run.request.application.name {
        return Ok(true);
    }
    let source = Names::named(&run.names.namespace, &backup.application_name);
    Ok(look.live(&source.store())?.object().is_none())
}

/// Plans the restore again without a target, because PostgreSQL refuses a target without a later commit. If the target
/// is the end of the backup, the end of the archive is then the same state.
fn to_the_end(run: &Run<'_>, memory: &mut Memory, judged: &str, pod: &str) -> Result<Next, Stop> {
    let message = format!(
        "pod {pod} says that nothing was written to the archive after the backup: recovering once more, to its end"
    );
    let in_vain = |c: Cluster<'_>| !c.healthy();
    delete_again(run, memory, (judged, in_vain), "RecoveryPlannedAgain", message, |plan| {
        plan.target = None;
        plan.to_the_end = true;
        plan.wanted["bootstrap"]["recoveryTime"] = Value::String(String::new());
    })
}

/// Adds an empty Cluster that somebody made in place of the recovered one to the plan, once.
fn adopt_stray(run: &Run<'_>, memory: &mut Memory, seen: &str) -> Result<Next, Stop> {
    let message =
        format!("Cluster {} ({seen}) was made without recovery; it is deleted too", run.names.cluster);
    let empty = |c: Cluster<'_>| !c.recovered();
    delete_again(run, memory, (seen, empty), "StrayCluster", message, |plan| plan.stray = true)
}

/// Goes back to the delete stage with this Cluster in the plan, if a live read confirms that it must be deleted.
fn delete_again(
    run: &Run<'_>,
    memory: &mut Memory,
    (seen, still): (&str, fn(Cluster<'_>) -> bool),
    reason: &str,
    message: String,
    change: impl FnOnce(&mut Plan),
) -> Result<Next, Stop> {
    let look = run.look(memory);
    look.all([Query::Get(cluster::live(run.names)), Query::List(volumes(run.names))])?;
    let found = look.get(cluster::live(run.names))?.object();
    // The Cluster in the cache may be gone or healthy by now.
    let current = found.is_some_and(|c| uid(c) == seen && !deleting(c) && still(Cluster(c)));
    let list = look.list(volumes(run.names))?;
    let found = list.map(|l| l.items.as_slice()).unwrap_or_default();
    let plan = memory.plan_mut()?;
    if current {
        plan.cluster = Some(seen.to_owned());
        plan.volumes = found.iter().filter_map(|v| Volume::of(v, &run.names.cluster)).collect();
        plan.limit = plan.limit.max(run.request.now + plan.timeout);
        plan.drain_limit = Some(run.request.now + DRAIN_SECONDS);
        change(plan);
        memory.stage = Stage::Delete;
    }
    let event = Event { warning: true, reason: reason.to_owned(), message: message.clone() };
    let wait = run.wait(reason, message, Vec::new(), 1, run.request.now + 1);
    let step = Step::wait(wait);
    Ok(Next::Step(if current { step.with_event(event) } else { step }))
}

fn strayed(run: &Run<'_>, plan: &Plan) -> Next {
    let message = format!(
        "Cluster {} was made without recovery again, after one such was deleted; find out what makes it (the values of \
         its HelmRelease), then restore again",
        run.names.cluster
    );
    end(plan, Decision::Fail(Failure::new("StrayCluster", message)))
}

/// Fails the restore at its deadline, with the cause from the recovery logs if they show one.
fn expire(
    run: &Run<'_>,
    look: &Look<'_>,
    plan: &Plan,
    ours: Option<Cluster<'_>>,
    state: &str,
) -> Result<Next, Stop> {
    let mut message = format!(
        "the deadline of the restore has passed ({} seconds, options.restoreTimeoutSeconds), and Cluster {} is not healthy: \
         {state}; recovery may still go on by itself; see its pods",
        plan.timeout, run.names.cluster
    );
    let (Some(target), Some(judged)) = (plan.target, ours) else {
        return Ok(end(plan, Decision::Fail(Failure::new("RestoreFailed", message))));
    };
    let forbidden = match recovery_log::verdict(look, run.view, run.names, judged)? {
        Verdict::Unreachable(pod) => {
            let advice = match plan.target_asked {
                true => "restore again with an earlier options.recoveryTime",
                false => {
                    "that is the end of the backup, and the source has committed nothing since; restore again with \
                     options.recoveryTarget: latest, which recovers what the archive holds by then"
                }
            };
            let message = format!(
                "the recovery time {target} is past the latest WAL archived: pod {pod} says {SIGNATURE:?}, and the \
                 deadline of the restore has passed ({} seconds); {advice}",
                plan.timeout
            );
            let failure = Failure::new("RecoveryTargetUnreachable", message.clone());
            let step = with_conditions(plan, Decision::Fail(failure));
            let converged = condition("RecoveryConverged", false, "RecoveryTargetUnreachable", message);
            return Ok(Next::Step(step.with_condition(converged)));
        }
        Verdict::Unknown { forbidden } => forbidden,
    };
    message
        .push_str(&format!("; the recovery time {target} may lie outside of what the archive can recover"));
    let mut event = None;
    if forbidden {
        let denied = "the logs of recovery pods may not be read; grant pods/log (RBAC) to the component";
        message.push_str(&format!("; {denied} (pods/log RBAC)"));
        let reason = "RecoveryClassificationForbidden".to_owned();
        event = Some(Event { warning: true, reason, message: denied.to_owned() });
    }
    let mut step = with_conditions(plan, Decision::Fail(Failure::new("RestoreFailed", message)));
    step.events.extend(event);
    Ok(Next::Step(step))
}
