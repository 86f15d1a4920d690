//! Decides whether a Job belongs to a run (docs/rules.md R2).

use k8s_openapi::api::batch::v1::Job;

use super::proof::ProofKey;
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
    /// The Job's controller reference names the run, and the controller did not make the Job: whoever may write Jobs may write
    /// that reference. The Job is never touched.
    Unproven,
    /// An earlier run of that kind and name owns the Job, and the garbage collector will delete it.
    Previous,
    /// Another object or nobody owns the Job, which is never touched.
    Foreign {
        /// The owner, for the message.
        owner: String,
    },
}

/// Decides by the Job's controller reference and its proof. Only the run's uid, on a Job that the controller made, makes it the
/// run's; the run's kind and name with another uid are those of an earlier run.
#[must_use]
pub fn ownership(job: &Job, run: &ObjectRef, run_uid: &str, key: &ProofKey) -> Ownership {
    let deleting = job.metadata.deletion_timestamp.is_some();
    match controller(&job.metadata) {
        Some(owner) if owner.uid == run_uid && !key.proves(job, run_uid) => Ownership::Unproven,
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

/// Returns whether the Job's controller reference names the run, whoever wrote it. Enough to stop a Job, and no reason to
/// believe it.
#[must_use]
pub fn is_owned(job: &Job, run_uid: &str) -> bool {
    controller(&job.metadata).is_some_and(|owner| owner.uid == run_uid)
}

#[cfg(test)]
mod tests {
    use super::super::PROOF_ANNOTATION;
    use super::*;
    use serde_json::json;

    /// Judges a Job that has this metadata and the proof of a Job of the run `now`.
    fn judged(metadata: serde_json::Value) -> Ownership {
        let mut metadata = metadata;
        let proof = ProofKey::new([7; 32]).of_job("a", "nightly-backup", "now");
        metadata["annotations"] = json!({PROOF_ANNOTATION: proof});
        judged_as_it_is(metadata)
    }

    fn judged_as_it_is(mut metadata: serde_json::Value) -> Ownership {
        metadata["name"] = json!("nightly-backup");
        metadata["namespace"] = json!("a");
        let job = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let run = ObjectRef {
            api_version: "backups.cozystack.io/v1alpha1".into(),
            kind: "BackupJob".into(),
            namespace: Some("a".into()),
            name: "nightly".into(),
        };
        ownership(&job, &run, "now", &ProofKey::new([7; 32]))
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
    fn r2_a_job_that_names_the_run_as_its_owner_and_was_not_made_by_the_controller_is_not_the_runs() {
        let owners = owner("BackupJob", "nightly", "now");
        let labels = json!({"backstay.dev/run-uid": "now"});
        let forged = json!({"uid": "j", "labels": labels, "ownerReferences": owners});
        assert_eq!(judged_as_it_is(forged.clone()), Ownership::Unproven);
        let mut copied = forged.clone();
        let of_another_run = ProofKey::new([7; 32]).of_job("a", "nightly-backup", "then");
        copied["annotations"] = json!({PROOF_ANNOTATION: of_another_run});
        assert_eq!(judged_as_it_is(copied), Ownership::Unproven);
        let mut deleting = forged;
        deleting["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(judged_as_it_is(deleting), Ownership::Unproven);
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
