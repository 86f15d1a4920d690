//! Plays fault plans on a Kubernetes in memory: each on a copy of its own, in simulated time, one on each core.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::census::Census;
use super::ground::{Baseline, Ground, Played};
use super::parts::{ACCOUNT, MANIFESTS, Parts};
use super::plan::{Plan, Scenario, Trouble};
use super::progress::Progress;
use super::sample;
use super::stage::{NODE, Stage};
use super::subject::Reach;
use crate::model::{self, Cluster, Frozen, Prepared};
use crate::node;

/// The command that replays a plan in memory.
pub(super) const COMMAND: &str = "make faults";
/// The namespace of every plan: each has a cluster of its own. No uid has these letters.
const NAMESPACE: &str = "f-model";
/// Stack of a thread that plays: a component is called on it, and futures that are not optimized are large.
const STACK: usize = 16 << 20;

/// How long after its creation a stage is copied: what the cluster's own controllers do because of it is done.
const TO_REST: Duration = Duration::from_secs(10);

/// The shared setup of plans in memory.
pub struct InMemory {
    token: String,
    parts: Arc<Parts>,
    stages: BTreeMap<Scenario, (Frozen, Stage)>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemory {
    /// Sets a Kubernetes in memory up, and the stage of each scenario on a copy of it. Each plan gets a copy of its stage.
    ///
    /// # Panics
    /// It refuses an object.
    #[must_use]
    pub fn new() -> Self {
        let prepared = Prepared::new(MANIFESTS, &[ACCOUNT]);
        let parts = Arc::new(Parts::load(prepared.engine(), prepared.components()));
        let stages = Scenario::ALL.map(|scenario| (scenario, staged(&prepared, &parts, scenario)));
        Self { token: prepared.token(ACCOUNT).to_owned(), parts, stages: stages.into() }
    }

    /// Plays the scenario undisturbed.
    ///
    /// # Errors
    /// The faults of the run: no plan of the scenario can be judged then.
    pub fn baseline(&self, scenario: Scenario) -> Result<Baseline, Box<Played>> {
        self.play(&Plan { scenario, twin: false, trouble: Trouble::None }, None).baseline()
    }

    /// Plays plans, one on each core, and prints the faults of each as they happen. With `first_only`, stops at the first plan with
    /// faults.
    pub fn play_all(
        &self,
        plans: &[Plan],
        baselines: &BTreeMap<Scenario, Baseline>,
        first_only: bool,
    ) -> Vec<Played> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let mut progress = Progress::of(plans.len(), COMMAND);
        thread::scope(|scope| {
            let (ended, all) = mpsc::channel();
            for _ in 0..cores {
                let (next, ended) = (&next, ended.clone());
                let play = move || {
                    while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if ended.send(self.play(plan, baselines.get(&plan.scenario))).is_err() {
                            return;
                        }
                    }
                };
                thread::Builder::new().stack_size(STACK).spawn_scoped(scope, play).expect("a thread");
            }
            drop(ended);
            for played in all {
                if progress.note(played) && first_only {
                    // The others see that nobody listens any more.
                    break;
                }
            }
        });
        progress.played()
    }

    /// Plays one plan; a panic in its setup is a fault, too.
    fn play(&self, plan: &Plan, baseline: Option<&Baseline>) -> Played {
        let played = catch_unwind(AssertUnwindSafe(|| {
            model::runtime().block_on(async {
                let (frozen, stage) = &self.stages[&plan.scenario];
                let cluster = frozen.cluster(sample::hash(&plan.to_string()));
                begin(&cluster);
                let client = cluster.administrator();
                let census = Census::default();
                tokio::spawn(census.clone().take(client.clone()));
                let (clock, stage) = (cluster.clock(), stage.by(client.clone()));
                let reach = Reach::Memory { cluster, token: self.token.clone() };
                let ground = Ground { client, clock, reach, parts: self.parts.clone(), census };
                ground.play_on(&stage, plan, baseline).await
            })
        }));
        played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Played::failed(plan, format!("it panicked: {}", text.unwrap_or_default()))
        })
    }
}

/// Sets the stage of a scenario.
fn staged(prepared: &Prepared, parts: &Parts, scenario: Scenario) -> (Frozen, Stage) {
    model::runtime().block_on(async {
        let cluster = prepared.frozen().cluster(sample::hash(scenario.word()));
        begin(&cluster);
        let (client, clock) = (cluster.administrator(), cluster.clock());
        let stage = Stage::set(client, clock, NAMESPACE, NAMESPACE, scenario, &parts.pins).await;
        tokio::time::sleep(TO_REST).await;
        (cluster.freeze(), stage)
    })
}

/// Starts what a cluster does by itself: its controllers, and the node.
fn begin(cluster: &Cluster) {
    tokio::spawn(cluster.clone().run());
    let (clock, client) = (cluster.clock(), cluster.administrator());
    tokio::spawn(async move { node::run_by(clock, client, NODE).await });
}
