//! A cluster in memory at one moment, of which copies are made.

use devcluster::api::{ApiServer, Options, TokioClock};
use jiff::Timestamp;

use super::cluster::Cluster;

/// A cluster in memory as it was at one moment. Nothing happens in it.
#[derive(Clone, Debug)]
pub struct Frozen {
    server: ApiServer,
    at: Timestamp,
}

impl Frozen {
    pub(super) fn new(server: ApiServer, at: Timestamp) -> Self {
        Self { server, at }
    }

    /// Returns a copy that goes on from that moment once [`Cluster::run`] is polled. Its new uids come from `seed`. Belongs to the
    /// current runtime.
    #[must_use]
    pub fn cluster(&self, seed: u64) -> Cluster {
        let clock = TokioClock::starting_at(self.at);
        Cluster::new(self.server.fork(options(clock, seed)), clock)
    }
}

/// The options of an API server with this clock, which takes who sends no token for the administrator.
pub(super) fn options(clock: TokioClock, seed: u64) -> Options {
    Options { clock: Box::new(clock), seed, ..Options::default() }
}
