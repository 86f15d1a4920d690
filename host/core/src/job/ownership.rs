//! Decides whether a Job belongs to a run (docs/rules.md R2).

use k8s_openapi::api::batch::v1::Job;

use crate::contract::ObjectRef;
use crate::owner::controller;

/// The owner of a Job that has the name of the run's Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The run owns the Job, by uid.
    Ours {
        /// Uid of the Job.
        uid: String,
    },
    /// The run owns the Job, which is being deleted.
    OursDeleting,
    /// An earlier run of that kind and name owns the Job, and the garbage collector will delete it.
    Previous,
    /// Another object or nobody owns the Job, which is never touched.
    Foreign {
        /// The owner, for the message.
        owner: String,
    },
}

/// Decides by the Job's controller reference. Only the uid proves that the run owns the Job; the run's kind and name with
/// another uid are those of an earlier run.
#[must_use]
pub fn ownership(job: &Job, run: &ObjectRef, run_uid: &str) -> Ownership {
    let deleting = job.metadata.deletion_timestamp.is_some();
    match controller(&job.metadata) {
        Some(owner) if owner.uid == run_uid && deleting => Ownership::OursDeleting,
        Some(owner) if owner.uid == run_uid => {
            Ownership::Ours { uid: job.metadata.uid.clone().unwrap_or_default() }
        }
        Some(owner)
            if owner.kind == run.kind && owner.name == run.name && owner.api_version == run.api_version =>
        {
            Ownership::Previous
        }
        Some(owner) => Ownership::Foreign { owner: format!("{} {:?}", owner.kind, owner.name) },
        None => Ownership::Foreign { owner: "nobody".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(metadata: serde_json::Value) -> Ownership {
        let job = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let run = ObjectRef {
            api_version: "backups.cozystack.io/v1alpha1".into(),
            kind: "BackupJob".into(),
            namespace: Some("a".into()),
            name: "nightly".into(),
        };
        ownership(&job, &run, "now")
    }

    fn owner(kind: &str, name: &str, uid: &str) -> serde_json::Value {
        json!([{"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "name": name, "uid": uid, "controller": true}])
    }

    #[test]
    fn r2_only_the_uid_of_the_run_makes_a_job_ours() {
        let ours = judged(json!({"uid": "j", "ownerReferences": owner("BackupJob", "nightly", "now")}));
        assert_eq!(ours, Ownership::Ours { uid: "j".into() });
    }

    #[test]
    fn r2_a_job_of_an_earlier_run_of_that_name_is_waited_for() {
        assert_eq!(
            judged(json!({"ownerReferences": owner("BackupJob", "nightly", "then")})),
            Ownership::Previous
        );
    }

    #[test]
    fn r2_a_job_of_another_owner_or_of_none_is_foreign() {
        let labels = json!({"backstay.dev/run-uid": "now"});
        assert!(matches!(judged(json!({"labels": labels})), Ownership::Foreign { .. }));
        assert!(matches!(
            judged(json!({"ownerReferences": owner("BackupJob", "other", "x")})),
            Ownership::Foreign { .. }
        ));
        assert!(matches!(
            judged(json!({"ownerReferences": owner("CronJob", "nightly", "x")})),
            Ownership::Foreign { .. }
        ));
    }

    #[test]
    fn r2_our_own_job_that_is_being_deleted_is_not_adopted() {
        let job = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": owner("BackupJob", "nightly", "now")});
        assert_eq!(judged(job), Ownership::OursDeleting);
    }
}
