//! The Backup object of CloudNativePG: creating, deleting and recognizing the one of a run.

use backstay_sdk::step::{Action, Create, Delete, Propagation};
use backstay_sdk::{Value, json};

use crate::cluster::{text, uid};
use crate::names::{CLUSTER_LABEL, CNPG, PLUGIN, RUN_LABEL, backup_name};
use crate::run::Run;

/// Creates the Backup. Its name is unique for each run, so that the Backup of another run is never taken for it.
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

/// Cuts a text to the length of a label value.
fn label(text: &str) -> &str {
    text[..text.floor_char_boundary(63)].trim_end_matches(['-', '.', '_'])
}

/// Deletes this Backup, by its uid.
pub(super) fn delete(run: &Run<'_>, backup: &Value) -> Action {
    Action::Delete(Delete {
        object: run.names.backup(text(backup, "/metadata/name")),
        uid: uid(backup).to_owned(),
        resource_version: None,
        propagation: Propagation::Background,
    })
}

/// Whether the run with this uid made the object.
pub(super) fn is_of_run(object: &Value, run_uid: &str) -> bool {
    object["metadata"]["labels"][RUN_LABEL] == run_uid
}
