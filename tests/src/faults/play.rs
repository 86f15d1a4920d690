//! Plays fault plans, many at once, and returns the faults of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstay::components::registry::Registry;
use backstay_engine::Engine;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::census::Census;
use super::compare::Snapshot;
use super::enumerate::Seen;
use super::judge::{Judge, is_stated};
use super::plan::{Plan, Scenario, Trouble};
use super::stage::{NODE, Stage};
use super::subject::{Make, Subject};
use super::tap::Tap;
use crate::node;
use crate::{administrator, controller};

/// ServiceAccount of the controllers.
const ACCOUNT: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: faults, namespace: backstay-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: backstay-faults}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: faults, namespace: backstay-system}]
"#;

/// Limit of a plan.
pub(super) const TO_THE_END: Duration = Duration::from_secs(90);
/// Limit of the wait for the death of a controller whose run has ended.
const AFTER_THE_END: Duration = Duration::from_secs(2);
/// Limit of the wait for the watches before the cue.
const TO_WATCH: Duration = Duration::from_secs(3);
/// How long a dead controller stays away before it returns with stale lists.
const AWAY: Duration = Duration::from_secs(10);

/// The shared setup of plans.
pub struct Harness {
    pub(super) client: Client,
    pub(super) make: Make,
    /// Loaded components by file: loading costs more than the rest of a plan, and no plan is about it.
    registries: BTreeMap<&'static str, Registry>,
    /// Folder of the components.
    pub(super) components: PathBuf,
    pub(super) pins: Value,
    pub(super) census: Census,
    plays: AtomicUsize,
    born: u64,
}

/// The undisturbed run of a scenario: its end, and the places where a plan can strike.
pub struct Baseline {
    snapshot: Snapshot,
    /// Number of calls and events of each kind.
    pub seen: Seen,
    /// Number of reads and writes, without lists, watches, discovery and Events.
    pub traffic: (usize, usize),
}

/// The result of a plan.
pub struct Played {
    /// The plan.
    pub plan: Plan,
    /// Its faults; empty if it has none.
    pub broken: Vec<String>,
    /// Whether the place of its trouble was reached.
    pub reached: bool,
    snapshot: Snapshot,
    seen: Seen,
    traffic: (usize, usize),
}

impl Harness {
    /// Installs the objects of the plans in the test cluster, and starts the simulated node. `None` if there is no cluster.
    ///
    /// # Panics
    /// The cluster refuses an object.
    pub async fn open(test: &str) -> Option<Arc<Self>> {
        if !controller::available(test) {
            return None;
        }
        let client = administrator().await.expect("KUBECONFIG leads to a cluster");
        let engine = controller::engine();
        let components = controller::install(&client, &engine).await;
        // The API server verifies a client certificate with each request, and caches the check of a token.
        controller::apply(&client, ACCOUNT).await;
        let config = controller::of_service_account(&client, "faults").await;
        let client = Client::try_from(config.clone()).expect("a client");
        let census = Census::default();
        tokio::spawn(census.clone().take(client.clone()));
        let simulated = client.clone();
        tokio::spawn(async move { node::run(simulated, NODE).await });
        let ready = kube::runtime::wait::await_condition(
            Api::<k8s_openapi::api::core::v1::Node>::all(client.clone()),
            NODE,
            |node: Option<&k8s_openapi::api::core::v1::Node>| {
                node.and_then(|n| n.status.as_ref()).is_some_and(|s| s.conditions.is_some())
            },
        );
        let ready = tokio::time::timeout(Duration::from_secs(30), ready).await;
        ready.expect("the simulated node is ready in time").expect("nodes can be watched");
        let pins = pins(&engine, &components);
        let registries =
            Scenario::ALL.map(Scenario::component).map(|file| (file, only(&engine, &components, file)));
        let registries = registries.into();
        let make = Make { config, run_deadline: SignedDuration::from_secs(120) };
        let born = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 1_000_000;
        Some(Arc::new(Self {
            client,
            make,
            registries,
            components,
            pins,
            census,
            plays: AtomicUsize::new(0),
            born,
        }))
    }

    /// Returns a new name for a namespace.
    pub(super) fn namespace(&self) -> String {
        format!("f{}-{}", self.born, self.plays.fetch_add(1, Ordering::Relaxed))
    }

    /// Plays the scenario undisturbed.
    ///
    /// # Errors
    /// The faults of the run: no plan of the scenario can be judged then.
    pub async fn baseline(&self, scenario: Scenario) -> Result<Baseline, Played> {
        let plan = Plan { scenario, twin: false, trouble: Trouble::None };
        let played = self.play(&plan, None).await;
        if !played.broken.is_empty() {
            return Err(played);
        }
        Ok(Baseline { snapshot: played.snapshot, seen: played.seen, traffic: played.traffic })
    }

    /// Plays one plan.
    pub async fn play(&self, plan: &Plan, baseline: Option<&Baseline>) -> Played {
        let namespace = self.namespace();
        let stage = Stage::set(self.client.clone(), &namespace, &namespace, plan.scenario, &self.pins).await;
        let tap = Arc::new(Tap::new(&namespace, plan.trouble.clone(), stage.meddling()));
        let registry = &self.registries[plan.scenario.component()];
        let start = || Subject::start(&self.make, registry, &tap);
        let mut subjects = vec![start()];
        subjects.extend(plan.twin.then(start));
        let _ = tokio::time::timeout(TO_WATCH, tap.all_watched()).await;
        stage.cue().await;
        let mut broken = Vec::new();
        let ends = stage.ends(is_stated(&plan.trouble), TO_THE_END);
        tokio::pin!(ends);
        let dying = matches!(plan.trouble, Trouble::Die { .. });
        let end = tokio::select! {
            end = &mut ends => {
                // The controller may also die after the end of the run; another one starts then as well.
                if dying && let Ok(dead) = tokio::time::timeout(AFTER_THE_END, dies(&subjects)).await {
                    subjects[dead] = start();
                }
                end
            }
            dead = dies(&subjects), if dying => {
                if matches!(plan.trouble, Trouble::Die { stale: true, .. }) {
                    stage.jobs_ended(AWAY).await;
                }
                // A second controller lives on.
                subjects[dead] = start();
                ends.await
            }
        };
        broken.extend(end.err());
        let intruders = tap.intruders();
        let kinds = intruders.iter().map(|(_, made)| made["kind"].as_str().unwrap_or_default().to_owned());
        let judge = Judge::of(&plan.trouble, baseline.map(|b| &b.snapshot), kinds.collect());
        let snapshot = self.rest(&stage, &judge, || tap.written(), &mut broken).await;
        for (path, made) in intruders {
            if !self.untouched(&path, &made).await {
                broken.push(format!("the intruder's object was changed: {path}"));
            }
        }
        broken.extend(stage.touched(&plan.trouble).await);
        drop(subjects);
        Played {
            plan: plan.clone(),
            broken,
            reached: tap.reached(),
            snapshot,
            seen: Seen { calls: tap.calls(), events: tap.events() },
            traffic: tap.traffic(),
        }
    }

    async fn untouched(&self, path: &str, made: &Value) -> bool {
        let Ok(request) = http::Request::get(path).body(Vec::new()) else { return false };
        let now: Result<Value, _> = self.client.request(request).await;
        now.is_ok_and(|now| now["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"])
    }

    /// Plays plans, `at_once` at a time, and prints the faults of each as they happen. With `first_only`, stops at the first
    /// plan with faults.
    #[allow(clippy::print_stderr)]
    pub async fn play_all(
        self: &Arc<Self>,
        plans: Vec<Plan>,
        baselines: &BTreeMap<Scenario, Baseline>,
        at_once: usize,
        first_only: bool,
    ) -> Vec<Played> {
        let total = plans.len();
        let began = Instant::now();
        let mut all = Vec::with_capacity(total);
        let mut playing = stream::iter(plans)
            .map(|plan| async move { self.play(&plan, baselines.get(&plan.scenario)).await })
            .buffer_unordered(at_once);
        while let Some(played) = playing.next().await {
            let broken = !played.broken.is_empty();
            if broken {
                eprintln!("{}", played.report());
            }
            all.push(played);
            if broken && first_only {
                break;
            }
            if all.len() % 100 == 0 || all.len() == total {
                eprintln!("  {} of {total} plans, {} s", all.len(), began.elapsed().as_secs());
            }
        }
        all
    }
}

impl Played {
    /// Formats the plan's line and its faults.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("BROKEN  {}\n", self.plan);
        for line in self.broken.iter().take(12) {
            let _ = writeln!(text, "        {}", &line[..line.floor_char_boundary(1500)]);
        }
        let _ = write!(text, "replay: BACKSTAY_FAULT_PLAN='{}' make faults", self.plan);
        text
    }
}

/// The controller that dies.
async fn dies(subjects: &[Subject]) -> usize {
    futures::future::select_all(subjects.iter().map(|subject| Box::pin(subject.dies()))).await.1
}

/// Loads one component of the folder alone, since each loaded component costs every plan a watch.
fn only(engine: &Engine, components: &Path, file: &str) -> Registry {
    let folder = components.join("alone").join(file);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::copy(components.join(file), folder.join(file)).expect("the component can be copied");
    controller::load(engine, &folder)
}

/// Returns the pins of the plans' components, by kind of strategy.
fn pins(engine: &Engine, components: &Path) -> Value {
    let pin = |file: &str| {
        let component = engine.load_file(&components.join(file)).expect("the component loads");
        let descriptor = component.descriptor();
        json!({"name": descriptor.name, "version": descriptor.version, "digest": component.digest()})
    };
    json!({"Job": pin("job.wasm"), "Scrub": pin("scrubber.wasm"), "Steps": pin("steps.wasm")})
}
