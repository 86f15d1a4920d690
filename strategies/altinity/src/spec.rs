//! The spec of an Altinity strategy.

use backstay_sdk::template::Dialect;
use backstay_sdk::{Deserialize, JsonSchema, PodTemplate};

/// What to run, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct AltinitySpec {
    /// The client of the backup sidecar: the pod that backs up, and the one that restores. Every string value in it is a
    /// template over `.Application`, `.Release`, `.Mode`, `.Parameters`, `.Archive` and, on restore, `.Backup` and
    /// `.TakenAt`. Labels and annotations are kept; keys of the controller's own domains are refused.
    pub template: PodTemplate,
    /// How often a pod that failed is tried again. Every pod of a run is told the same `.Archive`.
    #[serde(default = "two")]
    #[schemars(range(max = 100))]
    pub backoff_limit: u32,
    /// Seconds after which the run's Job is stopped, retries and all. Without it the run's own deadline holds.
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<u32>,
    /// What happens to an application with more than one shard. The sidecar that is spoken to is that of the first shard,
    /// and it saves and restores no other.
    #[serde(default)]
    pub shards: Shards,
    /// The language of the templates.
    #[serde(default)]
    pub dialect: Dialect,
}

/// What happens to an application with more than one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub enum Shards {
    /// The run is refused.
    #[default]
    Refuse,
    /// The run goes on, and condition `AllShards` of the Backup says that the other shards are not in it.
    Report,
}

fn two() -> u32 {
    2
}
