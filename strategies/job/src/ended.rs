//! From the pod that ended to what it means.

use backstay_sdk::prelude::*;
use backstay_sdk::results::{self, Report};

use crate::spec::JobSpec;

/// The condition that says whether a backup's pod reported what it wrote.
const ARTIFACT_REPORTED: &str = "ArtifactReported";

/// The outcome of a Job that is Complete, or the cause of one that failed.
pub(crate) fn outcome(request: &Request<JobSpec>, ended: &PodResult) -> Result<Outcome, Failure> {
    if !ended.succeeded {
        return Err(Failure::new("JobFailed", results::cause_of_failure(ended)));
    }
    if request.mode != Mode::Backup {
        return Ok(Outcome::default());
    }
    let mandatory = request.spec()?.require_artifact;
    match results::report(ended) {
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
        // The data was written: a report that cannot be read does not lose the run.
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
