//! Labels, annotations, finalizers and owner references by which the controller knows its objects.

use super::{Controller, Parts, Policy, Resources, Validation, list, own_group, policy};
use crate::{finalizers, labels};

/// Labels, and annotations of the same keys, that only the controller writes.
const KEYS: [&str; 7] = [
    labels::RUN_UID,
    labels::OWNED_BY_NAME,
    labels::OWNED_BY_NAMESPACE,
    labels::RECORD,
    labels::LEFT_ON,
    labels::HELD,
    labels::STRATEGY_REVISION,
];
/// Keys that make a Job or a pod look as if a run had made it.
const OF_RUNS: [&str; 3] = [labels::RUN_UID, labels::OWNED_BY_NAME, labels::OWNED_BY_NAMESPACE];
const FINALIZERS: [&str; 3] = [finalizers::CLEANUP, finalizers::LEGACY_CLEANUP, finalizers::UNDO];

const LABELS: (&str, &str) = ("labels", "object.metadata.?labels.orValue({})");
const OLD_LABELS: (&str, &str) =
    ("oldLabels", "oldObject == null ? {} : oldObject.metadata.?labels.orValue({})");

/// CEL: those of `keys` whose values in the maps `new` and `old` differ.
fn changed(keys: &str, new: &str, old: &str) -> String {
    format!("{keys}.filter(k, (k in {new} ? {new}[k] : null) != (k in {old} ? {old}[k] : null))")
}

/// On our own kinds: foreign labels, annotations and finalizers come and go as anybody likes.
pub(super) fn marks(controller: &Controller) -> Policy {
    let keys = list(KEYS);
    let changed_labels = changed(&keys, "variables.labels", "variables.oldLabels");
    let changed_annotations = changed(&keys, "variables.annotations", "variables.oldAnnotations");
    let ours = list(FINALIZERS);
    let changed_finalizers =
        format!("{ours}.filter(f, (f in variables.finalizers) != (f in variables.oldFinalizers))");
    let trusted = controller.is_trusted();
    let rule = |name: &str| format!("size(variables.{name}) == 0 || variables.trusted");
    policy(Parts {
        name: "backstay-marks",
        purpose: "Only the controller writes its labels, annotations and finalizers on runs, Plans and Backups.",
        about: Resources {
            groups: &own_group(),
            operations: &["CREATE", "UPDATE"],
            resources: &["backupjobs", "restorejobs", "plans", "backups"],
        },
        only_if: "",
        variables: &[
            ("trusted", &trusted),
            LABELS,
            OLD_LABELS,
            ("annotations", "object.metadata.?annotations.orValue({})"),
            ("oldAnnotations", "oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})"),
            ("finalizers", "object.metadata.?finalizers.orValue([])"),
            ("oldFinalizers", "oldObject == null ? [] : oldObject.metadata.?finalizers.orValue([])"),
            ("changedLabels", &changed_labels),
            ("changedAnnotations", &changed_annotations),
            ("changedFinalizers", &changed_finalizers),
        ],
        validations: vec![
            Validation {
                expression: rule("changedLabels"),
                message: r#""metadata.labels: only the controller writes " + variables.changedLabels.join(", ")"#,
            },
            Validation {
                expression: rule("changedAnnotations"),
                message: r#""metadata.annotations: only the controller writes " + variables.changedAnnotations.join(", ")"#,
            },
            Validation {
                expression: rule("changedFinalizers"),
                message: r#""metadata.finalizers: only the controller adds and removes " + variables.changedFinalizers.join(", ")"#,
            },
        ],
    })
}

/// Jobs of runs: by label, in their pods' template, or by an owner of ours.
pub(super) fn jobs(controller: &Controller) -> Policy {
    let keys = list(OF_RUNS);
    let changed_labels = changed(&keys, "variables.labels", "variables.oldLabels");
    let changed_template = changed(&keys, "variables.template", "variables.oldTemplate");
    let owners = |object: &str| {
        format!(
            "{object}.metadata.?ownerReferences.orValue([]).filter(o, o.apiVersion.startsWith(\"{}/\")).map(o, o.uid)",
            crate::GROUP
        )
    };
    let (new_owners, old_owners) =
        (owners("object"), format!("oldObject == null ? [] : {}", owners("oldObject")));
    let (author, trusted) = (controller.is_author(), controller.is_trusted());
    let rule = |right: &str| format!("{right} || variables.trusted");
    policy(Parts {
        name: "backstay-jobs",
        purpose: "Only the controller makes Jobs that carry the labels of a run or are owned by one.",
        about: Resources {
            groups: &["batch".to_owned()],
            operations: &["CREATE", "UPDATE"],
            resources: &["jobs"],
        },
        // Most Jobs have nothing to do with us, and nothing else is asked about them.
        only_if: &format!("!({author})"),
        variables: &[
            ("trusted", &trusted),
            LABELS,
            OLD_LABELS,
            ("template", "object.spec.template.?metadata.labels.orValue({})"),
            ("oldTemplate", "oldObject == null ? {} : oldObject.spec.template.?metadata.labels.orValue({})"),
            ("owners", &new_owners),
            ("oldOwners", &old_owners),
            ("changedLabels", &changed_labels),
            ("changedTemplate", &changed_template),
        ],
        validations: vec![
            Validation {
                expression: rule("size(variables.changedLabels) == 0"),
                message: r#""metadata.labels: only the controller writes " + variables.changedLabels.join(", ") + " on a Job""#,
            },
            Validation {
                expression: rule("size(variables.changedTemplate) == 0"),
                message: r#""spec.template.metadata.labels: only the controller writes " + variables.changedTemplate.join(", ")"#,
            },
            Validation {
                expression: rule("variables.owners.all(uid, uid in variables.oldOwners)"),
                message: r#""metadata.ownerReferences: only the controller makes Jobs that are owned by objects of backups.cozystack.io""#,
            },
        ],
    })
}

/// Pods of runs: the job controller makes them, from Jobs that the rule above has judged.
pub(super) fn pods(controller: &Controller) -> Policy {
    let keys = list(OF_RUNS);
    let changed_labels = changed(&keys, "variables.labels", "variables.oldLabels");
    let trusted = controller.is_trusted();
    let of_a_job = format!(
        "({}) && object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == \"Job\" && o.apiVersion == \"batch/v1\" && o.?controller.orValue(false))",
        "request.userInfo.username in [\"system:serviceaccount:kube-system:job-controller\", \"system:kube-controller-manager\"]"
    );
    let concerned = format!(
        "{keys}.exists(k, k in object.metadata.?labels.orValue({{}}) || oldObject != null && k in oldObject.metadata.?labels.orValue({{}}))"
    );
    policy(Parts {
        name: "backstay-pods",
        purpose: "Only the job controller of Kubernetes makes pods that carry the labels of a run.",
        about: Resources {
            groups: &[String::new()],
            operations: &["CREATE", "UPDATE"],
            resources: &["pods"],
        },
        only_if: &concerned,
        variables: &[LABELS, OLD_LABELS, ("changedLabels", &changed_labels)],
        validations: vec![Validation {
            expression: format!(
                "size(variables.changedLabels) == 0 || oldObject == null && {of_a_job} || {trusted}"
            ),
            message: r#""metadata.labels: only the controller's Jobs have pods with " + variables.changedLabels.join(", ")"#,
        }],
    })
}
