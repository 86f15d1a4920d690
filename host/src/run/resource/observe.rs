//! The guest's questions, answered: each is checked against what the component declared, then read as the component.

use std::collections::HashMap;

use backstay_core::contract::{
    Answer, Content, GetQuery, Json, ListQuery, LogQuery, NamespacedName, ObjectList, ObjectRef, Query,
    ReadError,
};
use backstay_core::resource::{Breach, Reach, Verb, projected};
use backstay_core::retry::Class;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};

use super::api::{api, patiently, read_error, resource, shown, shown_by_watch};
use super::memory::Memory;
use super::pods;
use super::scene::Scene;
use crate::api_error::class;
use crate::interests::{Interest, Which, is_older};
use crate::run::Halt;

/// Bytes of one object, and of all answers of a wake together: within what the contract lets a call take.
const OBJECT: usize = 1 << 20;
const ANSWERS: usize = 6 << 20;
/// Bytes of a log.
const LOG: i64 = 64 * 1024;

/// What has been read in a wake: what may be purged, and what a wait is compared with.
#[derive(Default)]
pub(super) struct Seen {
    /// Uids read from the API server, and whether the run owns the object.
    pub live: HashMap<String, bool>,
    /// Resource versions of single objects, `None` for one that was not there.
    pub objects: HashMap<ObjectRef, Option<String>>,
    /// Resource versions by name of selections: those of lists that were whole.
    pub lists: Vec<(backstay_core::contract::Selection, crate::interests::Versions)>,
    bytes: usize,
}

/// Answers the questions in order.
pub(super) async fn answer(
    queries: Vec<Query>,
    scene: &Scene<'_>,
    memory: &Memory,
    seen: &mut Seen,
) -> Result<Vec<Answer>, Halt> {
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let value = match &query {
            Query::Get(get) => object(get, scene, memory, seen).await?.map(Content::Object),
            Query::List(list) => objects(list, scene, memory, seen).await?.map(Content::Objects),
            Query::Log(log) => self::log(log, scene).await?.map(Content::Log),
            Query::SecretKeys(secret) => keys(secret, scene).await?.map(Content::SecretKeys),
            Query::Pod(name) => pods::result(name, scene, memory).await?.map(Content::Pod),
        };
        answers.push(Answer { query, value: fitting(value, seen) });
    }
    Ok(answers)
}

/// An answer that goes over the bounds of a call is left out, and the guest is told so.
fn fitting(value: Result<Content, ReadError>, seen: &mut Seen) -> Result<Content, ReadError> {
    let size = |json: &Json| serde_json::to_vec(json).map_or(usize::MAX, |text| text.len());
    let bytes = match &value {
        Ok(Content::Object(object)) => size(object),
        Ok(Content::Objects(list)) => list.items.iter().map(size).sum(),
        Ok(Content::Log(text)) => text.len(),
        Ok(Content::SecretKeys(_) | Content::Pod(_)) | Err(_) => 0,
    };
    let single = matches!(value, Ok(Content::Object(_)));
    if single && bytes > OBJECT || seen.bytes + bytes > ANSWERS {
        return Err(ReadError::TooLarge);
    }
    seen.bytes += bytes;
    value
}

/// Which client reads an object, and what the component may see of it.
fn to_read<'a>(object: &ObjectRef, scene: &Scene<'a>) -> Result<(Client, Option<Reach<'a>>), Breach> {
    // The application may always be read, and the controller may read it.
    if scene.grants.is_application(object) {
        return Ok((scene.ctx.client.clone(), None));
    }
    let reach =
        scene.grants.reach(Verb::Get, &object.api_version, &object.kind, object.namespace.as_deref())?;
    Ok((scene.client.clone(), Some(reach)))
}

async fn object(
    query: &GetQuery,
    scene: &Scene<'_>,
    memory: &Memory,
    seen: &mut Seen,
) -> Result<Result<Json, ReadError>, Halt> {
    let named = &query.object;
    let (client, reach) = to_read(named, scene)?;
    let access = match &reach {
        Some(reach) => reach.access().clone(),
        None => scene.application_access().await?,
    };
    let visible = |object: &Json| reach.as_ref().is_none_or(|reach| reach.shows(object));
    // What is there is compared with what a watch shows, whether the guest may see it or not.
    let mut note = |json: Option<&Json>, live: bool| {
        let version = json.and_then(|j| j["metadata"]["resourceVersion"].as_str()).map(str::to_owned);
        seen.objects.insert(named.clone(), version);
        if let (true, Some(json)) = (live, json.filter(|json| visible(json))) {
            let uid = json["metadata"]["uid"].as_str().unwrap_or_default();
            seen.live.insert(uid.to_owned(), scene.pins.own(json));
        }
    };
    if !query.live
        && let Some(cached) = cached(named, scene, memory, &access)
    {
        note(cached.as_ref(), false);
        let found = cached.filter(|object| visible(object));
        return Ok(found.map(|object| projected(&object, &query.fields)).ok_or(ReadError::NotFound));
    }
    let api = api(client, named.namespace.as_deref(), &resource(&access));
    match patiently(|| api.get(&named.name)).await {
        Ok(object) => {
            let object = shown(&object, &access);
            note(Some(&object), true);
            let found = Some(object).filter(|object| visible(object));
            Ok(found.map(|object| projected(&object, &query.fields)).ok_or(ReadError::NotFound))
        }
        Err(error) => {
            if class(&error) == Class::NotFound {
                note(None, true);
            }
            Ok(Err(read_error(&error)))
        }
    }
}

/// What a watch of this run or another one shows, if it is not behind what this run wrote: the object, or that there is
/// none.
fn cached(
    named: &ObjectRef,
    scene: &Scene<'_>,
    memory: &Memory,
    access: &backstay_core::contract::Access,
) -> Option<Option<Json>> {
    let interest = Interest {
        component: scene.component().to_owned(),
        resource: resource(access),
        namespace: named.namespace.clone(),
        which: Which::Named(named.name.clone()),
    };
    let shown = scene.ctx.interests.shown(&interest)?;
    let object = shown.first();
    if let Some(written) = memory.written.get(named) {
        let version = object?.resource_version().unwrap_or_default();
        if version != *written && (is_older(&version, written) || version.parse::<u64>().is_err()) {
            return None;
        }
    }
    Some(object.map(|object| shown_by_watch(object, access)))
}

async fn objects(
    query: &ListQuery,
    scene: &Scene<'_>,
    memory: &Memory,
    seen: &mut Seen,
) -> Result<Result<ObjectList, ReadError>, Halt> {
    let wanted = &query.objects;
    if !(1..=500).contains(&query.limit) {
        let message = format!("a list query has a limit of {}, which must be 1 to 500", query.limit);
        return Err(Halt::fail(backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER, message));
    }
    let reach =
        scene.grants.reach(Verb::List, &wanted.api_version, &wanted.kind, wanted.namespace.as_deref())?;
    let access = reach.access();
    let interest = Interest {
        component: scene.component().to_owned(),
        resource: resource(access),
        namespace: wanted.namespace.clone(),
        which: Which::Labelled(wanted.labels.clone()),
    };
    // A list is not compared with single writes: a run that has written anything of the kind reads it anew.
    let written = memory.written.keys().any(|o| o.kind == wanted.kind && o.namespace == wanted.namespace);
    let cached = if query.live || written { None } else { scene.ctx.interests.shown(&interest) };
    let (mut items, mut complete) = match cached {
        Some(shown) => (shown.iter().map(|o| shown_by_watch(o, access)).collect::<Vec<_>>(), true),
        None => {
            let api = api(scene.client.clone(), wanted.namespace.as_deref(), &interest.resource);
            let params = ListParams::default().labels(&wanted.labels).limit(query.limit);
            match patiently(|| api.list(&params)).await {
                Ok(list) => {
                    let whole = list.metadata.continue_.as_deref().unwrap_or_default().is_empty();
                    let items: Vec<_> = list.items.iter().map(|o| shown(o, access)).collect();
                    for object in &items {
                        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
                        seen.live.insert(uid.to_owned(), scene.pins.own(object));
                    }
                    (items, whole)
                }
                Err(error) => return Ok(Err(read_error(&error))),
            }
        }
    };
    let name = |object: &Json| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if complete {
        let version = |o: &Json| o["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let versions = items.iter().map(|o| (name(o), version(o))).collect();
        seen.lists.retain(|(selection, _)| selection != wanted);
        seen.lists.push((wanted.clone(), versions));
    }
    items.retain(|object| reach.shows(object));
    items.sort_by_key(name);
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    complete &= items.len() <= limit;
    items.truncate(limit);
    let items = items.iter().map(|object| projected(object, &query.fields)).collect();
    Ok(Ok(ObjectList { items, complete }))
}

async fn log(query: &LogQuery, scene: &Scene<'_>) -> Result<Result<String, ReadError>, Halt> {
    let namespace = &query.pod.namespace;
    let reach = scene.grants.reach(Verb::Logs, "v1", "Pod", Some(namespace))?;
    let api: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
    if reach.is_guarded() {
        match patiently(|| api.get(&query.pod.name)).await {
            Ok(pod) if reach.shows(&serde_json::to_value(&pod).unwrap_or_default()) => {}
            Ok(_) => return Ok(Err(ReadError::NotFound)),
            Err(error) => return Ok(Err(read_error(&error))),
        }
    }
    let params = LogParams {
        container: Some(query.container.clone()),
        previous: query.previous,
        tail_lines: Some(i64::from(query.lines.clamp(1, 200))),
        limit_bytes: Some(LOG),
        ..LogParams::default()
    };
    match patiently(|| api.logs(&query.pod.name, &params)).await {
        Ok(text) => Ok(Ok(text)),
        // The pod is there, and its container has written nothing that could be shown yet.
        Err(kube::Error::Api(status)) if status.code == 400 => Ok(Err(ReadError::NotFound)),
        Err(error) => Ok(Err(read_error(&error))),
    }
}

/// The names of a Secret's data keys. Its content goes no further than this function.
async fn keys(secret: &NamespacedName, scene: &Scene<'_>) -> Result<Result<Vec<String>, ReadError>, Halt> {
    let reach = scene.grants.reach(Verb::Keys, "v1", "Secret", Some(&secret.namespace))?;
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &secret.namespace);
    match patiently(|| api.get(&secret.name)).await {
        Ok(found) => {
            let meta = serde_json::json!({"metadata": found.metadata});
            if !reach.shows(&meta) {
                return Ok(Err(ReadError::NotFound));
            }
            Ok(Ok(found.data.unwrap_or_default().into_keys().collect()))
        }
        Err(error) => Ok(Err(read_error(&error))),
    }
}

/// For a delete whose object has not been read: whether the run owns it. `None`: it is not there, or another one has its
/// name.
pub(super) async fn is_own(
    named: &ObjectRef,
    uid: &str,
    reach: &Reach<'_>,
    scene: &Scene<'_>,
) -> Result<Option<bool>, kube::Error> {
    let api = api(scene.client.clone(), named.namespace.as_deref(), &resource(reach.access()));
    match patiently(|| api.get(&named.name)).await {
        Ok(object) => {
            let object = shown(&object, reach.access());
            let same = object["metadata"]["uid"].as_str() == Some(uid) && reach.shows(&object);
            Ok(same.then(|| scene.pins.own(&object)))
        }
        Err(error) if class(&error) == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
