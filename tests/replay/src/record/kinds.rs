//! Watches on every kind: what there is at the beginning, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use http_body_util::BodyStream;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::log::Log;
use super::upstream::Upstream;
use crate::line::{self, What};

const DEFINITIONS: &str = "customresourcedefinitions";
/// How long a new kind is waited for, and how often it is asked for.
const SERVED: (u32, Duration) = (500, Duration::from_millis(20));

/// A kind in the version in which it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    group: String,
    version: String,
    plural: String,
}

impl Kind {
    fn path(&self) -> String {
        let Self { group, version, plural } = self;
        if group.is_empty() {
            format!("/api/{version}/{plural}")
        } else {
            format!("/apis/{group}/{version}/{plural}")
        }
    }
}

/// The watches that run.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<BTreeMap<Kind, JoinHandle<()>>>>);

impl Watches {
    /// Ends them.
    pub(super) fn abort_all(&self) {
        self.0.lock().values().for_each(JoinHandle::abort);
    }
}

/// Writes down what there is of every kind, and goes on with what becomes of it.
pub(super) async fn watch_all(upstream: &Upstream, log: &Log) -> anyhow::Result<Watches> {
    let recorder = Recorder { upstream: upstream.clone(), log: log.clone(), watches: Watches::default() };
    let definitions = upstream.read("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").await?;
    let items = definitions.get("items").and_then(Value::as_array).into_iter().flatten();
    let custom: Vec<Kind> = items.filter_map(defined).collect();
    let groups: BTreeSet<&String> = custom.iter().map(|kind| &kind.group).collect();
    let mut kinds = built_in(upstream).await?;
    kinds.retain(|kind| !groups.contains(&kind.group));
    // The definitions begin what is not watched yet, so custom kinds come first.
    for kind in custom.iter().cloned().chain(kinds) {
        let (revision, items) = recorder.list(&kind).await.with_context(|| kind.path())?;
        recorder.begin(kind, revision, items);
    }
    Ok(recorder.watches)
}

/// The kinds of discovery that can be watched, each in one version. Events of both groups are the same objects.
async fn built_in(upstream: &Upstream) -> anyhow::Result<Vec<Kind>> {
    let mut found = BTreeMap::new();
    let mut versions = vec![(String::new(), "v1".to_owned(), "/api/v1".to_owned())];
    let groups = upstream.read("/apis").await?;
    for group in groups.get("groups").and_then(Value::as_array).into_iter().flatten() {
        let preferred = text(group, "/preferredVersion/version");
        let all = group.get("versions").and_then(Value::as_array).into_iter().flatten();
        let others = all.map(|one| text(one, "/version")).filter(|version| *version != preferred);
        for version in std::iter::once(preferred).chain(others) {
            let name = text(group, "/name");
            versions.push((name.to_owned(), version.to_owned(), format!("/apis/{name}/{version}")));
        }
    }
    for (group, version, path) in versions {
        let resources = upstream.read(&path).await?;
        for one in resources.get("resources").and_then(Value::as_array).into_iter().flatten() {
            let verbs = one.get("verbs").and_then(Value::as_array);
            let has = |verb: &str| verbs.is_some_and(|verbs| verbs.iter().any(|one| one == verb));
            let plural = text(one, "/name").to_owned();
            if has("list") && has("watch") && group != "events.k8s.io" {
                let kind = Kind { group: group.clone(), version: version.clone(), plural: plural.clone() };
                found.entry((group.clone(), plural)).or_insert(kind);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// The kind of an established definition.
fn defined(definition: &Value) -> Option<Kind> {
    let list = |pointer: &str| definition.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list("/status/conditions")
        .find(|one| text(one, "/type") == "Established" && text(one, "/status") == "True")?;
    let stored = list("/spec/versions").find(|one| one.get("storage") == Some(&Value::Bool(true)))?;
    Some(Kind {
        group: text(definition, "/spec/group").to_owned(),
        version: text(stored, "/name").to_owned(),
        plural: text(definition, "/spec/names/plural").to_owned(),
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[derive(Clone)]
struct Recorder {
    upstream: Upstream,
    log: Log,
    watches: Watches,
}

impl Recorder {
    async fn list(&self, kind: &Kind) -> anyhow::Result<(u64, Vec<Value>)> {
        let mut list = self.upstream.read(&kind.path()).await?;
        let revision = text(&list, "/metadata/resourceVersion").parse()?;
        let item_kind = text(&list, "/kind").trim_end_matches("List").to_owned();
        let version = list.get("apiVersion").cloned().unwrap_or_default();
        let items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let whole = |mut item: Value| {
            // Items of built-in kinds do not carry their kind.
            if item.get("kind").is_none() {
                item["kind"] = item_kind.clone().into();
                item["apiVersion"] = version.clone();
            }
            item
        };
        Ok((revision, items.into_iter().map(whole).collect()))
    }

    /// Writes down the state of a kind, and watches it from there.
    fn begin(&self, kind: Kind, revision: u64, items: Vec<Value>) {
        let definitions = if kind.plural == DEFINITIONS { items.clone() } else { Vec::new() };
        self.log.write(What::State {
            group: kind.group.clone(),
            plural: kind.plural.clone(),
            revision,
            items,
        });
        let (recorder, of) = (self.clone(), kind.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = recorder.follow(&of, revision).await {
                recorder.log.write(What::Gap { of: format!("{}: {error:#}", of.path()) });
            }
            recorder.watches.0.lock().remove(&of);
        });
        self.watches.0.lock().insert(kind, task);
        definitions.iter().for_each(|definition| self.define(definition));
    }

    /// Watches a kind until it is not served any more.
    async fn follow(&self, kind: &Kind, mut revision: u64) -> anyhow::Result<()> {
        loop {
            let target = format!(
                "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds=86400&resourceVersion={revision}",
                kind.path()
            );
            let response = self.upstream.get(&target).await?;
            match response.status().as_u16() {
                200 => match self.events(kind, revision, response.into_body()).await? {
                    Some(reached) => revision = reached,
                    // The cache of a new kind begins a little after the kind: what is written in between is missing, which
                    // playing finds out.
                    None => {
                        let (reached, items) = self.list(kind).await?;
                        self.state(kind, reached, items);
                        revision = reached;
                    }
                },
                404 => return Ok(()),
                code => bail!("a watch from {revision} is answered {code}"),
            }
        }
    }

    /// Writes down the events of a watch. Returns the version reached; none if the watch began too early.
    async fn events(
        &self,
        kind: &Kind,
        mut revision: u64,
        body: kube::client::Body,
    ) -> anyhow::Result<Option<u64>> {
        let (mut frames, mut rest) = (BodyStream::new(body), Vec::new());
        while let Some(frame) = frames.next().await {
            rest.extend_from_slice(&frame?.into_data().unwrap_or_default());
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let told: Vec<u8> = rest.drain(..=end).collect();
                let mut event = line::json(&told);
                let object = event.get_mut("object").map(Value::take).unwrap_or_default();
                let what = text(&event, "/type");
                if what == "ERROR" && object.get("code").is_some_and(|code| code == 410) {
                    return Ok(None);
                }
                if what == "ERROR" {
                    bail!("a watch from {revision} is ended: {object}");
                }
                revision = text(&object, "/metadata/resourceVersion").parse()?;
                if what == "BOOKMARK" {
                    continue;
                }
                let gone = what == "DELETED";
                if kind.plural == DEFINITIONS && !gone {
                    self.define(&object);
                }
                let (group, plural) = (kind.group.clone(), kind.plural.clone());
                self.log.write(What::Change { group, plural, gone, object });
            }
        }
        Ok(Some(revision))
    }

    fn state(&self, kind: &Kind, revision: u64, items: Vec<Value>) {
        let (group, plural) = (kind.group.clone(), kind.plural.clone());
        self.log.write(What::State { group, plural, revision, items });
    }

    /// Watches the kind of a definition, once.
    fn define(&self, definition: &Value) {
        let Some(kind) = defined(definition) else { return };
        if self.watches.0.lock().contains_key(&kind) {
            return;
        }
        let (recorder, of) = (self.clone(), kind.clone());
        let task = tokio::spawn(async move {
            for _ in 0..SERVED.0 {
                if let Ok((revision, items)) = recorder.list(&of).await {
                    return recorder.begin(of, revision, items);
                }
                tokio::time::sleep(SERVED.1).await;
            }
            recorder.log.write(What::Gap { of: format!("{}: not served", of.path()) });
        });
        self.watches.0.lock().insert(kind, task);
    }
}
