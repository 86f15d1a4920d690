//! The guest's actions: each is checked, then done in order as the component.

use std::sync::atomic::{AtomicBool, Ordering};

use backstay_api::conditions::reasons;
use backstay_api::labels;
use backstay_core::contract::{
    Action, ActionResult, Apply, Create, Delete, Json, ObjectRef, Patch, Propagation, WriteError,
};
use backstay_core::pod_policy;
use backstay_core::retry::Class;
use backstay_core::steps::{Allowed, ContractViolation, Reach, Verb, has_marks, identity, merge_patch};
use kube::api::{DeleteParams, DynamicObject, Patch as Body, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::calls::{
    StepError, create_or_find, is_unserved, named_in, size, visible, with_retries, write_as_judged,
    write_error,
};
use super::observe::Seen;
use super::pods;
use super::scope::StepScope;
use crate::cluster::api::Api;
use crate::cluster::dynamic::{access_resource, api};
use crate::cluster::error::{ApiError, class};
use crate::cluster::write::Created;
use crate::run::not_done::{NotDone, findings_text};
use crate::state::step_cache::{StepCache, Written};

/// The object that an action has left, if it left one.
type Done = Result<Option<Json>, StepError<WriteError>>;

/// Bytes of the objects in the results of an act together: within what the contract lets a call take, beside the answers of
/// a wake.
const RESULTS: usize = 1 << 20;

/// Does the actions in order, and none after the first that fails.
///
/// # Errors
/// The guest broke the contract, or the wake cannot go on.
pub(crate) async fn act(
    actions: Vec<Action>,
    scope: &StepScope<'_>,
    cache: &mut StepCache,
    seen: &mut Seen,
) -> Result<Vec<ActionResult>, NotDone> {
    let mut results = Vec::with_capacity(actions.len());
    let mut failed = false;
    for action in actions {
        let object = subject(&action, scope)?;
        let value = if failed {
            Err(WriteError::NotTried)
        } else {
            let deleting = match &action {
                Action::Delete(delete) => Some(delete.uid.clone()),
                _ => None,
            };
            let value = match one(action, &object, scope, cache, seen).await {
                Ok(left) => Ok(left),
                Err(error) => Err(error.for_guest()?),
            };
            if let Ok(Some(written)) = &value {
                seen.latest.put(&object, written);
            }
            if let Some(left) = left(&value, deleting) {
                cache.written.insert(object.clone(), left);
            }
            value
        };
        failed |= value.is_err();
        results.push(ActionResult { object, value });
    }
    fit(&mut results);
    Ok(results)
}

/// Returns what a write has left, where it may have left something.
fn left(done: &Result<Option<Json>, WriteError>, deleting: Option<String>) -> Option<Written> {
    match (done, deleting) {
        (Ok(_), Some(uid)) => Some(Written::Deleted(uid)),
        (Ok(Some(written)), None) => {
            written["metadata"]["resourceVersion"].as_str().map(|version| Written::At(version.to_owned()))
        }
        (Err(WriteError::Unavailable(_)), _) => Some(Written::Unknown),
        _ => None,
    }
}

/// Reduces the objects that do not fit into the next call to their identity.
fn fit(results: &mut [ActionResult]) {
    let mut bytes = 0;
    for result in results {
        let (Ok(Some(object)) | Err(WriteError::AlreadyExists(object))) = &mut result.value else { continue };
        bytes += size(object);
        if bytes > RESULTS {
            bytes -= size(object);
            *object = identity(object);
            bytes += size(object);
        }
    }
}

fn subject(action: &Action, scope: &StepScope<'_>) -> Result<ObjectRef, ContractViolation> {
    let nameless = |what: &str| ContractViolation {
        reason: reasons::STRATEGY_BAD_ANSWER,
        message: format!("the manifest of {what} has no apiVersion, kind and metadata.name"),
    };
    match action {
        Action::Create(create) => named_in(&create.manifest).ok_or_else(|| nameless("create")),
        Action::Apply(apply) => named_in(&apply.manifest).ok_or_else(|| nameless("apply")),
        Action::Patch(patch) => Ok(patch.object.clone()),
        Action::Delete(delete) => Ok(delete.object.clone()),
        Action::RunPod(run) => Ok(pods::reference(&run.name, scope)),
    }
}

async fn one(
    action: Action,
    object: &ObjectRef,
    scope: &StepScope<'_>,
    cache: &mut StepCache,
    seen: &mut Seen,
) -> Done {
    match action {
        Action::Create(create) => self::create(create, object, scope).await,
        Action::Apply(apply) => self::apply(apply, object, scope, seen).await,
        Action::Patch(patch) => self::patch(patch, object, scope, seen).await,
        Action::Delete(delete) => self::delete(delete, scope, seen).await,
        Action::RunPod(run) => pods::start(run, scope, cache).await,
    }
}

fn reach<'a>(verb: Verb, object: &ObjectRef, scope: &StepScope<'a>) -> Result<Reach<'a>, ContractViolation> {
    scope.grants.reach(verb, &object.api_version, &object.kind, object.namespace.as_deref())
}

fn of(object: &ObjectRef, reach: &Reach<'_>, scope: &StepScope<'_>) -> Api<DynamicObject> {
    api(scope.as_component.clone(), object.namespace.as_deref(), &access_resource(reach.access()))
}

/// Returns the field manager of the component's writes.
fn manager(scope: &StepScope<'_>) -> String {
    format!("backstay-{}", scope.component())
}

fn dynamic(manifest: Json) -> Result<DynamicObject, WriteError> {
    serde_json::from_value(manifest)
        .map_err(|e| WriteError::Invalid(format!("the manifest does not decode: {e}")))
}

async fn create(create: Create, object: &ObjectRef, scope: &StepScope<'_>) -> Done {
    let verb = if create.dry_run { Verb::DryRun } else { Verb::Create };
    let reach = reach(verb, object, scope)?;
    let mut manifest = create.manifest;
    // The label by which the run owns the object.
    let Some(marks) = object_at(&mut manifest, "metadata").and_then(|meta| object_at(meta, "labels")) else {
        return Err(WriteError::Invalid("metadata.labels of the manifest is no object".to_owned()).into());
    };
    set_at(marks, labels::RUN_UID, &scope.run.uid);
    reach.allows(verb, &manifest, None, &manifest)?;
    judge_pods(object, &manifest, None, &manifest, scope)?;
    if create.dry_run && is_aggregated(object, scope).await? {
        let why = "the kind is served by an aggregated API, which may carry a dry run out";
        return Err(WriteError::Invalid(why.to_owned()).into());
    }
    let manifest = dynamic(manifest)?;
    let api = of(object, &reach, scope);
    let params = PostParams { dry_run: create.dry_run, field_manager: Some(manager(scope)) };
    let created = create_or_find(scope.budget, || api.create(&params, &manifest), || api.get(&object.name));
    match created.await.map_err(|e| write_error(&e))? {
        Created::New(_) if create.dry_run => Ok(None),
        Created::New(created) => Ok(Some(visible(&created, reach.access()))),
        Created::Existing(there) => {
            let there = visible(&there, reach.access());
            let ours = there["metadata"]["labels"].get(labels::RUN_UID) == Some(&json!(scope.run.uid));
            match (reach.shows(&there), ours) {
                (true, true) => Ok(Some(there)),
                (true, false) => Err(WriteError::AlreadyExists(there).into()),
                // The guest may know that the name is taken, but not by which object.
                (false, _) => Err(WriteError::AlreadyExists(identity(&there)).into()),
            }
        }
    }
}

/// Returns the object at a key, which is created if it is missing; `None` if the value there is no object.
fn object_at<'a>(parent: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    let child = parent.as_object_mut()?.entry(key).or_insert_with(|| json!({}));
    child.is_object().then_some(child)
}

/// Sets a key of an object to a text.
fn set_at(object: &mut Json, key: &str, text: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(key.to_owned(), json!(text));
    }
}

async fn is_aggregated(object: &ObjectRef, scope: &StepScope<'_>) -> Result<bool, NotDone> {
    let found = scope.cluster.discovery.is_aggregated(&scope.cluster.client, &object.api_version).await;
    Ok(found.map_err(|e| ApiError::new(format!("looking up who serves {}", object.api_version), e))?)
}

/// Returns the object as it is; `None` if it does not exist.
async fn present(
    object: &ObjectRef,
    reach: &Reach<'_>,
    scope: &StepScope<'_>,
) -> Result<Option<Json>, WriteError> {
    let api = of(object, reach, scope);
    match with_retries(scope.budget, || api.get(&object.name)).await {
        Ok(there) => Ok(Some(visible(&there, reach.access()))),
        Err(error) if class(&error) == Class::NotFound && !is_unserved(&error) => Ok(None),
        Err(error) => Err(write_error(&error)),
    }
}

/// Judges an apply or a patch by the object as it is, and sends it over exactly that object. `set` is the manifest or patch;
/// `send` gets the resource version to insist on.
async fn change<F>(
    verb: Verb,
    set: &Json,
    object: &ObjectRef,
    scope: &StepScope<'_>,
    seen: &mut Seen,
    mut send: impl FnMut(Api<DynamicObject>, Option<String>) -> F,
) -> Done
where
    F: Future<Output = Result<DynamicObject, kube::Error>>,
{
    let reach = reach(verb, object, scope)?;
    check_own_mark(verb, set, object, scope)?;
    let matters = reach.is_guarded() || has_marks(set) || pod_policy::holds_pods(object);
    let judge = |before: Option<&Json>| {
        let mut after = before.cloned().unwrap_or_default();
        merge_patch(&mut after, set);
        let allowed = reach.allows(verb, set, before, &after)?;
        match before {
            None if matters && verb == Verb::Patch => Err(WriteError::NotFound.into()),
            _ if allowed == Allowed::Hidden => Err(WriteError::NotFound.into()),
            Some(before) if scope.pins.marks(set, before) => {
                let message =
                    format!("{} {:?} is there already and is not this run's", object.kind, object.name);
                Err(WriteError::Conflict(message).into())
            }
            _ => Ok(judge_pods(object, set, before, &after, scope)?),
        }
    };
    let known = seen.latest.take(object).filter(|_| matters);
    let read = || async { if matters { present(object, &reach, scope).await } else { Ok(None) } };
    let write = |(), version: Option<String>| {
        let sent = send(of(object, &reach, scope), version);
        async {
            match sent.await {
                Ok(written) => Ok(Some(visible(&written, reach.access()))),
                Err(error) => Err(write_error(&error)),
            }
        }
    };
    write_as_judged(known, read, judge, write).await
}

/// Checks that a manifest or patch marks the object with this run, or with none: a run owns the objects with its mark.
fn check_own_mark(
    verb: Verb,
    set: &Json,
    object: &ObjectRef,
    scope: &StepScope<'_>,
) -> Result<(), ContractViolation> {
    let key = labels::RUN_UID;
    match set["metadata"]["labels"].get(key).filter(|mark| !mark.is_null()) {
        Some(mark) if *mark != json!(scope.run.uid) => Err(ContractViolation {
            reason: reasons::STRATEGY_BAD_ANSWER,
            message: format!(
                "{} by step marks {} {:?} with {key}={mark}, which is not the run",
                verb.as_str(),
                object.kind,
                object.name
            ),
        }),
        _ => Ok(()),
    }
}

/// Checks the pods that an object runs, if it is of a kind that runs pods, as the pods of the strategy itself.
fn judge_pods(
    object: &ObjectRef,
    set: &Json,
    before: Option<&Json>,
    after: &Json,
    scope: &StepScope<'_>,
) -> Result<(), NotDone> {
    let allowed = scope.registry.pods(scope.component());
    let violations = pod_policy::judge_change(object, set, before, after, allowed);
    if violations.is_empty() {
        return Ok(());
    }
    let (kind, name, findings) = (&object.kind, &object.name, findings_text(&violations));
    let message =
        format!("the pods of {kind} {name:?}, which the strategy writes, are not allowed: {findings}");
    Err(NotDone::failed(reasons::POD_POLICY_VIOLATION, message))
}

async fn apply(apply: Apply, object: &ObjectRef, scope: &StepScope<'_>, seen: &mut Seen) -> Done {
    let params = PatchParams { force: apply.force, ..PatchParams::apply(&manager(scope)) };
    change(Verb::Apply, &apply.manifest, object, scope, seen, |api, version| {
        let manifest = insisting(apply.manifest.clone(), version);
        let params = &params;
        async move {
            let body = Body::Apply(&manifest);
            with_retries(scope.budget, || api.patch(&object.name, params, &body)).await
        }
    })
    .await
}

async fn patch(patch: Patch, object: &ObjectRef, scope: &StepScope<'_>, seen: &mut Seen) -> Done {
    let mut body = patch.body.clone();
    for (field, precondition) in [("uid", &patch.uid), ("resourceVersion", &patch.resource_version)] {
        let Some(value) = precondition else { continue };
        let Some(meta) = object_at(&mut body, "metadata") else {
            return Err(WriteError::Invalid("metadata of the patch is no object".to_owned()).into());
        };
        set_at(meta, field, value);
    }
    let params = PatchParams { field_manager: Some(manager(scope)), ..PatchParams::default() };
    change(Verb::Patch, &patch.body, object, scope, seen, |api, version| {
        let body = insisting(body.clone(), version);
        let params = &params;
        async move {
            let body = Body::Merge(&body);
            with_retries(scope.budget, || api.patch(&object.name, params, &body)).await
        }
    })
    .await
}

/// Adds the resource version to insist on to a manifest or patch, unless the guest insists on one itself.
fn insisting(mut set: Json, version: Option<String>) -> Json {
    if let Some(version) = version
        && let Some(meta) = object_at(&mut set, "metadata")
        && meta.get("resourceVersion").is_none_or(Json::is_null)
    {
        set_at(meta, "resourceVersion", &version);
    }
    set
}

async fn delete(delete: Delete, scope: &StepScope<'_>, seen: &mut Seen) -> Done {
    let object = &delete.object;
    let known = seen.latest.take(object);
    // What was seen earlier in this wake counts only as long as it has not changed.
    let by_known = AtomicBool::new(known.is_some());
    let live = &seen.live;
    let either = reach(Verb::Delete, object, scope).or_else(|_| reach(Verb::Purge, object, scope))?;
    let judge = |before: Option<&Json>| {
        let Some(before) = before.filter(|o| o["metadata"]["uid"].as_str() == Some(delete.uid.as_str()))
        else {
            return Err(WriteError::NotFound.into());
        };
        let own = scope.pins.own(before) && reach(Verb::Delete, object, scope).is_ok();
        let verb = if own { Verb::Delete } else { Verb::Purge };
        let reach = reach(verb, object, scope)?;
        if verb == Verb::Purge && !live.contains(&delete.uid) {
            let violation = ContractViolation {
                reason: reasons::STRATEGY_BAD_ANSWER,
                message: format!(
                    "step deletes {} {:?} with uid {:?}, which is not the run's own and was not read live in this wake",
                    object.kind, object.name, delete.uid
                ),
            };
            return Err(violation.into());
        }
        if reach.shows(before) { Ok((verb, reach)) } else { Err(WriteError::NotFound.into()) }
    };
    let read = || {
        by_known.store(false, Ordering::Relaxed);
        present(object, &either, scope)
    };
    let write = |(verb, reach), version| {
        remove(&delete, verb, reach, version, by_known.load(Ordering::Relaxed), scope)
    };
    write_as_judged(known, read, judge, write).await
}

async fn remove(
    delete: &Delete,
    verb: Verb,
    reach: Reach<'_>,
    version: Option<String>,
    insists: bool,
    scope: &StepScope<'_>,
) -> Result<Option<Json>, WriteError> {
    let object = &delete.object;
    if verb == Verb::Purge {
        check_purge_granted(object, &reach, scope).await?;
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(delete.uid.clone()),
            resource_version: delete
                .resource_version
                .clone()
                .or(version.filter(|_| insists || reach.is_guarded())),
        }),
        ..match delete.propagation {
            Propagation::Background => DeleteParams::background(),
            Propagation::Foreground => DeleteParams::foreground(),
            Propagation::Orphan => DeleteParams::orphan(),
        }
    };
    let api = of(object, &reach, scope);
    with_retries(scope.budget, || api.delete(&object.name, &params)).await.map_err(|e| write_error(&e))?;
    tracing::info!(run = %scope.run.title(), component = scope.component(), verb = verb.as_str(), kind = %object.kind,
        name = %object.name, uid = %delete.uid, "object deleted for a strategy");
    Ok(None)
}

/// Checks that the component's account may purge: besides `delete` it needs the verb `purge` on the resource, which means
/// nothing to Kubernetes and is asked for here.
async fn check_purge_granted(
    object: &ObjectRef,
    reach: &Reach<'_>,
    scope: &StepScope<'_>,
) -> Result<(), WriteError> {
    use k8s_openapi::api::authorization::v1::{
        ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    };
    let access = reach.access();
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(access.group.clone()),
                version: Some(access.version.clone()),
                resource: Some(access.plural.clone()),
                namespace: object.namespace.clone(),
                name: Some(object.name.clone()),
                verb: Some("purge".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api = kube::Api::<SelfSubjectAccessReview>::all(scope.as_component.clone());
    let params = PostParams::default();
    let answer =
        with_retries(scope.budget, || api.create(&params, &review)).await.map_err(|e| write_error(&e))?;
    if answer.status.is_some_and(|s| s.allowed) {
        return Ok(());
    }
    Err(WriteError::Forbidden(format!(
        "the component may not purge {} in namespace {:?}: grant its ServiceAccount the verb \"purge\" on them",
        access.plural,
        object.namespace.as_deref().unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_leaves_its_version_a_deletion_or_something_unknown() {
        let written = || Ok(Some(json!({"metadata": {"resourceVersion": "7"}})));
        assert!(matches!(left(&written(), None), Some(Written::At(version)) if version == "7"));
        let deleted = left(&Ok(None), Some("u".into()));
        assert!(matches!(deleted, Some(Written::Deleted(uid)) if uid == "u"));
        let unavailable = || Err(WriteError::Unavailable("cut".into()));
        for deleting in [None, Some("u".to_owned())] {
            assert!(matches!(left(&unavailable(), deleting.clone()), Some(Written::Unknown)));
            assert!(left(&Err(WriteError::NotFound), deleting).is_none(), "it has left nothing");
        }
        assert!(left(&Ok(None), None).is_none(), "a dry run leaves nothing");
    }

    #[test]
    fn objects_that_do_not_fit_into_the_next_call_are_reduced_to_their_identity() {
        let object = |name: &str, bytes: usize| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "uid": "u"},
                "data": {"text": "x".repeat(bytes)}})
        };
        let result = |object: Json, new: bool| ActionResult {
            object: named_in(&object).unwrap(),
            value: if new { Ok(Some(object)) } else { Err(WriteError::AlreadyExists(object)) },
        };
        let mut results = [
            result(object("a", RESULTS / 2), true),
            result(object("b", RESULTS / 2), true),
            result(object("c", RESULTS), false),
            result(object("d", 10), true),
        ];
        fit(&mut results);
        let whole = |result: &ActionResult| match &result.value {
            Ok(Some(object)) | Err(WriteError::AlreadyExists(object)) => {
                assert_eq!(object["metadata"]["uid"], json!("u"));
                !object["data"].is_null()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(results.each_ref().map(whole), [true, false, false, true]);
        assert!(
            results.iter().filter_map(|r| r.value.as_ref().ok()?.as_ref()).map(size).sum::<usize>()
                <= RESULTS
        );
    }

    #[test]
    fn a_write_insists_on_the_version_of_the_guest_or_else_on_the_one_that_was_judged() {
        let version = |set: Json, judged: Option<&str>| {
            insisting(set, judged.map(str::to_owned))["metadata"]["resourceVersion"].clone()
        };
        assert_eq!(version(json!({}), Some("7")), json!("7"));
        assert_eq!(version(json!({"metadata": {"resourceVersion": null}}), Some("7")), json!("7"));
        assert_eq!(version(json!({"metadata": {"resourceVersion": "5"}}), Some("7")), json!("5"));
        assert_eq!(version(json!({"metadata": {}}), None), Json::Null);
    }

    #[test]
    fn a_key_is_an_object_or_becomes_one_where_it_is_missing() {
        assert_eq!(object_at(&mut json!({}), "metadata"), Some(&mut json!({})));
        assert_eq!(object_at(&mut json!({"metadata": {"a": 1}}), "metadata"), Some(&mut json!({"a": 1})));
        assert_eq!(object_at(&mut json!({"metadata": "text"}), "metadata"), None);
        assert_eq!(object_at(&mut json!("text"), "metadata"), None);
    }
}
