//! Plays a plan: people and trouble, then calm, then the verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backstay_tests::model::runtime;
use devcluster::api::{ApiServer, Options, TokioClock};
use devcluster::client::{Client as _, text};
use devcluster::controllers::{Controllers, ScriptedNode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::base::{Admin, Base, ROLES, admin, application, applications, begin, binding, bindings};
use crate::network::Weather;
use crate::oracles;
use crate::order;
use crate::people::{self, all, does, ours};
use crate::plan::{Class, Deed, Kept, Part, Plan};
use crate::programs::{self, NODE};
use crate::subject::{RUN_DEADLINE, Subject, UNDO_DEADLINE, WAIT_DEADLINE};
use crate::trace::Trace;
use crate::watchman::Watchman;

/// How often it is looked whether a controller has died, or all has ended.
const LOOK: Duration = Duration::from_secs(1);

/// How long after the trouble the controllers may take until they see everything again.
const RECOVERY: Duration = Duration::from_secs(90);

/// The verdict on a play.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// What is wrong; empty if nothing is.
    pub broken: Vec<String>,
    /// The parts that were played: the acts, and the faults that struck.
    pub parts: BTreeSet<Part>,
    /// Digest of the trace.
    pub digest: u64,
    /// Lines of the trace: calls, answers, faults.
    pub events: u64,
    /// How long it took in simulated time.
    pub simulated: Duration,
    /// How many runs there were.
    pub runs: usize,
    /// The trace, if it was asked for.
    pub trace: Vec<String>,
}

/// A seed of many runs, faults and starts.
const CROWD: u64 = 102_295;

/// Returns the cluster that every play begins with, in a process that has made what it makes once. Where a play makes such things,
/// their hash maps count among its own, and its order is another one.
///
/// # Panics
/// A component does not load, or the API server refuses an object.
#[must_use]
pub fn ready() -> Base {
    let base = Base::make();
    in_thread(|| play(&base, CROWD, &Kept::All, false, None));
    base
}

/// Plays on a new thread, whose chance and hash maps begin anew.
pub fn in_thread<T: Send>(play: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(play).join() {
        Ok(played) => played,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Plays the parts of a seed's plan that are kept. Keeps the trace if `lines` are asked for, and prints what the controllers log
/// as `shown` says, in the form of `RUST_LOG`.
#[must_use]
pub fn play(base: &Base, seed: u64, kept: &Kept, lines: bool, shown: Option<&str>) -> Verdict {
    order::of_play(seed);
    let (watchman, runtime) = (Watchman::default(), runtime());
    let log = watchman.clone().with_filter(LevelFilter::WARN);
    let shown = shown.map(|filter| {
        let told = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
        told.with_filter(EnvFilter::new(filter))
    });
    let logs = tracing_subscriber::registry().with(shown).with(log);
    let mut verdict = tracing::subscriber::with_default(logs, || {
        let verdict = runtime.block_on(Play::run(base, Plan::of(seed), kept.clone(), lines));
        drop(runtime);
        verdict
    });
    verdict.broken.extend(watchman.heard());
    verdict
}

/// A play that goes on.
pub(crate) struct Play {
    plan: Plan,
    pub(crate) admin: Admin,
    pub(crate) weather: Arc<Weather>,
    begun: Instant,
    subjects: Vec<Subject>,
}

impl Play {
    /// Begins a play: the cluster, its controllers and its node, and the controllers that are tried.
    pub(crate) fn begin(base: &Base, plan: Plan, kept: Kept, lines: bool) -> Self {
        let (seed, begun) = (plan.seed, Instant::now());
        let options = Options {
            clock: Box::new(TokioClock::starting_at(begin())),
            seed,
            history: usize::MAX,
            ..Options::default()
        };
        let server = base.server.fork(options);
        let weather = Arc::new(Weather::new(seed, plan.network, kept, Trace::begin(lines)));
        tokio::spawn(Controllers::new(server.clone(), None).run());
        tokio::spawn(node(server.clone(), seed, plan.bad_pods));
        let subjects =
            (0..plan.controllers).map(|number| Subject::start(base, number, &server, &weather, begun));
        let subjects = subjects.collect();
        Self { plan, admin: admin(&server), weather, begun, subjects }
    }

    async fn run(base: &Base, plan: Plan, kept: Kept, lines: bool) -> Verdict {
        let (seed, mut play) = (plan.seed, Self::begin(base, plan, kept.clone(), lines));
        let begun = play.begun;
        let acts: Vec<_> =
            play.plan.acts.iter().filter(|act| kept.has(Part::Act(act.number))).cloned().collect();
        for act in &acts {
            play.pass_until(begun + act.at).await;
            play.weather.trace.tell(format_args!("a{} {:?}", act.number, act.deed));
            play.deed(act.number, &act.deed).await;
        }
        play.pass_until(begun + play.plan.network.until).await;
        let mut broken = play.calm().await;
        let history = oracles::History::read(&play.admin, base.revision).await;
        broken.extend(oracles::judge(&play.plan, &history));
        let mut parts: BTreeSet<Part> = acts.iter().map(|act| Part::Act(act.number)).collect();
        parts.extend(play.weather.struck());
        let (digest, events) = play.weather.trace.digest();
        Verdict {
            seed,
            broken,
            parts,
            digest,
            events,
            simulated: play.weather.trace.elapsed(),
            runs: history.runs(),
            trace: play.weather.trace.lines(),
        }
    }

    /// Lets time pass; controllers that died begin again meanwhile.
    pub(crate) async fn pass_until(&mut self, until: Instant) {
        loop {
            self.subjects.iter_mut().for_each(Subject::look);
            let now = Instant::now();
            if now >= until {
                return;
            }
            sleep_until(until.min(now + LOOK)).await;
        }
    }

    async fn deed(&mut self, number: usize, deed: &Deed) {
        let of = |subjects: &mut Vec<Subject>, controller: usize| controller % subjects.len().max(1);
        match deed {
            Deed::Kill { controller, away } => {
                let at = of(&mut self.subjects, *controller);
                if let Some(subject) = self.subjects.get_mut(at) {
                    subject.kill(*away);
                }
            }
            Deed::Stop { controller } => {
                let at = of(&mut self.subjects, *controller);
                if let Some(subject) = self.subjects.get_mut(at) {
                    subject.stop();
                }
            }
            Deed::Clock { controller, seconds } => {
                let at = of(&mut self.subjects, *controller);
                if let Some(subject) = self.subjects.get_mut(at) {
                    subject.set_clock(*seconds);
                }
            }
            Deed::Outage { lasts } => self.weather.outage(*lasts),
            _ => does(&self.admin, number, deed, &self.weather.trace).await,
        }
    }

    /// The network is well, nobody does anything more, and what people took away is there again: everything ends. Then each
    /// application is backed up once more, which nothing that is left behind may hold up.
    async fn calm(&mut self) -> Vec<String> {
        self.mend().await;
        // Watches that failed again and again are tried again after half a minute at the latest.
        self.pass_until(self.weather.well().max(Instant::now()) + RECOVERY).await;
        let mut broken = self.until_ended().await;
        if !broken.is_empty() {
            return broken;
        }
        let mut probes = Vec::new();
        for app in self.plan.apps.clone() {
            let name = format!("probe-{}", app.number);
            let path = ours(&app.namespace(), "backupjobs");
            match self.admin.create(&path, people::backup_job(&name, app, Class::HalfWay)).await {
                Ok(_) => probes.push(format!("{path}/{name}")),
                Err(refused) => broken.push(format!("{name} is refused: {refused}")),
            }
        }
        // Its strategy has nothing to do. The clocks of controllers may be wrong until they have looked at others.
        self.pass_until(Instant::now() + Duration::from_secs(30)).await;
        for path in probes {
            let run = self.admin.get(&path).await.unwrap_or_default();
            if text(&run, "/status/phase") != "Succeeded" {
                broken.push(format!("nothing goes on, and after 30 s {path} is {}", run["status"]));
            }
        }
        if self.plan.long {
            self.pass_until(Instant::now() + Duration::from_mins(200)).await;
        }
        broken
    }

    /// Gives back what people took away.
    async fn mend(&self) {
        for app in &self.plan.apps {
            let namespace = app.namespace();
            let _ = self.admin.create(&applications(&namespace), application(*app)).await;
            let plan = format!("{}/{}", ours(&namespace, "plans"), app.name());
            let _ = self.admin.delete(&plan, json!({"propagationPolicy": "Orphan"})).await;
            for role in ROLES {
                let _ = self.admin.create(&bindings(&namespace), binding(role)).await;
            }
        }
    }

    /// Waits until all runs have ended and all that is being deleted is gone.
    async fn until_ended(&mut self) -> Vec<String> {
        let runs = all(&self.admin, "backupjobs").await.len() + all(&self.admin, "restorejobs").await.len();
        // Runs of one application go one after the other, each as long as it may.
        let longest = (WAIT_DEADLINE + RUN_DEADLINE + UNDO_DEADLINE).unsigned_abs() + Duration::from_mins(2);
        let deadline = Instant::now() + longest * u32::try_from(runs + 1).unwrap_or(u32::MAX);
        loop {
            let left = self.unfinished().await;
            if left.is_empty() {
                return left;
            }
            if Instant::now() >= deadline {
                return left.into_iter().map(|left| format!("long after the trouble: {left}")).collect();
            }
            self.pass_until(Instant::now() + Duration::from_secs(5)).await;
        }
    }

    async fn unfinished(&self) -> Vec<String> {
        let mut left = Vec::new();
        for plural in ["backupjobs", "restorejobs"] {
            for run in all(&self.admin, plural).await {
                if !oracles::has_ended(&run) || deleted(&run) {
                    left.push(oracles::title(&run) + " has not ended: " + &run["status"].to_string());
                }
            }
        }
        for backup in all(&self.admin, "backups").await.iter().filter(|backup| deleted(backup)) {
            left.push(oracles::title(backup) + " is not gone: " + &backup["status"].to_string());
        }
        left
    }
}

fn deleted(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

async fn node(server: ApiServer, seed: u64, bad: u32) {
    let author = move |pod: &Value, _: &str, start: u32| programs::script(seed, bad, pod, start);
    let node = ScriptedNode::new(server, None, NODE, author);
    let Err(refused) = node.run().await;
    panic!("the node is refused: {refused}");
}
