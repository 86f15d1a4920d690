//! The Job strategy: a backup or a restore of any application is one run of the pod that the strategy's template
//! describes. It is the generic strategy, and an example for authors: this crate uses only the SDK.
//!
//! Deleting a Backup keeps its data: there is no cleanup.

mod spec;

use backstay_sdk::prelude::*;
use backstay_sdk::template::Context;
use backstay_sdk::{Value, pod_template, results, serde_json};

pub use spec::JobSpec;

/// The Job strategy.
#[derive(Debug)]
pub struct Job;

impl Strategy for Job {
    const NAME: &'static str = "job";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const KIND: Kind =
        Kind { group: "strategy.backups.cozystack.io", version: "v1alpha1", kind: "Job", plural: "jobs" };
    const TRAITS: Traits =
        Traits { restore: true, strategy_on_restore: true, unpinned: true, ..Traits::NONE };
    const LONGEST_RUN: u32 = 6 * 60 * 60;
    type Spec = JobSpec;

    fn schema() -> Value {
        // The schema of `JobSpec`; the test below compares the two.
        serde_json::from_str(include_str!("schema.json")).expect("the file is JSON")
    }

    fn validate(check: &Check<'_, JobSpec>) -> Vec<Finding> {
        pod_template::check(&check.spec.template, check.spec.dialect)
    }
}

impl PodStrategy for Job {
    fn render(request: &Request<JobSpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
        Self::render_owned(&mut request.clone(), application)
    }

    // The pod is nearly all of the spec.
    fn render_owned(request: &mut Request<JobSpec>, application: Option<&Value>) -> Result<PodRun, Failure> {
        let spec = request.take_spec()?;
        let context = Context::of(request, application);
        let run = pod_template::pod_run_of(spec.template, spec.dialect, context)?;
        Ok(PodRun { backoff_limit: spec.backoff_limit, active_deadline: spec.active_deadline_seconds, ..run })
    }

    fn parse(request: &Request<JobSpec>, ended: &PodResult) -> Result<Outcome, Failure> {
        let mandatory = request.mode == Mode::Backup && request.spec()?.require_artifact;
        results::outcome(request.mode, ended, mandatory)
    }
}

backstay_sdk::export_pod!(Job);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_file_is_that_of_the_spec() {
        let of_spec = backstay_sdk::schema::of::<JobSpec>();
        let text = serde_json::to_string_pretty(&of_spec).unwrap();
        assert_eq!(Job::schema(), of_spec, "src/schema.json has to be:\n{text}\n");
    }
}
