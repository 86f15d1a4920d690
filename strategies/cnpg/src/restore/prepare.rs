//! The stages before the first write: they check the target and the backup, and make the plan.

use backstay_sdk::step::{Query, Step, Stop, Watch};
use backstay_sdk::{Condition, Event, Failure};

use super::fit::{Fitness, volumes};
use super::gate::Proof;
use super::values::{self, Recovery};
use super::{condition, not_cancelled};
use crate::memory::{Memory, inherited};
use crate::names::metadata;
use crate::plan::{Archiving, Plan, Release, Volume};
use crate::release::State;
use crate::run::{Next, RECHECK_SECONDS, Run};
use crate::stage::Stage;

/// The minimum duration of a recovery, in seconds.
const RECOVERY_SECONDS: i64 = 60;

/// Seconds that an examination of target and backup counts.
const EXAMINED_SECONDS: i64 = 60;

/// Checks whether the target can be restored.
pub(crate) fn fit(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let fitness = Fitness::examine(run, &run.look(memory))?;
    in_time(run, limit(run, &fitness))?;
    Ok(Next::Stage(Stage::Gate))
}

/// Waits until the archive holds the backup, and makes the plan, which is stored before the first write.
pub(crate) fn gate(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    let fitness = Fitness::examine(run, &look)?;
    in_time(run, limit(run, &fitness))?;
    match &fitness.proof {
        Proof::Pending(cause) => {
            let advice = "see the WAL archiving of the source, or raise options.walArchiveTimeoutSeconds";
            return closed(run, memory, &fitness, cause, advice);
        }
        Proof::Never(cause) => {
            let advice = "no waiting changes that: restore another Backup";
            return closed(run, memory, &fitness, cause, advice);
        }
        Proof::Lost(name) => return Err(lost(name).into()),
        Proof::Whole => {}
    }
    look.all([Query::live(&run.names.release()), Query::List(volumes(run.names))])?;
    let Some(found) = look.list(volumes(run.names))? else {
        return Err(Failure::new("VolumesUnknown", "the volumes of the target cannot be listed").into());
    };
    let release = State::of(look.live(&run.names.release())?);
    let left = inherited(run.request.inherited.as_ref());
    let by_chart = fitness.application["spec"]["backup"]["enabled"] == true;
    let on_bucket = fitness.application["spec"]["backup"]["useSystemBucket"] == true;
    let wanted = values::wanted(&Recovery {
        server: fitness.server,
        target: fitness.target,
        destination: fitness.destination,
        endpoint: fitness.endpoint,
        archive: &fitness.archive,
        snapshot: &fitness.snapshot,
        stop_archiving: by_chart,
        leave_bucket: on_bucket,
    });
    memory.data.gate_closed_since = None;
    memory.data.plan = Some(Plan {
        cluster: fitness.cluster.map(|c| c.uid().to_owned()),
        volumes: found.items.iter().filter_map(|v| Volume::of(v, &run.names.cluster)).collect(),
        release: match release {
            State::Absent => Release::Absent,
            // The next stage waits until a release suspended by somebody else is awake.
            State::Awake(_) | State::Theirs(_) => Release::Awake,
            State::Ours(_) => Release::LeftAsleep,
        },
        before: values::parts(fitness.application),
        wanted,
        server: fitness.server.to_owned(),
        target: fitness.target,
        target_asked: matches!(fitness.options.target, crate::options::Target::Time(_)),
        limit: limit(run, &fitness),
        timeout: fitness.options.restore_timeout,
        deleting: false,
        deletes: Vec::new(),
        drain_limit: None,
        theirs: false,
        purged: false,
        stray: false,
        to_the_end: false,
        passwords: fitness.passwords,
        archiving: archiving(run, &fitness, by_chart && !on_bucket, left),
    });
    Ok(Next::Stage(Stage::Suspend))
}

/// Returns the archiving after the restore: as the Cluster archives now, as it did before an earlier failed restore,
/// or in place under the server name of the backup, because that archive was its own.
fn archiving(run: &Run<'_>, fitness: &Fitness<'_>, by_chart: bool, left: Option<Plan>) -> Option<Archiving> {
    let of_cluster = fitness.cluster.and_then(|c| c.server_name()).map(str::to_owned);
    let of_left = left.and_then(|p| p.archiving).map(|a| a.server);
    let of_chart = by_chart.then(|| run.names.cluster.clone());
    let of_backup = fitness.in_place.then(|| fitness.server.to_owned());
    let server = of_cluster.or(of_left).or(of_chart).or(of_backup)?;
    Some(Archiving { server, by_chart, archive: fitness.archive.clone() })
}

/// Returns the deadline of a restore that is planned now. Time spent before does not count.
fn limit(run: &Run<'_>, fitness: &Fitness<'_>) -> i64 {
    (run.request.now + fitness.options.restore_timeout).min(run.request.deadline)
}

/// Waits at the closed gate, up to the option's limit from the first time it was seen closed.
fn closed(
    run: &Run<'_>,
    memory: &mut Memory,
    fitness: &Fitness<'_>,
    cause: &str,
    advice: &str,
) -> Result<Next, Stop> {
    let seconds = fitness.options.archive_timeout;
    let since = *memory.data.gate_closed_since.get_or_insert(run.request.now);
    let until = since + seconds;
    if run.request.now >= until {
        let message = format!(
            "after {seconds} seconds, the archive does not hold all of the backup: {cause}; nothing has been touched; \
             {advice}"
        );
        return Err(Failure::new("WALArchiveTimeout", message).into());
    }
    let backup = run.request.backup.as_ref().and_then(|b| b.metadata.get(metadata::BACKUP_NAME));
    let watch = backup.filter(|n| !n.is_empty()).map(|name| Watch::Object(run.names.backup(name)));
    let message = format!("{cause}; {advice}");
    let watch = watch.into_iter().collect();
    let wait = run.wait("WaitingForArchive", message.clone(), watch, RECHECK_SECONDS, until);
    let step =
        Step::wait(wait).with_condition(condition("WALArchiveReady", false, "WaitingForArchive", message));
    Ok(Next::Step(step))
}

fn lost(name: &str) -> Failure {
    Failure::new(
        "BackupObjectMissing",
        format!(
            "Backup {name} of CloudNativePG is gone, and the archive does not show that it still holds a base backup \
             that old; nothing has been deleted; if you know that it does, set options.allowMissingBackup: true"
        ),
    )
}

/// Fails a restore that has not enough time left for a recovery before `until`. Nothing has been deleted at this
/// point.
pub(super) fn in_time(run: &Run<'_>, until: i64) -> Result<(), Failure> {
    if run.request.now + RECOVERY_SECONDS <= until {
        return Ok(());
    }
    let message = format!(
        "less than {RECOVERY_SECONDS} seconds are left of options.restoreTimeoutSeconds, in which no database recovers; \
         nothing has been deleted; begin a new restore with more time"
    );
    Err(Failure::new("RestoreTimedOut", message))
}

/// Checks the gate again for a stored plan, because the backup can disappear between two wakes.
pub(super) fn still_open(run: &Run<'_>, memory: &mut Memory) -> Result<bool, Stop> {
    let look = run.look(memory);
    if Fitness::examine(run, &look)?.proof == Proof::Whole {
        return Ok(true);
    }
    memory.data.plan = None;
    memory.data.gate_closed_since = Some(run.request.now);
    Ok(false)
}

/// Checks that the archive still holds the whole backup, until the first delete. If not, the failure undoes the
/// writes. What else was examined when this stage began is examined again only if that was a while ago.
pub(super) fn still_whole(run: &Run<'_>, memory: &Memory) -> Result<(), Stop> {
    let look = run.look(memory);
    let recent = run.request.now < run.view.stage_since + EXAMINED_SECONDS;
    if recent && Fitness::is_whole(run, &look)? {
        return Ok(());
    }
    match Fitness::examine(run, &look)?.proof {
        Proof::Whole => Ok(()),
        Proof::Lost(name) => Err(lost(&name).into()),
        Proof::Pending(cause) | Proof::Never(cause) => {
            let message = format!(
                "the archive does not hold all of the backup any more: {cause}; nothing has been deleted; begin a new \
                 restore once it does, or of another Backup"
            );
            Err(Failure::new("ArchiveIncomplete", message).into())
        }
    }
}

/// Whether the archive still holds the whole backup, before a Cluster is deleted that this restore has made: nothing else may be left
/// of the database.
///
/// # Errors
/// A question, or a wait for an object that cannot be read.
pub(super) fn still_recoverable(run: &Run<'_>, memory: &Memory) -> Result<bool, Stop> {
    let look = run.look(memory);
    if Fitness::is_whole(run, &look)? {
        return Ok(true);
    }
    match Fitness::examine(run, &look) {
        Ok(fitness) => Ok(fitness.proof == Proof::Whole),
        Err(Stop::Fail(_)) => Ok(false),
        Err(stop) => Err(stop),
    }
}

/// Tells of the stored plan in a step that acts by it. [`plan_conditions`] come with the next wait.
pub(super) fn planned(plan: &Plan, step: Step) -> Step {
    let up_to = plan.target.map_or_else(|| "the end of the archive".to_owned(), |t| t.to_string());
    step.with_event(Event {
        warning: false,
        reason: "RestorePlanned".to_owned(),
        message: format!(
            "to delete: Cluster {} and {} volumes; to recover from {} up to {up_to}",
            plan.cluster.as_deref().unwrap_or("(none)"),
            plan.volumes.len(),
            plan.server
        ),
    })
}

/// Returns the conditions that tell what the stored plan found.
pub(super) fn plan_conditions(plan: &Plan) -> Vec<Condition> {
    let whole = "the archive holds all of the backup";
    let mut conditions = vec![condition("WALArchiveReady", true, "ArchiveCaughtUp", whole)];
    if !plan.passwords {
        let message = "the passwords of the backup's users are lost; the target keeps the passwords that it has, and the chart makes new ones for other users";
        conditions.push(condition("PasswordsRestored", false, "PasswordsLost", message));
    }
    if let Some(archiving) = plan.archiving.as_ref().filter(|a| a.by_chart) {
        let message = format!(
            "the chart archives under {} (spec.backup.enabled), where a recovered database must not write; it is \
             switched off for good, and the database archives again under a new name once it is healthy",
            archiving.server
        );
        conditions.push(condition("ArchiveDetached", true, "ArchiveInUse", message));
    }
    conditions
}
