//! One controller under test, which can die at any moment.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use backstay::cluster::client;
use backstay::components::registry::Registry;
use backstay::controller::{self, Surroundings};
use backstay::settings::Settings;
use bytes::Bytes;
use http::{Request, Response};
use jiff::SignedDuration;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Service, service_fn};

use super::layer::FaultLayer;
use super::tap::Tap;
use crate::life::Life;
use crate::model::Cluster;

/// Recheck interval of the controllers, far shorter than the default, since tests wait for it.
const RECHECK: Duration = Duration::from_secs(3);
/// Undo deadline, longer than the longest trouble.
const UNDO: SignedDuration = SignedDuration::from_secs(60);
/// Longest time of a run, on a machine that may be busy.
const RUN_DEADLINE: SignedDuration = SignedDuration::from_secs(120);
/// How long a finished Job is kept.
const JOB_TTL: SignedDuration = SignedDuration::from_hours(1);

/// How a controller reaches the API server, and where it runs.
#[derive(Clone)]
pub(super) enum Reach {
    /// Over the network, in a thread and runtime of its own.
    Cluster(Box<Config>),
    /// In this process, with this token, as a task of the runtime of its cluster.
    Memory { cluster: Cluster, token: String },
}

/// A running controller. Dropping it kills it.
pub(super) struct Subject(Arc<Life>);

impl Subject {
    /// Starts a controller that sees only the tap's namespace, with the tap's trouble.
    pub(super) fn start(reach: &Reach, registry: &Registry, tap: &Arc<Tap>) -> Self {
        let life = Arc::new(Life::default());
        let layer = FaultLayer { tap: tap.clone(), life: life.clone() };
        let (registry, settings) = (registry.clone(), settings(tap));
        match reach.clone() {
            Reach::Memory { cluster, token } => {
                let client = troubled(cluster.requests(Some(&token)), &layer);
                tokio::spawn(lives(life.clone(), cluster.surroundings(), client, registry, settings));
            }
            Reach::Cluster(config) => {
                let theirs = life.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .max_blocking_threads(4)
                        .build()
                        .expect("a runtime");
                    runtime.block_on(async {
                        let client = troubled(real(*config), &layer);
                        lives(theirs, Surroundings::this_machine(), client, registry, settings).await;
                    });
                    // This cancels the controller's unfinished work.
                    runtime.shutdown_background();
                });
            }
        }
        Self(life)
    }

    /// Waits until the plan kills the controller.
    pub(super) async fn dies(&self) {
        self.0.ended().await;
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn settings(tap: &Tap) -> Settings {
    Settings {
        namespace: tap.namespace.clone(),
        wait_deadline: SignedDuration::from_secs(30),
        run_deadline: RUN_DEADLINE,
        undo_deadline: UNDO,
        job_ttl: Some(JOB_TTL),
        recheck: if tap.is_calm() { Settings::default().recheck } else { RECHECK },
        concurrency: 4,
        ..Settings::default()
    }
}

/// Returns the requests of a client of the test cluster.
fn real(
    mut config: Config,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = kube::Error, Future: Send> + Clone + Send + Sync
{
    // Nothing below the trouble retries, so that every answer reaches the controller.
    config.default_retry = false;
    let real = Client::try_from(config).expect("a client");
    service_fn(move |request| {
        let real = real.clone();
        async move { real.send(request).await }
    })
}

/// Returns the controller's client over these requests, with the trouble between them.
fn troubled<S, B>(requests: S, layer: &FaultLayer) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    client::layered(ClientBuilder::new(requests, "default").with_layer(layer))
}

/// Runs a controller until its life ends.
async fn lives(
    life: Arc<Life>,
    surroundings: Surroundings,
    client: Client,
    registry: Registry,
    settings: Settings,
) {
    let run = controller::run_in(surroundings, client, registry, settings, pending());
    tokio::select! {
        biased;
        () = life.ended() => {}
        ended = run => panic!("the controller ended: {ended:?}"),
    }
}
