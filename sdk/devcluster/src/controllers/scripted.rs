//! A node for simulations: its pods live as a script says, without processes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Change, Cluster, is_deleted, seconds};
use super::drive::{Controller, Queue, drive};
use super::lost::Switch;
use crate::api::ApiServer;
use crate::client::{Key, Refused, key, text};
use crate::local::life::{Act, Cause, Ended, Life};
use crate::local::plan::{Hindered, grace, members, title};
use crate::local::status::{deadline, status};

/// How one start of a container goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How long it takes until it runs.
    pub starts_after: Duration,
    /// It does not run but waits, for this reason and with this text: `ImagePullBackOff` and its like.
    pub waits: Option<(&'static str, String)>,
    /// How long it runs; until it is ended, if none.
    pub runs: Option<Duration>,
    /// Its exit code at its own end.
    pub code: i32,
    /// Its last words.
    pub message: String,
    /// How long it takes to end when it is told to; it has to be killed, if none.
    pub stops_after: Option<Duration>,
    /// Its exit code where it was told to end.
    pub stop_code: i32,
}

impl Default for Script {
    /// It begins at once, and succeeds after a second.
    fn default() -> Self {
        Self {
            starts_after: Duration::ZERO,
            waits: None,
            runs: Some(Duration::from_secs(1)),
            code: 0,
            message: String::new(),
            stops_after: Some(Duration::ZERO),
            stop_code: 143,
        }
    }
}

/// How soon the author is asked again about a container that waits.
const RETRY: Duration = Duration::from_secs(20);

/// Returns the script for a pod, a container of it, and the number of its start; the first is 0.
type Author = Box<dyn FnMut(&Value, &str, u32) -> Script + Send>;

/// A node whose pods live as a script says.
pub struct ScriptedNode {
    cluster: Cluster,
    name: String,
    author: Author,
    lost: Arc<AtomicBool>,
    bodies: BTreeMap<String, Body>,
}

struct Body {
    life: Life,
    /// When containers begin that were told to.
    begins: BTreeMap<usize, (Timestamp, Script)>,
    /// When containers end, how, and what they do if they are told to end before.
    ends: BTreeMap<usize, (Option<Timestamp>, i32, Script)>,
    written: Value,
}

impl std::fmt::Debug for ScriptedNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedNode").field("name", &self.name).finish_non_exhaustive()
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

impl ScriptedNode {
    /// Makes a node of this name. The token, if there is one, has to be an administrator's.
    pub fn new(
        server: ApiServer,
        token: Option<&str>,
        name: &str,
        author: impl FnMut(&Value, &str, u32) -> Script + Send + 'static,
    ) -> Self {
        let cluster = Cluster::new(server, "kubelet", token);
        let lost = Arc::new(AtomicBool::new(false));
        Self { cluster, name: name.to_owned(), author: Box::new(author), lost, bodies: BTreeMap::new() }
    }

    /// Returns what makes the node disappear.
    #[must_use]
    pub fn switch(&self, token: Option<&str>) -> Switch {
        let cluster = Arc::new(Cluster::new(self.cluster.server.clone(), "node-controller", token));
        Switch { cluster, name: self.name.clone(), lost: self.lost.clone() }
    }

    /// Registers the node and runs its pods, for as long as it is polled.
    ///
    /// # Errors
    /// The API server refuses the node.
    pub async fn run(self) -> Result<Infallible, Refused> {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name,
            "labels": {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}}});
        match self.cluster.api.create("/api/v1/nodes", node).await {
            Err(refused) if !refused.is_conflict() => return Err(refused),
            _ => {}
        }
        let ready = readiness(&self.cluster, "True", "KubeletReady", "kubelet is posting ready status");
        let resources = json!({"cpu": "1000", "memory": "1Ti", "pods": "1000", "ephemeral-storage": "1Ti"});
        let status =
            json!({"status": {"capacity": resources, "allocatable": resources, "conditions": [ready]}});
        self.cluster.api.merge(&format!("/api/v1/nodes/{}/status", self.name), status).await?;
        Ok(drive(self).await)
    }

    /// Does what is due for a pod; returns when something is due next.
    async fn live(&mut self, pod: &Value) -> Result<Option<Timestamp>, Refused> {
        loop {
            let now = self.cluster.now();
            let uid = text(pod, "/metadata/uid").to_owned();
            let body = self.bodies.entry(uid).or_insert_with(|| Body {
                life: Life::new(title(pod), members(pod), now),
                begins: BTreeMap::new(),
                ends: BTreeMap::new(),
                written: Value::Null,
            });
            let status = status(pod, &body.life, now);
            if status != body.written {
                let path = format!("{}/status", path(pod));
                let written = json!({"metadata": {"uid": pod["metadata"]["uid"]}, "status": status});
                match self.cluster.api.merge(&path, written).await {
                    Err(refused) if !refused.is_absent() && !refused.is_conflict() => return Err(refused),
                    _ => body.written = status,
                }
            }
            // What has happened is told before something else happens.
            let before = body.life.clone();
            let (moved, due) = body.step(pod, now, &mut self.author);
            if !moved && before == body.life {
                return Ok(due);
            }
        }
    }
}

pub(super) fn path(pod: &Value) -> String {
    let (namespace, name) = key(pod);
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

pub(super) fn readiness(cluster: &Cluster, status: &str, reason: &str, message: &str) -> Value {
    let now = seconds(cluster.now());
    json!({"type": "Ready", "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now,
        "lastTransitionTime": now})
}

impl Body {
    /// Does what is due now. Returns whether something moved, and when something is due next.
    fn step(&mut self, pod: &Value, now: Timestamp, author: &mut Author) -> (bool, Option<Timestamp>) {
        if is_deleted(pod) {
            self.life.end(Cause::Deleted, grace(pod), now);
        } else if self.life.ending.is_none() && deadline(pod, &self.life).is_some_and(|at| at <= now) {
            self.life.end(Cause::Deadline, grace(pod), now);
        }
        let mut moved = false;
        let due: Vec<usize> = self
            .ends
            .iter()
            .filter(|(_, (at, ..))| at.is_some_and(|at| at <= now))
            .map(|(place, _)| *place)
            .collect();
        for place in due {
            self.finish(place, None, now);
            moved = true;
        }
        if moved {
            return (true, None);
        }
        let (acts, wake) = self.life.next(now, grace(pod));
        for act in acts {
            moved |= match act {
                Act::Start(place) => self.start(pod, place, now, author),
                Act::Terminate(place) => {
                    if let Some((at, code, script)) = self.ends.get_mut(&place)
                        && let Some(stop) = script.stops_after.map(|stop| later(now, stop))
                        && at.is_none_or(|at| stop < at)
                    {
                        (*at, *code) = (Some(stop), script.stop_code);
                        script.message = String::new();
                    }
                    true
                }
                Act::Kill(place) => {
                    self.finish(place, Some(137), now);
                    true
                }
            };
        }
        let begins = self.begins.values().map(|(at, _)| *at);
        let ends = self.ends.values().filter_map(|(at, ..)| *at);
        let due =
            begins.chain(ends).chain(wake).chain(deadline(pod, &self.life)).filter(|at| *at > now).min();
        (moved, due)
    }

    fn start(&mut self, pod: &Value, place: usize, now: Timestamp, author: &mut Author) -> bool {
        let Some((name, count)) =
            self.life.parts.get(place).map(|part| (part.member.name.clone(), part.starts))
        else {
            return false;
        };
        let (at, script) = self.begins.remove(&place).unwrap_or_else(|| {
            let script = author(pod, &name, count);
            (later(now, script.starts_after), script)
        });
        self.life.sandbox = true;
        if let Some((reason, message)) = script.waits {
            self.life.hindered(place, Hindered { reason, message }, later(now, RETRY));
            return true;
        }
        if at > now {
            self.begins.insert(place, (at, script));
            return false;
        }
        self.life.started(place, format!("script://{}-{name}-{count}", text(pod, "/metadata/uid")), now);
        self.ends.insert(place, (script.runs.map(|runs| later(now, runs)), script.code, script));
        true
    }

    fn finish(&mut self, place: usize, killed: Option<i32>, now: Timestamp) {
        let Some((_, code, script)) = self.ends.remove(&place) else { return };
        let Some(part) = self.life.parts.get(place) else { return };
        let crate::local::life::State::Running { since, id } = part.state.clone() else { return };
        let message = if killed.is_some() { String::new() } else { script.message };
        let code = killed.unwrap_or(code);
        let reason = if code == 0 { "Completed" } else { "Error" }.into();
        self.life.ended(place, Ended { code, reason, message, began: Some(since), at: Some(now), id }, now);
    }
}

impl Controller for ScriptedNode {
    type Item = Key;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<Key>) {
        if !change.is_of("", "pods") {
            return;
        }
        match &change.after {
            Some(pod) if text(pod, "/spec/nodeName") == self.name => queue.add(change.key.clone()),
            Some(_) => {}
            None => {
                let uid = change.before.as_ref().map(|pod| text(pod, "/metadata/uid").to_owned());
                self.bodies.remove(&uid.unwrap_or_default());
            }
        }
    }

    async fn handle(&mut self, key: Key, queue: &mut Queue<Key>) -> Result<(), Refused> {
        if self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(pod) = self.cluster.get("", "pods", &key) else { return Ok(()) };
        if !matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
            if let Some(due) = self.live(&pod).await? {
                queue.add_at(key.clone(), due);
            }
            return Ok(());
        }
        if is_deleted(&pod) {
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}});
            match self.cluster.api.delete(&path(&pod), options).await {
                Err(refused) if !refused.is_absent() && !refused.is_conflict() => return Err(refused),
                _ => {}
            }
        }
        Ok(())
    }
}
