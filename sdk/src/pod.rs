//! Pods to run, and pods that ended.

use serde_json::Value;

use crate::failure::Finding;

/// A pod to run as a `batch/v1` Job that the run owns, in the run's namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRun {
    /// `core/v1` PodTemplateSpec, rendered: no template text is left in it.
    pub template: Value,
    /// `spec.backoffLimit` of the Job.
    pub backoff_limit: u32,
    /// `spec.activeDeadlineSeconds` of the Job; none is the run's deadline.
    pub active_deadline: Option<u32>,
    /// Last lines of each container's log wanted in the result of a Job that failed, 0 to 200.
    pub log_lines: u32,
    /// Handed back in the result, at most 16 KiB, any schema.
    pub data: Option<Value>,
    /// Warnings of rendering.
    pub findings: Vec<Finding>,
}

impl PodRun {
    /// Run this PodTemplateSpec once, try twice more if it fails, and show the last 50 lines of a failure.
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

/// How a Job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PodResult {
    /// Whether it is Complete.
    pub succeeded: bool,
    /// Reason of its condition.
    pub reason: String,
    /// Message of its condition.
    pub message: String,
    /// Its pods, newest first, at most 4.
    pub pods: Vec<Pod>,
    /// [`PodRun::data`].
    pub data: Option<Value>,
}

/// A pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// As in its status, such as `Evicted`.
    pub reason: String,
    /// As in its status.
    pub message: String,
    /// Start.
    pub started_at: Option<i64>,
    /// End.
    pub finished_at: Option<i64>,
    /// Its containers, init containers first.
    pub containers: Vec<Container>,
}

/// A container of a pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// None if it never ended.
    pub exit_code: Option<i32>,
    /// Reason of its state, such as `OOMKilled`.
    pub reason: String,
    /// Termination message.
    pub message: String,
    /// The lines asked for.
    pub log: String,
}
