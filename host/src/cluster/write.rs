//! Writes of the controller: the field manager under which the API server keeps each field, and the two patterns that every
//! kind needs.

use backstay_core::retry::Class;
use backstay_core::status::merge_diff;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde::Serialize;
use serde_json::json;

use super::api::Api;
use super::error::class;
use super::partial::PartialDecode;

/// The field manager.
pub(crate) const FIELD_MANAGER: &str = "backstay";

/// Parameters of a patch by the controller.
pub(crate) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Parameters of a create or replace by the controller.
pub(crate) fn post_params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Parameters of a delete of the object with this uid, and of no other that has its name.
pub(crate) fn delete_params(uid: Option<String>) -> DeleteParams {
    let preconditions = Some(Preconditions { uid, resource_version: None });
    DeleteParams { preconditions, ..DeleteParams::default() }
}

/// See [`create_or_get`].
pub(crate) enum Created<T> {
    /// The call created the object.
    New(T),
    /// An object of this name existed.
    Existing(T),
}

/// Creates an object, or returns the one that has its name.
///
/// # Errors
/// The API server's. An object that disappears between the two calls is the error of the first one, `AlreadyExists`: the
/// caller tries again.
pub(crate) async fn create_or_get<T, G>(
    create: impl Future<Output = Result<T, kube::Error>>,
    get: impl FnOnce() -> G,
) -> Result<Created<T>, kube::Error>
where
    G: Future<Output = Result<Option<T>, kube::Error>>,
{
    match create.await {
        Ok(created) => Ok(Created::New(created)),
        Err(error) if class(&error) == Class::AlreadyExists => {
            get().await?.map(Created::Existing).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

/// Patches the status of an object from `stored` to `wanted`, and returns the object; `None` if they are equal and nothing
/// was sent. With `version`, the API server answers a conflict if the object has changed since.
///
/// # Errors
/// The API server's.
pub(crate) async fn patch_status<K>(
    api: &Api<K>,
    name: &str,
    version: Option<&str>,
    stored: &impl Serialize,
    wanted: &impl Serialize,
) -> Result<Option<K>, kube::Error>
where
    K: PartialDecode,
{
    let Some(patch) = status_patch(version, stored, wanted) else { return Ok(None) };
    api.patch_status(name, &patch_params(), &patch).await.map(Some)
}

/// The body of [`patch_status`].
pub(crate) fn status_patch(
    version: Option<&str>,
    stored: &impl Serialize,
    wanted: &impl Serialize,
) -> Option<Patch<serde_json::Value>> {
    // Serialising plain data cannot fail.
    let value = |status: Result<_, _>| status.unwrap_or_default();
    let (stored, wanted) = (value(serde_json::to_value(stored)), value(serde_json::to_value(wanted)));
    let difference = merge_diff(&stored, &wanted)?;
    Some(Patch::Merge(match version {
        Some(version) => json!({"metadata": {"resourceVersion": version}, "status": difference}),
        None => json!({ "status": difference }),
    }))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16, reason: &str) -> kube::Error {
        kube::Error::Api(Status::failure("no", reason).with_code(code).boxed())
    }

    async fn tried(
        created: Result<u8, kube::Error>,
        found: Result<Option<u8>, kube::Error>,
    ) -> Result<(&'static str, u8), Class> {
        match create_or_get(async { created }, || async { found }).await {
            Ok(Created::New(n)) => Ok(("new", n)),
            Ok(Created::Existing(n)) => Ok(("existing", n)),
            Err(error) => Err(class(&error)),
        }
    }

    #[tokio::test]
    async fn an_object_is_created_or_found() {
        let exists = || Err(answer(409, "AlreadyExists"));
        assert_eq!(tried(Ok(1), Ok(Some(2))).await, Ok(("new", 1)));
        assert_eq!(tried(exists(), Ok(Some(2))).await, Ok(("existing", 2)));
        assert_eq!(tried(exists(), Ok(None)).await, Err(Class::AlreadyExists), "it disappeared in between");
        assert_eq!(tried(Err(answer(403, "Forbidden")), Ok(Some(2))).await, Err(Class::RetryVisible));
    }

    #[test]
    fn a_status_patch_names_only_what_changed() {
        let (stored, wanted) = (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}));
        let body = |version| match status_patch(version, &stored, &wanted) {
            Some(Patch::Merge(body)) => body,
            other => panic!("{other:?}"),
        };
        assert_eq!(body(None), json!({"status": {"b": 3}}));
        assert_eq!(body(Some("7")), json!({"metadata": {"resourceVersion": "7"}, "status": {"b": 3}}));
        assert!(status_patch(None, &stored, &stored).is_none());
    }
}
