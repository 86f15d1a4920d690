//! Pods to run, and the results of pods.

use serde_json::Value;

use crate::failure::Finding;

/// A pod to run as a `batch/v1` Job that the run owns, in the run's namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRun {
    /// `core/v1` PodTemplateSpec, rendered: it holds no template text any more.
    pub template: Value,
    /// `spec.backoffLimit` of the Job.
    pub backoff_limit: u32,
    /// `spec.activeDeadlineSeconds` of the Job; `None` means the run's deadline.
    pub active_deadline: Option<u32>,
    /// Number of last log lines of each container in the result of a failed Job, 0 to 200.
    pub log_lines: u32,
    /// JSON of any schema, at most 16 KiB, that the result returns.
    pub data: Option<Value>,
    /// Warnings found while rendering.
    pub findings: Vec<Finding>,
}

impl PodRun {
    /// A run of this PodTemplateSpec with up to two retries and the last 50 log lines of a failure.
    #[must_use]
    pub fn new(template: Value) -> Self {
        Self {
            template,
            backoff_limit: 2,
            active_deadline: None,
            log_lines: 50,
            data: None,
            findings: Vec::new(),
        }
    }
}

/// The result of a Job.
#[derive(Clone, Debug, PartialEq)]
pub struct PodResult {
    /// Whether the Job is Complete.
    pub succeeded: bool,
    /// Reason of its condition.
    pub reason: String,
    /// Message of its condition.
    pub message: String,
    /// Its pods, newest first, at most 4.
    pub pods: Vec<Pod>,
    /// The value of [`PodRun::data`].
    pub data: Option<Value>,
}

/// A pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Reason of its status, such as `Evicted`, or what the host saw: `ContainerRunsOn`, `Deleted`.
    pub reason: String,
    /// Message of its status.
    pub message: String,
    /// Start time.
    pub started_at: Option<i64>,
    /// End time.
    pub finished_at: Option<i64>,
    /// Its containers, init containers first, sidecars last.
    pub containers: Vec<Container>,
}

/// A container of a pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// `None` if the container did not end.
    pub exit_code: Option<i32>,
    /// Reason of its state, such as `OOMKilled`, or `Stopped` if it ran when its pod's deletion began.
    pub reason: String,
    /// Whether it is a sidecar: an init container with `restartPolicy: Always`. Kubernetes stops it when the other
    /// containers have ended, and its exit code means nothing then.
    pub sidecar: bool,
    /// Termination message.
    pub message: String,
    /// The log lines that [`PodRun::log_lines`] asked for.
    pub log: String,
}
