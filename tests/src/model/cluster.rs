//! One copy of the Kubernetes in memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backstay::clock;
use backstay::components::Calls;
use backstay::controller::Surroundings;
use devcluster::api::{ApiServer, TokioClock};
use devcluster::controllers::Controllers;
use jiff::Timestamp;
use kube::Client;

use super::frozen::{Frozen, options};
use super::machine::InTime;
use super::requests::Requests;
use crate::clock::Clock;

/// A cluster in memory, in the current runtime. Clones are the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    server: ApiServer,
    clock: Clock,
    controllers: Arc<AtomicU64>,
}

impl Cluster {
    pub(super) fn new(server: ApiServer, clock: TokioClock) -> Self {
        Self { server, clock: Clock::Tokio(clock), controllers: Arc::default() }
    }

    /// A new cluster whose time is `at`.
    pub(super) fn empty(at: Timestamp) -> Self {
        let clock = TokioClock::starting_at(at);
        Self::new(ApiServer::new(options(clock, 0)), clock)
    }

    /// Returns it as it is now. What happens in it later does not happen there.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let at = self.clock.now();
        let server = self.server.fork(options(TokioClock::starting_at(at), 0));
        // The copies are asked for nothing older.
        server.compact();
        Frozen::new(server, at)
    }

    /// Returns its API server.
    #[must_use]
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// Returns its clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Returns an administrator's client.
    #[must_use]
    pub fn administrator(&self) -> Client {
        self.requests(None).client()
    }

    /// Returns the service under a client with this token.
    #[must_use]
    pub fn requests(&self, token: Option<&str>) -> Requests {
        Requests::new(self.server.clone(), token)
    }

    /// Returns the surroundings of one more controller of Backstay in this cluster.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        let nth = self.controllers.fetch_add(1, Ordering::Relaxed);
        Surroundings {
            clock: clock::Clock::on(Box::new(InTime::by(self.clock))),
            calls: Calls::InTask,
            writer: format!("{nth:016x}"),
        }
    }

    /// Runs the controllers of a cluster, for as long as it is polled.
    pub async fn run(self) -> Infallible {
        Controllers::new(self.server, None).run().await
    }
}
