//! Calls to the API server for a guest: as whom, how long they are tried, and what their errors mean to it.

use std::sync::Arc;
use std::time::Duration;

use backstay_core::contract::{Access, Json, ObjectRef, ReadError, WriteError};
use backstay_core::resource::Breach;
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

/// The object as the guest sees it: of a Secret everything but what it holds.
pub(super) fn shown(object: &DynamicObject, access: &Access) -> Json {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    if access.group.is_empty() && access.kind == "Secret" {
        if let Some(data) = object.data.as_object_mut() {
            data.retain(|field, _| !matches!(field.as_str(), "data" | "stringData"));
        }
        // kubectl writes the whole manifest there.
        if let Some(annotations) = &mut object.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
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
pub(super) fn is_unserved(error: &kube::Error) -> bool {
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
        // What of a precondition on the uid comes back from an API server that takes it for a change.
        Class::Refused if chain(error).contains("metadata.uid: Invalid value") => {
            WriteError::Conflict(chain(error))
        }
        Class::Refused => WriteError::Invalid(chain(error)),
        Class::RetryVisible => WriteError::Forbidden(chain(error)),
        Class::Retry { .. } => WriteError::Unavailable(chain(error)),
    }
}

/// Bytes of a JSON value as text.
pub(super) fn size(json: &Json) -> usize {
    serde_json::to_vec(json).map_or(usize::MAX, |text| text.len())
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

/// How often a write is judged anew because its object has changed between being read and being written.
const JUDGED: usize = 3;

/// Writes over exactly what was judged. `read` gives the object as it is, `judge` what follows from it, and `write` is
/// told that and the resource version to insist on. A conflict with another writer has the object read and judged anew; any
/// other conflict is the guest's to know.
///
/// An object that is not there has no version to insist on: one that comes between being looked for and being written is
/// applied to by what the manifest alone says.
pub(super) async fn over_what_was_judged<J, T, R, W>(
    mut read: impl FnMut() -> R,
    mut judge: impl FnMut(Option<&Json>) -> Result<Result<J, WriteError>, Breach>,
    mut write: impl FnMut(J, Option<String>) -> W,
) -> Result<Result<T, WriteError>, Breach>
where
    R: Future<Output = Result<Option<Json>, WriteError>>,
    W: Future<Output = Result<T, WriteError>>,
{
    let mut refused: Option<(Option<String>, WriteError)> = None;
    for _ in 0..JUDGED {
        let before = match read().await {
            Ok(before) => before,
            Err(error) => return Ok(Err(error)),
        };
        let version =
            before.as_ref().and_then(|o| o["metadata"]["resourceVersion"].as_str()).map(str::to_owned);
        if let Some((known, conflict)) = refused.take()
            && known == version
        {
            return Ok(Err(conflict));
        }
        let judged = match judge(before.as_ref())? {
            Ok(judged) => judged,
            Err(error) => return Ok(Err(error)),
        };
        match write(judged, version.clone()).await {
            Err(conflict @ WriteError::Conflict(_)) => refused = Some((version, conflict)),
            done => return Ok(done),
        }
    }
    let never = || WriteError::Conflict("the object changes faster than it can be judged".to_owned());
    Ok(Err(refused.map_or_else(never, |(_, conflict)| conflict)))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use serde_json::json;

    use super::*;

    fn at(version: u32) -> Json {
        json!({"metadata": {"resourceVersion": version.to_string()}})
    }

    /// Reads these versions, one after the other, and writes to what is at version 3.
    async fn written(
        versions: &[u32],
        allowed: impl Fn(&Json) -> bool,
    ) -> (Result<u32, WriteError>, Vec<String>) {
        let (reads, insisted) = (Cell::new(0), RefCell::new(Vec::new()));
        let done = over_what_was_judged(
            || {
                let version = versions[reads.replace(reads.get() + 1)];
                async move { Ok(Some(at(version))) }
            },
            |before| Ok(before.filter(|b| allowed(b)).map(|_| 7).ok_or(WriteError::NotFound)),
            |judged, version| {
                let version = version.unwrap_or_default();
                insisted.borrow_mut().push(version.clone());
                async move {
                    let conflict = || WriteError::Conflict("changed".to_owned());
                    (version == "3").then_some(judged).ok_or_else(conflict)
                }
            },
        )
        .await
        .expect("no breach");
        (done, insisted.into_inner())
    }

    #[tokio::test]
    async fn a_write_insists_on_the_version_that_was_judged_and_is_judged_anew_when_it_has_changed() {
        assert_eq!(written(&[2, 3], |_| true).await, (Ok(7), vec!["2".to_owned(), "3".to_owned()]));
        let (done, insisted) = written(&[2, 3], |object| *object == at(2)).await;
        assert_eq!(
            (done, insisted.len()),
            (Err(WriteError::NotFound), 1),
            "what it has become is not allowed"
        );
    }

    #[tokio::test]
    async fn a_conflict_that_is_not_by_a_change_is_told_and_one_that_goes_on_is_given_up() {
        let conflict = || Err(WriteError::Conflict("changed".to_owned()));
        let (done, insisted) = written(&[2, 2], |_| true).await;
        assert_eq!((done, insisted.len()), (conflict(), 1));
        let (done, insisted) = written(&[4, 5, 6], |_| true).await;
        assert_eq!((done, insisted.len()), (conflict(), 3));
    }

    #[test]
    fn of_a_secret_nothing_is_shown_that_it_holds() {
        let access = Access {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            plural: "secrets".to_owned(),
            scope: backstay_core::contract::Scope::Run,
            verbs: backstay_core::contract::Verbs::default(),
            fields: Vec::new(),
            guards: Vec::new(),
        };
        let secret: DynamicObject = serde_json::from_value(json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hush"}},
            "type": "Opaque", "data": {"a": "hush"}, "stringData": {"b": "hush"}}))
        .expect("an object");
        let json = shown(&secret, &access);
        assert!(!json.to_string().contains("hush"), "{json}");
        assert_eq!((&json["metadata"]["name"], &json["type"]), (&json!("s"), &json!("Opaque")));
    }
}
