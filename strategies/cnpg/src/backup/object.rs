//! The Backup object of CloudNativePG: making, deleting and recognising the one of a run.

use backstay_sdk::step::{Action, Create, Delete, Propagation};
use backstay_sdk::{Value, json};

use crate::cluster::{text, uid};
use crate::names::{CLUSTER_LABEL, CNPG, PLUGIN, RUN_LABEL, backup_name};
use crate::run::Run;

/// The operator's backup: under a name of its own for each run, so that no other run's is taken for it.
pub(super) fn create(run: &Run<'_>, attempt: u32) -> Action {
    let manifest = json!({
        "apiVersion": CNPG,
        "kind": "Backup",
        "metadata": {
            "namespace": run.names.namespace,
            "name": backup_name(run.request, attempt),
            "labels": {
                CLUSTER_LABEL: run.names.cluster,
                "backups.cozystack.io/owned-by.BackupJobName": label(&run.request.run.name),
                "backups.cozystack.io/owned-by.BackupJobNamespace": run.names.namespace,
            },
        },
        "spec": {
            "method": "plugin",
            "cluster": {"name": run.names.cluster},
            "pluginConfiguration": {"name": PLUGIN},
        },
    });
    Action::Create(Create { manifest, dry_run: false })
}

/// What fits a label's value.
fn label(text: &str) -> &str {
    text[..text.floor_char_boundary(63)].trim_end_matches(['-', '.', '_'])
}

/// Deletes a Backup of the operator's, this very one.
pub(super) fn delete(run: &Run<'_>, backup: &Value) -> Action {
    Action::Delete(Delete {
        object: run.names.backup(text(backup, "/metadata/name")),
        uid: uid(backup).to_owned(),
        resource_version: None,
        propagation: Propagation::Background,
    })
}

/// Whether an object was made by the run with this uid.
pub(super) fn is_of_run(object: &Value, run_uid: &str) -> bool {
    object["metadata"]["labels"][RUN_LABEL] == run_uid
}
