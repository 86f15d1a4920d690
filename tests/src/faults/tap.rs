//! Counts the traffic between the controllers of a plan and the API server, and applies the plan's trouble.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::asked::Asked;
use super::plan::{Call, Event, Trouble};

/// Fewest watches of a controller: our kinds, Jobs, pods, and a kind of strategy.
const WATCHES: usize = 8;
/// Kinds that are listed and not watched, for garbage collection.
const LISTED_ONCE: [&str; 2] = ["secrets", "controllerrevisions"];

/// The edits of an administrator.
pub(super) type Meddling = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The tap of a plan, for all its controllers and their restarts.
pub(super) struct Tap {
    /// The namespace that the controllers see.
    pub namespace: String,
    trouble: Trouble,
    meddling: Meddling,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    calls: HashMap<String, u32>,
    events: HashMap<String, u32>,
    /// Calls that the API server answered with success.
    done: Vec<Call>,
    /// Whether the place of the trouble was reached.
    reached: bool,
    /// First list of each selection.
    first: HashMap<String, Bytes>,
    /// Selections whose next list is stale: the first one again.
    stale: BTreeSet<String>,
    watched: BTreeSet<String>,
    intruders: Vec<(String, Value)>,
    /// When a controller last asked for a write.
    written: Option<Instant>,
}

impl Tap {
    pub(super) fn new(namespace: &str, trouble: Trouble, meddling: Meddling) -> Self {
        let namespace = namespace.to_owned();
        Self { namespace, trouble, meddling, seen: Mutex::default(), changed: Notify::new() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, except of Events, and returns the trouble if this is its place.
    pub(super) fn called(&self, asked: &Asked) -> Option<(Call, &Trouble)> {
        let mut seen = self.seen();
        let count = seen.calls.entry(asked.what.clone()).or_default();
        *count += 1;
        let nth = *count;
        if asked.verb.writes() && asked.resource != "events" {
            seen.written = Some(Instant::now());
        }
        let at = self.trouble.call()?;
        let times = match &self.trouble {
            Trouble::Answer { times, .. } | Trouble::Unsent { times, .. } | Trouble::Lost { times, .. } => {
                *times
            }
            _ => 1,
        };
        let here = at.what == asked.what && (at.nth..at.nth + times).contains(&nth);
        seen.reached |= here;
        here.then(|| (Call { what: asked.what.clone(), nth }, &self.trouble))
    }

    /// Counts a successful answer of the API server.
    pub(super) fn answered(&self, asked: &Asked, status: StatusCode) {
        if status.is_success() || status == StatusCode::NOT_FOUND || status == StatusCode::CONFLICT {
            let mut seen = self.seen();
            let nth = *seen.calls.get(&asked.what).unwrap_or(&1);
            seen.done.push(Call { what: asked.what.clone(), nth });
        }
        self.changed.notify_waiters();
    }

    /// Counts an event, and returns the trouble if this is its place.
    pub(super) fn event(&self, what: &str) -> Option<&Trouble> {
        let mut seen = self.seen();
        let count = seen.events.entry(what.to_owned()).or_default();
        *count += 1;
        let nth = *count;
        let (Trouble::Lose { at } | Trouble::Gap { at } | Trouble::Break { at } | Trouble::Slow { at }) =
            &self.trouble
        else {
            return None;
        };
        let here = *at == Event { what: what.to_owned(), nth };
        seen.reached |= here;
        here.then_some(&self.trouble)
    }

    pub(super) fn watching(&self, selection: &str) {
        self.seen().watched.insert(selection.to_owned());
        self.changed.notify_waiters();
    }

    /// Waits until every listed selection is watched.
    pub(super) async fn all_watched(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let seen = self.seen();
                let mut listed = seen.first.keys().filter(|s| !LISTED_ONCE.iter().any(|r| s.starts_with(r)));
                if seen.watched.len() >= WATCHES && listed.all(|s| seen.watched.contains(s)) {
                    return;
                }
            }
            changed.await;
        }
    }

    pub(super) fn listed(&self, selection: &str, body: &Bytes) {
        self.seen().first.entry(selection.to_owned()).or_insert_with(|| body.clone());
        self.changed.notify_waiters();
    }

    pub(super) fn stale_list(&self, selection: &str) -> Option<Bytes> {
        let mut seen = self.seen();
        if seen.stale.remove(selection) { seen.first.get(selection).cloned() } else { None }
    }

    pub(super) fn died(&self, stale: bool) {
        let mut seen = self.seen();
        if stale {
            // A list without a watch reads the API server's store, which is never stale.
            seen.stale = seen.first.keys().filter(|s| seen.watched.contains(*s)).cloned().collect();
        }
    }

    pub(super) async fn meddle(&self) {
        (self.meddling)().await;
    }

    pub(super) fn intruded(&self, path: String, object: Value) {
        self.seen().intruders.push((path, object));
    }

    /// Returns the intruders' objects, with their paths.
    pub(super) fn intruders(&self) -> Vec<(String, Value)> {
        self.seen().intruders.clone()
    }

    /// Returns when a controller last asked for a write other than an Event.
    pub(super) fn written(&self) -> Option<Instant> {
        self.seen().written
    }

    /// Returns whether a watch expires.
    pub(super) fn expires(&self) -> bool {
        matches!(self.trouble, Trouble::Gap { .. })
    }

    /// Returns whether the plan has no trouble.
    pub(super) fn is_calm(&self) -> bool {
        self.trouble == Trouble::None
    }

    /// Returns whether the place of the trouble was reached.
    pub(super) fn reached(&self) -> bool {
        self.is_calm() || self.seen().reached
    }

    /// Returns the number of calls of each kind.
    pub(super) fn calls(&self) -> BTreeMap<String, u32> {
        self.seen().calls.clone().into_iter().collect()
    }

    /// Returns the number of events of each kind.
    pub(super) fn events(&self) -> BTreeMap<String, u32> {
        self.seen().events.clone().into_iter().collect()
    }

    /// Returns the number of successful reads and writes, without lists, watches, discovery and Events.
    pub(super) fn traffic(&self) -> (usize, usize) {
        let seen = self.seen();
        let counted = |verbs: &[&str]| {
            let of =
                |what: &str| what.split_once(' ').is_some_and(|(v, r)| verbs.contains(&v) && r != "events");
            seen.done.iter().filter(|c| of(&c.what)).count()
        };
        (counted(&["get"]), counted(&["create", "patch", "delete"]))
    }
}
