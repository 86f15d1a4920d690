//! One pod on the node, from its first sight to its removal.

mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::files::Files;
use super::image::Images;
use super::life::{Act, Cause, Ended, Life};
use super::plan::{grace, title};
use super::probe::{self, Found, Inside};
use super::resume::resumed;
use super::run::Running;
use super::setup::Tools;
use super::status::{deadline, rejected, status};
use super::volumes::Volume;
use super::{UNSUPPORTED, fields};
use crate::client::{Api, text};

/// How soon something is tried again that did not work.
const RETRY: Duration = Duration::from_secs(2);

/// What all pods of a node share.
pub(super) struct Node {
    /// The API server.
    pub(super) api: Api,
    /// The images.
    pub(super) images: Images,
    /// The folders.
    pub(super) files: Files,
    /// The machine's programs.
    pub(super) tools: Tools,
}

/// What a running container is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    Terminate,
    Kill,
}

/// What comes from containers, by their place.
type Channel<T> = (mpsc::UnboundedSender<(usize, T)>, mpsc::UnboundedReceiver<(usize, T)>);

struct Worker {
    /// Why its volumes are not there, as it was told last.
    unmounted: String,
    node: Arc<Node>,
    pod: watch::Receiver<Arc<Value>>,
    life: Life,
    volumes: Option<BTreeMap<String, Volume>>,
    orders: BTreeMap<usize, mpsc::UnboundedSender<Order>>,
    exits: Channel<i32>,
    found: Channel<Found>,
    written: Value,
}

/// Returns the path of a pod.
pub(super) fn path(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

/// Runs a pod until it is over, and removes it once it is to be deleted. Dropped, it ends all of the pod's processes.
pub(super) async fn run(node: Arc<Node>, mut pod: watch::Receiver<Arc<Value>>) {
    let seen = pod.borrow_and_update().clone();
    let old = text(&seen, "/status/phase");
    let unsupported = fields::unsupported(&seen);
    if matches!(old, "Failed" | "Succeeded") {
        // It was over before the node saw it.
    } else if !unsupported.is_empty() {
        let message = format!("the local node does not support {}", unsupported.join(", "));
        write(&node, &seen, rejected(&seen, UNSUPPORTED, &message, Timestamp::now())).await;
    } else {
        node.files.forget_views(&seen);
        let life = resumed(&seen, Timestamp::now());
        let mut worker = Worker {
            unmounted: String::new(),
            node: node.clone(),
            pod: pod.clone(),
            life,
            volumes: None,
            orders: BTreeMap::new(),
            exits: mpsc::unbounded_channel(),
            found: mpsc::unbounded_channel(),
            written: Value::Null,
        };
        worker.live().await;
        node.files.forget_volumes(&seen);
    }
    remove(&node, &mut pod).await;
}

/// Waits until a pod is to be deleted, and deletes it.
async fn remove(node: &Node, pod: &mut watch::Receiver<Arc<Value>>) {
    loop {
        let seen = pod.borrow_and_update().clone();
        if seen.pointer("/metadata/deletionTimestamp").is_some() {
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": seen["metadata"]["uid"]}});
            match node.api.delete(&path(&seen), options).await {
                Err(refused) if refused.code == 0 || refused.code >= 500 => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                _ => {}
            }
        }
        if pod.changed().await.is_err() {
            return;
        }
    }
}

/// Writes a pod's status; returns whether it need not be tried again.
async fn write(node: &Node, pod: &Value, status: Value) -> bool {
    let body = json!({"metadata": {"uid": pod["metadata"]["uid"]}, "status": status});
    match node.api.merge(&format!("{}/status", path(pod)), body).await {
        Ok(_) => true,
        Err(refused) => {
            tracing::debug!(pod = title(pod), %refused, "the status of a pod is not written");
            matches!(refused.code, 400..500)
        }
    }
}

impl Worker {
    fn seen(&self) -> Arc<Value> {
        self.pod.borrow().clone()
    }

    async fn live(&mut self) {
        loop {
            let now = Timestamp::now();
            let pod = self.seen();
            self.judge(&pod, now);
            // What has happened is told before something else happens.
            let mut told = self.publish(&pod).await;
            let (acts, wake) = self.life.next(now, grace(&pod));
            let wake = [wake, deadline(&pod, &self.life)].into_iter().flatten().filter(|at| *at > now).min();
            let mut pause = wake.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
            let mut more = acts.iter().any(|act| matches!(act, Act::Start(_)));
            for act in acts {
                if !self.act(&pod, act).await {
                    (more, pause) = (false, Some(RETRY));
                }
            }
            told &= self.publish(&pod).await;
            if !told {
                (more, pause) = (false, Some(RETRY));
            }
            if told && self.life.is_over() {
                return;
            }
            if more {
                continue;
            }
            self.wait(pause.map(|pause| pause.min(Duration::from_secs(3600)))).await;
        }
    }

    fn judge(&mut self, pod: &Value, now: Timestamp) {
        if pod.pointer("/metadata/deletionTimestamp").is_some() {
            self.life.end(Cause::Deleted, grace(pod), now);
        } else if self.life.ending.is_none() && deadline(pod, &self.life).is_some_and(|at| at <= now) {
            self.life.end(Cause::Deadline, grace(pod), now);
        }
    }

    async fn wait(&mut self, pause: Option<Duration>) {
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((place, code)) = self.exits.1.recv() => self.ended(place, code),
            Some((place, found)) = self.found.1.recv() => self.probed(place, found),
            Ok(()) = self.pod.changed() => {}
            () = timer => {}
        }
    }

    async fn publish(&mut self, pod: &Value) -> bool {
        let status = status(pod, &self.life, Timestamp::now());
        if status == self.written {
            return true;
        }
        let done = write(&self.node, pod, status.clone()).await;
        if done {
            self.written = status;
        }
        done
    }

    /// Does what the pod's life asks for; returns whether it need not be tried again soon.
    async fn act(&mut self, pod: &Value, act: Act) -> bool {
        let (place, order) = match act {
            Act::Start(place) => return self.start(pod, place).await,
            Act::Terminate(place) => (place, Order::Terminate),
            Act::Kill(place) => (place, Order::Kill),
        };
        if let Some(orders) = self.orders.get(&place) {
            let _ = orders.send(order);
        }
        true
    }

    /// Waits for the end of a container, and passes on what it is told.
    fn attend(&mut self, place: usize, mut running: Running, inside: Inside, spec: Value) {
        let (sender, mut orders) = mpsc::unbounded_channel();
        self.orders.insert(place, sender);
        let (exits, found) = (self.exits.0.clone(), self.found.0.clone());
        tokio::spawn(async move {
            let probing = probe::watch(inside, spec, place, found);
            tokio::pin!(probing);
            loop {
                tokio::select! {
                    () = &mut probing => {}
                    code = running.ended() => {
                        let _ = exits.send((place, code));
                        return;
                    }
                    order = orders.recv() => match order {
                        Some(Order::Terminate) => running.terminate(),
                        Some(Order::Kill) => running.kill(),
                        None => return,
                    }
                }
            }
        });
    }

    /// Notes what a probe found out; a container that does not live is ended.
    fn probed(&mut self, place: usize, found: Found) {
        let Some(part) = self.life.parts.get_mut(place) else { return };
        match found {
            Found::Started => part.begun = true,
            Found::Ready(ready) => part.fit = ready,
            Found::Failed(grace) => {
                let Some(orders) = self.orders.get(&place).cloned() else { return };
                let pod = self.seen();
                let grace = grace.unwrap_or_else(|| super::plan::grace(&pod));
                let _ = orders.send(Order::Terminate);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(grace)).await;
                    let _ = orders.send(Order::Kill);
                });
            }
        }
    }

    fn ended(&mut self, place: usize, code: i32) {
        let Some(part) = self.life.parts.get(place) else { return };
        let super::life::State::Running { since, id } = part.state.clone() else { return };
        self.orders.remove(&place);
        let pod = self.seen();
        let files = self.node.files.start(&pod, &part.member.name, part.starts.saturating_sub(1));
        let message = self.node.files.words(&part.member.spec, &files, code);
        drop(std::fs::remove_dir_all(&files.base));
        let reason = if code == 0 { "Completed" } else { "Error" }.into();
        let now = Timestamp::now();
        self.life.ended(place, Ended { code, reason, message, began: Some(since), at: Some(now), id }, now);
    }
}
