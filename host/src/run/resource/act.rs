//! The guest's actions, done in order as the component, each checked first.

use backstay_api::labels;
use backstay_core::contract::{
    Action, ActionResult, Apply, Create, Delete, Json, ObjectRef, Patch, Propagation, WriteError,
};
use backstay_core::resource::{Breach, Reach, Verb, merge_patch};
use backstay_core::retry::Class;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch as Body, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::api::{Made, api, make_or_find, named_in, patiently, resource, shown, write_error};
use super::memory::Memory;
use super::observe::{Seen, is_own};
use super::pods;
use super::scene::Scene;
use crate::api_error::class;
use crate::run::Halt;

type Done = Result<Option<Json>, WriteError>;

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
        let (object, value) = if failed {
            (subject(&action, scene)?, Err(WriteError::NotTried))
        } else {
            one(action, scene, seen).await?
        };
        if let Ok(Some(written)) = &value
            && let Some(version) = written["metadata"]["resourceVersion"].as_str()
        {
            memory.written.insert(object.clone(), version.to_owned());
        }
        failed |= value.is_err();
        results.push(ActionResult { object, value });
    }
    Ok(results)
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

async fn one(action: Action, scene: &Scene<'_>, seen: &Seen) -> Result<(ObjectRef, Done), Halt> {
    let object = subject(&action, scene)?;
    let done = match action {
        Action::Create(create) => self::create(create, &object, scene).await?,
        Action::Apply(apply) => self::apply(apply, &object, scene).await?,
        Action::Patch(patch) => self::patch(patch, &object, scene).await?,
        Action::Delete(delete) => self::delete(delete, scene, seen).await?,
        Action::RunPod(run) => pods::start(run, scene).await?,
    };
    Ok((object, done))
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
    reach.allows(verb, &manifest, &manifest)?;
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
            if ours { Ok(Some(there)) } else { Err(WriteError::AlreadyExists(there)) }
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

/// The object as it is, where a guard says something about it: `Null` if none does or if it is not there. `Err` answers
/// the guest.
async fn present(object: &ObjectRef, reach: &Reach<'_>, scene: &Scene<'_>) -> Result<Json, WriteError> {
    if !reach.is_guarded() {
        return Ok(Json::Null);
    }
    let api = of(object, reach, scene);
    match patiently(|| api.get(&object.name)).await {
        Ok(there) => {
            let there = shown(&there, reach.access());
            if reach.shows(&there) { Ok(there) } else { Err(WriteError::NotFound) }
        }
        Err(error) if class(&error) == Class::NotFound => Ok(Json::Null),
        Err(error) => Err(write_error(&error)),
    }
}

async fn apply(apply: Apply, object: &ObjectRef, scene: &Scene<'_>) -> Result<Done, Halt> {
    let reach = reach(Verb::Apply, object, scene)?;
    if let Some(mark) = apply.manifest["metadata"]["labels"].get(labels::RUN_UID)
        && let Some(refused) = not_to_be_marked(mark, object, &reach, scene).await?
    {
        return Ok(Err(refused));
    }
    let mut whole = match present(object, &reach, scene).await {
        Ok(there) => there,
        Err(error) => return Ok(Err(error)),
    };
    merge_patch(&mut whole, &apply.manifest);
    reach.allows(Verb::Apply, &apply.manifest, &whole)?;
    let params = PatchParams { force: apply.force, ..PatchParams::apply(&manager(scene)) };
    let api = of(object, &reach, scene);
    let body = Body::Apply(&apply.manifest);
    Ok(match patiently(|| api.patch(&object.name, &params, &body)).await {
        Ok(written) => Ok(Some(shown(&written, reach.access()))),
        Err(error) => Err(write_error(&error)),
    })
}

/// By its mark a run owns what it makes, and nothing that was there before: what it owns it may delete.
async fn not_to_be_marked(
    mark: &Json,
    object: &ObjectRef,
    reach: &Reach<'_>,
    scene: &Scene<'_>,
) -> Result<Option<WriteError>, Halt> {
    if *mark != json!(scene.run.uid) {
        return Err(Breach {
            reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER,
            message: format!(
                "step marks {} {:?} with {}={mark}, which is not the run",
                object.kind,
                object.name,
                labels::RUN_UID
            ),
        }
        .into());
    }
    let api = of(object, reach, scene);
    Ok(match patiently(|| api.get(&object.name)).await {
        Ok(there) if scene.pins.own(&shown(&there, reach.access())) => None,
        Ok(_) => Some(WriteError::Conflict(format!(
            "{} {:?} is there already and is not this run's",
            object.kind, object.name
        ))),
        Err(error) if class(&error) == Class::NotFound => None,
        Err(error) => Some(write_error(&error)),
    })
}

async fn patch(patch: Patch, object: &ObjectRef, scene: &Scene<'_>) -> Result<Done, Halt> {
    let reach = reach(Verb::Patch, object, scene)?;
    let mut whole = match present(object, &reach, scene).await {
        Ok(Json::Null) if reach.is_guarded() => return Ok(Err(WriteError::NotFound)),
        Ok(there) => there,
        Err(error) => return Ok(Err(error)),
    };
    merge_patch(&mut whole, &patch.body);
    reach.allows(Verb::Patch, &patch.body, &whole)?;
    let mut body = patch.body;
    for (field, precondition) in [("uid", &patch.uid), ("resourceVersion", &patch.resource_version)] {
        let Some(value) = precondition else { continue };
        let Some(meta) = object_at(&mut body, "metadata") else {
            return Ok(Err(WriteError::Invalid("metadata of the patch is no object".to_owned())));
        };
        meta[field] = json!(value);
    }
    let params = PatchParams { field_manager: Some(manager(scene)), ..PatchParams::default() };
    let (api, body) = (of(object, &reach, scene), Body::Merge(&body));
    Ok(match patiently(|| api.patch(&object.name, &params, &body)).await {
        Ok(written) => Ok(Some(shown(&written, reach.access()))),
        Err(error) => Err(write_error(&error)),
    })
}

async fn delete(delete: Delete, scene: &Scene<'_>, seen: &Seen) -> Result<Done, Halt> {
    let object = &delete.object;
    let either = reach(Verb::Delete, object, scene).or_else(|_| reach(Verb::Purge, object, scene))?;
    let own = match seen.live.get(&delete.uid) {
        Some(own) => *own,
        None => match is_own(object, &delete.uid, &either, scene).await {
            Ok(Some(own)) => own,
            Ok(None) => return Ok(Err(WriteError::NotFound)),
            Err(error) => return Ok(Err(write_error(&error))),
        },
    };
    let verb = if own && reach(Verb::Delete, object, scene).is_ok() { Verb::Delete } else { Verb::Purge };
    let reach = reach(verb, object, scene)?;
    if verb == Verb::Purge {
        if !seen.live.contains_key(&delete.uid) {
            return Err(Breach {
                reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER,
                message: format!(
                    "step deletes {} {:?} with uid {:?}, which is not the run's own and was not read live in this wake",
                    object.kind, object.name, delete.uid
                ),
            }
            .into());
        }
        if let Some(refused) = not_granted(object, &reach, scene).await {
            return Ok(Err(refused));
        }
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(delete.uid.clone()),
            resource_version: delete.resource_version.clone(),
        }),
        ..match delete.propagation {
            Propagation::Background => DeleteParams::background(),
            Propagation::Foreground => DeleteParams::foreground(),
            Propagation::Orphan => DeleteParams::orphan(),
        }
    };
    let api = of(object, &reach, scene);
    Ok(match patiently(|| api.delete(&object.name, &params)).await {
        Ok(_) => {
            tracing::info!(run = %scene.run.title(), component = scene.component(), verb = verb.as_str(), kind = %object.kind,
                name = %object.name, uid = %delete.uid, "object deleted for a strategy");
            Ok(None)
        }
        Err(error) => Err(write_error(&error)),
    })
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
