//! Builds the Job of a pod run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use backstay_api::annotations::label_or_annotate;
use backstay_api::{TypedRef, labels};

use super::outcome::{POD_RUN_ANNOTATION, PodRunNote};
use super::proof::{PROOF_ANNOTATION, ProofKey};
use super::turn::{TURN_ANNOTATION, TurnNote};
use crate::contract::{GroupKind, Json, Mode, ObjectRef, PodRun};

/// The run's part of a Job; the component renders the rest.
#[derive(Clone, Copy, Debug)]
pub struct JobSpec<'a> {
    /// Name of the Job.
    pub name: &'a str,
    /// The run, which becomes the controller of the Job.
    pub run: &'a ObjectRef,
    /// Uid of the run.
    pub run_uid: &'a str,
    /// Mode of the run.
    pub mode: Mode,
    /// The strategy kind; the key of the mode label contains it.
    pub strategy: &'a GroupKind,
    /// The application that the run acts on.
    pub application: &'a TypedRef,
    /// The key by which the controller recognises the Job as its own.
    pub key: &'a ProofKey,
    /// Seconds left until the run's deadline: a Job never outlives it.
    pub seconds_left: i64,
}

/// Builds the Job as JSON, so that fields of the pod template that this program does not know survive.
///
/// The host's labels on Job and pods win over the author's. A value too long for a label is shortened as names are, and
/// an annotation of the same key holds it whole. `restartPolicy` is `Never` if the template has none.
#[must_use]
pub fn build(spec: &JobSpec<'_>, pod_run: &PodRun) -> Json {
    let namespace = spec.run.namespace.clone().unwrap_or_default();
    let (mut labels, mut annotations) = (BTreeMap::new(), BTreeMap::new());
    let pairs = [
        (labels::mode_key(&spec.strategy.group, &spec.strategy.kind), spec.mode.as_str()),
        (labels::OWNED_BY_NAME.to_owned(), spec.run.name.as_str()),
        (labels::OWNED_BY_NAMESPACE.to_owned(), namespace.as_str()),
        (labels::RUN_UID.to_owned(), spec.run_uid),
    ];
    for (key, value) in pairs {
        label_or_annotate(&mut labels, &mut annotations, &key, value);
    }

    let turn = TurnNote::new(spec.application, spec.strategy, spec.mode, &spec.run.name);
    annotations.insert(TURN_ANNOTATION.to_owned(), turn.to_text());

    let mut template = pod_run.template.clone();
    merge_into(&mut template, "labels", &labels);
    merge_into(&mut template, "annotations", &annotations);
    // The engine refuses a template of another shape (`pod_policy::shape`), and the API server would.
    if let Some(spec) = map_at(&mut template, "spec").and_then(Value::as_object_mut)
        && spec.get("restartPolicy").is_none_or(|p| p.is_null() || p == "")
    {
        spec.insert("restartPolicy".to_owned(), "Never".into());
    }

    annotations.insert(POD_RUN_ANNOTATION.to_owned(), PodRunNote::of_run(pod_run).to_text());
    let proof = spec.key.of_job(&namespace, spec.name, spec.run_uid);
    annotations.insert(PROOF_ANNOTATION.to_owned(), proof);

    let deadline = pod_run.active_deadline.map_or(spec.seconds_left, |d| i64::from(d).min(spec.seconds_left));
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": spec.name,
            "namespace": namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": spec.run.api_version,
                "kind": spec.run.kind,
                "name": spec.run.name,
                "uid": spec.run_uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "backoffLimit": pod_run.backoff_limit,
            "activeDeadlineSeconds": deadline.max(1),
            // At no time two pods of one run: the next pod waits until the last one has ended.
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "template": template,
        },
    })
}

/// Puts the entries of `ours` into the labels or annotations of a template.
fn merge_into(template: &mut Value, key: &str, ours: &BTreeMap<String, String>) {
    if ours.is_empty() {
        return;
    }
    if let Some(entries) = map_at(template, "metadata").and_then(|metadata| map_at(metadata, key)) {
        entries.as_object_mut().into_iter().for_each(|entries| {
            entries.extend(ours.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))));
        });
    }
}

/// Returns the map at a key, which is created where there is nothing; `None` if there is something else.
fn map_at<'a>(parent: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let child = parent.as_object_mut()?.entry(key).or_insert(Value::Null);
    if child.is_null() {
        *child = json!({});
    }
    child.is_object().then_some(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "backups.cozystack.io/v1alpha1".into(),
            kind: "BackupJob".into(),
            namespace: Some("tenant-a".into()),
            name: name.into(),
        }
    }

    fn application() -> TypedRef {
        TypedRef { api_group: None, kind: "Redis".into(), name: "cache".into() }
    }

    fn built(name: &str, template: Json) -> Json {
        let run = run(name);
        let strategy = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() };
        let spec = JobSpec {
            name: "n-backup",
            run: &run,
            run_uid: "uid-1",
            mode: Mode::Backup,
            strategy: &strategy,
            application: &application(),
            key: &ProofKey::new([7; 32]),
            seconds_left: 3600,
        };
        let pod_run = PodRun {
            template,
            backoff_limit: 2,
            active_deadline: None,
            log_lines: 20,
            data: Some(json!({"x": 1})),
            findings: vec![],
        };
        build(&spec, &pod_run)
    }

    #[test]
    fn f3_labels_and_annotations_of_the_author_survive_and_ours_win() {
        let job = built(
            "n",
            json!({"metadata": {"labels": {"team": "a", labels::RUN_UID: "forged"}, "annotations": {"note": "keep"}},
                "spec": {"containers": [], "futureField": {"x": 1}}}),
        );
        let template = &job["spec"]["template"];
        assert_eq!(template["metadata"]["labels"]["team"], "a");
        assert_eq!(template["metadata"]["labels"][labels::RUN_UID], "uid-1");
        assert_eq!(template["metadata"]["annotations"]["note"], "keep");
        assert_eq!(template["spec"]["futureField"]["x"], 1);
    }

    #[test]
    fn the_three_labels_of_the_reference_are_on_job_and_pods() {
        let job = built("n", json!({"spec": {"containers": []}}));
        for at in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
            assert_eq!(at["labels"]["job.strategy.backups.cozystack.io/mode"], "backup");
            assert_eq!(at["labels"]["backups.cozystack.io/owned-by.BackupJobName"], "n");
            assert_eq!(at["labels"]["backups.cozystack.io/owned-by.BackupJobNamespace"], "tenant-a");
        }
    }

    #[test]
    fn the_job_has_the_controllers_proof_and_job_and_pods_say_whose_turn_they_are_in() {
        let job = built("n", json!({"spec": {"containers": []}}));
        let made: k8s_openapi::api::batch::v1::Job = serde_json::from_value(job.clone()).unwrap();
        assert!(ProofKey::new([7; 32]).proves(&made, "uid-1"));
        for at in [&job["metadata"], &job["spec"]["template"]["metadata"]] {
            let text = at["annotations"][TURN_ANNOTATION].as_str().unwrap();
            let strategy = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() };
            let note = TurnNote::new(&application(), &strategy, Mode::Backup, "n");
            assert_eq!(serde_json::from_str::<TurnNote>(text).unwrap(), note);
        }
    }

    #[test]
    fn restart_policy_is_never_unless_the_author_says_otherwise() {
        assert_eq!(built("n", json!({"spec": {}}))["spec"]["template"]["spec"]["restartPolicy"], "Never");
        let kept = built("n", json!({"spec": {"restartPolicy": "OnFailure"}}));
        assert_eq!(kept["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
    }

    #[test]
    fn f11_a_name_too_long_for_a_label_is_shortened_and_kept_whole_in_an_annotation() {
        let long = "n".repeat(200);
        let job = built(&long, json!({"spec": {}}));
        let key = labels::OWNED_BY_NAME;
        assert!(job["metadata"]["labels"][key].as_str().unwrap().len() <= 63);
        assert_eq!(job["metadata"]["annotations"][key], long);
        assert_eq!(job["spec"]["template"]["metadata"]["annotations"][key], long);
    }

    #[test]
    fn a_template_of_any_shape_becomes_a_job_and_no_panic() {
        let odd = || [json!("text"), json!(7), json!([1]), json!(true), json!({}), Json::Null];
        for value in odd() {
            for template in [
                value.clone(),
                json!({"spec": value}),
                json!({"spec": {"restartPolicy": value}}),
                json!({"metadata": value, "spec": {}}),
                json!({"metadata": {"labels": value}, "spec": {}}),
                json!({"metadata": {"annotations": value}, "spec": {}}),
            ] {
                assert_eq!(built(&"n".repeat(200), template)["kind"], "Job");
            }
        }
    }

    #[test]
    fn no_two_pods_of_a_job_run_at_once() {
        let spec = &built("n", json!({"spec": {}}))["spec"];
        assert_eq!((&spec["parallelism"], &spec["completions"]), (&json!(1), &json!(1)));
        assert_eq!(spec["podReplacementPolicy"], "Failed");
    }

    #[test]
    fn f9_a_job_never_outlives_its_run() {
        assert_eq!(built("n", json!({"spec": {}}))["spec"]["activeDeadlineSeconds"], 3600);
    }
}
