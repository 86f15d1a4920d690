//! An index of pods by their Job: thousands of finished runs have pods, too.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

use backstay_core::owner::controller;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;

/// A Job, by namespace and uid: an owner reference may hold the uid of an object of another namespace.
type JobKey = (String, String);

/// Names of the pods that a watch shows, by the Job of their namespace that controls them. A name may outlive its pod.
#[derive(Default)]
pub struct JobPods(Mutex<HashMap<JobKey, Vec<ObjectRef<Pod>>>>);

/// Returns the Job that a pod's controller reference names.
fn job_of(pod: &Pod) -> Option<JobKey> {
    let owner = controller(&pod.metadata).filter(|owner| owner.kind == "Job")?;
    Some((pod.metadata.namespace.clone().unwrap_or_default(), owner.uid.clone()))
}

impl JobPods {
    fn jobs(&self) -> MutexGuard<'_, HashMap<JobKey, Vec<ObjectRef<Pod>>>> {
        // A panic while this lock was held leaves at worst a name too many.
        self.0.lock()
    }

    /// A pod is there.
    pub fn shown(&self, pod: &Pod) {
        let Some(job) = job_of(pod) else { return };
        let mut jobs = self.jobs();
        let pods = jobs.entry(job).or_default();
        let name = ObjectRef::from_obj(pod);
        if !pods.contains(&name) {
            pods.push(name);
        }
    }

    /// A pod is gone.
    pub fn gone(&self, pod: &Pod) {
        let Some(job) = job_of(pod) else { return };
        let mut jobs = self.jobs();
        let name = ObjectRef::from_obj(pod);
        if let Some(pods) = jobs.get_mut(&job) {
            pods.retain(|other| *other != name);
            if pods.is_empty() {
                jobs.remove(&job);
            }
        }
    }

    /// A Job is gone, and its pods with it or soon after.
    pub fn forget(&self, namespace: &str, job_uid: &str) {
        self.jobs().remove(&(namespace.to_owned(), job_uid.to_owned()));
    }

    /// Namespaces and uids of the Jobs whose pods a watch shows.
    #[must_use]
    pub fn all(&self) -> Vec<(String, String)> {
        self.jobs().keys().cloned().collect()
    }

    /// The pods of a Job.
    #[must_use]
    pub fn of(&self, namespace: &str, job_uid: &str) -> Vec<ObjectRef<Pod>> {
        self.jobs().get(&(namespace.to_owned(), job_uid.to_owned())).cloned().unwrap_or_default()
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
        pods.of("n", job).into_iter().map(|pod| pod.name).collect()
    }

    #[test]
    fn a_pod_of_another_namespace_is_not_that_of_a_job_whose_uid_it_names_as_its_owner() {
        let pods = JobPods::default();
        let mut neighbour = pod("a", "one", "1");
        neighbour.metadata.namespace = Some("other".to_owned());
        pods.shown(&neighbour);
        assert_eq!(names(&pods, "one"), [""; 0]);
        pods.shown(&pod("b", "one", "2"));
        assert_eq!(names(&pods, "one"), ["b"]);
        pods.gone(&neighbour);
        assert_eq!(names(&pods, "one"), ["b"]);
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
        pods.forget("n", "two");
        assert!(pods.jobs().is_empty());
    }
}
