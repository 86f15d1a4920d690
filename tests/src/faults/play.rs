//! Plays fault plans on the test cluster, many at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};

use super::census::Census;
use super::ground::{Baseline, Ground, Played};
use super::parts::{ACCOUNT, MANIFESTS, Parts};
use super::plan::{Plan, Scenario, Trouble};
use super::progress::Progress;
use super::stage::NODE;
use super::subject::Reach;
use crate::clock::Clock;
use crate::node;
use crate::{administrator, controller};

/// The command that replays a plan on the test cluster.
pub(super) const COMMAND: &str = "make faults-cluster";

/// The shared setup of plans on the test cluster.
pub struct Harness {
    pub(super) ground: Ground,
    /// Folder of the components.
    pub(super) components: PathBuf,
    plays: AtomicUsize,
    born: u64,
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
        controller::apply(&client, MANIFESTS).await;
        let config = controller::of_service_account(&client, ACCOUNT).await;
        let client = Client::try_from(config.clone()).expect("a client");
        let census = Census::default();
        tokio::spawn(census.clone().take(client.clone()));
        let simulated = client.clone();
        tokio::spawn(async move { node::run(simulated, NODE).await });
        let ready = |node: Option<&Node>| {
            node.and_then(|n| n.status.as_ref()).is_some_and(|s| s.conditions.is_some())
        };
        let ready = kube::runtime::wait::await_condition(Api::<Node>::all(client.clone()), NODE, ready);
        let ready = tokio::time::timeout(Duration::from_secs(30), ready).await;
        ready.expect("the simulated node is ready in time").expect("nodes can be watched");
        let parts = Parts::load(&engine, &components);
        let reach = Reach::Cluster(Box::new(config));
        let born = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() % 1_000_000;
        let ground = Ground { client, clock: Clock::Machine, reach, parts: Arc::new(parts), census };
        Some(Arc::new(Self { ground, components, plays: AtomicUsize::new(0), born }))
    }

    /// Returns a new name for a namespace.
    pub(super) fn namespace(&self) -> String {
        format!("f{}-{}", self.born, self.plays.fetch_add(1, Ordering::Relaxed))
    }

    /// Plays the scenario undisturbed.
    ///
    /// # Errors
    /// The faults of the run: no plan of the scenario can be judged then.
    pub async fn baseline(&self, scenario: Scenario) -> Result<Baseline, Box<Played>> {
        let plan = Plan { scenario, twin: false, trouble: Trouble::None };
        self.ground.play(&self.namespace(), &plan, None).await.baseline()
    }

    /// Plays plans, `at_once` at a time, and prints the faults of each as they happen. With `first_only`, stops at the first
    /// plan with faults.
    pub async fn play_all(
        self: &Arc<Self>,
        plans: Vec<Plan>,
        baselines: &BTreeMap<Scenario, Baseline>,
        at_once: usize,
        first_only: bool,
    ) -> Vec<Played> {
        let mut progress = Progress::of(plans.len(), COMMAND);
        let mut playing = stream::iter(plans)
            .map(|plan| async move {
                self.ground.play(&self.namespace(), &plan, baselines.get(&plan.scenario)).await
            })
            .buffer_unordered(at_once);
        while let Some(played) = playing.next().await {
            if progress.note(played) && first_only {
                break;
            }
        }
        progress.played()
    }
}
