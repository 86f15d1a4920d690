//! The pods of a Job: made, deleted, suspended.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cluster::seconds;
use super::super::drive::Queue;
use super::super::owners::finalizers;
use super::look::{Look, is_suspended, rank};
use super::pods::{TRACKING, is_active, replaces_failed_only, uid};
use super::{Jobs, pod_path};
use crate::client::{Key, Refused, items, key, number, text};

/// The most pods that are made or deleted in one look.
const MOST_AT_ONCE: i64 = 500;

impl Jobs {
    /// Deletes the pods of a Job that is over; they keep their finalizers.
    pub(super) async fn delete_active(&self, look: &mut Look) -> Result<(), Refused> {
        for pod in look.pods.clone().iter().filter(|pod| is_active(pod)) {
            self.delete(&look.job, pod).await?;
            look.deleted(pod);
        }
        Ok(())
    }

    async fn delete(&self, job: &Value, pod: &Value) -> Result<(), Refused> {
        match self.cluster.api.delete(&pod_path(pod), json!({})).await {
            Err(refused) if !refused.is_absent() => {
                self.cluster
                    .event(job, "Warning", "FailedDelete", &format!("Error deleting: {refused}"))
                    .await;
                Err(refused)
            }
            Err(_) => Ok(()),
            Ok(_) => {
                let message = format!("Deleted pod: {}", text(pod, "/metadata/name"));
                self.cluster.event(job, "Normal", "SuccessfulDelete", &message).await;
                Ok(())
            }
        }
    }

    /// Makes pods that are missing, or deletes those that are too many.
    pub(super) async fn manage(
        &self,
        look: &mut Look,
        later: Option<Timestamp>,
        queue: &mut Queue<Key>,
    ) -> Result<(), Refused> {
        let parallelism = number(&look.job, "/spec/parallelism").unwrap_or(1);
        let wanted = match number(&look.job, "/spec/completions") {
            _ if is_suspended(&look.job) => 0,
            None if look.succeeded > 0 => look.active,
            None => parallelism,
            Some(completions) => (completions - look.succeeded).min(parallelism).max(0),
        };
        if look.active > wanted {
            let surplus = usize::try_from((look.active - wanted).min(MOST_AT_ONCE)).unwrap_or_default();
            let mut active: Vec<Arc<Value>> =
                look.pods.iter().filter(|pod| is_active(pod)).cloned().collect();
            active.sort_by_key(|pod| rank(pod));
            for pod in active.iter().take(surplus) {
                // It does not count as failed.
                self.untrack(pod).await?;
                self.delete(&look.job, pod).await?;
                look.deleted(pod);
            }
            return Ok(());
        }
        let terminating = if replaces_failed_only(&look.job) { look.terminating } else { 0 };
        let missing = (wanted - terminating - look.active).min(MOST_AT_ONCE);
        if missing <= 0 || is_suspended(&look.job) {
            return Ok(());
        }
        if let Some(later) = later {
            queue.add_at(key(&look.job), later);
            look.active = 0;
            return Ok(());
        }
        for _ in 0..missing {
            self.create(&look.job).await?;
            look.active += 1;
        }
        Ok(())
    }

    async fn create(&self, job: &Value) -> Result<(), Refused> {
        let template = &job["spec"]["template"];
        let mut pod = template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        let metadata = &template["metadata"];
        let mut kept: Vec<&str> = finalizers(template);
        if !kept.contains(&TRACKING) {
            kept.push(TRACKING);
        }
        let name = text(job, "/metadata/name");
        pod["metadata"] = json!({"generateName": format!("{name}-"), "labels": metadata["labels"],
            "annotations": metadata["annotations"], "finalizers": kept,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid(job),
                "controller": true, "blockOwnerDeletion": true}]});
        let namespace = text(job, "/metadata/namespace");
        match self.cluster.api.create(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await {
            Ok(made) => {
                let message = format!("Created pod: {}", text(&made, "/metadata/name"));
                self.cluster.event(job, "Normal", "SuccessfulCreate", &message).await;
                Ok(())
            }
            Err(refused) => {
                let ending = items(&refused.body, "/details/causes")
                    .iter()
                    .any(|c| c["reason"] == "NamespaceTerminating");
                if ending {
                    return Ok(());
                }
                let message = format!("Error creating: {}", text(&refused.body, "/message"));
                self.cluster.event(job, "Warning", "FailedCreate", &message).await;
                Err(refused)
            }
        }
    }

    /// Says whether the Job is suspended; a Job that goes on starts anew.
    pub(super) async fn suspend(&self, look: &mut Look, now: Timestamp) {
        let suspended = is_suspended(&look.job);
        let (status, reason, message) = if suspended {
            ("True", "JobSuspended", "Job suspended")
        } else {
            ("False", "JobResumed", "Job resumed")
        };
        if !look.ensure("Suspended", status, reason, message, now) {
            return;
        }
        look.changed = true;
        if !suspended {
            look.status.insert("startTime".to_owned(), seconds(now));
        }
        self.cluster
            .event(&look.job, "Normal", if suspended { "Suspended" } else { "Resumed" }, message)
            .await;
    }
}
