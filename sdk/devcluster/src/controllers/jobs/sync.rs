//! One look at a Job: pods are counted, made and deleted, and the Job's status says so.
//!
//! The order of the steps is that of the controller of Kubernetes 1.34: pods that ended are written to the status before their
//! finalizer is taken, and are counted after; SuccessCriteriaMet and FailureTarget come before Complete and Failed, which wait
//! until no pod is left that terminates.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::super::cluster::{after, is_deleted, seconds};
use super::super::drive::Queue;
use super::look::{Finish, Look, is_complete, is_suspended, verdict_of};
use super::pods::{Verdict, is_active, is_failed, is_ready, is_terminating, is_tracked, phase, uid, verdict};
use super::{Jobs, path};
use crate::client::{Key, Refused, key, number};

/// The most pods that are written to a Job's status before they are counted.
const MOST_UNCOUNTED: usize = 500;

impl Jobs {
    pub(super) async fn sync(&mut self, job: &Value, queue: &mut Queue<Key>) -> Result<(), Refused> {
        let now = self.cluster.now();
        let pods = self.pods(job);
        let count = |is: fn(&Value) -> bool| {
            i64::try_from(pods.iter().filter(|pod| is(pod)).count()).unwrap_or_default()
        };
        let mut look = Look {
            active: count(is_active),
            ready: count(|pod| is_active(pod) && is_ready(pod)),
            terminating: count(is_terminating),
            succeeded: 0,
            failed: 0,
            changed: false,
            status: job["status"].as_object().cloned().unwrap_or_default(),
            job: job.clone(),
            pods,
        };
        let succeeded = look.new_ones("succeeded", |pod| phase(pod) == "Succeeded");
        let failed = look.new_ones("failed", |pod| is_failed(pod, job));
        let counted = failed.iter().filter(|pod| verdict(job, pod) != Verdict::Ignore).count();
        let sum = |look: &Look, which: &str, new: usize| {
            look.counter(which) + i64::try_from(new + look.uncounted(which).len()).unwrap_or_default()
        };
        look.succeeded = sum(&look, "succeeded", succeeded.len());
        look.failed = sum(&look, "failed", counted);
        if look.start().is_none() && !is_suspended(job) {
            look.status.insert("startTime".to_owned(), seconds(now));
        }
        let backoff = self.backoff.get(uid(job)).cloned().unwrap_or_default().with(&succeeded, &failed);
        let mut finish = verdict_of(&look, now);
        if finish.is_none()
            && let Some(deadline) = number(job, "/spec/activeDeadlineSeconds").filter(|_| !is_suspended(job))
            && let Some(start) = look.start()
        {
            queue.add_at(key(job), after(start, deadline));
        }
        let mut trouble = None;
        if finish.is_some() {
            trouble = self.delete_active(&mut look).await.err();
            finish = finish.filter(|_| trouble.is_none());
        } else {
            let mut managed = false;
            if !is_deleted(job) {
                managed = true;
                let later = backoff.until(now);
                if let Err(refused) = self.manage(&mut look, later, queue).await {
                    trouble = Some(refused);
                }
            }
            if is_complete(&look) {
                let message = "Reached expected number of succeeded pods";
                finish = Some(Finish::new("SuccessCriteriaMet", "CompletionsReached", message));
            } else if managed {
                self.suspend(&mut look, now).await;
            }
        }
        let before = ["active", "ready", "terminating"].map(|field| look.status.get(field).cloned());
        let (active, ready, terminating) = (look.active, look.ready, look.terminating);
        look.set("active", active, false);
        look.set("ready", ready, true);
        look.set("terminating", terminating, true);
        look.changed |=
            before != ["active", "ready", "terminating"].map(|field| look.status.get(field).cloned());
        self.track(look, finish, backoff, now).await?;
        trouble.map_or(Ok(()), Err)
    }

    /// Writes what has ended, takes the finalizers, and counts.
    async fn track(
        &mut self,
        mut look: Look,
        finish: Option<Finish>,
        backoff: super::Backoff,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let mut tracked: BTreeSet<String> =
            look.pods.iter().filter(|pod| is_tracked(pod)).map(|pod| uid(pod).to_owned()).collect();
        look.count(&tracked);
        let (mut succeeded, mut failed) = (look.uncounted("succeeded"), look.uncounted("failed"));
        let mut ended = Vec::new();
        let mut all = true;
        for pod in look.pods.iter().filter(|pod| is_tracked(pod)) {
            let is_failed = is_failed(pod, &look.job);
            let free = is_deleted(&look.job) || finish.is_some() || phase(pod) == "Succeeded" || is_failed;
            if !free {
                continue;
            }
            ended.push(pod.clone());
            let success = finish.as_ref().is_none_or(|finish| finish.last().kind == "Complete");
            if phase(pod) == "Succeeded" && !failed.contains(uid(pod)) {
                look.changed |= succeeded.insert(uid(pod).to_owned());
            } else if (is_failed || !success) && verdict(&look.job, pod) != Verdict::Ignore {
                look.changed |= failed.insert(uid(pod).to_owned());
            }
            if succeeded.len() + failed.len() >= MOST_UNCOUNTED {
                all = false;
                break;
            }
        }
        look.uncount("succeeded", &succeeded);
        look.uncount("failed", &failed);
        if let Some(finish) =
            finish.as_ref().filter(|finish| matches!(finish.kind, "FailureTarget" | "SuccessCriteriaMet"))
            && look.find(finish.kind).is_none()
        {
            look.push(finish.condition(now));
            look.changed = true;
        }
        if look.changed {
            self.write(&mut look).await?;
            self.backoff.insert(uid(&look.job).to_owned(), backoff);
        }
        let mut trouble = None;
        for pod in ended {
            match self.untrack(&pod).await {
                Ok(()) => drop(tracked.remove(uid(&pod))),
                Err(refused) => trouble = Some(refused),
            }
        }
        look.count(&tracked);
        if trouble.is_none() && all {
            self.finish(&mut look, finish.map(|finish| finish.last()), now).await?;
        } else if look.changed {
            self.write(&mut look).await?;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Ends the Job if nothing of it is left, and writes its status if that is still to be done.
    async fn finish(
        &mut self,
        look: &mut Look,
        finish: Option<Finish>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let uncounted = !look.uncounted("succeeded").is_empty() || !look.uncounted("failed").is_empty();
        let finish = finish.filter(|_| !uncounted && look.terminating == 0);
        if let Some(finish) = &finish {
            look.push(finish.condition(now));
            if finish.kind == "Complete" {
                look.status.insert("completionTime".to_owned(), seconds(now));
            }
            look.changed = true;
        }
        if look.changed {
            self.write(look).await?;
        }
        match finish {
            Some(finish) if finish.kind == "Complete" => {
                self.cluster.event(&look.job, "Normal", "Completed", "Job completed").await;
            }
            Some(finish) => self.cluster.event(&look.job, "Warning", &finish.reason, &finish.message).await,
            None => {}
        }
        Ok(())
    }

    async fn write(&self, look: &mut Look) -> Result<(), Refused> {
        look.job["status"] = Value::Object(look.status.clone());
        look.job = self.cluster.api.replace(&format!("{}/status", path(&look.job)), look.job.clone()).await?;
        look.status = look.job["status"].as_object().cloned().unwrap_or_default();
        look.changed = false;
        Ok(())
    }
}
