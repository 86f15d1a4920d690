//! An index of pods by their Job: thousands of finished runs have pods, too.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

use backstay_core::owner::controller;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;

/// Names of the pods that a watch shows, by the uid of the Job that controls them. A name may outlive its pod.
#[derive(Default)]
pub struct JobPods(Mutex<HashMap<String, Vec<ObjectRef<Pod>>>>);

impl JobPods {
    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Vec<ObjectRef<Pod>>>> {
        // A panic while this lock was held leaves at worst a name too many.
        self.0.lock()
    }

    /// A pod is there.
    pub fn shown(&self, pod: &Pod) {
        let Some(job) = controller(&pod.metadata) else { return };
        let mut jobs = self.jobs();
        let pods = jobs.entry(job.uid.clone()).or_default();
        let name = ObjectRef::from_obj(pod);
        if !pods.contains(&name) {
            pods.push(name);
        }
    }

    /// A pod is gone.
    pub fn gone(&self, pod: &Pod) {
        let Some(job) = controller(&pod.metadata) else { return };
        let mut jobs = self.jobs();
        let name = ObjectRef::from_obj(pod);
        if let Some(pods) = jobs.get_mut(&job.uid) {
            pods.retain(|other| *other != name);
            if pods.is_empty() {
                jobs.remove(&job.uid);
            }
        }
    }

    /// A Job is gone, and its pods with it or soon after.
    pub fn forget(&self, job_uid: &str) {
        self.jobs().remove(job_uid);
    }

    /// The pods of a Job.
    #[must_use]
    pub fn of(&self, job_uid: &str) -> Vec<ObjectRef<Pod>> {
        self.jobs().get(job_uid).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, job: &str, resource_version: &str) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "n", "resourceVersion": resource_version,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "other"},
                {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": job, "controller": true}]}}),
        )
        .expect("a pod")
    }

    fn names(pods: &JobPods, job: &str) -> Vec<String> {
        pods.of(job).into_iter().map(|pod| pod.name).collect()
    }

    #[test]
    fn pods_are_found_by_their_job_until_they_are_gone() {
        let pods = JobPods::default();
        pods.shown(&pod("a", "one", "1"));
        pods.shown(&pod("b", "one", "2"));
        pods.shown(&pod("a", "one", "3"));
        pods.shown(&pod("c", "two", "4"));
        assert_eq!(names(&pods, "one"), ["a", "b"]);
        assert_eq!(names(&pods, "other"), [""; 0]);

        pods.gone(&pod("a", "one", "5"));
        assert_eq!(names(&pods, "one"), ["b"]);
        pods.gone(&pod("b", "one", "6"));
        pods.forget("two");
        assert!(pods.jobs().is_empty());
    }
}
