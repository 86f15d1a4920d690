//! Plays the undisturbed run of every scenario and its plans, and checks that nothing is broken and nothing is left out.
//!
//! These variables select plans:
//! - `BACKSTAY_FAULT_PLAN='backup | answer 500 x5 | create jobs #1'`: one plan, by the line that a failure prints;
//! - `BACKSTAY_FAULT_SCENARIO=restore`: one scenario;
//! - `BACKSTAY_FAULT_FIRST=1`: up to the first plan that breaks something;
//! - `BACKSTAY_FAULT_ALL=1`: all plans, on the test cluster too;
//! - `BACKSTAY_FAULT_TENTH=1`: a tenth of them, in memory too.
//!
//! `BACKSTAY_FAULT_LOG=1` shows the controllers' log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::enumerate::plans;
use super::ground::{Baseline, Played};
use super::in_memory::{self, InMemory};
use super::plan::{Plan, Scenario};
use super::play::{self, Harness};
use super::sample;

/// Plans at a time on the test cluster; they mostly wait.
const AT_ONCE: usize = 32;

/// Bounds on the undisturbed run of a scenario, and on its plans.
struct Known {
    scenario: Scenario,
    /// Fewest plans: fewer mean that some traffic is not seen any more.
    plans: usize,
    /// Most reads and writes of the API server, without Events.
    traffic: (usize, usize),
}

/// One of the reads is of a bystander, since the controller reads the Backup of another controller once. Two more allow
/// for reads of a run whose watch is behind. One read and one write are of the controller's key, which is made once in an
/// installation, and each plan has one of its own; one read more looks at a revision that a run pins again. A run in steps is
/// read after its first checkpoint.
const KNOWN: [Known; 10] = [
    // Six writes of the run and its Backup; the strategy's status and revision; the key; the Job's time to live.
    Known { scenario: Scenario::Backup, plans: 380, traffic: (4, 10) },
    Known { scenario: Scenario::Failed, plans: 120, traffic: (5, 8) },
    // One read of the Backup when the restore has ended.
    Known { scenario: Scenario::Restore, plans: 200, traffic: (11, 10) },
    Known { scenario: Scenario::Deletion, plans: 200, traffic: (12, 7) },
    Known { scenario: Scenario::Steps, plans: 550, traffic: (12, 31) },
    Known { scenario: Scenario::Undo, plans: 180, traffic: (10, 16) },
    Known { scenario: Scenario::Turns, plans: 80, traffic: (18, 29) },
    Known { scenario: Scenario::Inherited, plans: 350, traffic: (22, 23) },
    Known { scenario: Scenario::Private, plans: 140, traffic: (19, 11) },
    Known { scenario: Scenario::Plan, plans: 90, traffic: (5, 5) },
];

/// Plays every plan in memory.
///
/// # Panics
/// A plan broke something, or plans are missing; what and which is printed.
pub fn in_memory() {
    show_log();
    let choice = Choice::of_environment();
    let tenth = choice.one.is_none() && std::env::var_os("BACKSTAY_FAULT_TENTH").is_some();
    play(&Memory(InMemory::new()), &Choice { tenth, ..choice });
}

/// Plays a tenth of the plans on the test cluster; nothing where there is none.
///
/// # Panics
/// As [`in_memory`].
pub fn on_cluster() {
    show_log();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let Some(harness) = runtime.block_on(Harness::open("faults")) else { return };
    let choice = Choice::of_environment();
    let tenth = choice.one.is_none() && std::env::var_os("BACKSTAY_FAULT_ALL").is_none();
    play(&Cluster { runtime, harness }, &Choice { tenth, ..choice });
}

#[allow(clippy::print_stderr)]
fn show_log() {
    if std::env::var_os("BACKSTAY_FAULT_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter("info,kube=warn").with_writer(std::io::stderr).init();
    }
}

/// Which plans are played.
struct Choice {
    one: Option<Plan>,
    only: Option<Scenario>,
    /// Up to the first one that breaks something.
    first: bool,
    /// A tenth of them.
    tenth: bool,
}

impl Choice {
    fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let one = variable("BACKSTAY_FAULT_PLAN")
            .map(|line| line.parse().unwrap_or_else(|e| panic!("BACKSTAY_FAULT_PLAN: {e}")));
        let only = variable("BACKSTAY_FAULT_SCENARIO")
            .map(|word| Scenario::named(&word).unwrap_or_else(|e| panic!("BACKSTAY_FAULT_SCENARIO: {e}")));
        Self { one, only, first: variable("BACKSTAY_FAULT_FIRST").is_some(), tenth: false }
    }

    fn has(&self, scenario: Scenario) -> bool {
        self.one.as_ref().is_none_or(|plan| plan.scenario == scenario)
            && self.only.is_none_or(|only| only == scenario)
    }

    /// The plans of the undisturbed runs.
    fn plans(&self, baselines: &BTreeMap<Scenario, Baseline>) -> Vec<Plan> {
        if let Some(plan) = &self.one {
            return vec![plan.clone()];
        }
        let of = |(scenario, baseline): (&Scenario, &Baseline)| {
            let plans = plans(*scenario, &baseline.seen);
            if self.tenth { sample::tenth(&plans) } else { plans }
        };
        baselines.iter().flat_map(of).collect()
    }
}

/// Where plans are played.
trait Place {
    fn baseline(&self, scenario: Scenario) -> Result<Baseline, Box<Played>>;

    fn play_all(
        &self,
        plans: Vec<Plan>,
        baselines: &BTreeMap<Scenario, Baseline>,
        first: bool,
    ) -> Vec<Played>;

    /// The command that replays a plan there.
    fn command(&self) -> &'static str;
}

struct Memory(InMemory);

impl Place for Memory {
    fn baseline(&self, scenario: Scenario) -> Result<Baseline, Box<Played>> {
        self.0.baseline(scenario)
    }

    fn play_all(
        &self,
        plans: Vec<Plan>,
        baselines: &BTreeMap<Scenario, Baseline>,
        first: bool,
    ) -> Vec<Played> {
        self.0.play_all(&plans, baselines, first)
    }

    fn command(&self) -> &'static str {
        in_memory::COMMAND
    }
}

struct Cluster {
    runtime: Runtime,
    harness: Arc<Harness>,
}

impl Place for Cluster {
    fn baseline(&self, scenario: Scenario) -> Result<Baseline, Box<Played>> {
        self.runtime.block_on(self.harness.baseline(scenario))
    }

    fn play_all(
        &self,
        plans: Vec<Plan>,
        baselines: &BTreeMap<Scenario, Baseline>,
        first: bool,
    ) -> Vec<Played> {
        self.runtime.block_on(self.harness.play_all(plans, baselines, AT_ONCE, first))
    }

    fn command(&self) -> &'static str {
        play::COMMAND
    }
}

/// Plays the chosen plans, and checks them.
fn play(place: &impl Place, choice: &Choice) {
    let chosen = KNOWN.iter().filter(|known| choice.has(known.scenario));
    let baselines = chosen.map(|known| (known.scenario, undisturbed(place, known))).collect();
    let all = choice.plans(&baselines);
    let number = all.len();
    let played = place.play_all(all, &baselines, choice.first);
    let missed = report_missed(&played, choice.tenth);
    let broken = played.iter().filter(|p| !p.broken.is_empty()).count();
    assert_eq!(broken, 0, "plans that broke something; each is printed above with the line that replays it");
    assert_eq!(played.len(), number, "every plan was played");
    assert!(missed.is_empty(), "too many plans struck nothing: {}", missed.join("; "));
}

/// Plays a scenario undisturbed, and compares its traffic and the number of its plans with what is known.
#[allow(clippy::print_stderr)]
fn undisturbed(place: &impl Place, known: &Known) -> Baseline {
    let scenario = known.scenario;
    let baseline =
        place.baseline(scenario).unwrap_or_else(|played| panic!("{}", played.report(place.command())));
    let ((reads, writes), (most_reads, most_writes)) = (baseline.traffic, known.traffic);
    eprintln!("{:<9} {reads} reads, {writes} writes", scenario.word());
    assert!(
        reads <= most_reads && writes <= most_writes,
        "BROKEN  {} | nothing: {reads} reads and {writes} writes, at most {most_reads} and {most_writes}; calls: {:?}",
        scenario.word(),
        baseline.seen.calls
    );
    let plans = plans(scenario, &baseline.seen).len();
    assert!(
        plans >= known.plans,
        "{} gives {plans} plans, at least {} are known; seen: {:?}",
        scenario.word(),
        known.plans,
        baseline.seen
    );
    baseline
}

/// Prints the number of plans, and for each scenario and trouble the plans that did not reach their place. Returns the
/// troubles with too many of them; an undisturbed run may have had a call more than another one. In a tenth of the plans a trouble
/// may have a single one, so there all troubles of a scenario count together.
#[allow(clippy::print_stderr)]
fn report_missed(played: &[Played], tenth: bool) -> Vec<String> {
    let mut too_many = Vec::new();
    for Known { scenario, .. } in &KNOWN {
        let of: Vec<_> = played.iter().filter(|p| p.plan.scenario == *scenario).collect();
        if of.is_empty() {
            continue;
        }
        let broken = of.iter().filter(|p| !p.broken.is_empty()).count();
        eprintln!("{:<9} {:>4} plans, {broken} broken", scenario.word(), of.len());
        let mut all_missed = 0;
        let mut troubles: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
        for played in &of {
            troubles.entry(played.plan.trouble.kind()).or_default().push(played);
        }
        for (trouble, of) in troubles {
            let missed: Vec<_> = of.iter().filter(|p| !p.reached).map(|p| p.plan.to_string()).collect();
            if missed.is_empty() {
                continue;
            }
            all_missed += missed.len();
            let summary = format!("{} | {trouble}: {} of {}", scenario.word(), missed.len(), of.len());
            eprintln!("  {summary} did not come by their place: {}", missed.join("; "));
            if missed.len() * 10 > of.len() && !tenth {
                too_many.push(summary);
            }
        }
        if all_missed * 10 > of.len() && tenth {
            too_many.push(format!("{}: {all_missed} of {}", scenario.word(), of.len()));
        }
    }
    too_many
}
