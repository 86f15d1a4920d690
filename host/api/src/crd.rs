//! The CRDs of the group `backups.cozystack.io`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{Backup, BackupClass, BackupJob, Plan, RestoreJob};

/// The CRDs.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![BackupClass::crd(), BackupJob::crd(), Backup::crd(), Plan::crd(), RestoreJob::crd()]
}
