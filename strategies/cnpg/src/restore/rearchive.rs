//! Archiving after a restore. A recovered database starts a new history and must not write to the old archive, so its
//! server gets a fresh name.

use backstay_sdk::Condition;
use backstay_sdk::step::{Look, Query, Step, Stop};

use super::condition;
use super::recover::conditions;
use crate::archiving;
use crate::cluster::{self, Cluster};
use crate::memory::Memory;
use crate::names::fresh_server_name;
use crate::plan::Plan;
use crate::run::{Next, Run, act};
use crate::stage::Stage;

/// Attaches the archive under a fresh name, if there was one before, and ends the run.
pub(crate) fn archive(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    // The run must see the Cluster to end well, so this read may wait until the run's own deadline.
    let patient = Look::new(run.view, run.request.now, run.hard_deadline()).patient();
    // What this stage has just written is known as the API server returned it.
    let written = patient.has_just_written(&run.names.cluster());
    let asked = if written { cluster::cached(run.names) } else { cluster::live(run.names) };
    patient.all([Query::Get(asked.clone()), Query::get(&run.names.store())])?;
    let plan = memory.plan()?;
    let found = patient.get(asked)?.object().map(Cluster);
    let Some(cluster) = found.filter(|c| plan.has_made(*c)) else {
        // The healthy Cluster is gone or was replaced.
        memory.data.archive_until = None;
        memory.data.archive_trouble = None;
        return Ok(Next::Stage(Stage::Recover));
    };
    let look = run.look(memory);
    let Some(archiving) = &plan.archiving else { return Ok(done(plan, None)) };
    let trouble = memory.data.archive_trouble.clone();
    if let Some(cause) = trouble.or_else(|| look.late().then(|| "it took too long".to_owned())) {
        return Ok(done(plan, Some(attached(false, cause))));
    }
    let used = |name: &&str| *name == archiving.server || *name == plan.server;
    let server = match cluster.server_name().filter(|name| !used(name)) {
        Some(in_force) => in_force.to_owned(),
        None => fresh_server_name(&archiving.server, cluster.uid()),
    };
    let actions = archiving::attach(&look, run.names, cluster, &archiving.archive, &server)?;
    if actions.is_empty() {
        return Ok(done(plan, Some(attached(true, server))));
    }
    act(actions)
}

fn attached(attached: bool, what: String) -> Condition {
    let (reason, message) = match attached {
        true => ("NewServerName", format!("the database archives under the new server name {what}")),
        false => (
            "NotAttached",
            format!(
                "the restored database is not archived yet: {what}; the next BackupJob attaches the archive"
            ),
        ),
    };
    condition("ArchiveAttached", attached, reason, message)
}

fn done(plan: &Plan, attached: Option<Condition>) -> Next {
    let mut step = Step::done(None);
    step.conditions = conditions(plan);
    let up_to = plan.target.map_or_else(|| "the end of the archive".to_owned(), |t| t.to_string());
    let message =
        format!("the recovered Cluster is healthy; it was recovered from {} up to {up_to}", plan.server);
    step.conditions.push(condition("RecoveryConverged", true, "RecoveryConverged", message));
    step.conditions.extend(attached);
    Next::Step(step)
}
