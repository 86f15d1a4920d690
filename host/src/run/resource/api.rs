//! Calls to the API server for a guest: as whom, how long they are tried, and what their errors mean to it.

use std::sync::Arc;
use std::time::Duration;

use backstay_core::contract::{Access, Json, ObjectRef, ReadError, WriteError};
use backstay_core::retry::{self, Class};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use tokio::time::Instant;

use super::patience;
use crate::api_error::{chain, class};

/// How long a call is tried again before the guest is told that it is not to be had, where the wake has that much left.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the API server serves a kind, by what the component declared.
pub(super) fn resource(access: &Access) -> ApiResource {
    let gvk = GroupVersionKind::gvk(&access.group, &access.version, &access.kind);
    ApiResource::from_gvk_with_plural(&gvk, &access.plural)
}

/// The API of a kind in a namespace, or cluster-wide.
pub(super) fn api(client: Client, namespace: Option<&str>, resource: &ApiResource) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    }
}

/// Tries a call again while its error is of the kind that goes away by itself.
pub(super) async fn patiently<T, F>(mut call: impl FnMut() -> F) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let until = Instant::now() + patience::left(PATIENCE);
    let (mut attempt, mut failed) = (0, None::<Instant>);
    loop {
        let done = call().await;
        if let Some(before) = failed.replace(Instant::now()) {
            patience::spend(before.elapsed());
        }
        let error = match done {
            Err(error) if matches!(class(&error), Class::Retry { .. }) => error,
            done => return done,
        };
        attempt += 1;
        let asked = match class(&error) {
            Class::Retry { after: Some(after) } => after,
            _ => Duration::ZERO,
        };
        let pause = retry::backoff(attempt).max(asked);
        if Instant::now() + pause > until {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Makes an object, or finds the one of its name; tries again where it went away in between.
pub(super) async fn make_or_find<T, F, G>(
    mut make: impl FnMut() -> F,
    mut find: impl FnMut() -> G,
) -> Result<Made<T>, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
    G: Future<Output = Result<T, kube::Error>>,
{
    let until = Instant::now() + patience::left(PATIENCE);
    let mut attempt = 0;
    loop {
        let error = match patiently(&mut make).await {
            Ok(made) => return Ok(Made::New(made)),
            Err(error) if class(&error) == Class::AlreadyExists => error,
            Err(error) => return Err(error),
        };
        match patiently(&mut find).await {
            Ok(found) => return Ok(Made::Found(found)),
            Err(gone) if class(&gone) == Class::NotFound && Instant::now() < until => {}
            Err(gone) if class(&gone) == Class::NotFound => return Err(error),
            Err(error) => return Err(error),
        }
        attempt += 1;
        tokio::time::sleep(retry::backoff(attempt)).await;
    }
}

/// See [`make_or_find`].
pub(super) enum Made<T> {
    /// It was made now.
    New(T),
    /// It, or something else of its name, was there.
    Found(T),
}

/// The object as the guest sees it.
pub(super) fn shown(object: &DynamicObject, access: &Access) -> Json {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    let mut json = serde_json::to_value(&object).unwrap_or_default();
    // Items of a list come without them.
    if json["kind"].is_null() {
        let resource = resource(access);
        json["apiVersion"] = resource.api_version.into();
        json["kind"] = resource.kind.into();
    }
    json
}

/// The same for an object that a watch shows.
pub(super) fn shown_by_watch(object: &Arc<DynamicObject>, access: &Access) -> Json {
    shown(object, access)
}

/// Whether a 404 is about the kind and not about the object.
fn is_unserved(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            status.details.as_ref().is_none_or(|details| details.name.is_empty())
        }
        _ => false,
    }
}

pub(super) fn read_error(error: &kube::Error) -> ReadError {
    match class(error) {
        Class::NotFound if is_unserved(error) => ReadError::NotServed,
        Class::NotFound => ReadError::NotFound,
        Class::RetryVisible => ReadError::Forbidden(chain(error)),
        _ => ReadError::Unavailable(chain(error)),
    }
}

/// `AlreadyExists` is not decided here: it needs the object.
pub(super) fn write_error(error: &kube::Error) -> WriteError {
    match class(error) {
        Class::NotFound if is_unserved(error) => WriteError::NotServed,
        Class::NotFound => WriteError::NotFound,
        Class::Conflict | Class::AlreadyExists => WriteError::Conflict(chain(error)),
        Class::Refused => WriteError::Invalid(chain(error)),
        Class::RetryVisible => WriteError::Forbidden(chain(error)),
        Class::Retry { .. } => WriteError::Unavailable(chain(error)),
    }
}

/// An object as its manifest names it.
pub(super) fn named_in(manifest: &Json) -> Option<ObjectRef> {
    let text = |at: &str| manifest.pointer(at).and_then(Json::as_str).map(str::to_owned);
    Some(ObjectRef {
        api_version: text("/apiVersion")?,
        kind: text("/kind")?,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").filter(|name| !name.is_empty())?,
    })
}
