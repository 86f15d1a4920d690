//! A controller of a play, which dies and starts again.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backstay::clock::{Clock, Machine};
use backstay::cluster::client::{REQUEST_TIMEOUT, layered};
use backstay::components::Calls;
use backstay::controller::{self, Surroundings};
use backstay::settings::Settings;
use backstay_tests::life::Life;
use devcluster::api::ApiServer;
use http::{HeaderValue, Request};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use tokio::sync::Notify;
use tokio::time::Instant;
use tower::service_fn;
use tower::timeout::TimeoutLayer;

use crate::base::{Base, SYSTEM, begin};
use crate::network::{Weather, Wire};

/// How long a run may be blocked.
pub(crate) const WAIT_DEADLINE: SignedDuration = SignedDuration::from_mins(3);
/// How long a run may take.
pub(crate) const RUN_DEADLINE: SignedDuration = SignedDuration::from_mins(5);
/// How long a component may undo.
pub(crate) const UNDO_DEADLINE: SignedDuration = SignedDuration::from_mins(2);
/// How long a finished Job is kept.
pub(crate) const JOB_TTL: SignedDuration = SignedDuration::from_mins(10);

/// The machine of a controller. Its clock can be set.
struct SimulatedMachine {
    begun: Instant,
    wrong: Arc<AtomicI64>,
}

impl Machine for SimulatedMachine {
    fn wall(&self) -> Timestamp {
        let gone = SignedDuration::try_from(self.begun.elapsed()).unwrap_or(SignedDuration::MAX);
        begin() + gone + SignedDuration::from_secs(self.wrong.load(Ordering::Relaxed))
    }

    fn running(&self) -> Duration {
        self.begun.elapsed()
    }

    fn since_boot(&self) -> Option<Duration> {
        Some(self.begun.elapsed())
    }
}

/// A controller, over all its processes.
pub(crate) struct Subject {
    number: usize,
    server: ApiServer,
    weather: Arc<Weather>,
    token: HeaderValue,
    registry: backstay::components::registry::Registry,
    begun: Instant,
    /// How far the clock of its machine is wrong, in seconds.
    wrong: Arc<AtomicI64>,
    /// How many processes there were.
    processes: u32,
    life: Arc<Life>,
    stop: Arc<Notify>,
    /// Until when it is away.
    away: Option<Instant>,
}

impl Subject {
    /// Starts a controller; `begun` is when the play began.
    pub(crate) fn start(
        base: &Base,
        number: usize,
        server: &ApiServer,
        weather: &Arc<Weather>,
        begun: Instant,
    ) -> Self {
        let token = HeaderValue::from_str(&format!("Bearer {}", base.token)).expect("a token");
        let mut subject = Self {
            number,
            server: server.clone(),
            weather: weather.clone(),
            token,
            registry: base.registry.clone(),
            begun,
            wrong: Arc::default(),
            processes: 0,
            life: Arc::default(),
            stop: Arc::default(),
            away: None,
        };
        subject.begin();
        subject
    }

    /// Begins a process.
    fn begin(&mut self) {
        self.processes += 1;
        self.life = Arc::default();
        self.stop = Arc::default();
        self.away = None;
        self.weather.trace.tell(format_args!("c{} starts", self.number));
        let begun = self.begun;
        let wire = Wire {
            server: self.server.clone(),
            token: self.token.clone(),
            weather: self.weather.clone(),
            life: self.life.clone(),
            controller: self.number,
            now: Arc::new(move || {
                begin() + SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX)
            }),
        };
        let surroundings = Surroundings {
            clock: Clock::on(Box::new(SimulatedMachine { begun, wrong: self.wrong.clone() })),
            calls: Calls::InTask,
            writer: format!("{}-{}", self.number, self.processes),
        };
        let settings = Settings {
            namespace: SYSTEM.to_owned(),
            wait_deadline: WAIT_DEADLINE,
            run_deadline: RUN_DEADLINE,
            undo_deadline: UNDO_DEADLINE,
            job_ttl: Some(JOB_TTL),
            concurrency: 4,
            ..Settings::default()
        };
        let (registry, life, stop) = (self.registry.clone(), self.life.clone(), self.stop.clone());
        tokio::spawn(async move {
            let timeout = TimeoutLayer::new(REQUEST_TIMEOUT);
            let client = layered(ClientBuilder::new(wire, "default").with_layer(&timeout));
            let client = mortal(client, life.clone());
            let stopping = async move { stop.notified().await };
            tokio::select! {
                biased;
                () = life.ended() => {}
                ended = controller::run_in(surroundings, client, registry, settings, stopping) => {
                    ended.expect("the controller goes on until it is told to stop");
                    life.end();
                }
            }
        });
    }

    /// Kills the process; the next one begins later.
    pub(crate) fn kill(&mut self, away: Duration) {
        self.life.end();
        self.away = Some(Instant::now() + away);
    }

    /// Tells the process to stop; the next one begins when it has ended.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Sets the clock of its machine.
    pub(crate) fn set_clock(&self, by: i64) {
        self.wrong.fetch_add(by, Ordering::Relaxed);
    }

    /// Begins a new process if there is none, and its time has come. A process that died in a call is away for ten seconds.
    pub(crate) fn look(&mut self) {
        if !self.life.is_over() {
            return;
        }
        let back = *self.away.get_or_insert_with(|| Instant::now() + Duration::from_secs(10));
        if back <= Instant::now() {
            self.begin();
        }
    }
}

/// Returns a client that is never answered once its process is dead: what is left of the process then does nothing any more, not
/// even after a timeout.
fn mortal(client: Client, life: Arc<Life>) -> Client {
    let service = service_fn(move |request: Request<Body>| {
        let (client, life) = (client.clone(), life.clone());
        async move {
            tokio::select! {
                biased;
                () = life.ended() => pending().await,
                answer = client.send(request) => answer,
            }
        }
    });
    ClientBuilder::new(service, "default").build()
}
