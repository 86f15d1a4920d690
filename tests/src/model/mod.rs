//! A Kubernetes in memory with what the tests' controllers need: CRDs, rights, and the accounts of components.
//!
//! It is set up once, see [`Prepared`]. Each test plays on a copy of its own, see [`Frozen`] and [`Cluster`], in a runtime of its own
//! whose time stands still while something happens, and goes on at once to the next moment for which something is due.

mod cluster;
mod frozen;
mod machine;
mod requests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine::{Engine, EngineConfig, Limits};
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};

pub use cluster::Cluster;
pub use frozen::Frozen;
pub use requests::Requests;

use crate::controller;

/// When it is set up: 2026-06-01T12:00:30Z.
const BEGIN: i64 = 1_780_315_230;
/// How long it takes until its own controllers have done what they do because of that.
const TO_REST: Duration = Duration::from_mins(1);
/// Calls of components at once, by all threads.
const CALLS: u32 = 32;
/// How long a component may compute. Simulated time stands still meanwhile, and the machine may be busy: fuel is its bound.
const PATIENCE: Duration = Duration::from_hours(1);

/// A Kubernetes in memory that is set up and on which nothing has been played.
pub struct Prepared {
    frozen: Frozen,
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
            let begin = Timestamp::from_second(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH);
            let cluster = Cluster::empty(begin);
            // With this runtime they end.
            tokio::spawn(cluster.clone().run());
            let client = cluster.administrator();
            let components = controller::install(&client, &engine).await;
            controller::apply(&client, manifests).await;
            let mut tokens = BTreeMap::new();
            for account in accounts {
                tokens.insert((*account).to_owned(), controller::token(&client, account).await);
            }
            tokio::time::sleep(TO_REST).await;
            Self { frozen: cluster.freeze(), engine, components, tokens }
        })
    }

    /// Returns it as it is, of which copies are made.
    #[must_use]
    pub fn frozen(&self) -> &Frozen {
        &self.frozen
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

fn engine() -> Engine {
    let code_cache = Some(backstay_testing::target_dir().join("test-code-cache"));
    let limits = Limits { wall: PATIENCE, ..Limits::default() };
    Engine::new(EngineConfig { code_cache, concurrent_calls: CALLS, limits }).expect("the engine starts")
}
