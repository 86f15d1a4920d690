//! Making a backup: attach the archive, ask the operator for one backup of the plugin's, wait for it.

mod object;
mod poll;

use backstay_sdk::step::{Found, Look, Query, Stop, Watch};
use backstay_sdk::{Failure, Value};

use object::create;
pub(crate) use poll::poll;

use crate::archiving;
use crate::cluster::Cluster;
use crate::memory::{Backing, Memory};
use crate::names::PLUGIN;
use crate::rendered;
use crate::run::{RECHECK_SECONDS, Run, Turn, act, wait};
use crate::snapshot::Snapshot;
use crate::stage::Stage;

/// How long the instances may take to get the plugin. A backup is asked for then all the same: the operator knows better.
const PLUGIN_SECONDS: i64 = 5 * 60;
/// Is there something to back up, and somewhere to put it?
pub(crate) fn check(run: &Run<'_>, memory: &mut Memory) -> Result<Turn, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all([Query::get(&run.request.application), Query::get(&run.names.cluster())])?;
    let archive = rendered::archive(run.request, application(run, &look)?, &run.request.parameters)?;
    let cluster = cluster(run, &look)?;
    let server = archiving::server_name(cluster, run.names, &archive);
    memory.data.backup =
        Some(Backing { archive, server, snapshot: Snapshot::default(), plugin_awaited: None, attempt: 1 });
    Ok(Turn::Go(Stage::Attach))
}

/// The archive, attached; other plugins stay.
pub(crate) fn attach(run: &Run<'_>, memory: &mut Memory) -> Result<Turn, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all(archiving::questions(run.names))?;
    let cluster = cluster(run, &look)?;
    let now = run.request.now;
    let backing = memory.backing_mut()?;
    // The name in force wins: another one would split the archive.
    backing.server = archiving::server_name(cluster, run.names, &backing.archive);
    let actions = archiving::attach(&look, run.names, cluster, &backing.archive, &backing.server)?;
    if !actions.is_empty() {
        // A store alone restarts no instance.
        if cluster.server_name() != Some(backing.server.as_str()) {
            backing.plugin_awaited = Some(now);
        }
        return act(actions);
    }
    // A Cluster that is just getting the plugin restarts its instances one by one.
    let settled = backing.plugin_awaited.is_none() || cluster.healthy();
    if archiving::in_place(&look, run.names)? && settled {
        return Ok(Turn::Go(Stage::Request));
    }
    let until = *backing.plugin_awaited.get_or_insert(now) + PLUGIN_SECONDS;
    if now >= until {
        return Ok(Turn::Go(Stage::Request));
    }
    let message =
        format!("the instances of Cluster {} do not have the plugin {PLUGIN} yet", run.names.cluster);
    let watch = vec![Watch::Objects(archiving::pods(run.names))];
    wait(run.wait("PluginNotReady", message, watch, RECHECK_SECONDS, until))
}

/// What the application holds now is what the backup is of; then the one backup of this run.
pub(crate) fn request(run: &Run<'_>, memory: &mut Memory) -> Result<Turn, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    let application = application(run, &look)?;
    let backing = memory.backing_mut()?;
    backing.snapshot = Snapshot::of(application, &run.request.parameters);
    let attempt = backing.attempt;
    memory.stage = Stage::Poll;
    act(vec![create(run, attempt)])
}

/// The Cluster, or the wait for it.
fn cluster<'a>(run: &Run<'_>, look: &Look<'a>) -> Result<Cluster<'a>, Stop> {
    let name = &run.names.cluster;
    let cause = match look.object(&run.names.cluster())? {
        Found::Object(cluster) if !Cluster(cluster).deleting() => return Ok(Cluster(cluster)),
        Found::Object(_) => "is being deleted",
        Found::Missing => "does not exist",
        Found::NotServed => {
            let message =
                "the API server does not know the kind Cluster of postgresql.cnpg.io; install CloudNativePG";
            return Err(Failure::new("OperatorMissing", message).into());
        }
    };
    let message = format!("Cluster {name} {cause}; see whether its HelmRelease of the same name is ready");
    let watch = vec![Watch::Object(run.names.cluster())];
    let pending = run.wait("ClusterNotReady", message.clone(), watch, RECHECK_SECONDS, look.deadline());
    Err(look.wait_or(pending, || Failure::new("ClusterNotReady", message)))
}

/// The application. That there is none ends the run, and so is not believed of a cache.
fn application<'a>(run: &Run<'_>, look: &Look<'a>) -> Result<&'a Value, Stop> {
    let application = &run.request.application;
    let cached = look.object(application)?.object();
    let found = if cached.is_some() { cached } else { look.live(application)?.object() };
    found.ok_or_else(|| {
        let message =
            format!("{} {} does not exist; there is nothing to back up", application.kind, application.name);
        Failure::new("ApplicationMissing", message).into()
    })
}

/// Before the operator was asked for anything, a run that shall end does.
fn not_cancelled(run: &Run<'_>) -> Result<(), Failure> {
    match run.request.cancelled {
        None => Ok(()),
        Some(_) => {
            Err(Failure::new("Cancelled", "the run was ended before the operator was asked for a backup"))
        }
    }
}
