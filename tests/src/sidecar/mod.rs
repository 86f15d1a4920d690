//! A stand-in for the HTTP interface of the clickhouse-backup sidecar: what its clients see of it, and its failures.
//!
//! There is no ClickHouse behind it: the database is one text, an archive is what that text was. It is served by threads of
//! the test's own process, on all addresses; in the test cluster's network pods find it at [`HOST`], and at a port of
//! which several may be served: a request goes to the one that its header `Host` names.

mod actions;
mod http;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use actions::Ends;
use actions::State;
use jiff::SignedDuration;

/// Where pods of the test cluster find what is served by a test.
pub const HOST: &str = "10.99.0.1";
/// The user of the interface.
pub const USER: &str = "backup";
/// Its password.
pub const PASSWORD: &str = "a password: with \"quotes\" & %s";

type Served = Arc<Mutex<BTreeMap<String, Arc<Mutex<State>>>>>;

/// A sidecar with its store, until the test ends.
#[derive(Clone, Debug)]
pub struct Sidecar {
    state: Arc<Mutex<State>>,
    /// All that are served at the port.
    served: Served,
    port: u16,
}

impl Sidecar {
    /// Starts one that is ready, with an empty store, for requests to a host of this name.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(host: &str) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port can be had");
        let port = listener.local_addr().expect("it has an address").port();
        let served = Served::default();
        let of_host = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = Arc::clone(&of_host);
                std::thread::spawn(move || http::serve(stream, |request| answer(&served, request)));
            }
        });
        Self::named(host, served, port)
    }

    /// Another one at the same port, with a database and a store of its own.
    #[must_use]
    pub fn another(&self, host: &str) -> Self {
        Self::named(host, Arc::clone(&self.served), self.port)
    }

    fn named(host: &str, served: Served, port: u16) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        lock(&served).insert(format!("{host}:{port}"), Arc::clone(&state));
        Self { state, served, port }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets how far its clock is ahead of the one of this machine.
    pub fn set_ahead(&self, ahead: SignedDuration) {
        lock(&self.state).ahead = ahead;
    }

    /// What the database holds.
    #[must_use]
    pub fn data(&self) -> String {
        lock(&self.state).data.clone()
    }

    /// Changes what the database holds.
    pub fn write(&self, data: &str) {
        lock(&self.state).data = data.to_owned();
    }

    /// Whether it answers `/backup/status` with 200.
    pub fn set_ready(&self, ready: bool) {
        lock(&self.state).ready = ready;
    }

    /// How the next operation that is started ends.
    pub fn next_ends(&self, ends: Ends) {
        lock(&self.state).next = ends;
    }

    /// Ends the operation that is held.
    pub fn end_held(&self, ends: Ends) {
        lock(&self.state).end(ends);
    }

    /// Whether it is at an operation.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        lock(&self.state).is_busy()
    }

    /// Has it do something of its own, held until [`Sidecar::end_held`].
    pub fn keep_busy(&self) {
        lock(&self.state).keep_busy();
    }

    /// How often it refused to begin an operation because it was at another one.
    #[must_use]
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// Restarts it: what it was at is lost, and so is its list of actions. The store stays, and of an archive that it was
    /// writing, where `part` is set, a part.
    pub fn restart(&self, part: bool) {
        lock(&self.state).restart(part);
    }

    /// Puts an archive of another time, or of another client, into the store.
    pub fn store(&self, archive: &str, data: &str) {
        lock(&self.state).store(archive, data);
    }

    /// Empties the store.
    pub fn forget_archives(&self) {
        lock(&self.state).forget_archives();
    }

    /// The archives in the store.
    #[must_use]
    pub fn archives(&self) -> Vec<String> {
        lock(&self.state).archives()
    }

    /// The archives that also lie on the data volume.
    #[must_use]
    pub fn local_copies(&self) -> Vec<String> {
        lock(&self.state).local_copies()
    }

    /// The marks of this word that runs have left in the list of actions.
    #[must_use]
    pub fn marks(&self, word: &str) -> Vec<String> {
        lock(&self.state).marks(word)
    }

    /// The operations that were started, in order, as `create_remote NAME`; those before a restart too.
    #[must_use]
    pub fn started(&self) -> Vec<String> {
        lock(&self.state).started.clone()
    }
}

fn answer(served: &Served, request: &http::Request) -> http::Answer {
    let state = lock(served).get(&request.host).cloned();
    match state {
        Some(state) => lock(&state).answer(request),
        None => (421, format!("nothing is served here for {}", request.host)),
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
