//! The outcome of an ended pod.

use backstay_sdk::prelude::*;
use backstay_sdk::results;

use crate::client::RunData;
use crate::spec::AltinitySpec;
use crate::{archive, shards};

/// Tells whether the Backup records its archive.
const ARCHIVE_RECORDED: &str = "ArchiveRecorded";
/// The key under which a pod reports an archive that it named itself.
const REPORTED: &str = "archive";

/// Returns the outcome of a Job that is Complete, or the cause of a failed one.
pub(crate) fn outcome(request: &Request<AltinitySpec>, ended: &PodResult) -> Result<Outcome, Failure> {
    if !ended.succeeded {
        return Err(Failure::new("JobFailed", cause(ended)));
    }
    let mut outcome = results::outcome(request.mode, ended, false)?;
    if request.mode != Mode::Backup {
        return Ok(outcome);
    }
    let run_data = RunData::of(ended)?;
    let reported = outcome.metadata.remove(REPORTED);
    match reported.filter(|name| archive::is_archive(name)).or(run_data.archive) {
        Some(archive) => {
            outcome.metadata.insert(archive::RECORDED.to_owned(), archive);
            // The pod that began the archive is unknown, because deleted pods are not reported. The data is never
            // older than the run.
            outcome.taken_at = Some(request.started_at);
        }
        // A restore of such a script chooses by time, and the script names archives by their start, which is after
        // that of the run.
        None => outcome.conditions.push(Condition {
            type_: ARCHIVE_RECORDED.to_owned(),
            status: Some(false),
            reason: "ArchiveUnknown".to_owned(),
            message: "the strategy's pod was given no archive and reported none: a restore uses the archive that its script chooses; \
                      use {{ .Archive }} in the template of the strategy"
                .to_owned(),
        }),
    }
    outcome.conditions.extend(shards::condition(run_data.shards));
    Ok(outcome)
}

/// Returns the cause of a failed Job, with the last error of its log.
fn cause(ended: &PodResult) -> String {
    let cause = results::cause_of_failure(ended);
    let (said, log) = cause.split_at(cause.find('\n').unwrap_or(cause.len()));
    match results::error_line(ended) {
        Some(line) if !said.contains(line) => format!("{said}; its last error is: {line}{log}"),
        _ => cause,
    }
}
