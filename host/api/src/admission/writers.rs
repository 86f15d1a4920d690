//! Who writes what of our kinds.

use super::{Controller, Parts, Policy, Resources, Validation, own_group, policy};

/// Statuses are the controller's.
pub(super) fn statuses(controller: &Controller) -> Policy {
    let groups: Vec<String> =
        own_group().into_iter().chain(controller.strategy_groups.iter().cloned()).collect();
    policy(Parts {
        name: "backstay-statuses",
        purpose: "Only the controller writes the statuses of runs, Plans, Backups, classes and strategies.",
        about: Resources { groups: &groups, operations: &["UPDATE"], resources: &["*/status"] },
        only_if: "",
        variables: &[],
        validations: vec![Validation {
            expression: controller.is_trusted(),
            message: r#""only the controller writes the status of " + request.resource.resource + "; " + request.userInfo.username + " would need the verb repair on backups.backups.cozystack.io""#,
        }],
    })
}

/// Backups are made by the controller, and their specs do not change: the spec says what a restore reads.
pub(super) fn backups(controller: &Controller) -> Policy {
    policy(Parts {
        name: "backstay-backups",
        purpose: "Only the controller makes Backups and writes their specs. Whoever may delete Backups still may.",
        about: Resources { groups: &own_group(), operations: &["CREATE", "UPDATE"], resources: &["backups"] },
        only_if: "",
        variables: &[],
        validations: vec![Validation {
            // What the garbage collector and the namespace controller write is the list of finalizers.
            expression: format!(
                "oldObject != null && object.?spec == oldObject.?spec || {}",
                controller.is_trusted()
            ),
            message: r#""only the controller writes the spec of a Backup, which decides what a restore reads; " + request.userInfo.username + " would need the verb repair on backups.backups.cozystack.io""#,
        }],
    })
}

/// A run keeps the spec that it began with. The CRDs say so too, but their comparison of fields without a schema, such as
/// `spec.options`, misses a key that is renamed.
pub(super) fn begun_runs() -> Policy {
    policy(Parts {
        name: "backstay-begun-runs",
        purpose: "The spec of a run that has begun cannot be changed.",
        about: Resources {
            groups: &own_group(),
            operations: &["UPDATE"],
            resources: &["backupjobs", "restorejobs"],
        },
        only_if: "",
        variables: &[],
        validations: vec![Validation {
            expression: "oldObject.?status.phase.orValue(\"\") in [\"\", \"Pending\"] || object.?spec == oldObject.?spec".to_owned(),
            message: r#""the spec of a run that has begun is immutable, and this one is " + oldObject.status.phase + ": create another " + request.kind.kind"#,
        }],
    })
}
