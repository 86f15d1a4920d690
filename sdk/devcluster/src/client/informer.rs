//! What is known of all objects of a kind, kept up to date by a list and watches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use super::{Api, Refused, items, text};

/// How long to wait after a refusal before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Namespace and name of an object.
pub type Key = (String, String);

/// Returns the key of an object.
#[must_use]
pub fn key(object: &Value) -> Key {
    (text(object, "/metadata/namespace").to_owned(), text(object, "/metadata/name").to_owned())
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new, or has changed.
    Applied(Arc<Value>),
    /// It is gone; this was its last state.
    Deleted(Arc<Value>),
    /// Everything that there was at the beginning, or after a gap, has been told.
    Synced,
}

/// The objects of one kind.
pub struct Informer {
    api: Api,
    path: String,
    query: String,
    version: String,
    stream: Option<BoxStream<'static, Value>>,
    objects: BTreeMap<Key, Arc<Value>>,
    pending: VecDeque<Change>,
}

impl Informer {
    /// Watches the objects at this path. The query holds selectors, and may be empty.
    #[must_use]
    pub fn new(api: Api, path: &str, query: &str) -> Self {
        Self {
            api,
            path: path.to_owned(),
            query: query.to_owned(),
            version: String::new(),
            stream: None,
            objects: BTreeMap::new(),
            pending: VecDeque::new(),
        }
    }

    /// Returns the objects as they are known.
    #[must_use]
    pub fn objects(&self) -> &BTreeMap<Key, Arc<Value>> {
        &self.objects
    }

    /// Returns the next change, after which [`Informer::objects`] holds it. It may be dropped while it waits.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.pending.pop_front() {
                match &change {
                    Change::Applied(object) => drop(self.objects.insert(key(object), object.clone())),
                    Change::Deleted(object) => drop(self.objects.remove(&key(object))),
                    Change::Synced => {}
                }
                return change;
            }
            if let Err(refused) = self.more().await {
                tracing::debug!(path = self.path, %refused, "a watch is opened again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn more(&mut self) -> Result<(), Refused> {
        if self.version.is_empty() {
            let list = self.api.get(&format!("{}?{}", self.path, self.query)).await?;
            self.listed(&list);
            return Ok(());
        }
        let Some(stream) = &mut self.stream else {
            let path = format!(
                "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion={}&{}",
                self.path, self.version, self.query
            );
            self.stream = Some(self.api.watch(path).await?);
            return Ok(());
        };
        match stream.next().await {
            None => self.stream = None,
            Some(event) => self.seen(event),
        }
        Ok(())
    }

    fn listed(&mut self, list: &Value) {
        let kind = text(list, "/kind").trim_end_matches("List").to_owned();
        let mut gone = self.objects.clone();
        for item in items(list, "/items") {
            let mut item = item.clone();
            if item.get("kind").is_none() {
                item["kind"] = kind.clone().into();
                item["apiVersion"] = list["apiVersion"].clone();
            }
            let known = gone.remove(&key(&item));
            let same = |known: &Arc<Value>| known["metadata"]["uid"] == item["metadata"]["uid"];
            match known {
                Some(known) if !same(&known) => self.pending.push_back(Change::Deleted(known)),
                _ => {}
            }
            self.pending.push_back(Change::Applied(Arc::new(item)));
        }
        for object in gone.into_values() {
            self.pending.push_front(Change::Deleted(object));
        }
        self.pending.push_back(Change::Synced);
        self.version = text(list, "/metadata/resourceVersion").to_owned();
        self.stream = None;
    }

    fn seen(&mut self, mut event: Value) {
        let object = event["object"].take();
        let version = text(&object, "/metadata/resourceVersion").to_owned();
        match text(&event, "/type") {
            "ADDED" | "MODIFIED" => self.pending.push_back(Change::Applied(Arc::new(object))),
            "DELETED" => self.pending.push_back(Change::Deleted(Arc::new(object))),
            "BOOKMARK" => {}
            _ => {
                // Too old: what is there has to be listed again.
                self.version.clear();
                self.stream = None;
                return;
            }
        }
        self.version = version;
    }
}
