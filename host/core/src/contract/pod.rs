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
    /// Last lines of each container's log wanted in the result of a Job that failed.
    pub log_lines: u32,
    /// Handed back in the result.
    pub data: Option<Json>,
    /// Warnings of rendering.
    pub findings: Vec<Diagnostic>,
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
    pub data: Option<Json>,
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
    pub started_at: Option<Timestamp>,
    /// End.
    pub finished_at: Option<Timestamp>,
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
