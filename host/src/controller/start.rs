//! The start of the controller and its orderly end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use kube::Client;

use super::resume::resume;
use super::workers::workers;
use super::{http, triggers};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::discovery::Discovery;
use crate::cluster::events::events;
use crate::cluster::impersonation::Impersonation;
use crate::components::Components;
use crate::components::registry::Registry;
use crate::context::Context;
use crate::informers::stores::Stores;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::settings::Settings;
use crate::state::State;
use crate::state::notices::Notices;
use crate::state::queues::Queues;

/// How long a process that is told to stop finishes what is under way.
const LAST_RUNS: Duration = Duration::from_secs(20);

/// Why a controller does not start, or ends without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Its HTTP address cannot be used.
    #[error("the HTTP address cannot be used: give another one with --http-bind")]
    Http(#[source] std::io::Error),
    /// A part of it ended: the process must not go on without it.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// RunCache a controller with these components until `shutdown` is done: then no new work is begun, and what is under way is
/// finished.
///
/// # Errors
/// When it cannot start, or a part of it ends.
pub async fn run(
    client: Client,
    registry: Registry,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ControllerError> {
    let (stores, writers) = Stores::new(&registry);
    let (queues, inboxes) = Queues::new(&registry);
    let (events, mut poster) = events(client.clone());
    let metrics = Arc::new(Metrics::default());
    let impersonation = Arc::new(Impersonation::new(client.clone(), &settings.namespace));
    let records = Records::new(&client, &settings.namespace, settings.credentials.clone());
    let ctx = Arc::new(Context {
        state: State::new(Arc::new(queues), client.clone(), impersonation.clone()),
        notices: Notices::new(events.clone(), records.credentials.clone()),
        components: Components::new(registry, settings.concurrency, metrics.clone()),
        cluster: Cluster { client, discovery: Discovery::default(), impersonation, events },
        records,
        stores,
        metrics,
        settings,
        clock: Clock::start(),
    });
    let ready = Arc::new(AtomicBool::new(false));
    let shutdown = shutdown.shared();
    let http = http::serve(ctx.clone(), ready.clone()).await.map_err(ControllerError::Http)?;
    let watches = tokio::spawn(triggers::run(writers, ctx.clone()));
    let work = async {
        tokio::select! {
            () = ctx.stores.filled().then(|()| resume(&ctx)) => {}
            // Told to stop before anything was begun, perhaps because the API server does not answer.
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
            () = workers(inboxes, &ctx, shutdown.clone()) => {}
            // Ends only with the context, which is held here.
            () = poster.post() => {}
        }
        poster.finish().await;
    };
    let result = tokio::select! {
        () = work => Ok(()),
        // What hangs must not keep the process: Kubernetes would end it less gently.
        () = shutdown.clone().then(|()| tokio::time::sleep(LAST_RUNS)) => {
            tracing::warn!("not everything that was under way is finished, it will be taken up at the next start");
            Ok(())
        }
        _ = watches => Err(ControllerError::Ended("the watches")),
        _ = http => Err(ControllerError::Ended("the HTTP server")),
    };
    tracing::info!("controller stopped");
    result
}
