//! The guest's actions, done in order as the component, each checked first.

use backstay_api::labels;
use backstay_core::contract::{
    Action, ActionResult, Apply, Create, Delete, Json, ObjectRef, Patch, Propagation, WriteError,
};
use backstay_core::resource::{Allowed, Breach, Reach, Verb, has_marks, identity, merge_patch};
use backstay_core::retry::Class;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch as Body, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::api::{
    Made, api, is_unserved, make_or_find, named_in, over_what_was_judged, patiently, resource, shown, size,
    write_error,
};
use super::memory::{Memory, Written};
use super::observe::Seen;
use super::pods;
use super::scene::Scene;
use crate::api_error::class;
use crate::run::Halt;

type Done = Result<Option<Json>, WriteError>;

/// Bytes of the objects in the results of an act together: within what the contract lets a call take, beside the answers of
/// a wake.
const RESULTS: usize = 1 << 20;

/// Does them in order, and none after the first that fails.
pub(super) async fn act(
    actions: Vec<Action>,
    scene: &Scene<'_>,
    memory: &mut Memory,
    seen: &Seen,
) -> Result<Vec<ActionResult>, Halt> {
    let mut results = Vec::with_capacity(actions.len());
    let mut failed = false;
    for action in actions {
        let object = subject(&action, scene)?;
        let value = if failed {
            Err(WriteError::NotTried)
        } else {
            let deleting = match &action {
                Action::Delete(delete) => Some(delete.uid.clone()),
                _ => None,
            };
            let value = one(action, &object, scene, seen).await?;
            if let Some(left) = left(&value, deleting) {
                memory.written.insert(object.clone(), left);
            }
            value
        };
        failed |= value.is_err();
        results.push(ActionResult { object, value });
    }
    fit(&mut results);
    Ok(results)
}

/// What a write has left, where it may have left something.
fn left(done: &Done, deleting: Option<String>) -> Option<Written> {
    match (done, deleting) {
        (Ok(_), Some(uid)) => Some(Written::Deleted(uid)),
        (Ok(Some(written)), None) => {
            written["metadata"]["resourceVersion"].as_str().map(|version| Written::At(version.to_owned()))
        }
        (Err(WriteError::Unavailable(_)), _) => Some(Written::Unknown),
        _ => None,
    }
}

/// What does not fit into a call beside everything else is cut down to which object it is.
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

fn subject(action: &Action, scene: &Scene<'_>) -> Result<ObjectRef, Breach> {
    let nameless = |what: &str| Breach {
        reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER,
        message: format!("the manifest of {what} has no apiVersion, kind and metadata.name"),
    };
    match action {
        Action::Create(create) => named_in(&create.manifest).ok_or_else(|| nameless("create")),
        Action::Apply(apply) => named_in(&apply.manifest).ok_or_else(|| nameless("apply")),
        Action::Patch(patch) => Ok(patch.object.clone()),
        Action::Delete(delete) => Ok(delete.object.clone()),
        Action::RunPod(run) => Ok(pods::reference(&run.name, scene)),
    }
}

async fn one(action: Action, object: &ObjectRef, scene: &Scene<'_>, seen: &Seen) -> Result<Done, Halt> {
    match action {
        Action::Create(create) => self::create(create, object, scene).await,
        Action::Apply(apply) => self::apply(apply, object, scene).await,
        Action::Patch(patch) => self::patch(patch, object, scene).await,
        Action::Delete(delete) => self::delete(delete, scene, seen).await,
        Action::RunPod(run) => pods::start(run, scene).await,
    }
}

fn reach<'a>(verb: Verb, object: &ObjectRef, scene: &Scene<'a>) -> Result<Reach<'a>, Breach> {
    scene.grants.reach(verb, &object.api_version, &object.kind, object.namespace.as_deref())
}

fn of(object: &ObjectRef, reach: &Reach<'_>, scene: &Scene<'_>) -> Api<DynamicObject> {
    api(scene.client.clone(), object.namespace.as_deref(), &resource(reach.access()))
}

/// Field manager of what a component applies and patches.
fn manager(scene: &Scene<'_>) -> String {
    format!("backstay-{}", scene.component())
}

fn dynamic(manifest: Json) -> Result<DynamicObject, WriteError> {
    serde_json::from_value(manifest)
        .map_err(|e| WriteError::Invalid(format!("the manifest does not decode: {e}")))
}

async fn create(create: Create, object: &ObjectRef, scene: &Scene<'_>) -> Result<Done, Halt> {
    let verb = if create.dry_run { Verb::DryRun } else { Verb::Create };
    let reach = reach(verb, object, scene)?;
    let mut manifest = create.manifest;
    // The mark by which the run owns it.
    let Some(marks) = object_at(&mut manifest, "metadata").and_then(|meta| object_at(meta, "labels")) else {
        return Ok(Err(WriteError::Invalid("metadata.labels of the manifest is no object".to_owned())));
    };
    marks[labels::RUN_UID] = json!(scene.run.uid);
    reach.allows(verb, &manifest, None, &manifest)?;
    if create.dry_run && is_aggregated(object, scene).await? {
        let why = "the kind is served by an aggregated API, which may carry a dry run out";
        return Ok(Err(WriteError::Invalid(why.to_owned())));
    }
    let manifest = match dynamic(manifest) {
        Ok(manifest) => manifest,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let api = of(object, &reach, scene);
    let params = PostParams { dry_run: create.dry_run, field_manager: Some(manager(scene)) };
    Ok(match make_or_find(|| api.create(&params, &manifest), || api.get(&object.name)).await {
        Ok(Made::New(_)) if create.dry_run => Ok(None),
        Ok(Made::New(made)) => Ok(Some(shown(&made, reach.access()))),
        Ok(Made::Found(there)) => {
            let there = shown(&there, reach.access());
            let ours = there["metadata"]["labels"][labels::RUN_UID] == json!(scene.run.uid);
            match (reach.shows(&there), ours) {
                (true, true) => Ok(Some(there)),
                (true, false) => Err(WriteError::AlreadyExists(there)),
                // That the name is taken is no secret; what has it is.
                (false, _) => Err(WriteError::AlreadyExists(identity(&there))),
            }
        }
        Err(error) => Err(write_error(&error)),
    })
}

/// The object at a key, made where there is none; `None` where something else is there.
fn object_at<'a>(parent: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    let child = parent.as_object_mut()?.entry(key).or_insert_with(|| json!({}));
    child.is_object().then_some(child)
}

async fn is_aggregated(object: &ObjectRef, scene: &Scene<'_>) -> Result<bool, Halt> {
    let found = scene.ctx.discovery.is_aggregated(&scene.ctx.client, &object.api_version).await;
    Ok(found.map_err(|e| {
        crate::api_error::ApiError::new(format!("looking up who serves {}", object.api_version), e)
    })?)
}

/// The object as it is; `None` if it is not there. `Err` answers the guest.
async fn present(
    object: &ObjectRef,
    reach: &Reach<'_>,
    scene: &Scene<'_>,
) -> Result<Option<Json>, WriteError> {
    let api = of(object, reach, scene);
    match patiently(|| api.get(&object.name)).await {
        Ok(there) => Ok(Some(shown(&there, reach.access()))),
        Err(error) if class(&error) == Class::NotFound && !is_unserved(&error) => Ok(None),
        Err(error) => Err(write_error(&error)),
    }
}

/// Judges an apply or a patch by the object as it is, and sends it over exactly that one. `set` is what it sets; `send` is
/// told the resource version to insist on.
async fn change<F>(
    verb: Verb,
    set: &Json,
    object: &ObjectRef,
    scene: &Scene<'_>,
    mut send: impl FnMut(Api<DynamicObject>, Option<String>) -> F,
) -> Result<Done, Halt>
where
    F: Future<Output = Result<DynamicObject, kube::Error>>,
{
    let reach = reach(verb, object, scene)?;
    is_own_mark(verb, set, object, scene)?;
    let matters = reach.is_guarded() || has_marks(set);
    let judge = |before: Option<&Json>| {
        let mut after = before.cloned().unwrap_or_default();
        merge_patch(&mut after, set);
        let allowed = reach.allows(verb, set, before, &after)?;
        Ok(match before {
            None if matters && verb == Verb::Patch => Err(WriteError::NotFound),
            _ if allowed == Allowed::Hidden => Err(WriteError::NotFound),
            Some(before) if scene.pins.marks(set, before) => Err(WriteError::Conflict(format!(
                "{} {:?} is there already and is not this run's",
                object.kind, object.name
            ))),
            _ => Ok(()),
        })
    };
    let read = || async { if matters { present(object, &reach, scene).await } else { Ok(None) } };
    let write = |(), version: Option<String>| {
        let sent = send(of(object, &reach, scene), version);
        async {
            match sent.await {
                Ok(written) => Ok(Some(shown(&written, reach.access()))),
                Err(error) => Err(write_error(&error)),
            }
        }
    };
    Ok(over_what_was_judged(read, judge, write).await?)
}

/// By its mark a run owns what it makes: it sets its own and nobody else's.
fn is_own_mark(verb: Verb, set: &Json, object: &ObjectRef, scene: &Scene<'_>) -> Result<(), Breach> {
    let key = labels::RUN_UID;
    match set["metadata"]["labels"].get(key).filter(|mark| !mark.is_null()) {
        Some(mark) if *mark != json!(scene.run.uid) => Err(Breach {
            reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER,
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

async fn apply(apply: Apply, object: &ObjectRef, scene: &Scene<'_>) -> Result<Done, Halt> {
    let params = PatchParams { force: apply.force, ..PatchParams::apply(&manager(scene)) };
    change(Verb::Apply, &apply.manifest, object, scene, |api, version| {
        let manifest = insisting(apply.manifest.clone(), version);
        let params = &params;
        async move {
            let body = Body::Apply(&manifest);
            patiently(|| api.patch(&object.name, params, &body)).await
        }
    })
    .await
}

async fn patch(patch: Patch, object: &ObjectRef, scene: &Scene<'_>) -> Result<Done, Halt> {
    let mut body = patch.body.clone();
    for (field, precondition) in [("uid", &patch.uid), ("resourceVersion", &patch.resource_version)] {
        let Some(value) = precondition else { continue };
        let Some(meta) = object_at(&mut body, "metadata") else {
            return Ok(Err(WriteError::Invalid("metadata of the patch is no object".to_owned())));
        };
        meta[field] = json!(value);
    }
    let params = PatchParams { field_manager: Some(manager(scene)), ..PatchParams::default() };
    change(Verb::Patch, &patch.body, object, scene, |api, version| {
        let body = insisting(body.clone(), version);
        let params = &params;
        async move {
            let body = Body::Merge(&body);
            patiently(|| api.patch(&object.name, params, &body)).await
        }
    })
    .await
}

/// What is written, with a resource version to insist on; one that the guest insists on stays.
fn insisting(mut set: Json, version: Option<String>) -> Json {
    if let Some(version) = version
        && let Some(meta) = object_at(&mut set, "metadata")
        && meta.get("resourceVersion").is_none_or(Json::is_null)
    {
        meta["resourceVersion"] = json!(version);
    }
    set
}

async fn delete(delete: Delete, scene: &Scene<'_>, seen: &Seen) -> Result<Done, Halt> {
    let object = &delete.object;
    let either = reach(Verb::Delete, object, scene).or_else(|_| reach(Verb::Purge, object, scene))?;
    let judge = |before: Option<&Json>| {
        let Some(before) = before.filter(|o| o["metadata"]["uid"].as_str() == Some(delete.uid.as_str()))
        else {
            return Ok(Err(WriteError::NotFound));
        };
        let own = scene.pins.own(before) && reach(Verb::Delete, object, scene).is_ok();
        let verb = if own { Verb::Delete } else { Verb::Purge };
        let reach = reach(verb, object, scene)?;
        if verb == Verb::Purge && !seen.live.contains(&delete.uid) {
            return Err(Breach {
                reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER,
                message: format!(
                    "step deletes {} {:?} with uid {:?}, which is not the run's own and was not read live in this wake",
                    object.kind, object.name, delete.uid
                ),
            });
        }
        Ok(if reach.shows(before) { Ok((verb, reach)) } else { Err(WriteError::NotFound) })
    };
    let read = || present(object, &either, scene);
    let write = |(verb, reach), version| remove(&delete, verb, reach, version, scene);
    Ok(over_what_was_judged(read, judge, write).await?)
}

async fn remove(
    delete: &Delete,
    verb: Verb,
    reach: Reach<'_>,
    version: Option<String>,
    scene: &Scene<'_>,
) -> Done {
    let object = &delete.object;
    if verb == Verb::Purge
        && let Some(refused) = not_granted(object, &reach, scene).await
    {
        return Err(refused);
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(delete.uid.clone()),
            resource_version: delete.resource_version.clone().or(version.filter(|_| reach.is_guarded())),
        }),
        ..match delete.propagation {
            Propagation::Background => DeleteParams::background(),
            Propagation::Foreground => DeleteParams::foreground(),
            Propagation::Orphan => DeleteParams::orphan(),
        }
    };
    let api = of(object, &reach, scene);
    match patiently(|| api.delete(&object.name, &params)).await {
        Ok(_) => {
            tracing::info!(run = %scene.run.title(), component = scene.component(), verb = verb.as_str(), kind = %object.kind,
                name = %object.name, uid = %delete.uid, "object deleted for a strategy");
            Ok(None)
        }
        Err(error) => Err(write_error(&error)),
    }
}

/// Purging is a grant of its own: besides `delete`, the component's account needs the verb `purge` on the resource, which
/// means nothing to Kubernetes and is asked for here.
async fn not_granted(object: &ObjectRef, reach: &Reach<'_>, scene: &Scene<'_>) -> Option<WriteError> {
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
    let api: Api<SelfSubjectAccessReview> = Api::all(scene.client.clone());
    let params = PostParams::default();
    match patiently(|| api.create(&params, &review)).await {
        Ok(answer) if answer.status.as_ref().is_some_and(|s| s.allowed) => None,
        Ok(_) => Some(WriteError::Forbidden(format!(
            "the component may not purge {} in namespace {:?}: grant its ServiceAccount the verb \"purge\" on them",
            access.plural,
            object.namespace.as_deref().unwrap_or_default()
        ))),
        Err(error) => Some(write_error(&error)),
    }
}
