//! One pod on the node, from its first sight to its removal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::environment::Objects;
use super::files::Files;
use super::image::Images;
use super::life::{Act, Cause, Ended, Life};
use super::plan::{Hindered, grace, members, plan, referred, title};
use super::probe::{self, Found, Inside};
use super::run::{Running, start};
use super::setup::{Failure, Tools};
use super::status::{deadline, rejected, status};
use super::volumes::{Volume, volumes};
use super::{UNSUPPORTED, fields};
use crate::client::{Api, Refused, text};

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
    } else if seen.pointer("/status/startTime").is_some() {
        let message = "the node was started anew and does not know the pod's containers any more";
        write(&node, &seen, rejected(&seen, "NodeRestarted", message, Timestamp::now())).await;
    } else {
        let life = Life::new(title(&seen), members(&seen), Timestamp::now());
        let mut worker = Worker {
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

    async fn start(&mut self, pod: &Value, place: usize) -> bool {
        let Some((spec, count)) = self.life.parts.get(place).map(|p| (p.member.spec.clone(), p.starts))
        else {
            return true;
        };
        let objects = match self.objects(pod).await {
            Ok(objects) => objects,
            Err(refused) => {
                tracing::warn!(pod = title(pod), %refused, "the objects of a pod cannot be read");
                return false;
            }
        };
        if let Err(why) = self.mount(pod, &objects) {
            tracing::info!(pod = title(pod), why, "a volume is not there yet");
            return false;
        }
        match self.try_start(pod, &spec, count, &objects).await {
            Ok((running, inside, id)) => {
                self.life.started(place, id, Timestamp::now());
                self.attend(place, running, inside, spec);
            }
            Err(Stopped::Hindered(why)) => {
                let pulled = why.reason == "ErrImagePull";
                let again = pulled
                    && self.life.parts.get(place).is_some_and(|part| part.starts == count && is_pull(part));
                let why = if again { back_off(&spec, &why) } else { why };
                self.life.hindered(place, why, Timestamp::now() + RETRY);
            }
            Err(Stopped::Refused(message, id)) => {
                let at = Some(Timestamp::now());
                let ended = Ended {
                    code: 128,
                    reason: "StartError",
                    message,
                    began: Some(Timestamp::UNIX_EPOCH),
                    at,
                    id,
                };
                self.life.refused(place, ended, Timestamp::now());
            }
        }
        true
    }

    async fn try_start(
        &self,
        pod: &Value,
        spec: &Value,
        count: u32,
        objects: &Objects,
    ) -> Result<(Running, Inside, String), Stopped> {
        let node = &self.node;
        let plan = plan(pod, spec, &node.images, objects).map_err(Stopped::Hindered)?;
        let hindered = |reason, message| Stopped::Hindered(Hindered { reason, message });
        let files = node.files.start(pod, text(spec, "/name"), count);
        let volumes = self.volumes.as_ref().map(std::borrow::Cow::Borrowed).unwrap_or_default();
        let binds = node.files.binds(pod, &plan, &volumes, &files);
        let binds = binds.map_err(|why| hindered("CreateContainerConfigError", why))?;
        let made = std::fs::create_dir_all(&files.base).and_then(|()| std::fs::write(&files.message, ""));
        made.map_err(|error| hindered("CreateContainerError", error.to_string()))?;
        let id = format!("local://{}-{}-{count}", text(pod, "/metadata/uid"), text(spec, "/name"));
        match start(&node.tools, &files.base, &plan, &binds, &files.log).await {
            Ok(running) => {
                let inside = running.inside(&node.tools, &plan);
                Ok((running, inside, id))
            }
            Err(Failure::View(why)) => Err(hindered("CreateContainerError", why)),
            Err(Failure::Command(why)) => Err(Stopped::Refused(
                format!(
                    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc \
                     create failed: unable to start container process: {why}: unknown"
                ),
                id,
            )),
        }
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
        let reason = if code == 0 { "Completed" } else { "Error" };
        let now = Timestamp::now();
        self.life.ended(place, Ended { code, reason, message, began: Some(since), at: Some(now), id }, now);
    }

    /// Makes the pod's volumes, once.
    fn mount(&mut self, pod: &Value, objects: &Objects) -> Result<(), String> {
        if self.volumes.is_none() {
            let made = volumes(pod, objects)?;
            for (name, volume) in &made {
                self.node.files.make(pod, name, volume).map_err(|error| error.to_string())?;
            }
            self.volumes = Some(made);
            self.life.sandbox = true;
        }
        Ok(())
    }

    /// Reads what the pod refers to; what is not there is left out.
    async fn objects(&self, pod: &Value) -> Result<Objects, Refused> {
        let namespace = format!("/api/v1/namespaces/{}", text(pod, "/metadata/namespace"));
        let mut objects = Objects::new();
        for (resource, name) in referred(pod) {
            let found = if resource == "tokens" {
                let account = match text(pod, "/spec/serviceAccountName") {
                    "" => "default",
                    account => account,
                };
                let audiences: Vec<&str> = if name.is_empty() { Vec::new() } else { vec![&name] };
                let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"]});
                let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                    "spec": {"audiences": audiences, "boundObjectRef": bound}});
                self.node.api.create(&format!("{namespace}/serviceaccounts/{account}/token"), body).await
            } else {
                self.node.api.get(&format!("{namespace}/{resource}/{name}")).await
            };
            match found {
                Ok(object) => drop(objects.insert((resource, name), object)),
                Err(refused) if refused.is_absent() => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(objects)
    }
}

/// Why a container is not started.
enum Stopped {
    /// It may be later.
    Hindered(Hindered),
    /// Its command is not there. The text, and which container it would have been.
    Refused(String, String),
}

fn is_pull(part: &super::life::Part) -> bool {
    matches!(&part.state, super::life::State::Waiting(why) if why.reason.contains("ImagePull"))
}

fn back_off(container: &Value, why: &Hindered) -> Hindered {
    let message =
        format!("Back-off pulling image \"{}\": ErrImagePull: {}", text(container, "/image"), why.message);
    Hindered { reason: "ImagePullBackOff", message }
}
