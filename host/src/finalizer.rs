//! Our finalizers: put on Backups that we handle and on runs that may have something to undo, taken off what we are done
//! with.

use backstay_api::{Backup, BackupJob, RestoreJob, finalizers};
use backstay_core::contract::Mode;
use kube::api::Patch;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api_error::{ApiError, is_not_found};
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
    change(run, client, |finalizer| finalizers::is_ours(finalizer) || finalizer == finalizers::UNDO, None)
        .await
        .map(drop)
}

/// The same for the one that keeps a run until it has undone what it had begun.
///
/// # Errors
/// As [`remove`].
pub async fn remove_undo(run: &Run, client: &Client) -> Result<(), ApiError> {
    change(run, client, |finalizer| finalizer == finalizers::UNDO, None).await.map(drop)
}

/// Puts that one on a run; returns the object's resource version.
///
/// # Errors
/// The API server's; not found if the run is gone.
pub async fn add_undo(run: &Run, client: &Client) -> Result<String, ApiError> {
    change(run, client, |finalizer| finalizer == finalizers::UNDO, Some(finalizers::UNDO)).await
}

/// Puts our finalizer on a Backup that has none of ours.
///
/// # Errors
/// The API server's.
pub async fn add(backup: &Backup, client: &Client) -> Result<(), kube::Error> {
    let api = Api::<Backup>::namespaced(client.clone(), &backup.namespace().unwrap_or_default());
    let mut all = backup.finalizers().to_vec();
    all.push(finalizers::CLEANUP.to_owned());
    patch(&api, backup, &all).await.map(drop)
}

/// Takes off what `ours` says and puts `new` on; returns the object's resource version, empty if it is gone.
async fn change(
    run: &Run,
    client: &Client,
    ours: impl Fn(&str) -> bool,
    new: Option<&str>,
) -> Result<String, ApiError> {
    let changed = match run.mode {
        Mode::Backup => of::<BackupJob>(run, client, ours, new).await,
        Mode::Restore => of::<RestoreJob>(run, client, ours, new).await,
        Mode::Cleanup => of::<Backup>(run, client, ours, new).await,
    };
    match changed {
        Err(error) if new.is_none() && is_not_found(&error) => Ok(String::new()),
        Err(error) => Err(ApiError::new(format!("changing the finalizers of {}", run.title()), error)),
        Ok(version) => Ok(version),
    }
}

async fn of<K>(
    run: &Run,
    client: &Client,
    ours: impl Fn(&str) -> bool,
    new: Option<&str>,
) -> Result<String, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), run.namespace());
    let object = api.get(run.name()).await?;
    let mut all: Vec<String> = object.finalizers().iter().filter(|f| !ours(f)).cloned().collect();
    all.extend(new.map(str::to_owned));
    if object.uid().as_deref() != Some(&run.uid) || all == object.finalizers() {
        return Ok(object.resource_version().unwrap_or_default());
    }
    patch(&api, &object, &all).await
}

async fn patch<K>(api: &Api<K>, object: &K, all: &[String]) -> Result<String, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let body = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": all}});
    let patched = api.patch(&object.name_any(), &manager::patch_params(), &Patch::Merge(body)).await?;
    Ok(patched.resource_version().unwrap_or_default())
}
