//! The guest's queries: each is checked against the component's declared accesses, then read as the component.

use std::collections::{HashMap, HashSet};

use backstay_api::conditions::reasons;
use backstay_core::contract::{
    Access, Answer, Container, Content, GetQuery, Json, ListQuery, LogQuery, NamespacedName, ObjectList,
    ObjectRef, PodResult, Query, ReadError, Selection,
};
use backstay_core::retry::Class;
use backstay_core::steps::{ContractViolation, Reach, Verb, projected};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{ListParams, LogParams};
use kube::{Client, ResourceExt};

use super::calls::{StepError, read_error, size, visible, with_retries};
use super::pods;
use super::scope::StepScope;
use crate::cluster::api::Api;
use crate::cluster::dynamic::{access_resource, api};
use crate::cluster::error::class;
use crate::cluster::pages::PAGE;
use crate::run::not_done::NotDone;
use crate::run::{application, pod_logs};
use crate::state::step_cache::{Cached, StepCache, Written};
use crate::state::watch_pool::{Selector, Versions, WatchKey, is_older, place};

/// Bytes of one object, and of all answers of a wake together: within what the contract lets a call take.
const OBJECT: usize = 1 << 20;
const ANSWERS: usize = 5 << 20;
/// Objects of a list that are kept as they are: as many as a wake may write.
const WHOLE_OBJECTS: usize = 16;

/// The reads of a wake: which objects may be purged, and which versions a wait is compared with.
#[derive(Default)]
pub(crate) struct Seen {
    /// Uids of objects that the guest has seen live, as the API server had them.
    pub live: HashSet<String>,
    /// Objects as a live read or a write of this wake has shown them last: a write is judged by these first.
    pub latest: Latest,
    /// Resource versions of single objects, `None` for one that was not there.
    pub objects: HashMap<ObjectRef, Option<String>>,
    /// Resource versions of selections that were read completely.
    pub lists: Vec<(Selection, Versions)>,
    /// Watches are not read.
    bypass_watches: bool,
    bytes: usize,
}

/// Objects as this wake has seen them last, as far as they fit into the bytes of its answers.
#[derive(Default)]
pub(crate) struct Latest {
    /// Each with its bytes.
    objects: HashMap<ObjectRef, (Json, usize)>,
    bytes: usize,
}

impl Latest {
    /// Keeps an object in place of the one that was known.
    pub(crate) fn put(&mut self, named: &ObjectRef, object: &Json) {
        self.take(named);
        let bytes = size(object);
        if self.bytes.saturating_add(bytes) <= ANSWERS {
            self.bytes += bytes;
            self.objects.insert(named.clone(), (object.clone(), bytes));
        }
    }

    /// Returns an object, and forgets it.
    pub(crate) fn take(&mut self, named: &ObjectRef) -> Option<Json> {
        let (object, bytes) = self.objects.remove(named)?;
        self.bytes -= bytes;
        Some(object)
    }
}

impl Seen {
    /// No reads yet. With `bypass_watches`, everything is read from the API server.
    pub(crate) fn new(bypass_watches: bool) -> Self {
        Self { bypass_watches, ..Self::default() }
    }
}

/// Answers the queries in order.
///
/// # Errors
/// The guest broke the contract, or the wake cannot go on.
pub(crate) async fn answer(
    queries: Vec<Query>,
    scope: &StepScope<'_>,
    cache: &StepCache,
    seen: &mut Seen,
) -> Result<Vec<Answer>, NotDone> {
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let read = match &query {
            Query::Get(get) => object(get, scope, cache, seen).await.map(Content::Object),
            Query::List(list) => objects(list, scope, cache, seen).await.map(Content::Objects),
            Query::Log(log) => self::log(log, scope).await.map(Content::Log),
            Query::SecretKeys(secret) => keys(secret, scope).await.map(Content::SecretKeys),
            Query::Pod(name) => pods::result(name, scope, cache).await.map(Content::Pod),
        };
        let value = match read {
            Ok(content) => fitting(content, seen),
            Err(error) => Err(error.for_guest()?),
        };
        answers.push(Answer { query, value });
    }
    Ok(answers)
}

/// Returns the content, if it fits into the next call.
fn fitting(content: Content, seen: &mut Seen) -> Result<Content, ReadError> {
    let (largest, bytes) = match &content {
        Content::Object(object) => (size(object), size(object)),
        Content::Objects(list) => {
            let sizes = list.items.iter().map(size);
            (sizes.clone().max().unwrap_or(0), sizes.sum())
        }
        Content::Log(text) => (0, text.len()),
        Content::SecretKeys(keys) => (0, keys.iter().map(String::len).sum()),
        Content::Pod(result) => (0, result.as_ref().map_or(0, pod_size)),
    };
    if largest > OBJECT || seen.bytes.saturating_add(bytes) > ANSWERS {
        return Err(ReadError::TooLarge);
    }
    seen.bytes += bytes;
    Ok(content)
}

fn pod_size(result: &PodResult) -> usize {
    let containers = |pod: &backstay_core::contract::Pod| -> usize {
        let of = |c: &Container| c.name.len() + c.reason.len() + c.message.len() + c.log.len();
        pod.containers.iter().map(of).sum()
    };
    let pods = result.pods.iter().map(|p| p.name.len() + p.reason.len() + p.message.len() + containers(p));
    result.reason.len() + result.message.len() + result.data.as_ref().map_or(0, size) + pods.sum::<usize>()
}

/// The client reads an object, and what the component may see of it.
fn to_read<'a>(
    object: &ObjectRef,
    scope: &StepScope<'a>,
) -> Result<(Client, Option<Reach<'a>>), ContractViolation> {
    // Every component may read the application of its run; the controller reads it.
    if scope.grants.is_application(object) {
        return Ok((scope.cluster.client.clone(), None));
    }
    let reach =
        scope.grants.reach(Verb::Get, &object.api_version, &object.kind, object.namespace.as_deref())?;
    Ok((scope.as_component.clone(), Some(reach)))
}

async fn object(
    query: &GetQuery,
    scope: &StepScope<'_>,
    cache: &StepCache,
    seen: &mut Seen,
) -> Result<Json, StepError<ReadError>> {
    let named = &query.object;
    let (client, reach) = to_read(named, scope)?;
    let access = match &reach {
        Some(reach) => reach.access().clone(),
        None => application::access(scope.run, &scope.pinned.record.application_ref, scope.cluster).await?,
    };
    let shows = |object: &Json| reach.as_ref().is_none_or(|reach| reach.shows(object));
    // A wait is compared with the object as it is, whether the guest may see it or not.
    let mut note = |json: Option<&Json>, live: bool| {
        let version = json.and_then(|j| j["metadata"]["resourceVersion"].as_str()).map(str::to_owned);
        seen.objects.insert(named.clone(), version);
        if let (true, Some(json)) = (live, json) {
            seen.latest.put(named, json);
            seen.live.extend(uid(json).filter(|_| shows(json)));
        }
    };
    let cached = match query.live || seen.bypass_watches {
        true => Cached::Unread,
        false => cached(named, scope, cache, &access),
    };
    let found = match cached {
        Cached::Present(object) => {
            note(Some(&object), false);
            object
        }
        Cached::Absent => {
            note(None, false);
            return Err(ReadError::NotFound.into());
        }
        Cached::Unread => {
            let api = api(client, named.namespace.as_deref(), &access_resource(&access));
            match with_retries(scope.budget, || api.get(&named.name)).await {
                Ok(object) => {
                    let object = visible(&object, &access);
                    note(Some(&object), true);
                    object
                }
                Err(error) => {
                    if class(&error) == Class::NotFound {
                        note(None, true);
                    }
                    return Err(read_error(&error).into());
                }
            }
        }
    };
    if shows(&found) { Ok(projected(&found, &query.fields)) } else { Err(ReadError::NotFound.into()) }
}

/// Returns the object that a watch of this run or another one shows, or that there is none; `Unread` if there is no such
/// watch, or it is behind this run's own writes.
fn cached(named: &ObjectRef, scope: &StepScope<'_>, cache: &StepCache, access: &Access) -> Cached<Json> {
    let key = WatchKey {
        component: scope.component().to_owned(),
        resource: access_resource(access),
        namespace: named.namespace.clone(),
        selector: Selector::Name(named.name.clone()),
    };
    let Some(shown) = scope.watch_pool.shown(&key) else { return Cached::Unread };
    let object = shown.first();
    let behind = match cache.written.get(named) {
        None => false,
        Some(Written::Unknown) => true,
        Some(Written::Deleted(uid)) => {
            object.is_some_and(|o| o.uid().as_ref() == Some(uid) && o.metadata.deletion_timestamp.is_none())
        }
        Some(Written::At(written)) => object.is_none_or(|object| {
            let version = object.resource_version().unwrap_or_default();
            version != *written && (is_older(&version, written) || version.parse::<u64>().is_err())
        }),
    };
    if behind {
        return Cached::Unread;
    }
    object.map(|object| visible(object, access)).into()
}

async fn objects(
    query: &ListQuery,
    scope: &StepScope<'_>,
    cache: &StepCache,
    seen: &mut Seen,
) -> Result<ObjectList, StepError<ReadError>> {
    let wanted = &query.objects;
    if !(1..=500).contains(&query.limit) {
        let message = format!("a list query has a limit of {}, which must be 1 to 500", query.limit);
        return Err(NotDone::failed(reasons::STRATEGY_BAD_ANSWER, message).into());
    }
    let reach =
        scope.grants.reach(Verb::List, &wanted.api_version, &wanted.kind, wanted.namespace.as_deref())?;
    let access = reach.access();
    let key = WatchKey {
        component: scope.component().to_owned(),
        resource: access_resource(access),
        namespace: wanted.namespace.clone(),
        selector: Selector::Labels(wanted.labels.clone()),
    };
    // Lists bypass the watches once the run has written any object of the kind, because a list cannot be checked against
    // single writes.
    let written = cache.written.keys().any(|o| o.kind == wanted.kind && o.namespace == wanted.namespace);
    let cached =
        if query.live || seen.bypass_watches || written { None } else { scope.watch_pool.shown(&key) };
    let room = ANSWERS.saturating_sub(seen.bytes);
    let keeps = if cached.is_none() { WHOLE_OBJECTS } else { 0 };
    let mut found = Found::new(query, &reach, room, keeps);
    if let Some(shown) = cached {
        for object in shown {
            found.take(visible(&object, access));
        }
    } else {
        let api = api(scope.as_component.clone(), wanted.namespace.as_deref(), &key.resource);
        let mut params = ListParams::default().labels(&wanted.labels);
        loop {
            params.limit = Some(found.page());
            let page =
                with_retries(scope.budget, || api.list_texts(&params)).await.map_err(|e| read_error(&e))?;
            params.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
            for object in page.objects() {
                found.take(visible(&object.map_err(|e| read_error(&e))?, access));
            }
            found.whole = params.continue_token.is_none();
            if found.whole || found.is_enough() {
                break;
            }
        }
        seen.live.extend(found.items.iter().take(found.limit()).filter_map(uid));
        for (named, object) in std::mem::take(&mut found.whole_objects) {
            seen.latest.put(&named, &object);
        }
    }
    if found.whole {
        seen.lists.retain(|(selection, _)| selection != wanted);
        seen.lists.push((wanted.clone(), std::mem::take(&mut found.versions)));
    }
    Ok(found.list()?)
}

fn uid(object: &Json) -> Option<String> {
    object["metadata"]["uid"].as_str().map(str::to_owned)
}

/// The objects of a list that the guest may see, collected page by page, so that no more is held than fits into an answer.
struct Found<'a> {
    query: &'a ListQuery,
    reach: &'a Reach<'a>,
    /// Bytes that this wake's answers may still have.
    room: usize,
    bytes: usize,
    too_large: bool,
    items: Vec<Json>,
    /// Versions of all objects, whether the guest may see them or not.
    versions: Versions,
    /// Whether all pages have been read.
    whole: bool,
    /// The first objects that the guest may see, as they are: it may write them next.
    whole_objects: Vec<(ObjectRef, Json)>,
    /// How many of these are kept.
    keeps: usize,
}

impl<'a> Found<'a> {
    fn new(query: &'a ListQuery, reach: &'a Reach<'a>, room: usize, keeps: usize) -> Self {
        Self {
            query,
            reach,
            room,
            bytes: 0,
            too_large: false,
            items: Vec::new(),
            versions: Versions::new(),
            whole: true,
            whole_objects: Vec::new(),
            keeps,
        }
    }

    fn limit(&self) -> usize {
        usize::try_from(self.query.limit).unwrap_or(usize::MAX)
    }

    /// Returns the size of the next page. One object more than the limit says whether the list is complete.
    fn page(&self) -> u32 {
        let missing = (self.limit() + 1).saturating_sub(self.items.len());
        if self.reach.is_guarded() { PAGE } else { PAGE.min(u32::try_from(missing).unwrap_or(PAGE)).max(1) }
    }

    fn take(&mut self, object: Json) {
        let text =
            |field: &str| object["metadata"].get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
        self.versions.insert(place(Some(&text("namespace")), &text("name")), text("resourceVersion"));
        if !self.reach.shows(&object) {
            return;
        }
        if self.whole_objects.len() < self.keeps {
            let wanted = &self.query.objects;
            let named = ObjectRef {
                api_version: wanted.api_version.clone(),
                kind: wanted.kind.clone(),
                namespace: Some(text("namespace")).filter(|namespace| !namespace.is_empty()),
                name: text("name"),
            };
            self.whole_objects.push((named, object.clone()));
        }
        let object = projected(&object, &self.query.fields);
        if self.items.len() < self.limit() {
            let size = size(&object);
            self.bytes = self.bytes.saturating_add(size);
            self.too_large |= size > OBJECT || self.bytes > self.room;
        }
        self.items.push(object);
    }

    /// Returns whether further pages cannot change the answer.
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

async fn log(query: &LogQuery, scope: &StepScope<'_>) -> Result<String, StepError<ReadError>> {
    let namespace = &query.pod.namespace;
    let reach = scope.grants.reach(Verb::Logs, "v1", "Pod", Some(namespace))?;
    let client = &scope.as_component;
    if reach.is_guarded() {
        let api = api(client.clone(), Some(namespace), &access_resource(reach.access()));
        let pod =
            with_retries(scope.budget, || api.get(&query.pod.name)).await.map_err(|e| read_error(&e))?;
        if !reach.shows(&visible(&pod, reach.access())) {
            return Err(ReadError::NotFound.into());
        }
    }
    let api = kube::Api::<Pod>::namespaced(client.clone(), namespace);
    let params = LogParams {
        container: Some(query.container.clone()),
        previous: query.previous,
        tail_lines: Some(i64::from(query.lines.clamp(1, 200))),
        ..LogParams::default()
    };
    scope.notices.ready().await.map_err(NotDone::from)?;
    match with_retries(scope.budget, || pod_logs::tail(&api, &query.pod.name, &params)).await {
        Ok(text) => Ok(text),
        // The pod exists, and its container has not written a log yet.
        Err(kube::Error::Api(status)) if status.code == 400 => Err(ReadError::NotFound.into()),
        Err(error) => Err(read_error(&error).into()),
    }
}

/// Returns the names of a Secret's data keys. The values go no further than this function.
async fn keys(secret: &NamespacedName, scope: &StepScope<'_>) -> Result<Vec<String>, StepError<ReadError>> {
    let reach = scope.grants.reach(Verb::Keys, "v1", "Secret", Some(&secret.namespace))?;
    let api: Api<Secret> = Api::namespaced(scope.as_component.clone(), &secret.namespace);
    let found = with_retries(scope.budget, || api.get(&secret.name)).await.map_err(|e| read_error(&e))?;
    if !reach.shows(&serde_json::json!({"metadata": found.metadata})) {
        return Err(ReadError::NotFound.into());
    }
    Ok(found.data.unwrap_or_default().into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Json {
        // With its quotes it has so many bytes as JSON.
        "x".repeat(bytes - 2).into()
    }

    fn fits(content: Content, seen: &mut Seen) -> bool {
        match fitting(content, seen) {
            Ok(_) => true,
            Err(ReadError::TooLarge) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_of_more_than_a_mebibyte_is_too_large_alone_or_in_a_list() {
        let list = |items| Content::Objects(ObjectList { items, complete: true });
        let seen = || Seen::new(false);
        assert!(fits(Content::Object(text(OBJECT)), &mut seen()));
        assert!(!fits(Content::Object(text(OBJECT + 1)), &mut seen()));
        assert!(fits(list(vec![text(OBJECT), text(OBJECT)]), &mut seen()));
        assert!(!fits(list(vec![text(9), text(OBJECT + 1)]), &mut seen()));
    }

    #[test]
    fn the_answers_of_a_wake_share_one_bound_and_one_that_is_too_large_takes_nothing_of_it() {
        let mut seen = Seen::new(false);
        for _ in 0..4 {
            assert!(fits(Content::Object(text(OBJECT)), &mut seen));
        }
        assert!(!fits(Content::Log("x".repeat(OBJECT + 1)), &mut seen));
        assert!(fits(Content::Log("x".repeat(OBJECT - 3)), &mut seen));
        let of_pod = |log: &str| {
            let container = Container { log: log.to_owned(), ..Container::default() };
            let pod = backstay_core::contract::Pod { containers: vec![container], ..Default::default() };
            let (reason, message) = (String::new(), String::new());
            Content::Pod(Some(PodResult { succeeded: true, reason, message, pods: vec![pod], data: None }))
        };
        assert!(!fits(of_pod("four"), &mut seen));
        assert!(!fits(Content::SecretKeys(vec!["ab".into(), "cd".into()]), &mut seen));
        assert!(fits(of_pod("log"), &mut seen));
        assert!(!fits(Content::SecretKeys(vec!["a".into()]), &mut seen));
    }
}
