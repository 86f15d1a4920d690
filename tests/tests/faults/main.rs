//! Every crash point, every fault of the API server and every watch event, enumerated from an undisturbed run.
//!
//! Run by `make test`, or alone by `make faults`. These variables select plans:
//! - `BACKSTAY_FAULT_PLAN='backup | answer 500 x5 | create jobs #1'`: one plan, by the line that a failure prints;
//! - `BACKSTAY_FAULT_SCENARIO=restore`: one scenario;
//! - `BACKSTAY_FAULT_FIRST=1`: up to the first plan that breaks something.
//!
//! `BACKSTAY_FAULT_LOG=1` shows the controllers' log.

use std::collections::BTreeMap;

use backstay_tests::faults::{Baseline, Harness, Plan, Played, Scenario, plans};

/// Plans at a time; they mostly wait.
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
/// read before and after its first checkpoint.
const KNOWN: [Known; 10] = [
    // Six writes of the run and its Backup; the strategy's status and revision; the key; the Job's time to live.
    Known { scenario: Scenario::Backup, plans: 380, traffic: (4, 10) },
    Known { scenario: Scenario::Failed, plans: 120, traffic: (5, 8) },
    // One read of the Backup when the restore has ended.
    Known { scenario: Scenario::Restore, plans: 200, traffic: (11, 10) },
    Known { scenario: Scenario::Deletion, plans: 200, traffic: (12, 7) },
    Known { scenario: Scenario::Steps, plans: 550, traffic: (16, 32) },
    Known { scenario: Scenario::Undo, plans: 180, traffic: (14, 16) },
    Known { scenario: Scenario::Turns, plans: 80, traffic: (24, 31) },
    Known { scenario: Scenario::Inherited, plans: 350, traffic: (30, 23) },
    Known { scenario: Scenario::Private, plans: 140, traffic: (19, 11) },
    Known { scenario: Scenario::Plan, plans: 90, traffic: (5, 5) },
];

#[test]
#[allow(clippy::print_stderr)]
fn every_fault_plan_ends_as_the_undisturbed_run_does() {
    if std::env::var_os("BACKSTAY_FAULT_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter("info,kube=warn").with_writer(std::io::stderr).init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let one: Option<Plan> = std::env::var("BACKSTAY_FAULT_PLAN")
            .ok()
            .map(|line| line.parse().unwrap_or_else(|e| panic!("BACKSTAY_FAULT_PLAN: {e}")));
        let only: Option<Scenario> = std::env::var("BACKSTAY_FAULT_SCENARIO")
            .ok()
            .map(|word| Scenario::named(&word).unwrap_or_else(|e| panic!("BACKSTAY_FAULT_SCENARIO: {e}")));
        let first = std::env::var_os("BACKSTAY_FAULT_FIRST").is_some();
        let Some(harness) = Harness::open("faults").await else { return };
        let mut baselines: BTreeMap<Scenario, Baseline> = BTreeMap::new();
        for known in &KNOWN {
            let scenario = known.scenario;
            if one.as_ref().is_some_and(|plan| plan.scenario != scenario)
                || only.is_some_and(|only| only != scenario)
            {
                continue;
            }
            let baseline = match harness.baseline(scenario).await {
                Ok(baseline) => baseline,
                Err(played) => panic!("{}", played.report()),
            };
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
            baselines.insert(scenario, baseline);
        }
        let all: Vec<Plan> = match one {
            Some(plan) => vec![plan],
            None => baselines.iter().flat_map(|(scenario, b)| plans(*scenario, &b.seen)).collect(),
        };
        let number = all.len();
        let played = harness.play_all(all, &baselines, AT_ONCE, first).await;
        let missed = report_missed(&played);
        let broken = played.iter().filter(|p| !p.broken.is_empty()).count();
        assert_eq!(
            broken, 0,
            "plans that broke something; each is printed above with the line that replays it"
        );
        assert_eq!(played.len(), number, "every plan was played");
        assert!(missed.is_empty(), "too many plans struck nothing: {}", missed.join("; "));
    });
}

/// Prints the number of plans, and for each scenario and trouble the plans that did not reach their place. Returns the
/// troubles with too many of them; an undisturbed run may have had a call more than another one.
#[allow(clippy::print_stderr)]
fn report_missed(played: &[Played]) -> Vec<String> {
    let mut too_many = Vec::new();
    for Known { scenario, .. } in &KNOWN {
        let of: Vec<_> = played.iter().filter(|p| p.plan.scenario == *scenario).collect();
        if of.is_empty() {
            continue;
        }
        let broken = of.iter().filter(|p| !p.broken.is_empty()).count();
        eprintln!("{:<9} {:>4} plans, {broken} broken", scenario.word(), of.len());
        let mut troubles: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
        for played in of {
            troubles.entry(played.plan.trouble.kind()).or_default().push(played);
        }
        for (trouble, of) in troubles {
            let missed: Vec<_> = of.iter().filter(|p| !p.reached).map(|p| p.plan.to_string()).collect();
            if missed.is_empty() {
                continue;
            }
            let summary = format!("{} | {trouble}: {} of {}", scenario.word(), missed.len(), of.len());
            eprintln!("  {summary} did not come by their place: {}", missed.join("; "));
            if missed.len() * 10 > of.len() {
                too_many.push(summary);
            }
        }
    }
    too_many
}
