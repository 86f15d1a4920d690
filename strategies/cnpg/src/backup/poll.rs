//! Waiting for the Backup of CloudNativePG, and the outcome of a complete one.

use std::collections::BTreeMap;

use backstay_sdk::step::{Found, Step, Stop, Watch};
use backstay_sdk::{Artifact, CancelCause, Failure, Outcome, Value};

use super::object::{create, delete, is_of_run};
use crate::cluster::{deleting, text};
use crate::memory::{BackupInputs, Memory};
use crate::names::{backup_name, metadata};
use crate::run::{Next, RECHECK_SECONDS, Run, act, wait};
use crate::time::Instant;

/// Seconds from the start of the run that a Backup may stay in a phase without progress.
const STUCK_SECONDS: i64 = 30 * 60;
/// Phases with progress. They may last as long as the run, because databases may be large.
const AT_WORK: [&str; 3] = ["started", "running", "finalizing"];
/// The operator's error if the instance has no plugin yet. The operator does not retry such a Backup.
const PLUGIN_NOT_THERE: &str = "requested plugin is not available";
/// Maximum number of Backups that a run creates.
const ATTEMPTS: u32 = 2;

/// Waits until the Backup is complete, and ends the run with its outcome.
pub(crate) fn poll(run: &Run<'_>, memory: &mut Memory) -> Result<Next, Stop> {
    let look = run.look(memory);
    let attempt = memory.backup_inputs()?.attempt;
    let object = run.names.backup(&backup_name(run.request, attempt));
    // An observation that ends the run is read live, because a cache can be behind.
    let found = if run.request.cancelled.is_some() { look.live(&object)? } else { look.object(&object)? };
    let found = match found {
        Found::Object(found) => Some(found),
        Found::Missing => None,
        Found::NotServed => {
            let message =
                "the API server does not know the kind Backup of postgresql.cnpg.io; install CloudNativePG";
            return Err(Failure::new("OperatorMissing", message).into());
        }
    };
    if let Some(found) = found.filter(|f| !is_of_run(f, &run.request.run_uid)) {
        let message = format!(
            "Backup {} of CloudNativePG is not of this run; delete or rename it",
            text(found, "/metadata/name")
        );
        return Err(Failure::new("NameTaken", message).into());
    }
    let complete = found.filter(|f| phase(f) == "completed" && !deleting(f));
    match (&run.request.cancelled, complete) {
        (None, Some(backup)) => return done(run, memory.backup_inputs()?, backup),
        (Some(c), Some(backup)) if c.cause == CancelCause::Deadline => {
            return done(run, memory.backup_inputs()?, backup);
        }
        (Some(_), _) => return cancelled(run, found),
        (None, None) => {}
    }
    let Some(backup) = found else { return act(vec![create(run, attempt)]) };
    let (phase, error) = (phase(backup), text(backup, "/status/error"));
    if phase == "failed" && error.contains(PLUGIN_NOT_THERE) && attempt < ATTEMPTS {
        memory.backup_inputs_mut()?.attempt += 1;
        // The old Backup is deleted first: after a crash the run only looks for the second one.
        return act(vec![delete(run, backup), create(run, attempt + 1)]);
    }
    let stuck = run.request.started_at + STUCK_SECONDS;
    let at_work = AT_WORK.contains(&phase);
    if !at_work && run.request.now >= stuck {
        return Err(too_long(&object.name, phase, error).into());
    }
    let (reason, cause) = match (phase, error) {
        ("failed", "") => ("CNPGBackupTransientFailure", "has failed without saying why".to_owned()),
        ("failed", error) => ("CNPGBackupTransientFailure", format!("has failed: {error}")),
        ("walArchivingFailing", _) => {
            ("WALArchivingFailing", "waits, since write-ahead logs cannot be archived".to_owned())
        }
        ("", _) => ("BackupPending", "has not been taken up by the operator yet".to_owned()),
        (phase, _) => ("BackupRunning", format!("is in phase {phase}")),
    };
    let deadline = if at_work { look.deadline() } else { stuck };
    let message = format!("Backup {} of CloudNativePG {cause}", object.name);
    wait(run.wait(reason, message, vec![Watch::Object(object)], RECHECK_SECONDS, deadline))
}

fn phase(backup: &Value) -> &str {
    text(backup, "/status/phase")
}

fn too_long(name: &str, phase: &str, error: &str) -> Failure {
    let minutes = STUCK_SECONDS / 60;
    let (reason, cause) = match (phase, error) {
        ("failed", "") => {
            ("OperatorBackupFailed", "has failed without saying why; see the log of the plugin".to_owned())
        }
        ("failed", error) => ("OperatorBackupFailed", format!("has failed: {error}")),
        ("walArchivingFailing", _) => {
            let cause = "waits, since write-ahead logs cannot be archived; see the condition ContinuousArchiving of the Cluster";
            ("WALArchivingFailing", cause.to_owned())
        }
        ("" | "pending", _) => {
            ("BackupNotStarted", "has not been started by the operator; see its events".to_owned())
        }
        (phase, error) => ("BackupStuck", format!("is in phase {phase} {error}").trim_end().to_owned()),
    };
    Failure::new(reason, format!("after {minutes} minutes, Backup {name} of CloudNativePG {cause}"))
}

/// Returns the outcome of a complete Backup.
fn done(run: &Run<'_>, inputs: &BackupInputs, backup: &Value) -> Result<Next, Stop> {
    let name = text(backup, "/metadata/name");
    let at = |pointer: &str| text(backup, pointer).parse::<Instant>().ok();
    let started = at("/status/startedAt").map_or(run.request.now, Instant::seconds);
    let mut entries: BTreeMap<String, String> = [
        (metadata::BACKUP_NAME, name),
        (metadata::SERVER_NAME, &inputs.server),
        (metadata::DESTINATION_PATH, &inputs.archive.destination),
        (metadata::ENDPOINT_URL, &inputs.archive.endpoint),
        (metadata::CLUSTER_NAME, &run.names.cluster),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            entries.insert(key.to_owned(), value);
        }
    };
    add(metadata::S3_SECRET, inputs.archive.credentials.as_ref().map(|c| c.name.clone()));
    add(metadata::BACKUP_ID, Some(text(backup, "/status/backupId").to_owned()));
    add(metadata::STOPPED_AT, at("/status/stoppedAt").map(|i| i.to_string()));
    let major = backup.pointer("/status/majorVersion").and_then(Value::as_u64);
    add(metadata::MAJOR_VERSION, major.map(|v| v.to_string()));
    let outcome = Outcome {
        taken_at: Some(started),
        artifact: Some(Artifact {
            uri: format!("cnpg://{}/{name}", inputs.server),
            size_bytes: None,
            checksum: None,
        }),
        metadata: entries,
        underlying_resources: Some(inputs.snapshot.visible()),
        private_data: Some(inputs.snapshot.private()),
        conditions: Vec::new(),
    };
    Ok(Next::Step(Step::done(Some(outcome))))
}

/// Deletes the operator's Backup of a cancelled run, because no Backup of the host will refer to it.
fn cancelled(run: &Run<'_>, found: Option<&Value>) -> Result<Next, Stop> {
    match found.filter(|f| !deleting(f)) {
        Some(backup) => act(vec![delete(run, backup)]),
        None => {
            let message =
                "the run was ended before the operator's backup was complete, and that has been deleted";
            Err(Failure::new("Cancelled", message).into())
        }
    }
}
