//! The guest's questions, answered: each is checked against what the component declared, then read as the component.

use std::collections::{HashMap, HashSet};

use backstay_core::contract::{
    Answer, Container, Content, GetQuery, Json, ListQuery, LogQuery, NamespacedName, ObjectList, ObjectRef,
    PodResult, Query, ReadError,
};
use backstay_core::resource::{Breach, Reach, Verb, projected};
use backstay_core::retry::Class;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt};

use super::api::{api, patiently, read_error, resource, shown, shown_by_watch, size};
use super::memory::{Memory, Written};
use super::pods;
use super::scene::Scene;
use crate::api_error::class;
use crate::interests::{Interest, Versions, Which, is_older};
use crate::run::{Halt, evidence};

/// Bytes of one object, and of all answers of a wake together: within what the contract lets a call take.
const OBJECT: usize = 1 << 20;
const ANSWERS: usize = 5 << 20;
/// Objects of a list that are read at a time.
const PAGE: u32 = 50;

/// What has been read in a wake: what may be purged, and what a wait is compared with.
#[derive(Default)]
pub(super) struct Seen {
    /// Uids of objects that the guest was shown as the API server had them.
    pub live: HashSet<String>,
    /// Resource versions of single objects, `None` for one that was not there.
    pub objects: HashMap<ObjectRef, Option<String>>,
    /// Resource versions by name of selections: those of lists that were whole.
    pub lists: Vec<(backstay_core::contract::Selection, crate::interests::Versions)>,
    /// Nothing is read from what watches show.
    anew: bool,
    bytes: usize,
}

impl Seen {
    /// Nothing yet; `anew`: nothing is read from what watches show.
    pub(super) fn new(anew: bool) -> Self {
        Self { anew, ..Self::default() }
    }
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
    let (largest, bytes) = match &value {
        Ok(Content::Object(object)) => (size(object), size(object)),
        Ok(Content::Objects(list)) => {
            let sizes = list.items.iter().map(size);
            (sizes.clone().max().unwrap_or(0), sizes.sum())
        }
        Ok(Content::Log(text)) => (0, text.len()),
        Ok(Content::SecretKeys(keys)) => (0, keys.iter().map(String::len).sum()),
        Ok(Content::Pod(result)) => (0, result.as_ref().map_or(0, pod_size)),
        Err(_) => (0, 0),
    };
    if largest > OBJECT || seen.bytes.saturating_add(bytes) > ANSWERS {
        return Err(ReadError::TooLarge);
    }
    seen.bytes += bytes;
    value
}

fn pod_size(result: &PodResult) -> usize {
    let containers = |pod: &backstay_core::contract::Pod| -> usize {
        let of = |c: &Container| c.name.len() + c.reason.len() + c.message.len() + c.log.len();
        pod.containers.iter().map(of).sum()
    };
    let pods = result.pods.iter().map(|p| p.name.len() + p.reason.len() + p.message.len() + containers(p));
    result.reason.len() + result.message.len() + result.data.as_ref().map_or(0, size) + pods.sum::<usize>()
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
            seen.live.extend(uid(json));
        }
    };
    if !query.live
        && !seen.anew
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
    match memory.written.get(named) {
        None => {}
        Some(Written::Unknown) => return None,
        Some(Written::Deleted(uid))
            if object.is_some_and(|o| {
                o.uid().as_ref() == Some(uid) && o.metadata.deletion_timestamp.is_none()
            }) =>
        {
            return None;
        }
        Some(Written::Deleted(_)) => {}
        Some(Written::At(written)) => {
            let version = object?.resource_version().unwrap_or_default();
            if version != *written && (is_older(&version, written) || version.parse::<u64>().is_err()) {
                return None;
            }
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
    let cached = if query.live || seen.anew || written { None } else { scene.ctx.interests.shown(&interest) };
    let room = ANSWERS.saturating_sub(seen.bytes);
    let mut found = Found::new(query, &reach, room);
    if let Some(shown) = cached {
        for object in shown {
            found.take(shown_by_watch(&object, access));
        }
    } else {
        let api = api(scene.client.clone(), wanted.namespace.as_deref(), &interest.resource);
        let mut params = ListParams::default().labels(&wanted.labels);
        loop {
            params.limit = Some(found.page());
            let page = match patiently(|| api.list(&params)).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(read_error(&error))),
            };
            for object in &page.items {
                found.take(shown(object, access));
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            found.whole = params.continue_token.is_none();
            if found.whole || found.is_enough() {
                break;
            }
        }
        seen.live.extend(found.items.iter().take(found.limit()).filter_map(uid));
    }
    if found.whole {
        seen.lists.retain(|(selection, _)| selection != wanted);
        seen.lists.push((wanted.clone(), std::mem::take(&mut found.versions)));
    }
    Ok(found.list())
}

fn uid(object: &Json) -> Option<String> {
    object["metadata"]["uid"].as_str().map(str::to_owned)
}

/// What of a list the guest may see, taken in page by page, so that no more is held than it can be told.
struct Found<'a> {
    query: &'a ListQuery,
    reach: &'a Reach<'a>,
    /// Bytes that may still be told in this wake.
    room: usize,
    bytes: usize,
    too_large: bool,
    items: Vec<Json>,
    /// Versions of all that is there, whether the guest may see it or not.
    versions: Versions,
    /// Whether that is all that is there.
    whole: bool,
}

impl<'a> Found<'a> {
    fn new(query: &'a ListQuery, reach: &'a Reach<'a>, room: usize) -> Self {
        let (items, versions) = (Vec::new(), Versions::new());
        Self { query, reach, room, bytes: 0, too_large: false, items, versions, whole: true }
    }

    fn limit(&self) -> usize {
        usize::try_from(self.query.limit).unwrap_or(usize::MAX)
    }

    /// How many to ask for next: one more than is wanted says whether that is all.
    fn page(&self) -> u32 {
        let missing = (self.limit() + 1).saturating_sub(self.items.len());
        if self.reach.is_guarded() { PAGE } else { PAGE.min(u32::try_from(missing).unwrap_or(PAGE)).max(1) }
    }

    fn take(&mut self, object: Json) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        self.versions.insert(text("name"), text("resourceVersion"));
        if !self.reach.shows(&object) {
            return;
        }
        let object = projected(&object, &self.query.fields);
        if self.items.len() < self.limit() {
            let size = size(&object);
            self.bytes = self.bytes.saturating_add(size);
            self.too_large |= size > OBJECT || self.bytes > self.room;
        }
        self.items.push(object);
    }

    /// Whether nothing that follows changes the answer.
    fn is_enough(&self) -> bool {
        self.too_large || self.items.len() > self.limit()
    }

    fn list(mut self) -> Result<ObjectList, ReadError> {
        if self.too_large {
            return Err(ReadError::TooLarge);
        }
        self.items.sort_by_key(|object| object["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        let complete = self.whole && self.items.len() <= self.limit();
        self.items.truncate(self.limit());
        Ok(ObjectList { items: self.items, complete })
    }
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
        ..LogParams::default()
    };
    match patiently(|| evidence::tail(&api, &query.pod.name, &params)).await {
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
