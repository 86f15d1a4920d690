//! What an object says to a human: its phase and conditions, or an Event about it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Client;
use serde::Deserialize;
use tokio::time::Instant;

use super::input::{BACKUPS, NAMESPACE, Object};

/// Objects that are read at once.
const AT_ONCE: usize = 4;

/// What came of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The run has ended: phase, and the reason of condition `Ready`.
    Ended(String, String),
    /// It says why it is where it is: the reason of condition `Ready`.
    Says(String),
    /// Only an Event says something: its reason.
    Event(String),
    /// It does not exist any more.
    Gone,
    /// It says nothing.
    Nothing,
}

/// The parts of an object that are read. What is left out is skipped, however deep.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    reason: String,
    message: String,
}

impl Status {
    fn told(&self) -> Told {
        let ready = self.conditions.iter().find(|c| c.type_ == "Ready" && !c.message.is_empty());
        match ready {
            Some(ready) if matches!(self.phase.as_str(), "Succeeded" | "Failed") => {
                Told::Ended(self.phase.clone(), ready.reason.clone())
            }
            Some(ready) => Told::Says(ready.reason.clone()),
            None => Told::Nothing,
        }
    }
}

/// Waits until every object says something, at most until the deadline; returns what each says.
pub(super) async fn told(client: &Client, objects: &[&Object], deadline: Instant) -> HashMap<String, Told> {
    let mut all = HashMap::new();
    let mut every = tokio::time::interval(Duration::from_secs(2));
    loop {
        every.tick().await;
        let events = events(client).await;
        let open: Vec<&&Object> =
            objects.iter().filter(|o| all.get(&key(o)).is_none_or(|told| *told == Told::Nothing)).collect();
        let read =
            stream::iter(open).map(|object| async { (key(object), read(client, object, &events).await) });
        all.extend(read.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        if Instant::now() > deadline || all.values().all(|told| *told != Told::Nothing) {
            return all;
        }
    }
}

/// Name of an object in the answers of [`told()`].
pub(super) fn key(object: &Object) -> String {
    format!("{}/{}", object.plural, object.name)
}

async fn text(client: &Client, path: String) -> Result<String, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}

async fn read(client: &Client, object: &Object, events: &HashSet<(String, String)>) -> Told {
    let told =
        match text(client, format!("{BACKUPS}/namespaces/{NAMESPACE}/{}/{}", object.plural, object.name))
            .await
        {
            Ok(text) => serde_json::from_str::<Read>(&text).map_or(Told::Nothing, |read| read.status.told()),
            Err(kube::Error::Api(status)) if status.code == 404 => Told::Gone,
            Err(_) => Told::Nothing,
        };
    let event =
        || events.iter().find(|(of, _)| *of == key(object)).map(|(_, reason)| Told::Event(reason.clone()));
    if told == Told::Nothing { event().unwrap_or(told) } else { told }
}

#[derive(Deserialize)]
struct Events {
    items: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Event {
    reason: String,
    regarding: Regarding,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Regarding {
    kind: String,
    name: String,
}

/// Returns the Events of the namespace: the object, as [`key`] writes it, and the reason.
async fn events(client: &Client) -> HashSet<(String, String)> {
    let list = text(client, format!("/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"))
        .await
        .unwrap_or_default();
    let items = serde_json::from_str::<Events>(&list).map(|list| list.items).unwrap_or_default();
    items
        .into_iter()
        .filter(|event| !event.reason.is_empty())
        .map(|event| {
            (format!("{}s/{}", event.regarding.kind.to_lowercase(), event.regarding.name), event.reason)
        })
        .collect()
}
