//! The start of the controller and its orderly end.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use kube::Client;

use super::crds;
use super::http::{self, Heartbeat};
use super::resume::resume;
use super::watches::watches;
use super::workers::workers;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::client::dated;
use crate::cluster::discovery::Discovery;
use crate::cluster::events::{Poster, events};
use crate::cluster::impersonation::Impersonation;
use crate::components::registry::Registry;
use crate::components::{Calls, Components};
use crate::context::Context;
use crate::informers::stores::{Stores, Writers};
use crate::metrics::Metrics;
use crate::polls::timed;
use crate::records::Records;
use crate::settings::Settings;
use crate::state::State;
use crate::state::kept_fields::KeptFields;
use crate::state::notices::Notices;
use crate::state::queues::Queues;

/// How long a controller that is told to stop may take to finish what it has begun.
const GRACE_PERIOD: Duration = Duration::from_secs(20);

/// Why a controller does not start, or ends without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The HTTP server cannot listen on its address.
    #[error("the HTTP address cannot be used: give another one with --http-bind")]
    Http(#[source] std::io::Error),
    /// A part of the controller ended, and the process must not go on without it.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// What a controller has of the machine that it runs on.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Clock,
    /// Where components are called.
    pub calls: Calls,
    /// What tells this controller from others, in records that more than one may write.
    pub writer: String,
}

impl Surroundings {
    /// This machine, and threads for the calls.
    #[must_use]
    pub fn this_machine() -> Self {
        let writer = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        Self { clock: Clock::start(), calls: Calls::OnThreads, writer }
    }
}

/// Runs a controller with these components until `shutdown` is done. The controller then begins nothing more, and finishes
/// what it has begun.
///
/// # Errors
/// The controller cannot start, or a part of it ended.
pub async fn run(
    client: Client,
    registry: Registry,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ControllerError> {
    run_in(Surroundings::this_machine(), client, registry, settings, shutdown).await
}

/// As [`run`], in other surroundings.
///
/// # Errors
/// See [`run`].
pub async fn run_in(
    surroundings: Surroundings,
    client: Client,
    registry: Registry,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ControllerError> {
    let (ctx, writers, mut poster) = parts(surroundings, client, registry, settings);
    let ready = Arc::new(AtomicBool::new(false));
    let shutdown = shutdown.shared();
    let heartbeat = Heartbeat::begin();
    let mut http =
        http::serve(ctx.clone(), ready.clone(), heartbeat.clone()).map_err(ControllerError::Http)?;
    let watches = tokio::spawn(watches(writers, ctx.clone()));
    let work = async {
        tokio::select! {
            biased;
            () = ctx.stores.filled().then(|()| timed("resume".to_owned(), &ctx.metrics, resume(&ctx))).then(|()| crds::look(&ctx)) => {}
            // The API server may not answer, and nothing was begun.
            () = shutdown.clone() => return,
        }
        ready.store(true, Ordering::Relaxed);
        tracing::info!(
            backup_jobs = ctx.stores.backup_jobs.len(),
            restore_jobs = ctx.stores.restore_jobs.len(),
            plans = ctx.stores.plans.len(),
            strategies = %ctx.components.registry.kinds(),
            "controller ready"
        );
        tokio::select! {
            biased;
            () = workers(&ctx, shutdown.clone()) => {}
            // Ends only after all senders of Events, one of which the context holds.
            () = poster.post() => {}
        }
        poster.finish().await;
    };
    let result = tokio::select! {
        biased;
        () = work => Ok(()),
        // A call that hangs must not keep the process: Kubernetes kills it later.
        () = shutdown.clone().then(|()| tokio::time::sleep(GRACE_PERIOD)) => {
            tracing::warn!("grace period over before everything was finished, the next start resumes it");
            Ok(())
        }
        _ = watches => Err(ControllerError::Ended("the watches")),
        () = http.ended() => Err(ControllerError::Ended("the HTTP server")),
        () = heartbeat.beat() => Err(ControllerError::Ended("the heartbeat")),
    };
    tracing::info!("controller stopped");
    result
}

/// Makes the parts of a controller: what its reconciles share, the writers of its stores, and the poster of its Events.
fn parts(
    surroundings: Surroundings,
    client: Client,
    registry: Registry,
    settings: Settings,
) -> (Arc<Context>, Writers, Poster) {
    let Surroundings { clock, calls, writer } = surroundings;
    let client = dated(client, clock.clone());
    let (stores, writers) = Stores::new(&registry);
    let queues = Arc::new(Queues::new(&registry, settings.concurrency));
    let (events, poster) = events(client.clone());
    let metrics = Arc::new(Metrics::default());
    let impersonation = Arc::new(Impersonation::new(client.clone(), &settings.namespace));
    let records = Records::new(&client, &settings.namespace, settings.credentials.clone(), writer);
    let ctx = Context {
        state: State::new(queues, client.clone(), impersonation.clone()),
        kept_fields: KeptFields::new(metrics.clone()),
        notices: Notices::new(events.clone(), records.credentials.clone()),
        components: Components::new(registry, settings.concurrency, calls, metrics.clone()),
        cluster: Cluster { client, discovery: Discovery::default(), impersonation, events },
        records,
        stores,
        metrics,
        settings,
        clock,
    };
    (Arc::new(ctx), writers, poster)
}

/// The parts of a controller on this machine.
#[cfg(test)]
pub(crate) fn context(
    client: Client,
    registry: Registry,
    settings: Settings,
) -> (Arc<Context>, Writers, Poster) {
    parts(Surroundings::this_machine(), client, registry, settings)
}
