//! What was seen of Jobs and pods that are gone, for as long as their run goes on: others delete them, and with them goes how they
//! ended.
//!
//! The memory of a run is bounded: its last Jobs, of each the last pods, and of these the ends of some logs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use backstay_core::job::{failures, recall, running};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use parking_lot::Mutex;

/// Jobs of a run of which something is kept.
const JOBS: usize = 8;
/// Pods of a Job that are kept: as many as a result holds.
const PODS: usize = 4;
/// Failures of containers of a Job that are kept.
const FAILURES: usize = 16;
/// Logs of a Job that are kept.
const LOGS: usize = 8;
/// Bytes of a log that are kept: its last ones.
const LOG_BYTES: usize = 8 << 10;

/// What was seen, by the uid of the Job.
#[derive(Default)]
pub struct Evidence(Mutex<Known>);

#[derive(Default)]
struct Known {
    jobs: HashMap<String, OfJob>,
    /// Uids of the Jobs of a run, by its uid.
    runs: HashMap<String, VecDeque<String>>,
}

/// What was seen of one Job.
#[derive(Default)]
struct OfJob {
    run_uid: String,
    namespace: String,
    /// The Job as it was last seen; `None` while it is there.
    gone: Option<Arc<Job>>,
    /// Pods that are gone, as they were last seen.
    pods: VecDeque<Arc<Pod>>,
    /// By pod, the containers that ran when its deletion began.
    deletions: HashMap<String, Vec<String>>,
    /// Failures of containers, by pod and container.
    failures: HashMap<(String, String), ContainerStateTerminated>,
    /// Ends of logs.
    logs: VecDeque<Log>,
}

struct Log {
    pod: String,
    container: String,
    /// Which of the container's lives, and how far it had come.
    moment: String,
    text: String,
}

impl Known {
    fn of_job(&mut self, run_uid: &str, job_uid: &str, namespace: &str) -> &mut OfJob {
        if !self.jobs.contains_key(job_uid) {
            let jobs = self.runs.entry(run_uid.to_owned()).or_default();
            jobs.push_back(job_uid.to_owned());
            if jobs.len() > JOBS
                && let Some(oldest) = jobs.pop_front()
            {
                self.jobs.remove(&oldest);
            }
        }
        self.jobs.entry(job_uid.to_owned()).or_insert_with(|| OfJob {
            run_uid: run_uid.to_owned(),
            namespace: namespace.to_owned(),
            ..OfJob::default()
        })
    }
}

impl Evidence {
    /// A Job of a run that goes on is gone.
    pub fn job_gone(&self, job: &Job, run_uid: &str) {
        let (Some(uid), Some(namespace)) = (job.uid(), job.namespace()) else { return };
        self.0.lock().of_job(run_uid, &uid, &namespace).gone = Some(Arc::new(job.clone()));
    }

    /// A pod of a Job is there. Notes which of its containers failed, until its deletion begins; and which run then.
    pub fn pod_shown(&self, pod: &Pod, job_uid: &str, run_uid: &str) {
        let mut known = self.0.lock();
        if pod.metadata.deletion_timestamp.is_none() {
            for (container, ended) in failures(pod) {
                let job = known.of_job(run_uid, job_uid, &pod.namespace().unwrap_or_default());
                let of = (pod.name_any(), container);
                if job.failures.len() < FAILURES || job.failures.contains_key(&of) {
                    job.failures.insert(of, ended);
                }
            }
            return;
        }
        let job = known.of_job(run_uid, job_uid, &pod.namespace().unwrap_or_default());
        if job.deletions.len() < PODS * 2 {
            job.deletions.entry(pod.name_any()).or_insert_with(|| running(pod));
        }
    }

    /// A pod of a Job is gone.
    pub fn pod_gone(&self, pod: &Pod, job_uid: &str, run_uid: &str) {
        let mut known = self.0.lock();
        let job = known.of_job(run_uid, job_uid, &pod.namespace().unwrap_or_default());
        job.pods.retain(|other| other.name_any() != pod.name_any());
        job.pods.push_back(Arc::new(pod.clone()));
        if job.pods.len() > PODS
            && let Some(oldest) = job.pods.pop_front()
        {
            job.deletions.remove(&oldest.name_any());
        }
    }

    /// The end of a container's log. `moment` is as in [`Evidence::has_log`].
    pub fn keep_log(&self, job: &Job, run_uid: &str, pod: &str, container: &str, moment: &str, text: &str) {
        let (Some(uid), Some(namespace)) = (job.uid(), job.namespace()) else { return };
        let mut known = self.0.lock();
        let logs = &mut known.of_job(run_uid, &uid, &namespace).logs;
        logs.retain(|log| log.pod != pod || log.container != container);
        let from = text.ceil_char_boundary(text.len().saturating_sub(LOG_BYTES));
        logs.push_back(Log {
            pod: pod.to_owned(),
            container: container.to_owned(),
            moment: moment.to_owned(),
            text: text.get(from..).unwrap_or_default().to_owned(),
        });
        if logs.len() > LOGS {
            logs.pop_front();
        }
    }

    /// Whether the end of a container's log is known as it was at a moment.
    #[must_use]
    pub fn has_log(&self, job: &Job, pod: &str, container: &str, moment: &str) -> bool {
        self.log_where(job, pod, container, |log| log.moment == moment).is_some()
    }

    /// The end of a container's log, as it was last read.
    #[must_use]
    pub fn log(&self, job: &Job, pod: &str, container: &str) -> Option<String> {
        self.log_where(job, pod, container, |_| true)
    }

    fn log_where(
        &self,
        job: &Job,
        pod: &str,
        container: &str,
        that: impl Fn(&Log) -> bool,
    ) -> Option<String> {
        self.of(job, |seen| {
            let logs = seen.logs.iter();
            let mut found = logs.filter(|log| log.pod == pod && log.container == container && that(log));
            found.next().map(|log| log.text.clone())
        })
    }

    /// The pods of a Job that are gone.
    #[must_use]
    pub fn pods(&self, job: &Job) -> Vec<Arc<Pod>> {
        self.of(job, |seen| Some(seen.pods.iter().cloned().collect())).unwrap_or_default()
    }

    /// Returns a pod of a Job with the failures of its containers that were seen.
    #[must_use]
    pub fn with_failures(&self, job: &Job, pod: Arc<Pod>) -> Arc<Pod> {
        let name = pod.name_any();
        let seen: Vec<_> = self
            .of(job, |seen| Some(seen.failures.clone()))
            .into_iter()
            .flatten()
            .filter(|((of, _), _)| *of == name)
            .collect();
        if seen.is_empty() {
            return pod;
        }
        let mut pod = Pod::clone(&pod);
        for ((_, container), ended) in seen {
            recall(&mut pod, &container, &ended);
        }
        Arc::new(pod)
    }

    /// The containers that ran when the deletion of a Job's pod began; `None` if no deletion was seen.
    #[must_use]
    pub fn deletion(&self, job: &Job, pod: &str) -> Option<Vec<String>> {
        self.of(job, |seen| seen.deletions.get(pod).cloned())
    }

    fn of<T>(&self, job: &Job, get: impl FnOnce(&OfJob) -> Option<T>) -> Option<T> {
        let known = self.0.lock();
        let seen = known.jobs.get(job.metadata.uid.as_deref()?)?;
        (Some(&seen.namespace) == job.metadata.namespace.as_ref()).then(|| get(seen))?
    }

    /// A Job of a run that is gone, as it was last seen.
    #[must_use]
    pub fn gone_job(&self, run_uid: &str, name: &str) -> Option<Arc<Job>> {
        let known = self.0.lock();
        let mut jobs =
            known.runs.get(run_uid)?.iter().rev().filter_map(|uid| known.jobs.get(uid)?.gone.clone());
        jobs.find(|job| job.metadata.name.as_deref() == Some(name))
    }

    /// The run of a Job that is gone; `None` for one of another namespace.
    #[must_use]
    pub fn run_of_gone(&self, job_uid: &str, namespace: &str) -> Option<String> {
        let known = self.0.lock();
        let seen = known.jobs.get(job_uid)?;
        (seen.gone.is_some() && seen.namespace == namespace).then(|| seen.run_uid.clone())
    }

    /// Returns the uids of the runs of which something is kept.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.0.lock().runs.keys().cloned().collect()
    }

    /// A run has ended, or is gone.
    pub fn forget(&self, run_uid: &str) {
        let mut known = self.0.lock();
        for job in known.runs.remove(run_uid).into_iter().flatten() {
            known.jobs.remove(&job);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, namespace: &str) -> Job {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace, "uid": name}}))
            .unwrap()
    }

    fn pod(name: &str, deleting: bool, state: &Value) -> Pod {
        let deletion = deleting.then_some("2026-07-01T00:00:00Z");
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "n", "deletionTimestamp": deletion},
            "status": {"containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": state}]}}),
        )
        .unwrap()
    }

    fn names(evidence: &Evidence, job: &Job) -> Vec<String> {
        evidence.pods(job).iter().map(|pod| pod.name_any()).collect()
    }

    #[test]
    fn what_was_seen_is_kept_until_the_run_has_ended() {
        let (evidence, j) = (Evidence::default(), job("j", "n"));
        evidence.pod_gone(&pod("p", false, &json!({})), "j", "run");
        evidence.keep_log(&j, "run", "p", "c", "1", "no space left");
        evidence.job_gone(&j, "run");
        assert_eq!(names(&evidence, &j), ["p"]);
        assert_eq!(evidence.log(&j, "p", "c").as_deref(), Some("no space left"));
        assert!(evidence.has_log(&j, "p", "c", "1") && !evidence.has_log(&j, "p", "c", "2"));
        assert_eq!(evidence.gone_job("run", "j").as_deref(), Some(&j));
        assert_eq!(evidence.run_of_gone("j", "n").as_deref(), Some("run"));

        evidence.forget("run");
        assert_eq!(evidence.gone_job("run", "j"), None);
        assert!(evidence.0.lock().jobs.is_empty() && evidence.0.lock().runs.is_empty());
    }

    #[test]
    fn the_containers_that_ran_when_a_deletion_began_are_noted_once() {
        let (evidence, j) = (Evidence::default(), job("j", "n"));
        evidence.pod_shown(&pod("p", false, &json!({"running": {}})), "j", "run");
        assert_eq!(evidence.deletion(&j, "p"), None);
        evidence.pod_shown(&pod("p", true, &json!({"running": {}})), "j", "run");
        evidence.pod_shown(&pod("p", true, &json!({"terminated": {"exitCode": 143}})), "j", "run");
        assert_eq!(evidence.deletion(&j, "p"), Some(vec!["c".to_owned()]));
    }

    #[test]
    fn a_job_of_another_namespace_has_no_part_in_it() {
        let evidence = Evidence::default();
        evidence.pod_gone(&pod("p", false, &json!({})), "j", "run");
        evidence.job_gone(&job("j", "n"), "run");
        assert_eq!(names(&evidence, &job("j", "other")), [""; 0]);
        assert_eq!(evidence.run_of_gone("j", "other"), None);
    }

    #[test]
    fn the_memory_of_a_run_is_bounded() {
        let evidence = Evidence::default();
        for n in 0..100 {
            let j = job(&format!("j{}", n / 10), "n");
            let name = format!("p{n}");
            evidence.pod_shown(&pod(&name, true, &json!({"running": {}})), &j.name_any(), "run");
            evidence.pod_gone(&pod(&name, true, &json!({})), &j.name_any(), "run");
            evidence.keep_log(&j, "run", &name, "c", "1", &"é".repeat(LOG_BYTES));
        }
        assert_eq!(names(&evidence, &job("j0", "n")), [""; 0]);
        assert_eq!(names(&evidence, &job("j9", "n")), ["p96", "p97", "p98", "p99"]);
        let known = evidence.0.lock();
        assert_eq!(known.jobs.len(), JOBS);
        for seen in known.jobs.values() {
            assert!(seen.logs.len() <= LOGS && seen.deletions.len() <= PODS * 2);
            assert!(seen.logs.iter().all(|log| log.text.len() <= LOG_BYTES));
        }
    }
}
