//! Enumerates the plans of a scenario: one for each place of its undisturbed run.

use std::collections::BTreeMap;

use super::plan::{Call, Event, Plan, Scenario, Trouble};

/// The calls and events of a run, each kind with its number.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Number of calls of each kind, such as `create jobs`.
    pub calls: BTreeMap<String, u32>,
    /// Number of watch events of each kind, such as `MODIFIED jobs`.
    pub events: BTreeMap<String, u32>,
}

/// Numbers of failing calls: once, and five times.
const TIMES: [u32; 2] = [1, 5];
/// More calls of a kind than any run makes.
const ALWAYS: u32 = 1000;

/// Returns every plan of a scenario, in a fixed order.
#[must_use]
pub fn plans(scenario: Scenario, seen: &Seen) -> Vec<Plan> {
    let mut troubles = Vec::new();
    for (what, number) in &seen.calls {
        let (verb, resource) = what.split_once(' ').unwrap_or((what, ""));
        if resource == "events" {
            courtesy(what, &mut troubles);
            continue;
        }
        if !concerns(scenario, verb, resource) {
            continue;
        }
        for nth in 1..=*number {
            let at = Call { what: what.clone(), nth };
            match verb {
                "create" | "patch" | "delete" => write(scenario, &at, verb, &mut troubles),
                // A broken list or watch is repeated, so only the first of each kind is struck.
                "list" | "watch" if nth == 1 => begin_watch(scenario, &at, &mut troubles),
                "list" | "watch" => {}
                _ => read(scenario, &at, &mut troubles),
            }
        }
    }
    if matches!(scenario, Scenario::Backup | Scenario::Restore) {
        inputs_change(&seen.calls, &mut troubles);
    }
    for (what, number) in &seen.events {
        let resource = what.split_once(' ').map_or("", |(_, resource)| resource);
        if !concerns(scenario, "watch", resource) {
            continue;
        }
        for nth in 1..=*number {
            let at = || Event { what: what.clone(), nth };
            troubles.extend([
                Trouble::Gap { at: at() },
                Trouble::Break { at: at() },
                Trouble::Slow { at: at() },
            ]);
            // A real API server loses no events. The controller must survive a loss only where a recheck is
            // promised: for Jobs and pods, and for the objects that a run in steps waits for.
            if matches!(resource, "jobs" | "pods" | "configmaps") {
                troubles.push(Trouble::Lose { at: at() });
            }
        }
    }
    let mut plans: Vec<Plan> =
        troubles.into_iter().map(|trouble| Plan { scenario, twin: false, trouble }).collect();
    if scenario == Scenario::Turns {
        // Each controller has locks of its own, so there is one controller (docs/architecture.md).
        return plans;
    }
    plans.push(Plan { scenario, twin: true, trouble: Trouble::None });
    let dying: Vec<_> = plans
        .iter()
        .filter(|p| matches!(p.trouble, Trouble::Die { stale: false, .. }))
        .map(|p| Plan { twin: true, ..p.clone() })
        .collect();
    plans.extend(dying);
    plans
}

/// Returns whether a scenario takes another way through code of an earlier one.
fn adds(scenario: Scenario) -> bool {
    matches!(
        scenario,
        Scenario::Failed | Scenario::Undo | Scenario::Turns | Scenario::Inherited | Scenario::Private
    )
}

/// Returns the lists and watches to strike: all in the first scenario, in the others those that they are about. Of the runs
/// that take turns only the writes of the runs themselves are struck, too: the others are those of one run.
fn concerns(scenario: Scenario, verb: &str, resource: &str) -> bool {
    if verb != "list" && verb != "watch" && scenario != Scenario::Turns {
        return true;
    }
    match scenario {
        Scenario::Turns => resource.starts_with("backupjobs"),
        Scenario::Backup => true,
        Scenario::Failed => matches!(resource, "pods" | "jobs"),
        Scenario::Restore => matches!(resource, "restorejobs" | "jobs"),
        Scenario::Deletion => matches!(resource, "backups" | "jobs"),
        Scenario::Steps => matches!(resource, "configmaps" | "jobs"),
        Scenario::Undo => matches!(resource, "configmaps" | "backupjobs"),
        Scenario::Inherited => resource == "restorejobs",
        Scenario::Private => resource == "backups",
        Scenario::Plan => matches!(resource, "plans" | "backupjobs"),
    }
}

/// Adds the failure of every post of an Event: nothing may depend on Events.
fn courtesy(what: &str, troubles: &mut Vec<Trouble>) {
    let at = || Call { what: what.to_owned(), nth: 1 };
    troubles.extend([
        Trouble::Answer { at: at(), code: 500, times: ALWAYS },
        Trouble::Unsent { at: at(), times: ALWAYS },
    ]);
}

/// Adds the failures of a call. Five failures differ from one only in their duration, so one code is enough in a scenario
/// that adds to another.
fn failing(scenario: Scenario, at: &Call, codes: &[u16], troubles: &mut Vec<Trouble>) {
    for times in TIMES {
        for code in codes {
            if times == 1 || *code == 500 || !adds(scenario) {
                troubles.push(Trouble::Answer { at: at.clone(), code: *code, times });
            }
        }
        troubles.push(Trouble::Unsent { at: at.clone(), times });
    }
}

fn write(scenario: Scenario, at: &Call, verb: &str, troubles: &mut Vec<Trouble>) {
    if scenario == Scenario::Turns {
        troubles.extend([
            Trouble::Answer { at: at.clone(), code: 409, times: 1 },
            Trouble::Unsent { at: at.clone(), times: 5 },
            Trouble::Lost { at: at.clone(), times: 1 },
            // Not with stale lists. The locks rely on lists without a resource version, which are the most recent ones.
            Trouble::Die { at: at.clone(), stale: false },
        ]);
        return;
    }
    failing(scenario, at, &[409, 429, 500, 504], troubles);
    for times in TIMES {
        troubles.push(Trouble::Lost { at: at.clone(), times });
    }
    troubles.extend([
        Trouble::Answer { at: at.clone(), code: 422, times: 1 },
        Trouble::Late { at: at.clone() },
        Trouble::Twice { at: at.clone() },
        Trouble::Die { at: at.clone(), stale: false },
        Trouble::Die { at: at.clone(), stale: true },
    ]);
    // An access review has no name.
    if verb == "create" && !at.what.ends_with("reviews") {
        troubles.push(Trouble::Taken { at: at.clone() });
    }
}

fn read(scenario: Scenario, at: &Call, troubles: &mut Vec<Trouble>) {
    failing(scenario, at, &[429, 500, 504], troubles);
    troubles.push(Trouble::Late { at: at.clone() });
}

fn begin_watch(scenario: Scenario, at: &Call, troubles: &mut Vec<Trouble>) {
    failing(scenario, at, &[429, 500], troubles);
    troubles.push(Trouble::Late { at: at.clone() });
}

/// From the creation of the Job on, only the Job decides (docs/rules.md R6).
fn inputs_change(calls: &BTreeMap<String, u32>, troubles: &mut Vec<Trouble>) {
    let after = |what: &str, from: u32| {
        let number = calls.get(what).copied().unwrap_or_default();
        (from..=number)
            .map(|nth| Trouble::Meddle { at: Call { what: what.to_owned(), nth } })
            .collect::<Vec<_>>()
    };
    troubles.extend(after("create jobs", 1));
    // The first status write begins the run; the second follows the Job.
    troubles.extend(after("patch backupjobs/status", 2));
    troubles.extend(after("patch restorejobs/status", 2));
    troubles.extend(after("create backups", 1));
    troubles.extend(after("patch backups/status", 1));
}
