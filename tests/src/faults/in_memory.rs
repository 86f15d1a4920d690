//! Plays fault plans on a Kubernetes in memory: each on a copy of its own, in simulated time, one on each core.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::census::Census;
use super::ground::{Baseline, Ground, Played};
use super::parts::{ACCOUNT, MANIFESTS, Parts};
use super::plan::{Plan, Scenario, Trouble};
use super::progress::Progress;
use super::sample;
use super::stage::NODE;
use super::subject::Reach;
use crate::model::{self, Prepared};
use crate::node;

/// The command that replays a plan in memory.
pub(super) const COMMAND: &str = "make faults";
/// The namespace of every plan: each has a cluster of its own. No uid has these letters.
const NAMESPACE: &str = "f-model";
/// Stack of a thread that plays: a component is called on it, and futures that are not optimized are large.
const STACK: usize = 16 << 20;

/// The shared setup of plans in memory.
pub struct InMemory {
    prepared: Prepared,
    parts: Arc<Parts>,
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemory {
    /// Sets a Kubernetes in memory up, of which each plan gets a copy.
    ///
    /// # Panics
    /// It refuses an object.
    #[must_use]
    pub fn new() -> Self {
        let prepared = Prepared::new(MANIFESTS, &[ACCOUNT]);
        let parts = Arc::new(Parts::load(prepared.engine(), prepared.components()));
        Self { prepared, parts }
    }

    /// Plays the scenario undisturbed.
    ///
    /// # Errors
    /// The faults of the run: no plan of the scenario can be judged then.
    pub fn baseline(&self, scenario: Scenario) -> Result<Baseline, Played> {
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
                let cluster = self.prepared.cluster(sample::hash(&plan.to_string()));
                tokio::spawn(cluster.clone().run());
                let token = self.prepared.token(ACCOUNT);
                let client = cluster.requests(Some(token)).client();
                let census = Census::default();
                tokio::spawn(census.clone().take(client.clone()));
                let (clock, simulated) = (cluster.clock(), client.clone());
                tokio::spawn(async move { node::run_by(clock, simulated, NODE).await });
                let reach = Reach::Memory { cluster, token: token.to_owned() };
                let ground = Ground { client, clock, reach, parts: self.parts.clone(), census };
                ground.play(NAMESPACE, plan, baseline).await
            })
        }));
        played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Played::failed(plan, format!("it panicked: {}", text.unwrap_or_default()))
        })
    }
}
