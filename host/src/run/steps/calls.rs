//! Calls to the API server for a guest: how long they are retried, and what their errors mean to the guest.

use std::time::Duration;

use backstay_core::contract::{Access, Json, ObjectRef, ReadError, WriteError};
use backstay_core::retry::{self, Class};
use backstay_core::steps::ContractViolation;
use kube::api::DynamicObject;
use tokio::time::Instant;

use super::retry_budget::RetryBudget;
use crate::cluster::dynamic::access_resource;
use crate::cluster::error::{chain, class, is_undecodable};
use crate::cluster::write::Created;
use crate::run::not_done::NotDone;

/// How often a write is judged again because its object has changed between the read and the write.
const JUDGED: usize = 3;

/// Why a query or an action of a guest has no result. `E` is the contract's error.
#[derive(Debug, PartialEq)]
pub(crate) enum StepError<E> {
    /// The guest is told of the error, and decides what to do.
    Guest(E),
    /// The wake ends.
    Stop(NotDone),
}

impl<E> From<NotDone> for StepError<E> {
    fn from(not_done: NotDone) -> Self {
        Self::Stop(not_done)
    }
}

impl<E> From<ContractViolation> for StepError<E> {
    fn from(violation: ContractViolation) -> Self {
        Self::Stop(violation.into())
    }
}

impl From<ReadError> for StepError<ReadError> {
    fn from(error: ReadError) -> Self {
        Self::Guest(error)
    }
}

impl From<WriteError> for StepError<WriteError> {
    fn from(error: WriteError) -> Self {
        Self::Guest(error)
    }
}

impl<E> StepError<E> {
    /// Returns the error for the guest.
    ///
    /// # Errors
    /// The wake ends.
    pub(crate) fn for_guest(self) -> Result<E, NotDone> {
        match self {
            Self::Guest(error) => Ok(error),
            Self::Stop(not_done) => Err(not_done),
        }
    }
}

/// Retries a call within the budget while its error is transient.
///
/// # Errors
/// The API server's.
pub(crate) async fn with_retries<T, F>(
    budget: &RetryBudget,
    mut call: impl FnMut() -> F,
) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let until = Instant::now() + budget.for_call();
    let (mut attempt, mut failed) = (0, None::<Instant>);
    loop {
        let done = call().await;
        if let Some(before) = failed.replace(Instant::now()) {
            budget.spend(before.elapsed());
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

/// Creates an object, or finds the one that has its name; tries again within the budget where that one disappears in between.
///
/// # Errors
/// The API server's.
pub(crate) async fn create_or_find<T, F, G>(
    budget: &RetryBudget,
    mut create: impl FnMut() -> F,
    mut find: impl FnMut() -> G,
) -> Result<Created<T>, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
    G: Future<Output = Result<T, kube::Error>>,
{
    let until = Instant::now() + budget.for_call();
    let mut attempt = 0;
    loop {
        let error = match with_retries(budget, &mut create).await {
            Ok(created) => return Ok(Created::New(created)),
            Err(error) if class(&error) == Class::AlreadyExists => error,
            Err(error) => return Err(error),
        };
        match with_retries(budget, &mut find).await {
            Ok(found) => return Ok(Created::Existing(found)),
            Err(gone) if class(&gone) == Class::NotFound && Instant::now() < until => {}
            Err(gone) if class(&gone) == Class::NotFound => return Err(error),
            Err(error) => return Err(error),
        }
        attempt += 1;
        tokio::time::sleep(retry::backoff(attempt)).await;
    }
}

/// Returns an object as the guest sees it: without `managedFields`, and a Secret without its content.
pub(crate) fn visible(object: &DynamicObject, access: &Access) -> Json {
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
    // Items of a list have no type.
    if json["kind"].is_null()
        && let Some(fields) = json.as_object_mut()
    {
        let resource = access_resource(access);
        fields.insert("apiVersion".to_owned(), resource.api_version.into());
        fields.insert("kind".to_owned(), resource.kind.into());
    }
    json
}

/// Returns whether a 404 is about the kind and not about the object.
pub(crate) fn is_unserved(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            status.details.as_ref().is_none_or(|details| details.name.is_empty())
        }
        _ => false,
    }
}

/// Returns what a failed read means to the guest.
pub(crate) fn read_error(error: &kube::Error) -> ReadError {
    match class(error) {
        _ if is_undecodable(error) => ReadError::TooLarge,
        Class::NotFound if is_unserved(error) => ReadError::NotServed,
        Class::NotFound => ReadError::NotFound,
        Class::RetryVisible => ReadError::Forbidden(chain(error)),
        _ => ReadError::Unavailable(chain(error)),
    }
}

/// Returns what a failed write means to the guest. `WriteError::AlreadyExists` needs the object and is decided elsewhere.
pub(crate) fn write_error(error: &kube::Error) -> WriteError {
    match class(error) {
        Class::NotFound if is_unserved(error) => WriteError::NotServed,
        Class::NotFound => WriteError::NotFound,
        Class::Conflict | Class::AlreadyExists => WriteError::Conflict(chain(error)),
        // An API server that takes the precondition on the uid for a change answers like this.
        Class::Refused if chain(error).contains("metadata.uid: Invalid value") => {
            WriteError::Conflict(chain(error))
        }
        Class::Refused => WriteError::Invalid(chain(error)),
        Class::RetryVisible => WriteError::Forbidden(chain(error)),
        Class::Retry { .. } => WriteError::Unavailable(chain(error)),
    }
}

/// Returns the size of a JSON value as text, in bytes.
pub(crate) fn size(json: &Json) -> usize {
    serde_json::to_vec(json).map_or(usize::MAX, |text| text.len())
}

/// Returns the object that a manifest names; `None` if it lacks apiVersion, kind or name.
pub(crate) fn named_in(manifest: &Json) -> Option<ObjectRef> {
    let text = |at: &str| manifest.pointer(at).and_then(Json::as_str).map(str::to_owned);
    Some(ObjectRef {
        api_version: text("/apiVersion")?,
        kind: text("/kind")?,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name").filter(|name| !name.is_empty())?,
    })
}

/// Writes over exactly the object that was judged. `known` is the object as this wake has seen it last, `read` returns it as it
/// is, `judge` decides by it, and `write` gets the decision and the resource version to insist on. The object is read if none is
/// known, or if the known one would be refused. After a conflict with another writer the object is read and judged again; the
/// guest is told of any other conflict.
///
/// A missing object has no version to insist on: one that is created between the read and the write is judged by the
/// manifest alone.
///
/// # Errors
/// Those of the three functions; a conflict if the object changes faster than it can be judged.
pub(crate) async fn write_as_judged<J, T, R, W>(
    known: Option<Json>,
    mut read: impl FnMut() -> R,
    mut judge: impl FnMut(Option<&Json>) -> Result<J, StepError<WriteError>>,
    mut write: impl FnMut(J, Option<String>) -> W,
) -> Result<T, StepError<WriteError>>
where
    R: Future<Output = Result<Option<Json>, WriteError>>,
    W: Future<Output = Result<T, WriteError>>,
{
    let mut refused: Option<(Option<String>, WriteError)> = None;
    let version_of = |o: &Json| o["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    if let Some(known) = known
        && let version @ Some(_) = version_of(&known)
        && let Ok(judged) = judge(Some(&known))
    {
        match write(judged, version.clone()).await {
            Err(conflict @ WriteError::Conflict(_)) => refused = Some((version, conflict)),
            done => return Ok(done?),
        }
    }
    for _ in 0..JUDGED {
        let before = read().await?;
        let version = before.as_ref().and_then(version_of);
        if let Some((known, conflict)) = refused.take()
            && known == version
        {
            return Err(conflict.into());
        }
        match write(judge(before.as_ref())?, version.clone()).await {
            Err(conflict @ WriteError::Conflict(_)) => refused = Some((version, conflict)),
            done => return Ok(done?),
        }
    }
    let never = || WriteError::Conflict("the object changes faster than it can be judged".to_owned());
    Err(refused.map_or_else(never, |(_, conflict)| conflict).into())
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
        written_by(None, versions, allowed).await
    }

    /// As [`written`], where this version is known already.
    async fn written_by(
        known: Option<u32>,
        versions: &[u32],
        allowed: impl Fn(&Json) -> bool,
    ) -> (Result<u32, WriteError>, Vec<String>) {
        let (reads, insisted) = (Cell::new(0), RefCell::new(Vec::new()));
        let done = write_as_judged(
            known.map(at),
            || {
                let version = versions[reads.replace(reads.get() + 1)];
                async move { Ok(Some(at(version))) }
            },
            |before| Ok(before.filter(|b| allowed(b)).map(|_| 7).ok_or(WriteError::NotFound)?),
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
        .map_err(|error| error.for_guest().expect("an error for the guest"));
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
    async fn what_this_wake_has_seen_is_judged_without_a_read_and_read_again_if_it_is_refused_or_has_changed()
    {
        assert_eq!(written_by(Some(3), &[], |_| true).await, (Ok(7), vec!["3".to_owned()]));
        let (done, insisted) = written_by(Some(2), &[3], |_| true).await;
        assert_eq!((done, insisted.len()), (Ok(7), 2), "it has changed");
        let (done, insisted) = written_by(Some(2), &[3], |object| *object == at(3)).await;
        assert_eq!((done, insisted), (Ok(7), vec!["3".to_owned()]), "it has become what is allowed");
        let (done, insisted) = written_by(Some(2), &[2], |_| true).await;
        let conflict = Err(WriteError::Conflict("changed".to_owned()));
        assert_eq!((done, insisted.len()), (conflict, 1), "no change is the reason");
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
        let json = visible(&secret, &access);
        assert!(!json.to_string().contains("hush"), "{json}");
        assert_eq!((&json["metadata"]["name"], &json["type"]), (&json!("s"), &json!("Opaque")));
    }
}
