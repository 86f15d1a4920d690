//! Names of the objects that the strategy reads and writes, by the conventions of their owners.

use backstay_sdk::{NamespacedName, ObjectRef, Request};

/// API version of CloudNativePG's own kinds.
pub(crate) const CNPG: &str = "postgresql.cnpg.io/v1";
/// API version of the Barman Cloud plugin's kinds.
pub(crate) const BARMAN: &str = "barmancloud.cnpg.io/v1";
/// API version of Helm releases.
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
/// The archiving plugin.
pub(crate) const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// The container that the plugin adds to each instance.
pub(crate) const SIDECAR: &str = "plugin-barman-cloud";
/// The container in which a recovery runs.
pub(crate) const RECOVERY_CONTAINER: &str = "full-recovery";
/// The label of CloudNativePG with the Cluster of an object.
pub(crate) const CLUSTER_LABEL: &str = "cnpg.io/cluster";
/// The label of the host with the run that made an object.
pub(crate) const RUN_LABEL: &str = "backstay.dev/run-uid";
/// The annotation with the uid of the restore that suspended a release. A suspension without it is somebody else's and
/// never lifted.
pub(crate) const SUSPENDED_BY: &str = "backstay.dev/suspended-by";
/// Annotations that make the Helm controller reconcile a release, and upgrade it once even without changes, if both
/// have the same new value.
pub(crate) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// See [`REQUESTED_AT`].
pub(crate) const FORCE_AT: &str = "reconcile.fluxcd.io/forceAt";

/// Keys of a Backup's metadata.
pub(crate) mod metadata {
    pub(crate) const BACKUP_NAME: &str = "cnpg.io/backup-name";
    pub(crate) const SERVER_NAME: &str = "cnpg.io/server-name";
    pub(crate) const DESTINATION_PATH: &str = "cnpg.io/destination-path";
    pub(crate) const ENDPOINT_URL: &str = "cnpg.io/endpoint-url";
    pub(crate) const CLUSTER_NAME: &str = "cnpg.io/cluster-name";
    pub(crate) const S3_SECRET: &str = "cnpg.io/s3-secret-ref";
    pub(crate) const BACKUP_ID: &str = "cnpg.io/backup-id";
    pub(crate) const STOPPED_AT: &str = "cnpg.io/stopped-at";
    pub(crate) const MAJOR_VERSION: &str = "cnpg.io/major-version";
}

/// The names of one application's objects.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The namespace of the run and of these objects.
    pub(crate) namespace: String,
    /// The name of its Cluster, ObjectStore and HelmRelease.
    pub(crate) cluster: String,
}

impl Names {
    /// Returns the names for the application of the run.
    pub(crate) fn of<S>(request: &Request<S>) -> Self {
        Self::named(request.namespace(), &request.application.name)
    }

    /// Returns the names for the application `application`.
    pub(crate) fn named(namespace: &str, application: &str) -> Self {
        Self { namespace: namespace.to_owned(), cluster: format!("postgres-{application}") }
    }

    /// Refers to the Cluster.
    pub(crate) fn cluster(&self) -> ObjectRef {
        self.object(CNPG, "Cluster", &self.cluster)
    }

    /// Refers to the ObjectStore that the Cluster archives to.
    pub(crate) fn store(&self) -> ObjectRef {
        self.object(BARMAN, "ObjectStore", &self.cluster)
    }

    /// Refers to the HelmRelease that renders the Cluster.
    pub(crate) fn release(&self) -> ObjectRef {
        self.object(HELM, "HelmRelease", &self.cluster)
    }

    /// Refers to a Backup of CloudNativePG.
    pub(crate) fn backup(&self, name: &str) -> ObjectRef {
        self.object(CNPG, "Backup", name)
    }

    /// Refers to a volume.
    pub(crate) fn volume(&self, name: &str) -> ObjectRef {
        self.object("v1", "PersistentVolumeClaim", name)
    }

    /// Refers to a Secret.
    pub(crate) fn secret(&self, name: &str) -> NamespacedName {
        NamespacedName { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// Returns the label selector of the Cluster's objects.
    pub(crate) fn selector(&self) -> String {
        format!("{CLUSTER_LABEL}={}", self.cluster)
    }

    fn object(&self, api_version: &str, kind: &str, name: &str) -> ObjectRef {
        ObjectRef::namespaced(api_version, kind, &self.namespace, name)
    }
}

/// Returns the name of the Backup that a run creates in CloudNativePG. It is the same in every call, and differs for
/// another run, even one with the same name. `attempt` starts at 1.
pub(crate) fn backup_name<S>(request: &Request<S>, attempt: u32) -> String {
    /// Leaves room for the hash and the attempt in 63 bytes, the limit of a label.
    const STEM: usize = 48;
    let run = &request.run.name;
    let stem = run[..run.floor_char_boundary(STEM)].trim_end_matches(['-', '.']);
    let name = format!("{stem}-{}", fingerprint(&request.run_uid));
    if attempt > 1 { format!("{name}-{attempt}") } else { name }
}

/// Returns a fresh server name for a Cluster recovered from the archive of `old`, because PostgreSQL needs an empty
/// archive for a new history. A fresh name made of a fresh name is not longer.
pub(crate) fn fresh_server_name(old: &str, cluster_uid: &str) -> String {
    let renamed = old.rsplit_once("-r").filter(|(stem, tail)| {
        !stem.is_empty() && tail.len() == FINGERPRINT && tail.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let stem = renamed.map_or(old, |(stem, _)| stem);
    format!("{stem}-r{}", fingerprint(cluster_uid))
}

/// Number of hexadecimal digits of a fingerprint.
const FINGERPRINT: usize = 10;

/// FNV-1a, because uids in tests and old server names may differ in their last characters only.
fn fingerprint(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")[..FINGERPRINT].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_that_was_renamed_is_renamed_without_growing() {
        let once = fresh_server_name("postgres-orders", "uid-1");
        let twice = fresh_server_name(&once, "uid-2");
        assert_ne!(once, twice);
        assert_eq!(once.len(), twice.len());
        assert!(twice.starts_with("postgres-orders-r"), "{twice}");
    }

    #[test]
    fn a_server_name_that_only_looks_renamed_is_kept_whole() {
        assert!(fresh_server_name("orders-replica", "uid").starts_with("orders-replica-r"));
    }

    #[test]
    fn uids_that_differ_in_their_last_digit_have_different_fingerprints() {
        assert_ne!(
            fingerprint("0d5f7a0e-0000-4000-8000-000000000001"),
            fingerprint("0d5f7a0e-0000-4000-8000-000000000002")
        );
    }
}
