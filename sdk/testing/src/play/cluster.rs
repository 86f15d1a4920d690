//! A cluster in this process, in simulated time: API server, controllers, a node of a script, operators of scripts, and
//! Backstay's controller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use backstay::clock::{Clock, Machine};
use backstay::cluster::client::layered;
use backstay::components::Calls;
use backstay::components::registry::Registry;
use backstay::controller::{Surroundings, run_in};
use backstay::settings::Settings;
use backstay::trial::{Admin, State, Story, class, install, token};
use backstay_core::contract::Json;
use backstay_core::trust::Trust;
use backstay_engine::Component;
use devcluster::api::{ApiServer, Logs, Options, Served, TokioClock};
use devcluster::controllers::{Controllers, ScriptedNode};
use jiff::{SignedDuration, Timestamp};
use kube::client::ClientBuilder;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::account::Account;
use super::journal::Journal;
use super::kinds;
use super::operator::{AtWork, Operator};
use super::pods::Pods;
use super::stage::Stage;
use crate::fixture::NOW;

/// Name of the class of a stage.
pub(super) const CLASS: &str = "stage";
/// Name of the node.
const NODE: &str = "node";
/// How long everybody may work before the first run: the controller starts.
const PRELUDE: Duration = Duration::from_secs(5);
/// How long everybody may still work after a run has ended: Events are posted, finished Jobs are marked.
const AFTERMATH: Duration = Duration::from_secs(5);

/// A cluster with everybody in it.
pub(super) struct Cluster {
    // Dropped first: nobody works on while the rest goes.
    parts: JoinSet<anyhow::Error>,
    admin: Admin,
    server: ApiServer,
    story: Story,
    pub(super) journal: Journal,
    pub(super) namespace: String,
    runtime: Runtime,
}

impl Cluster {
    /// Starts everybody, and makes the objects of the stage.
    ///
    /// # Errors
    /// An object of the stage is refused, or a part cannot be started.
    pub(super) fn start(component: &Component, stage: &mut Stage) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let namespace = stage.application["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let operators = std::mem::take(&mut stage.operators);
        let (server, admin, parts, journal, story) = runtime.block_on(async {
            let logs: Arc<dyn Logs> = Arc::new(stage.pods.clone());
            let begin = Timestamp::from_second(NOW)?.checked_sub(SignedDuration::try_from(PRELUDE)?)?;
            let server = ApiServer::new(Options {
                clock: Box::new(TokioClock::starting_at(begin)),
                logs: Some(logs),
                ..Options::default()
            });
            let journal = Journal::begin(PRELUDE);
            let admin = Admin::new(server.clone(), None);
            let registry = Registry::of([component.clone()], &all_trust(component))?;
            install(&admin, &registry).await?;
            let mut parts = JoinSet::new();
            parts.spawn(cluster_controllers(server.clone()));
            parts.spawn(node(server.clone(), stage.pods.clone()));
            furnish(&admin, component, stage, &namespace).await?;
            for operator in operators {
                parts.spawn(at_work(&admin, operator, &namespace, journal.clone())?);
            }
            let token = token(&admin).await.context("no token for the controller")?;
            parts.spawn(controller(server.clone(), &token, registry, journal.clone(), begin)?);
            let story = Story::of(&admin, &namespace);
            tokio::select! {
                () = tokio::time::sleep(PRELUDE) => {}
                broken = parts.join_next() => return Err(broken_by(broken)),
            }
            anyhow::Ok((server, admin, parts, journal, story))
        })?;
        Ok(Self { parts, admin, server, story, journal, namespace, runtime })
    }

    /// Applies a run, and returns it as it is at its end.
    ///
    /// # Errors
    /// It does not end within the time, or a part of the cluster ends; the message says what the run waits for.
    pub(super) fn play(&mut self, run: &Json, within: Duration) -> anyhow::Result<Json> {
        let Self { parts, admin, story, journal, namespace, runtime, .. } = self;
        runtime.block_on(async {
            let run = admin.apply(run, namespace).await?;
            let mut say = |line: &str| {
                journal.say(line);
                Ok(())
            };
            let followed = tokio::time::timeout(within, story.follow(admin, &run, &mut say));
            let ended = tokio::select! {
                followed = followed => followed,
                broken = parts.join_next() => return Err(broken_by(broken)),
            };
            let Ok(ended) = ended else {
                let path = admin.path(&run, namespace)?.unwrap_or_default();
                let State { phase, reason, message } =
                    State::of(&admin.read(&path).await?.unwrap_or_default());
                return Err(anyhow!(
                    "the {} has not ended after {} s of simulated time. It is {phase}, and waits: {reason}: {message}",
                    text(&run["kind"]),
                    within.as_secs()
                ));
            };
            let mut ended = ended?;
            tokio::select! {
                () = tokio::time::sleep(AFTERMATH) => {}
                broken = parts.join_next() => return Err(broken_by(broken)),
            }
            story.tell_rest(&mut say)?;
            let path = admin.path(&run, namespace)?.unwrap_or_default();
            if let Some(now) = admin.read(&path).await? {
                ended = now;
            }
            Ok(ended)
        })
    }

    /// Applies objects.
    ///
    /// # Errors
    /// One is refused.
    pub(super) fn apply(&mut self, objects: &[Json]) -> anyhow::Result<()> {
        let Self { admin, namespace, runtime, .. } = self;
        runtime.block_on(put(admin, objects, namespace))
    }

    /// Deletes an object of a kind that is named as in `Backup.postgresql.cnpg.io`.
    ///
    /// # Errors
    /// There is none, or the API server refuses.
    pub(super) fn delete(&mut self, kind: &str, name: &str) -> anyhow::Result<()> {
        let Self { admin, namespace, runtime, .. } = self;
        runtime.block_on(async {
            let place = kinds::named(admin, kind)?.path(namespace);
            admin.api().delete(&format!("{place}/{name}"), json!({})).await?;
            Ok(())
        })
    }

    /// Returns the objects of a kind that is named as in `Backup.postgresql.cnpg.io`.
    ///
    /// # Errors
    /// It is not served.
    pub(super) fn all(&self, kind: &str) -> anyhow::Result<Vec<Json>> {
        self.runtime.block_on(async {
            let served = kinds::named(&self.admin, kind)?;
            list(&self.admin, &served, &self.namespace).await
        })
    }

    /// Returns the Events about objects of the namespace.
    ///
    /// # Errors
    /// The API server refuses.
    pub(super) fn events(&self) -> anyhow::Result<Vec<Json>> {
        self.all("Event.events.k8s.io")
    }

    /// Returns the objects in the namespace that have this label, in the order of their kinds.
    ///
    /// # Errors
    /// The API server refuses.
    pub(super) fn labelled(&self, label: &str, value: &str) -> anyhow::Result<Vec<Json>> {
        self.runtime.block_on(async {
            let mut found = Vec::new();
            for (group, plural) in self.server.census().into_keys() {
                let Some(served) = self.server.served_as(&group, &plural) else { continue };
                if served.namespaced {
                    let place = served.path(&self.namespace);
                    let path = format!("{place}?labelSelector={label}%3D{value}");
                    found.extend(self.admin.read(&path).await?.map(items).unwrap_or_default());
                }
            }
            Ok(found)
        })
    }
}

async fn list(admin: &Admin, served: &Served, namespace: &str) -> anyhow::Result<Vec<Json>> {
    Ok(admin.read(&served.path(namespace)).await?.map(items).unwrap_or_default())
}

/// Returns the items of a list, each with its version and kind.
fn items(mut list: Json) -> Vec<Json> {
    let (version, kind) =
        (list["apiVersion"].clone(), text(&list["kind"]).trim_end_matches("List").to_owned());
    let items = list["items"].take();
    let items = items.as_array().cloned().unwrap_or_default();
    let whole = |mut item: Json| {
        item["apiVersion"] = version.clone();
        item["kind"] = kind.clone().into();
        item
    };
    items.into_iter().map(whole).collect()
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// The tests of a component are not about whether an administrator trusts it.
fn all_trust(component: &Component) -> Trust {
    let name = vec![component.descriptor().name.clone()];
    Trust { unguarded: name.clone(), credentials: name.clone(), groups: name }
}

async fn cluster_controllers(server: ApiServer) -> anyhow::Error {
    match Controllers::new(server, None).run().await {}
}

async fn node(server: ApiServer, pods: Pods) -> anyhow::Error {
    let script = move |pod: &Json, container: &str, _| pods.start(pod, container);
    match ScriptedNode::new(server, None, NODE, script).run().await {
        Ok(never) => match never {},
        Err(refused) => anyhow::Error::new(refused).context("the API refuses the node"),
    }
}

fn at_work(
    admin: &Admin,
    operator: Operator,
    namespace: &str,
    journal: Journal,
) -> anyhow::Result<impl Future<Output = anyhow::Error> + Send + 'static> {
    let served = kinds::named(admin, &operator.kind)?;
    let at_work = AtWork::new(operator, admin.clone(), served, namespace.to_owned(), journal);
    Ok(async { match at_work.run().await {} })
}

fn controller(
    server: ApiServer,
    token: &str,
    registry: Registry,
    journal: Journal,
    at: Timestamp,
) -> anyhow::Result<impl Future<Output = anyhow::Error> + Send + 'static> {
    let account = Account::new(server, token, journal)?;
    let client = layered(ClientBuilder::new(account, "default"));
    let settings = Settings::default();
    let surroundings = Surroundings {
        clock: Clock::on(Box::new(Simulated { began: Instant::now(), at })),
        calls: Calls::InTask,
        writer: "test".to_owned(),
    };
    Ok(async move {
        match run_in(surroundings, client, registry, settings, std::future::pending()).await {
            Ok(()) => anyhow!("the controller ended"),
            Err(error) => error.into(),
        }
    })
}

/// The machine of the controller: its clock is the runtime's.
struct Simulated {
    began: Instant,
    at: Timestamp,
}

impl Machine for Simulated {
    fn wall(&self) -> Timestamp {
        let gone = SignedDuration::try_from(self.running()).unwrap_or(SignedDuration::MAX);
        self.at.saturating_add(gone).unwrap_or(Timestamp::MAX)
    }

    fn running(&self) -> Duration {
        self.began.elapsed()
    }

    fn since_boot(&self) -> Option<Duration> {
        Some(self.running())
    }
}

/// What ended a part of the cluster, none of which ends by itself.
fn broken_by(ended: Option<Result<anyhow::Error, tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        Some(Ok(error)) => error,
        // A script of the test has panicked, in its own words.
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Some(Err(error)) => error.into(),
        None => anyhow!("nothing runs"),
    }
}

/// Makes the kinds, the namespaces, the objects and the class of a stage.
async fn furnish(admin: &Admin, component: &Component, stage: &Stage, namespace: &str) -> anyhow::Result<()> {
    let is_crd = |object: &&Json| object["kind"] == "CustomResourceDefinition";
    let crds: Vec<Json> = stage.objects.iter().filter(is_crd).cloned().collect();
    put(admin, &crds, "").await?;
    let rest = stage.objects.iter().filter(|object| !is_crd(object));
    let objects: Vec<Json> =
        [&stage.strategy, &stage.application].into_iter().chain(&stage.target).chain(rest).cloned().collect();
    kinds::make(admin, component.descriptor(), objects.iter()).await?;
    let own = objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str());
    let places = component.descriptor().namespaces.values().map(String::as_str);
    let namespaces: BTreeSet<&str> = own.chain(places).chain([namespace]).collect();
    for name in namespaces {
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        admin.apply(&made, "").await?;
    }
    let application = admin.served(&stage.application)?.context("its kind is not served")?;
    let group = stage.application["apiVersion"].as_str().and_then(|version| version.split_once('/'));
    let group = group.map_or("", |(group, _)| group);
    admin.may_read(group, &application.plural).await?;
    put(admin, &objects, namespace).await?;
    admin.apply(&class(CLASS, &stage.strategy, &stage.application, &stage.parameters), "").await?;
    Ok(())
}

/// Makes objects with their statuses. Owner references that name a uid of a fixture get the uid that the API server gave.
async fn put(admin: &Admin, objects: &[Json], namespace: &str) -> anyhow::Result<()> {
    let mut uids: BTreeMap<String, Json> = BTreeMap::new();
    for object in objects {
        let mut object = object.clone();
        let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
        let metadata = object["metadata"].as_object_mut().context("an object has no metadata")?;
        let handle = metadata.remove("uid");
        for owner in metadata.get_mut("ownerReferences").and_then(Json::as_array_mut).into_iter().flatten() {
            let known = owner["uid"].as_str().and_then(|uid| uids.get(uid)).cloned();
            if let (Some(uid), Some(owner)) = (known, owner.as_object_mut()) {
                owner.insert("uid".to_owned(), uid);
            }
        }
        let made = admin.apply(&object, namespace).await?;
        if let Some(handle) = handle.as_ref().and_then(Json::as_str) {
            uids.insert(handle.to_owned(), made["metadata"]["uid"].clone());
        }
        let Some(status) = status else { continue };
        let path = admin.path(&object, namespace)?.unwrap_or_default();
        let path = match admin.served(&object)? {
            Some(Served { status: true, .. }) => format!("{path}/status"),
            _ => path,
        };
        let told = admin.api().merge(&path, json!({"status": status})).await;
        told.with_context(|| format!("the status of {} {}", object["kind"], object["metadata"]["name"]))?;
    }
    Ok(())
}
