//! Every crash point, every fault of the API server, every watch event: enumerated from what an undisturbed run does.
//!
//! Run by `make test`, or alone by `make faults`, where these make it play less:
//! - `BACKSTAY_FAULT_PLAN='backup | answer 500 x5 | create jobs #1'`: one plan, by the line that a failure prints;
//! - `BACKSTAY_FAULT_SCENARIO=restore`: one scenario;
//! - `BACKSTAY_FAULT_FIRST=1`: up to the first plan that breaks something.
//!
//! `BACKSTAY_FAULT_LOG=1` shows what the controllers log.

use std::collections::BTreeMap;

use backstay_tests::faults::{Baseline, Plan, Played, Scenario, Theatre, plans};

/// Plans that are played at once: they mostly wait.
const AT_ONCE: usize = 24;
/// Reads and writes of the API server that a run may cost, Events apart.
const TRAFFIC: [(Scenario, usize, usize); 5] = [
    // The six of the run and its Backup; a new strategy is validated and kept, and the Job gets its time to live.
    (Scenario::Backup, 1, 9),
    (Scenario::Restore, 5, 6),
    (Scenario::Deletion, 9, 6),
    (Scenario::Steps, 9, 30),
    (Scenario::Plan, 1, 3),
];

#[test]
#[allow(clippy::print_stderr)]
fn every_fault_plan_ends_as_the_undisturbed_run_does() {
    if std::env::var_os("BACKSTAY_FAULT_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter("info,kube=warn").with_writer(std::io::stderr).init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let Some(theatre) = Theatre::open("faults").await else { return };
        let one: Option<Plan> =
            std::env::var("BACKSTAY_FAULT_PLAN").ok().map(|line| line.parse().expect("a fault plan"));
        let only = std::env::var("BACKSTAY_FAULT_SCENARIO").ok();
        let first = std::env::var_os("BACKSTAY_FAULT_FIRST").is_some();
        let mut baselines: BTreeMap<Scenario, Baseline> = BTreeMap::new();
        for scenario in Scenario::ALL {
            if one.as_ref().is_some_and(|plan| plan.scenario != scenario)
                || only.as_ref().is_some_and(|word| word != scenario.word())
            {
                continue;
            }
            match theatre.baseline(scenario).await {
                Ok(baseline) => baselines.insert(scenario, baseline),
                Err(played) => panic!("{}", played.told()),
            };
        }
        for (scenario, reads, writes) in TRAFFIC {
            let Some(baseline) = baselines.get(&scenario) else { continue };
            eprintln!("{:<9} {:?} reads, writes", scenario.word(), baseline.traffic);
            assert!(
                baseline.traffic.0 <= reads && baseline.traffic.1 <= writes,
                "BROKEN  {} | nothing: {:?} reads and writes, at most {reads} and {writes}; calls: {:?}",
                scenario.word(),
                baseline.traffic,
                baseline.seen.calls
            );
        }
        let all: Vec<Plan> = match one {
            Some(plan) => vec![plan],
            None => baselines.iter().flat_map(|(scenario, b)| plans(*scenario, &b.seen)).collect(),
        };
        let played = theatre.play_all(all, &baselines, AT_ONCE, first).await;
        tell(&played);
        let broken = played.iter().filter(|p| !p.broken.is_empty()).count();
        let missed = played.iter().filter(|p| !p.reached).count();
        assert!(
            missed * 20 <= played.len(),
            "the places of {missed} plans were not come by: nothing was struck there"
        );
        assert_eq!(
            broken, 0,
            "plans that broke something; each is printed above with the line that replays it"
        );
    });
}

#[allow(clippy::print_stderr)]
fn tell(played: &[Played]) {
    for scenario in Scenario::ALL {
        let of: Vec<_> = played.iter().filter(|p| p.plan.scenario == scenario).collect();
        let broken = of.iter().filter(|p| !p.broken.is_empty()).count();
        let missed = of.iter().filter(|p| !p.reached).count();
        eprintln!(
            "{:<9} {:>4} plans, {broken} broken, {missed} whose place was not come by",
            scenario.word(),
            of.len()
        );
    }
}
