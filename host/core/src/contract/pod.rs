//! A pod to run, and how it ended.

use super::run::Diagnostic;
use super::scalar::{Json, Seconds, Timestamp};

/// A pod to run as a `batch/v1` Job.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRun {
    /// `core/v1` PodTemplateSpec, rendered.
    pub template: Json,
    /// `spec.backoffLimit` of the Job.
    pub backoff_limit: u32,
    /// `spec.activeDeadlineSeconds` of the Job.
    pub active_deadline: Option<Seconds>,
    /// How many of the last lines of each container's log the result of a failed Job has.
    pub log_lines: u32,
    /// Data of the component, returned to it in the result.
    pub data: Option<Json>,
    /// Warnings of the rendering.
    pub findings: Vec<Diagnostic>,
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PodResult {
    /// Whether the Job is Complete.
    pub succeeded: bool,
    /// Reason of the Job's condition.
    pub reason: String,
    /// Message of the Job's condition.
    pub message: String,
    /// The Job's pods, newest first, at most 4.
    pub pods: Vec<Pod>,
    /// [`PodRun::data`].
    pub data: Option<Json>,
}

/// A pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Reason in its status, such as `Evicted`, or what the controller saw: `ContainerRunsOn`, `Deleted`.
    pub reason: String,
    /// Message in its status.
    pub message: String,
    /// When the pod started.
    pub started_at: Option<Timestamp>,
    /// When its last container ended.
    pub finished_at: Option<Timestamp>,
    /// Its containers, init containers first, sidecars last.
    pub containers: Vec<Container>,
}

/// A container of a pod that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Exit code; none if the container never ended.
    pub exit_code: Option<i32>,
    /// Reason of its state, such as `OOMKilled`; `Stopped` if it ran when its pod's deletion began. That of a sidecar is marked.
    pub reason: String,
    /// Termination message.
    pub message: String,
    /// Last lines of the log, as many as [`PodRun::log_lines`] asks for.
    pub log: String,
}
