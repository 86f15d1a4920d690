//! One controller under test, in its own thread and runtime, so that it can die at any moment.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use backstay::cluster::client;
use backstay::components::registry::Registry;
use backstay::controller;
use backstay::settings::Settings;
use jiff::SignedDuration;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::service_fn;

use super::layer::FaultLayer;
use super::tap::{Life, Tap};

/// Recheck interval of the controllers, far shorter than the default, since tests wait for it.
const RECHECK: Duration = Duration::from_secs(3);
/// Undo deadline, longer than the longest trouble.
const UNDO: SignedDuration = SignedDuration::from_secs(60);
/// How long a finished Job is kept.
const JOB_TTL: SignedDuration = SignedDuration::from_hours(1);

/// The parts of every controller.
#[derive(Clone)]
pub(super) struct Make {
    pub config: Config,
    pub run_deadline: SignedDuration,
}

/// A running controller. Dropping it kills it.
pub(super) struct Subject(Arc<Life>);

impl Subject {
    /// Starts a controller that sees only the tap's namespace, with the tap's trouble.
    pub(super) fn start(make: &Make, registry: &Registry, tap: &Arc<Tap>) -> Self {
        let recheck = if tap.is_calm() { Settings::default().recheck } else { RECHECK };
        let life = Arc::new(Life::default());
        let layer = FaultLayer { tap: tap.clone(), life: life.clone() };
        let (make, registry) = (make.clone(), registry.clone());
        let (theirs, namespace) = (life.clone(), tap.namespace.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(4)
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                // Nothing below the trouble retries, so that every answer reaches the controller.
                let mut config = make.config;
                config.default_retry = false;
                let real = Client::try_from(config).expect("a client");
                let real = service_fn(move |request| {
                    let real = real.clone();
                    async move { real.send(request).await }
                });
                let client = client::layered(ClientBuilder::new(real, "default").with_layer(&layer));
                let settings = Settings {
                    namespace,
                    wait_deadline: SignedDuration::from_secs(30),
                    run_deadline: make.run_deadline,
                    undo_deadline: UNDO,
                    job_ttl: Some(JOB_TTL),
                    recheck,
                    concurrency: 4,
                    ..Settings::default()
                };
                tokio::select! {
                    biased;
                    () = theirs.ended() => {}
                    ended = controller::run(client, registry, settings, pending()) => {
                        panic!("the controller ended: {ended:?}")
                    }
                }
            });
            // This cancels the controller's unfinished work.
            runtime.shutdown_background();
        });
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
