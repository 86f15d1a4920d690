//! A Kubernetes in memory with what the tests' controllers need: CRDs, rights, and the accounts of components.
//!
//! It is set up once, see [`Prepared`]. Each test plays on a copy of its own, see [`Cluster`], in a runtime of its own whose time
//! stands still while something happens, and goes on at once to the next moment for which something is due.

mod cluster;
mod machine;
mod requests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine::{Engine, EngineConfig, Limits};
use devcluster::api::{ApiServer, Options, TokioClock};
use devcluster::controllers::Controllers;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::{Builder, Runtime};

pub use cluster::Cluster;
pub use requests::Requests;

use crate::controller;

/// The time on the copies when they are made: 2026-06-01T12:00:30Z.
const BEGIN: i64 = 1_780_315_230;
/// How long before that it is set up.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);
/// Calls of components at once, by all threads.
const CALLS: u32 = 32;
/// How long a component may compute. Simulated time stands still meanwhile, and the machine may be busy: fuel is its bound.
const PATIENCE: Duration = Duration::from_hours(1);

/// A Kubernetes in memory that is set up and on which nothing has been played.
pub struct Prepared {
    server: ApiServer,
    engine: Engine,
    components: PathBuf,
    tokens: BTreeMap<String, String>,
}

impl Prepared {
    /// Builds the components of the tests, and sets a Kubernetes in memory up with [`controller::install`] and `manifests`, a text of
    /// YAML. Tokens are made for these ServiceAccounts of the controller's namespace.
    ///
    /// # Panics
    /// The Kubernetes in memory refuses an object.
    #[must_use]
    pub fn new(manifests: &str, accounts: &[&str]) -> Self {
        let engine = engine();
        runtime().block_on(async {
            let begin = begin().saturating_sub(BEFORE).unwrap_or(Timestamp::UNIX_EPOCH);
            let server = ApiServer::new(options(begin, 0));
            // With this runtime they end.
            tokio::spawn(Controllers::new(server.clone(), None).run());
            let client = Requests::new(server.clone(), None).client();
            let components = controller::install(&client, &engine).await;
            controller::apply(&client, manifests).await;
            let mut tokens = BTreeMap::new();
            for account in accounts {
                tokens.insert((*account).to_owned(), controller::token(&client, account).await);
            }
            // What its own controllers do because of all this is done.
            tokio::time::sleep(Duration::from_mins(1)).await;
            Self { server, engine, components, tokens }
        })
    }

    /// Returns a copy, on which nothing happens until [`Cluster::run`]. Its uids come from `seed`, and the time of all copies is the
    /// same when they are made. Belongs to the current runtime.
    #[must_use]
    pub fn cluster(&self, seed: u64) -> Cluster {
        let clock = TokioClock::starting_at(begin());
        let options = Options { clock: Box::new(clock), ..options(begin(), seed) };
        Cluster::new(self.server.fork(options), clock)
    }

    /// Returns the token of one of the ServiceAccounts.
    ///
    /// # Panics
    /// It was not asked for when this was set up.
    #[must_use]
    pub fn token(&self, account: &str) -> &str {
        self.tokens.get(account).expect("a token was made")
    }

    /// Returns the engine of the components.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the folder of the components.
    #[must_use]
    pub fn components(&self) -> &Path {
        &self.components
    }
}

/// Returns a runtime of one thread for one copy, whose time stands still while something happens.
///
/// # Panics
/// The machine has no resources for it.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

fn begin() -> Timestamp {
    Timestamp::from_second(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn options(at: Timestamp, seed: u64) -> Options {
    Options { clock: Box::new(TokioClock::starting_at(at)), seed, ..Options::default() }
}

fn engine() -> Engine {
    let code_cache = Some(backstay_testing::target_dir().join("test-code-cache"));
    let limits = Limits { wall: PATIENCE, ..Limits::default() };
    Engine::new(EngineConfig { code_cache, concurrent_calls: CALLS, limits }).expect("the engine starts")
}
