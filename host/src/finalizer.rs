//! Our finalizers: put on Backups that we handle, taken off what we are done with.

use backstay_api::finalizers;
use backstay_core::contract::Mode;
use kube::api::Patch;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::api_error::ApiError;
use crate::manager;
use crate::run::Run;

/// How a Backup goes without being cleaned up after; continues a message.
#[must_use]
pub fn way_out() -> String {
    format!(
        "; to delete the Backup without cleaning up, remove the finalizer {:?}, which leaves its data where it is",
        finalizers::CLEANUP
    )
}

/// Takes our finalizers, the legacy one included, off the object of a run; others stay. An object that is gone is fine.
///
/// # Errors
/// The API server's; a conflict means that the finalizers have changed since they were read.
pub async fn remove(run: &Run, client: &Client) -> Result<(), ApiError> {
    let doing = || format!("removing the finalizer of {}", run.title());
    let kept = |all: &[String]| all.iter().filter(|f| !finalizers::is_ours(f)).cloned().collect::<Vec<_>>();
    let done = match run.mode {
        Mode::Backup => return Ok(()),
        Mode::Restore => {
            let api = Api::<backstay_api::RestoreJob>::namespaced(client.clone(), run.namespace());
            let Some(object) = api.get_opt(run.name()).await.map_err(|e| ApiError::new(doing(), e))? else {
                return Ok(());
            };
            patch(&api, run.name(), &object.resource_version(), &kept(object.finalizers())).await
        }
        Mode::Cleanup => {
            let api = Api::<backstay_api::Backup>::namespaced(client.clone(), run.namespace());
            let Some(object) = api.get_opt(run.name()).await.map_err(|e| ApiError::new(doing(), e))? else {
                return Ok(());
            };
            patch(&api, run.name(), &object.resource_version(), &kept(object.finalizers())).await
        }
    };
    match done {
        Err(error) if !crate::api_error::is_not_found(&error) => Err(ApiError::new(doing(), error)),
        _ => Ok(()),
    }
}

/// Puts our finalizer on a Backup that has none of ours.
///
/// # Errors
/// The API server's.
pub async fn add(backup: &backstay_api::Backup, client: &Client) -> Result<(), kube::Error> {
    let api =
        Api::<backstay_api::Backup>::namespaced(client.clone(), &backup.namespace().unwrap_or_default());
    let mut all = backup.finalizers().to_vec();
    all.push(finalizers::CLEANUP.to_owned());
    patch(&api, &backup.name_any(), &backup.resource_version(), &all).await
}

async fn patch<K>(
    api: &Api<K>,
    name: &str,
    version: &Option<String>,
    all: &[String],
) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let body = json!({"metadata": {"resourceVersion": version, "finalizers": all}});
    let params = manager::patch_params();
    api.patch(name, &params, &Patch::Merge(body)).await.map(|_| ())
}
