//! An index of what may run: Jobs that have not ended, and pods, by the run that made them.

use std::collections::{BTreeSet, HashMap};

use backstay_api::labels;
use backstay_core::job;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::Mutex;

/// A run, by namespace and uid. The label with the uid proves nothing, and reaches no other namespace.
pub type RunKey = (String, String);

/// Names of a run's Jobs and pods that may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Jobs that have not ended.
    pub jobs: BTreeSet<String>,
    /// Pods that have not ended.
    pub pods: BTreeSet<String>,
}

/// The index.
#[derive(Default)]
pub struct Unfinished(Mutex<HashMap<RunKey, Names>>);

impl Unfinished {
    /// A Job is there.
    pub fn job(&self, job: &Job) {
        let may_run = job::end(job).is_none();
        self.note(&job.metadata, may_run, |names| &mut names.jobs);
    }

    /// A Job is gone.
    pub fn job_gone(&self, job: &Job) {
        self.note(&job.metadata, false, |names| &mut names.jobs);
    }

    /// A pod is there.
    pub fn pod(&self, pod: &Pod) {
        self.note(&pod.metadata, job::may_run(pod), |names| &mut names.pods);
    }

    /// A pod is gone.
    pub fn pod_gone(&self, pod: &Pod) {
        self.note(&pod.metadata, false, |names| &mut names.pods);
    }

    /// Returns whether a Job or a pod of a run may run.
    #[must_use]
    pub fn has(&self, namespace: &str, run_uid: &str) -> bool {
        self.0.lock().contains_key(&(namespace.to_owned(), run_uid.to_owned()))
    }

    /// Returns all that may run.
    #[must_use]
    pub fn all(&self) -> Vec<(RunKey, Names)> {
        self.0.lock().iter().map(|(run, names)| (run.clone(), names.clone())).collect()
    }

    fn note(&self, meta: &ObjectMeta, may_run: bool, of: impl Fn(&mut Names) -> &mut BTreeSet<String>) {
        let Some(uid) = meta.labels.as_ref().and_then(|l| l.get(labels::RUN_UID)) else { return };
        let key = (meta.namespace.clone().unwrap_or_default(), uid.clone());
        let name = meta.name.clone().unwrap_or_default();
        let mut runs = self.0.lock();
        if may_run {
            of(runs.entry(key).or_default()).insert(name);
        } else if let Some(names) = runs.get_mut(&key) {
            of(names).remove(&name);
            if *names == Names::default() {
                runs.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(namespace: &str, name: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace,
            "labels": {labels::RUN_UID: "u"}}, "status": {"phase": phase}}))
        .expect("a pod")
    }

    fn job(condition: &str) -> Job {
        serde_json::from_value(
            json!({"metadata": {"name": "j", "namespace": "n", "labels": {labels::RUN_UID: "u"}},
            "status": {"conditions": [{"type": condition, "status": "True"}]}}),
        )
        .expect("a Job")
    }

    #[test]
    fn a_run_has_something_that_may_run_until_its_last_job_and_pod_have_ended_or_are_gone() {
        let unfinished = Unfinished::default();
        unfinished.job(&job("Suspended"));
        unfinished.pod(&pod("n", "a", "Running"));
        unfinished.pod(&pod("n", "b", "Pending"));
        unfinished.job(&job("Complete"));
        unfinished.pod(&pod("n", "a", "Succeeded"));
        assert!(unfinished.has("n", "u") && !unfinished.has("n", "v"));
        assert_eq!(unfinished.all()[0].1.pods, ["b".to_owned()].into());
        unfinished.pod_gone(&pod("n", "b", "Running"));
        assert!(!unfinished.has("n", "u") && unfinished.all().is_empty());
        unfinished.job(&job("Suspended"));
        unfinished.job_gone(&job("Suspended"));
        assert!(!unfinished.has("n", "u"));
    }

    #[test]
    fn a_pod_of_another_namespace_is_not_the_runs() {
        let unfinished = Unfinished::default();
        unfinished.pod(&pod("other", "a", "Running"));
        assert!(!unfinished.has("n", "u"));
    }
}
