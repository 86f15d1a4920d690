//! A stand-in for the HTTP interface of the clickhouse-backup sidecar, with its failures.
//!
//! There is no ClickHouse: the database is one text, and an archive is a copy of it. Threads of the test's process serve
//! the sidecar on all addresses; pods of the test cluster reach it at [`HOST`]. Several sidecars share a port: a request
//! goes to the one that its header `Host` names.

mod actions;
mod http;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use actions::Ends;
use actions::State;
use jiff::SignedDuration;

/// Address of the test's process for pods of the test cluster.
pub const HOST: &str = "10.99.0.1";
/// The user of the interface.
pub const USER: &str = "backup";
/// Password of the user.
pub const PASSWORD: &str = "a password: with \"quotes\" & %s";

type Served = Arc<Mutex<BTreeMap<String, Arc<Mutex<State>>>>>;

/// A sidecar with its store, until the test ends.
#[derive(Clone, Debug)]
pub struct Sidecar {
    state: Arc<Mutex<State>>,
    /// All sidecars at the port.
    served: Served,
    port: u16,
}

impl Sidecar {
    /// Starts a ready sidecar with an empty store, for requests to a host of this name.
    ///
    /// # Panics
    /// No port is free.
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

    /// Starts another sidecar at the same port, with its own database and store.
    #[must_use]
    pub fn another(&self, host: &str) -> Self {
        Self::named(host, Arc::clone(&self.served), self.port)
    }

    fn named(host: &str, served: Served, port: u16) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        lock(&served).insert(format!("{host}:{port}"), Arc::clone(&state));
        Self { state, served, port }
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets how far the sidecar's clock is ahead of this machine's.
    pub fn set_ahead(&self, ahead: SignedDuration) {
        lock(&self.state).ahead = ahead;
    }

    /// Returns the content of the database.
    #[must_use]
    pub fn data(&self) -> String {
        lock(&self.state).data.clone()
    }

    /// Changes the content of the database.
    pub fn write(&self, data: &str) {
        lock(&self.state).data = data.to_owned();
    }

    /// Sets whether the sidecar answers `/backup/status` with 200.
    pub fn set_ready(&self, ready: bool) {
        lock(&self.state).ready = ready;
    }

    /// Sets the end of the next operation.
    pub fn next_ends(&self, ends: Ends) {
        lock(&self.state).next = ends;
    }

    /// Ends the operation that waits for the test.
    pub fn end_held(&self, ends: Ends) {
        lock(&self.state).end(ends);
    }

    /// Returns whether an operation is in progress.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        lock(&self.state).is_busy()
    }

    /// Starts an operation of the sidecar's own, which waits for [`Sidecar::end_held`].
    pub fn keep_busy(&self) {
        lock(&self.state).keep_busy();
    }

    /// Returns how often the sidecar refused an operation because another one was in progress.
    #[must_use]
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// Restarts the sidecar: it loses its operation and its list of actions. The store stays, with a part of the archive in
    /// progress if `part` is set.
    pub fn restart(&self, part: bool) {
        lock(&self.state).restart(part);
    }

    /// Puts a foreign or an old archive into the store.
    pub fn store(&self, archive: &str, data: &str) {
        lock(&self.state).store(archive, data);
    }

    /// Empties the store.
    pub fn forget_archives(&self) {
        lock(&self.state).forget_archives();
    }

    /// Returns the archives in the store.
    #[must_use]
    pub fn archives(&self) -> Vec<String> {
        lock(&self.state).archives()
    }

    /// Returns the archives that are also on the data volume.
    #[must_use]
    pub fn local_copies(&self) -> Vec<String> {
        lock(&self.state).local_copies()
    }

    /// Returns the marks of this word that runs have put into the list of actions.
    #[must_use]
    pub fn marks(&self, word: &str) -> Vec<String> {
        lock(&self.state).marks(word)
    }

    /// Returns the started operations in order, such as `create_remote NAME`, including those before a restart.
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
