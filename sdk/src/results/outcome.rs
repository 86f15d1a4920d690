//! The outcome of an ended pod.

use super::{Report, cause_of_failure, report};
use crate::failure::Failure;
use crate::object::{Condition, Mode};
use crate::pod::PodResult;
use crate::request::Outcome;

/// Tells whether the pod of a backup reported its artifact.
const ARTIFACT_REPORTED: &str = "ArtifactReported";

/// Returns the usual outcome of a pod run: the report of the pod for a backup, and an empty outcome otherwise. A
/// report that cannot be read fails the run only if it is `mandatory`; otherwise the condition `ArtifactReported`
/// tells of it.
///
/// # Errors
/// `JobFailed` with the cause as text, or `NoArtifactEvidence` if a mandatory report is missing or names no artifact.
pub fn outcome(mode: Mode, ended: &PodResult, mandatory: bool) -> Result<Outcome, Failure> {
    if !ended.succeeded {
        return Err(Failure::new("JobFailed", cause_of_failure(ended)));
    }
    if mode != Mode::Backup {
        return Ok(Outcome::default());
    }
    match report(ended) {
        Ok(Some(Report { artifact: None, metadata })) if !mandatory => {
            Ok(Outcome { metadata, ..Outcome::default() })
        }
        Ok(Some(Report { artifact: Some(artifact), metadata })) => {
            Ok(Outcome { artifact: Some(artifact), metadata, ..Outcome::default() })
        }
        Ok(_) if mandatory => {
            Err(no_evidence("no container of its pod reported one in its termination message"))
        }
        Ok(_) => Ok(Outcome::default()),
        Err(error) if mandatory => Err(no_evidence(&error.to_string())),
        // The data was written: a report that cannot be read must not fail the run.
        Err(error) => {
            let condition = Condition {
                type_: ARTIFACT_REPORTED.to_owned(),
                status: Some(false),
                reason: error.reason().to_owned(),
                message: error.to_string(),
            };
            Ok(Outcome { conditions: vec![condition], ..Outcome::default() })
        }
    }
}

fn no_evidence(cause: &str) -> Failure {
    Failure::new(
        "NoArtifactEvidence",
        format!(
            "the Job is complete, but the strategy requires a report of the artifact: {cause}; data may have been \
             written; print {{\"artifact\":{{\"uri\":…}}}} to the termination message, or set requireArtifact to false"
        ),
    )
}
