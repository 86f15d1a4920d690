//! Making a backup: attach the archive, create one Backup of CloudNativePG that uses the plugin, and wait for it.

mod object;
mod poll;

use backstay_sdk::step::{Found, Look, Query, Stop, Watch};
use backstay_sdk::{Failure, Value};

use object::create;
pub(crate) use poll::poll;

use crate::archiving;
use crate::cluster::{self, Cluster};
use crate::memory::{BackupInputs, Memory};
use crate::names::PLUGIN;
use crate::rendered;
use crate::run::{Next, RECHECK_SECONDS, Run, act, wait};
use crate::snapshot::Snapshot;
use crate::stage::Stage;

/// Seconds that the instances may take to get the plugin. After that the backup is requested anyway: the operator
/// decides.
const PLUGIN_SECONDS: i64 = 5 * 60;
/// Renders the strategy and waits for the Cluster.
pub(crate) fn check(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all([Query::get(&run.request.application), Query::Get(cluster::cached(run.names))])?;
    let archive = rendered::archive(run.request, application(run, &look)?, &run.request.parameters)?;
    let cluster = cluster(run, &look)?;
    let server = archiving::server_name(cluster, run.names, &archive);
    memory.data.backup = Some(BackupInputs {
        archive,
        server,
        snapshot: Snapshot::default(),
        plugin_awaited: None,
        attempt: 1,
    });
    Ok(Next::Stage(Stage::Attach))
}

/// Attaches the archive, and waits until the instances have the plugin. Other plugins stay.
pub(crate) fn attach(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    look.all(archiving::questions(run.names))?;
    let cluster = cluster(run, &look)?;
    let now = run.request.now;
    let inputs = memory.backup_inputs_mut()?;
    // The present name wins: another name would split the archive.
    inputs.server = archiving::server_name(cluster, run.names, &inputs.archive);
    let actions = archiving::attach(&look, run.names, cluster, &inputs.archive, &inputs.server)?;
    if !actions.is_empty() {
        // A new store alone restarts no instance.
        if cluster.server_name() != Some(inputs.server.as_str()) {
            inputs.plugin_awaited = Some(now);
        }
        return act(actions);
    }
    // A Cluster that gets the plugin restarts its instances one by one.
    let settled = inputs.plugin_awaited.is_none() || cluster.healthy();
    if archiving::in_place(&look, run.names)? && settled {
        return Ok(Next::Stage(Stage::Request));
    }
    let until = *inputs.plugin_awaited.get_or_insert(now) + PLUGIN_SECONDS;
    if now >= until {
        return Ok(Next::Stage(Stage::Request));
    }
    let message =
        format!("the instances of Cluster {} do not have the plugin {PLUGIN} yet", run.names.cluster);
    let watch = vec![Watch::Objects(archiving::pods(run.names))];
    wait(run.wait("PluginNotReady", message, watch, RECHECK_SECONDS, until))
}

/// Takes the snapshot of the application, and creates the Backup of this run.
pub(crate) fn request(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    not_cancelled(run)?;
    let look = run.look(memory);
    let application = application(run, &look)?;
    let inputs = memory.backup_inputs_mut()?;
    inputs.snapshot = Snapshot::of(application, &run.request.parameters);
    let attempt = inputs.attempt;
    memory.stage = Stage::Poll;
    act(vec![create(run, attempt)])
}

/// Returns the Cluster, or a wait for it.
fn cluster<'a>(run: &Run<'_>, look: &Look<'a>) -> Result<Cluster<'a>, Stop> {
    let name = &run.names.cluster;
    let cause = match look.get(cluster::cached(run.names))? {
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

/// Returns the application. If the cache has none, it is read live, because a missing application fails the run.
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

/// Fails a cancelled run before the operator was asked for a backup.
fn not_cancelled(run: &Run<'_>) -> Result<(), Failure> {
    match run.request.cancelled {
        None => Ok(()),
        Some(_) => {
            Err(Failure::new("Cancelled", "the run was ended before the operator was asked for a backup"))
        }
    }
}
