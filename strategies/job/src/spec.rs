//! The spec of a Job strategy.

use backstay_sdk::template::Dialect;
use backstay_sdk::{Deserialize, JsonSchema, PodTemplate};

/// What to run, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct JobSpec {
    /// The pod that backs up, and the one that restores. Every string value in it is a template over `.Application`,
    /// `.Release`, `.Mode`, `.Parameters` and, on restore, `.Backup`. Labels and annotations are kept; keys of the
    /// controller's own domains are refused.
    pub template: PodTemplate,
    /// How often a pod that failed is tried again.
    #[serde(default = "two")]
    #[schemars(range(max = 100))]
    pub backoff_limit: u32,
    /// Seconds after which the run's Job is stopped, retries and all. Without it the run's own deadline holds.
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<u32>,
    /// A backup whose pod does not report what it wrote has failed. The report is one line of JSON in a container's
    /// termination message: `{"artifact":{"uri":"s3://bucket/key","sizeBytes":1,"checksum":"sha256:..."},"metadata":{}}`.
    #[serde(default)]
    pub require_artifact: bool,
    /// The language of the templates.
    #[serde(default)]
    pub dialect: Dialect,
}

fn two() -> u32 {
    2
}
