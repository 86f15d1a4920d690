//! How the containers of a pod are started.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::environment::Objects;
use super::super::life::{Ended, Part, State};
use super::super::plan::{Hindered, plan, referred, title};
use super::super::probe::Inside;
use super::super::run::{Running, start};
use super::super::setup::Failure;
use super::super::status::seconds;
use super::super::volumes::volumes;
use super::{RETRY, Worker};
use crate::client::{Refused, text};

impl Worker {
    /// Starts a container; returns whether it need not be tried again soon.
    pub(super) async fn start(&mut self, pod: &Value, place: usize) -> bool {
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
            self.say_unmounted(pod, &why).await;
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
                    reason: "StartError".into(),
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
        let started = start(&node.tools, &files.base, &plan, &binds, &files.log).await;
        if started.is_err() {
            // Who follows the log would wait for as long as it is there.
            drop(std::fs::remove_dir_all(&files.base));
        }
        match started {
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
                // Not bound to the pod: the API server of this crate has no such tokens.
                let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                    "spec": {"audiences": audiences}});
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

    /// Writes an Event about volumes that are not there yet, once for each reason.
    async fn say_unmounted(&mut self, pod: &Value, why: &str) {
        if self.unmounted == why {
            return;
        }
        why.clone_into(&mut self.unmounted);
        let now = Timestamp::now();
        let metadata = &pod["metadata"];
        let name = format!("{}.{:x}", text(pod, "/metadata/name"), now.as_nanosecond());
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"],
                "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "reason": "FailedMount", "message": why, "type": "Warning", "count": 1, "firstTimestamp": seconds(now),
            "lastTimestamp": seconds(now), "source": {"component": "kubelet"}, "reportingComponent": "kubelet"});
        let path = format!("/api/v1/namespaces/{}/events", text(pod, "/metadata/namespace"));
        if let Err(refused) = self.node.api.create(&path, event).await {
            tracing::debug!(pod = title(pod), %refused, why, "an event is not written");
        }
    }
}

/// Why a container is not started.
enum Stopped {
    /// It may be later.
    Hindered(Hindered),
    /// Its command is not there. The text, and which container it would have been.
    Refused(String, String),
}

fn is_pull(part: &Part) -> bool {
    matches!(&part.state, State::Waiting(why) if why.reason.contains("ImagePull"))
}

fn back_off(container: &Value, why: &Hindered) -> Hindered {
    let message =
        format!("Back-off pulling image \"{}\": ErrImagePull: {}", text(container, "/image"), why.message);
    Hindered { reason: "ImagePullBackOff", message }
}
