//! From the pod that ended to what it means.

use backstay_sdk::prelude::*;
use backstay_sdk::results;

use crate::client::Told;
use crate::spec::AltinitySpec;
use crate::{archive, shards};

/// The condition that says whether the Backup knows its archive.
const ARCHIVE_RECORDED: &str = "ArchiveRecorded";
/// Under this key a pod may report an archive that it has named itself.
const REPORTED: &str = "archive";

/// The outcome of a Job that is Complete, or the cause of one that failed.
pub(crate) fn outcome(request: &Request<AltinitySpec>, ended: &PodResult) -> Result<Outcome, Failure> {
    if !ended.succeeded {
        return Err(Failure::new("JobFailed", cause(ended)));
    }
    let mut outcome = results::outcome(request.mode, ended, false)?;
    if request.mode != Mode::Backup {
        return Ok(outcome);
    }
    let told = Told::of(ended)?;
    let reported = outcome.metadata.remove(REPORTED);
    match reported.filter(|name| archive::is_archive(name)).or(told.archive) {
        Some(archive) => {
            outcome.metadata.insert(archive::RECORDED.to_owned(), archive);
            // Which of the run's pods began the archive is not known, for one that was deleted is not told of. The data is
            // never older than the run.
            outcome.taken_at = Some(request.started_at);
        }
        // What a restore chooses is chosen by time, and such a script names archives by when it began: after the run did.
        None => outcome.conditions.push(Condition {
            type_: ARCHIVE_RECORDED.to_owned(),
            status: Some(false),
            reason: "ArchiveUnknown".to_owned(),
            message: "the strategy's pod was told no archive and reported none: a restore takes what its script chooses; \
                      use {{ .Archive }} in the template of the strategy"
                .to_owned(),
        }),
    }
    outcome.conditions.extend(shards::condition(told.shards));
    Ok(outcome)
}

/// Why the Job failed, with the error that its log tells beside what Kubernetes says.
fn cause(ended: &PodResult) -> String {
    let cause = results::cause_of_failure(ended);
    let (said, log) = cause.split_at(cause.find('\n').unwrap_or(cause.len()));
    match results::error_line(ended) {
        Some(line) if !said.contains(line) => format!("{said}; its last error is: {line}{log}"),
        _ => cause,
    }
}
