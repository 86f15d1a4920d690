//! What a seed means: the cluster, what people do in it and when, and how bad the network is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::chance::{at, once_in, one_of};

/// Something that can be left out of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// An act, by its number.
    Act(usize),
    /// A fault, by the number of the call or event that it strikes.
    Fault(u64),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Act(number) => write!(f, "a{number}"),
            Self::Fault(number) => write!(f, "f{number}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no part of a plan: say a3 or f17");
        match text.split_at_checked(1) {
            Some(("a", number)) => number.parse().map(Self::Act).map_err(|_| wrong()),
            Some(("f", number)) => number.parse().map(Self::Fault).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// Which parts of a plan are played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    #[default]
    All,
    /// These.
    Only(BTreeSet<Part>),
}

impl Kept {
    pub(crate) fn has(&self, part: Part) -> bool {
        match self {
            Self::All => true,
            Self::Only(parts) => parts.contains(&part),
        }
    }
}

/// What the controller's network does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// One call in so many is struck; 0 for none.
    pub(crate) calls: u32,
    /// One event of a watch in so many is struck; 0 for none.
    pub(crate) events: u32,
    /// One struck call in so many kills the controller; 0 for none.
    pub(crate) deaths: u32,
    /// The longest usual latency.
    pub(crate) latency: Duration,
    /// When it is well again.
    pub(crate) until: Duration,
}

/// How a class of the simulation backs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// By a Job.
    Job,
    /// By steps that make, change and delete objects and run a pod.
    Steps,
    /// By steps that wait for a ConfigMap of the tenant.
    Flag,
    /// By steps that never end; undone when the run is deleted or late.
    Endless,
    /// By steps whose restore fails where data may be gone.
    HalfWay,
    /// By steps that keep private data, and are cleaned up.
    Private,
    /// By a class that does not exist.
    Missing,
}

impl Class {
    pub(crate) const ALL: [Self; 7] =
        [Self::Job, Self::Steps, Self::Flag, Self::Endless, Self::HalfWay, Self::Private, Self::Missing];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Steps => "steps",
            Self::Flag => "flag",
            Self::Endless => "endless",
            Self::HalfWay => "half-way",
            Self::Private => "private",
            Self::Missing => "missing",
        }
    }
}

/// Where an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct App {
    pub(crate) tenant: usize,
    pub(crate) number: usize,
}

impl App {
    pub(crate) fn namespace(self) -> String {
        format!("tenant-{}", self.tenant)
    }

    pub(crate) fn name(self) -> String {
        format!("cache-{}", self.number)
    }
}

/// What somebody does.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A tenant creates a BackupJob.
    Backup { app: App, class: Class },
    /// A tenant restores a Backup that is there, into an application of its namespace.
    Restore { app: App, pick: u32 },
    /// A tenant deletes a run.
    DeleteRun { pick: u32, orphan: bool },
    /// A tenant deletes a Backup.
    DeleteBackup { pick: u32 },
    /// Somebody deletes a Job.
    DeleteJob { pick: u32 },
    /// Somebody deletes a pod.
    DeletePod { pick: u32 },
    /// A tenant deletes an application, or creates it anew.
    Application { app: App, there: bool },
    /// A tenant raises or lowers the flag of its namespace.
    Flag { tenant: usize, up: bool },
    /// An administrator edits the strategy of a class.
    Strategy { class: Class, version: u32 },
    /// A tenant creates or changes a Plan.
    Plan { app: App, minutes: u32, suspended: bool },
    /// A tenant deletes a Plan.
    DeletePlan { app: App },
    /// Somebody removes the component's rights in a namespace, or grants them.
    Rights { tenant: usize, granted: bool },
    /// The controller dies, and starts again later.
    Kill { controller: usize, away: Duration },
    /// The controller is told to stop, and starts again at once: a rolling update.
    Stop { controller: usize },
    /// The clock of the controller's machine is set.
    Clock { controller: usize, seconds: i64 },
    /// The API server answers nobody for a while.
    Outage { lasts: Duration },
}

/// A deed and its time.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) number: usize,
    pub(crate) at: Duration,
    pub(crate) deed: Deed,
}

/// The plan of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Applications of the plan.
    pub(crate) apps: Vec<App>,
    /// How many controllers run at once.
    pub(crate) controllers: usize,
    pub(crate) acts: Vec<Act>,
    pub(crate) network: Network,
    /// Whether it is watched for hours afterwards what is collected.
    pub(crate) long: bool,
    /// How a pod of the plan behaves: one in so many fails, is stuck, or reports nothing.
    pub(crate) bad_pods: u32,
}

/// Namespaces of tenants, and applications of each.
pub(crate) const TENANTS: usize = 3;
pub(crate) const APPS: usize = 2;

impl Plan {
    /// Returns the plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = at(seed, "plan");
        let rng = &mut rng;
        let crowd = once_in(rng, 40);
        let days = !crowd && once_in(rng, 400);
        let count = if crowd { rng.usize(20..50) } else { 1 + rng.usize(0..4) * rng.usize(1..4) };
        let span = Duration::from_secs(match (crowd, days) {
            (_, true) => rng.u64(3..24) * 3600,
            (true, _) => 600,
            _ => rng.u64(10..240),
        });
        // Few applications, so that runs meet.
        let tenants = (1 + rng.usize(0..TENANTS)).min(count);
        let apps = if count > tenants { 1 + rng.usize(0..APPS) } else { 1 };
        let all =
            (0..tenants).flat_map(|tenant| (0..apps).map(move |number| App { tenant, number })).collect();
        let mut classes: Vec<Class> = Class::ALL.into_iter().filter(|_| rng.bool()).collect();
        if classes.is_empty() {
            classes.push(Class::Job);
        }
        let controllers = if once_in(rng, 8) { 2 } else { 1 };
        let calm = once_in(rng, 10);
        // A start costs as many calls as some runs: where much is struck, few strikes kill.
        let calls = if calm { 0 } else { one_of(rng, &[0, 4, 10, 30, 100]).unwrap_or(0) };
        let deaths: &[u32] = if (1..30).contains(&calls) { &[0, 10, 30] } else { &[0, 3, 10] };
        let network = Network {
            calls,
            events: if calm { 0 } else { one_of(rng, &[0, 3, 10, 40]).unwrap_or(0) },
            deaths: one_of(rng, deaths).unwrap_or(0),
            latency: Duration::from_millis(one_of(rng, &[0, 5, 50, 400]).unwrap_or(0)),
            until: span + Duration::from_secs(rng.u64(0..60)),
        };
        let mut acts = Vec::new();
        for number in 0..count {
            let at = span.mul_f64(rng.f64());
            let app = App { tenant: rng.usize(0..tenants), number: rng.usize(0..apps) };
            let class = one_of(rng, &classes).unwrap_or(Class::Job);
            let deed = match number {
                0 => Deed::Backup { app, class },
                _ => Self::deed(rng, app, class, controllers, days),
            };
            // The first run is there from the beginning.
            let at = if number == 0 { Duration::ZERO } else { at };
            acts.push(Act { number, at, deed });
        }
        acts.sort_by_key(|act| act.at);
        let bad_pods = one_of(rng, &[0, 0, 3, 10]).unwrap_or(0);
        Self { seed, apps: all, controllers, acts, network, long: once_in(rng, 64), bad_pods }
    }

    fn deed(rng: &mut fastrand::Rng, app: App, class: Class, controllers: usize, days: bool) -> Deed {
        let pick = rng.u32(..);
        let controller = rng.usize(0..controllers);
        match rng.u32(0..100) {
            0..34 => Deed::Backup { app, class },
            34..52 => Deed::Restore { app, pick },
            52..60 => Deed::DeleteRun { pick, orphan: once_in(rng, 3) },
            60..65 => Deed::DeleteBackup { pick },
            65..68 => Deed::DeleteJob { pick },
            68..71 => Deed::DeletePod { pick },
            71..74 => Deed::Application { app, there: rng.bool() },
            74..78 => Deed::Flag { tenant: app.tenant, up: rng.u32(0..4) > 0 },
            78..81 => Deed::Strategy { class, version: rng.u32(1..100) },
            81..86 => {
                let minutes = if days { rng.u32(20..300) } else { 1 };
                Deed::Plan { app, minutes, suspended: once_in(rng, 5) }
            }
            86..88 => Deed::DeletePlan { app },
            88..90 => Deed::Rights { tenant: app.tenant, granted: rng.bool() },
            90..94 => Deed::Kill { controller, away: Duration::from_millis(rng.u64(0..90_000)) },
            94..96 => Deed::Stop { controller },
            96..98 => Deed::Clock { controller, seconds: rng.i64(-7200..7200) },
            _ => Deed::Outage { lasts: Duration::from_millis(rng.u64(100..90_000)) },
        }
    }
}
