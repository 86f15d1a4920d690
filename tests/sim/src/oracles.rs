//! What must be right in every play, whatever happens. It is judged on the history of the objects: each of their states, in the
//! order in which the API server had them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstay_api::finalizers::CLEANUP;
use devcluster::client::{Client as _, items, number, text};
use futures::{FutureExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::base::{Admin, SYSTEM, begin};
use crate::plan::{Deed, Plan};
use crate::subject::{RUN_DEADLINE, UNDO_DEADLINE};

/// How long after a fault of the network or of a process all is well again at the latest: what is late arrives, a process begins
/// again, watches are tried again.
const WELL: Duration = Duration::from_secs(240);
/// How long after its creation a run is looked at, at the latest, and how much later than its deadlines it ends.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// One state of an object.
pub(crate) struct State {
    /// The revision at which it became so.
    revision: u64,
    gone: bool,
    object: Value,
}

/// The states of all objects that matter.
pub(crate) struct History {
    states: Vec<State>,
}

/// The kinds that matter.
const KINDS: [&str; 8] = [
    "/apis/backups.cozystack.io/v1alpha1/backupjobs",
    "/apis/backups.cozystack.io/v1alpha1/restorejobs",
    "/apis/backups.cozystack.io/v1alpha1/backups",
    "/apis/backups.cozystack.io/v1alpha1/plans",
    "/apis/batch/v1/jobs",
    "/api/v1/pods",
    "/api/v1/secrets",
    "/api/v1/configmaps",
];

/// Returns kind, namespace and name of an object.
pub(crate) fn title(object: &Value) -> String {
    let of = |pointer: &str| text(object, pointer);
    format!("{} {}/{}", of("/kind"), of("/metadata/namespace"), of("/metadata/name"))
}

/// Returns whether a run has ended.
pub(crate) fn has_ended(run: &Value) -> bool {
    matches!(text(run, "/status/phase"), "Succeeded" | "Failed")
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

fn run_uid(object: &Value) -> &str {
    object["metadata"]["labels"]["backstay.dev/run-uid"].as_str().unwrap_or_default()
}

impl History {
    /// Reads what has happened since a revision.
    pub(crate) async fn read(admin: &Admin, since: u64) -> Self {
        let mut states = Vec::new();
        for kind in KINDS {
            let path = format!("{kind}?watch=true&resourceVersion={since}");
            let mut events = admin.watch(path).await.expect("the history is kept");
            // All that has happened is there at once.
            while let Some(Some(mut event)) = events.next().now_or_never() {
                let object = event["object"].take();
                let revision = text(&object, "/metadata/resourceVersion").parse().unwrap_or_default();
                states.push(State { revision, gone: event["type"] == "DELETED", object });
            }
        }
        states.sort_by_key(|state| state.revision);
        Self { states }
    }

    fn of<'a>(&'a self, kinds: &'a [&'a str]) -> impl Iterator<Item = &'a State> {
        self.states.iter().filter(|state| kinds.contains(&text(&state.object, "/kind")))
    }

    /// Returns the last state of each object of these kinds, by its uid.
    fn last<'a>(&'a self, kinds: &'a [&'a str]) -> BTreeMap<&'a str, &'a State> {
        self.of(kinds).map(|state| (uid(&state.object), state)).collect()
    }

    /// Returns how many runs there were.
    pub(crate) fn runs(&self) -> usize {
        self.last(&RUNS).len()
    }
}

const RUNS: [&str; 2] = ["BackupJob", "RestoreJob"];

/// Returns what is wrong in a history.
pub(crate) fn judge(plan: &Plan, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    ends_are_final(history, &mut broken);
    one_job_a_run(plan, history, &mut broken);
    one_backup_a_run(history, &mut broken);
    nothing_goes_on(history, &mut broken);
    if plan.controllers == 1 {
        // Locks are kept by one controller; two need an election, which is not there yet.
        turns(history, &mut broken);
        one_after_the_other(history, &mut broken);
    }
    in_time(plan, history, &mut broken);
    slots(history, &mut broken);
    few_writes(plan, history, &mut broken);
    if plan.long {
        records_are_collected(history, &mut broken);
    }
    broken
}

/// A run that has ended stays as it is, and what a run has settled at its beginning does not change.
fn ends_are_final(history: &History, broken: &mut Vec<String>) {
    let mut before: BTreeMap<&str, &Value> = BTreeMap::new();
    for state in history.of(&RUNS) {
        let run = &state.object;
        if let Some(before) = before.insert(uid(run), run) {
            let same = |pointer: &str| before.pointer(pointer) == run.pointer(pointer);
            if has_ended(before)
                && !(same("/status/phase") && same("/status/backupRef") && same("/status/run"))
            {
                broken.push(format!(
                    "{} had ended as {}, and became {}",
                    title(run),
                    before["status"],
                    run["status"]
                ));
            }
            for settled in
                ["/status/run/strategyRevision", "/status/run/component", "/status/run/applicationRef"]
            {
                if before.pointer(settled).is_some() && !same(settled) {
                    broken.push(format!("{}: {settled} has changed", title(run)));
                }
            }
        }
    }
}

/// How many Jobs may be made for a run that is gone: one whose creation is on its way, and the same once more where its answer is
/// lost. Garbage collection takes them.
const OF_THE_DEAD: usize = 2;

/// A run makes no Job twice, and one at all unless it runs pods in steps; a backup by a Job that has succeeded had one that is
/// complete. A Job that somebody deletes before the run could record it is made again. So is one that a second controller stops,
/// which knows nothing of the first one's turns.
fn one_job_a_run(plan: &Plan, history: &History, broken: &mut Vec<String>) {
    let once =
        plan.controllers == 1 && !plan.acts.iter().any(|act| matches!(act.deed, Deed::DeleteJob { .. }));
    let runs = history.last(&RUNS);
    let gone_by = |run: &str, at: u64| runs.get(run).is_some_and(|last| last.gone && last.revision < at);
    let (mut seen, mut of_run, mut of_dead) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for state in history.of(&["Job"]).filter(|state| seen.insert(uid(&state.object))) {
        let run = run_uid(&state.object);
        let of = if gone_by(run, state.revision) { &mut of_dead } else { &mut of_run };
        of.entry(run).or_insert_with(Vec::new).push(uid(&state.object));
    }
    let jobs = history.last(&["Job"]);
    for (uid, state) in &runs {
        let run = &state.object;
        let made = of_run.get(uid).map(Vec::as_slice).unwrap_or_default();
        let made: Vec<&Value> = made.iter().filter_map(|uid| jobs.get(uid)).map(|job| &job.object).collect();
        let names: BTreeSet<&str> = made.iter().map(|job| text(job, "/metadata/name")).collect();
        let by_job = text(run, "/status/run/strategyRef/kind") == "Job";
        if once && (names.len() < made.len() || by_job && made.len() > 1) {
            broken.push(format!("{} has made {} Jobs, with the names {names:?}", title(run), made.len()));
        }
        if let Some(late) = of_dead.get(uid).filter(|late| late.len() > OF_THE_DEAD * plan.controllers) {
            broken.push(format!("for {}, which is gone, {} Jobs were made", title(run), late.len()));
        }
        if by_job
            && text(run, "/status/phase") == "Succeeded"
            && !made.iter().any(|job| condition(job, "Complete"))
        {
            broken.push(format!("{} has succeeded without a complete Job", title(run)));
        }
    }
}

fn condition(object: &Value, kind: &str) -> bool {
    items(object, "/status/conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

/// A BackupJob that succeeds has a Backup of its uid, which was Ready at that moment. A run has one Ready Backup at a time, and makes
/// none again after which was cleaned up: one that nobody cleans up after may be deleted before its run has recorded its end. A
/// Backup whose creation arrives after all that is never Ready.
fn one_backup_a_run(history: &History, broken: &mut Vec<String>) {
    // By the uid of the run, the Backups that were Ready, and were not cleaned up after.
    let mut backups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut held: BTreeSet<&str> = BTreeSet::new();
    let mut ready: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    for state in history.of(&["BackupJob", "Backup"]) {
        let object = &state.object;
        if text(object, "/kind") == "Backup" {
            let of = backups.entry(run_uid(object)).or_default();
            let is_ready = text(object, "/status/phase") == "Ready";
            if is_ready && of.insert(uid(object)) && of.len() > 1 {
                broken.push(format!("{} is the second Ready Backup of its run", title(object)));
            }
            if items(object, "/metadata/finalizers").iter().any(|one| one == CLEANUP) {
                held.insert(uid(object));
            }
            if state.gone && !held.contains(uid(object)) {
                of.remove(uid(object));
            }
            if is_ready {
                ready.insert((run_uid(object), text(object, "/metadata/name")));
            }
        } else if has_ended(object) && ended.insert(uid(object)) {
            let named = text(object, "/status/backupRef/name");
            let is_ready = ready.contains(&(uid(object), named));
            if text(object, "/status/phase") == "Succeeded" && !is_ready {
                broken
                    .push(format!("{} has succeeded, and its Backup {named:?} was not Ready", title(object)));
            }
        }
    }
}

/// In the end no Job of a run that has ended, or is gone, goes on.
fn nothing_goes_on(history: &History, broken: &mut Vec<String>) {
    for state in history.last(&["Job"]).values().filter(|state| !state.gone) {
        let job = &state.object;
        if !run_uid(job).is_empty() && !condition(job, "Complete") && !condition(job, "Failed") {
            broken.push(format!("{} goes on, and no run does", title(job)));
        }
    }
    for state in history.last(&["Pod"]).values().filter(|state| !state.gone) {
        let pod = &state.object;
        if !run_uid(pod).is_empty() && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            broken.push(format!("{} goes on, and no run does", title(pod)));
        }
    }
}

/// What a run is on, and whether it excludes another.
#[derive(Clone, Debug)]
struct Acting {
    title: String,
    app: (String, String),
    /// Kind of the strategy of a backup; none of a restore.
    backup_by: Option<String>,
}

impl Acting {
    /// Returns what a run that has begun is on.
    fn of(run: &Value) -> Option<Self> {
        let app = (text(run, "/metadata/namespace"), text(run, "/status/run/applicationRef/name"));
        let by = text(run, "/status/run/strategyRef/kind");
        let backup_by = (text(run, "/kind") == "BackupJob").then(|| by.to_owned());
        let app = (app.0.to_owned(), app.1.to_owned());
        (!app.1.is_empty()).then(|| Self { title: title(run), app, backup_by })
    }

    fn excludes(&self, other: &Self) -> bool {
        self.app == other.app
            && (self.backup_by.is_none() || other.backup_by.is_none() || self.backup_by == other.backup_by)
    }
}

/// No pod begins to work for a run while a pod works for another one that excludes it.
fn turns(history: &History, broken: &mut Vec<String>) {
    let mut runs: BTreeMap<&str, Acting> = BTreeMap::new();
    let mut working: BTreeMap<&str, &str> = BTreeMap::new();
    for state in history.of(&["BackupJob", "RestoreJob", "Pod"]) {
        let object = &state.object;
        if text(object, "/kind") != "Pod" {
            if let Some(acting) = Acting::of(object) {
                runs.entry(uid(object)).or_insert(acting);
            }
            continue;
        }
        let works = !state.gone && text(object, "/status/phase") == "Running";
        if !works {
            if state.gone || matches!(text(object, "/status/phase"), "Succeeded" | "Failed") {
                working.remove(uid(object));
            }
            continue;
        }
        if working.insert(uid(object), run_uid(object)).is_some() {
            continue;
        }
        let Some(own) = runs.get(run_uid(object)) else { continue };
        let others = working.values().filter(|other| **other != run_uid(object));
        for other in others.filter_map(|other| runs.get(other)).filter(|other| other.excludes(own)) {
            broken.push(format!(
                "a pod of {} began to work at revision {} while one of {} worked",
                own.title, state.revision, other.title
            ));
        }
    }
}

/// What runs make, they make one after the other: between the first and the last object that a run made, no run made one that it
/// excludes.
fn one_after_the_other(history: &History, broken: &mut Vec<String>) {
    let mut runs: BTreeMap<&str, Acting> = BTreeMap::new();
    for state in history.of(&RUNS) {
        if let Some(acting) = Acting::of(&state.object) {
            runs.entry(uid(&state.object)).or_insert(acting);
        }
    }
    // When runs made what, by their uids.
    let mut seen = BTreeSet::new();
    let mut made: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for state in history.of(&["ConfigMap", "Job"]).filter(|state| runs.contains_key(run_uid(&state.object))) {
        if seen.insert(uid(&state.object)) {
            made.entry(run_uid(&state.object)).or_default().push(state.revision);
        }
    }
    for (run, at) in &made {
        let (Some(own), Some(first), Some(last)) = (runs.get(run), at.first(), at.last()) else { continue };
        for (other, at) in made.iter().filter(|(other, _)| other != &run) {
            let Some(other) = runs.get(other).filter(|other| other.excludes(own)) else { continue };
            if let Some(at) = at.iter().find(|at| (*first..=*last).contains(at)) {
                broken.push(format!(
                    "{} made something at revision {at}, while {} did its work, from {first} to {last}",
                    other.title, own.title
                ));
            }
        }
    }
}

/// Returns when the API server wrote a state: the last of the times of its fields' owners.
fn written(state: &Value) -> Option<Timestamp> {
    let times = items(state, "/metadata/managedFields").iter().map(|entry| text(entry, "/time").parse().ok());
    times.max().flatten()
}

/// A run is looked at soon, whoever else has runs; and it ends by its deadlines. Both count from when all was well. Where a clock
/// was wrong, the deadlines that it wrote are.
fn in_time(plan: &Plan, history: &History, broken: &mut Vec<String>) {
    if plan.acts.iter().any(|act| matches!(act.deed, Deed::Clock { .. })) {
        return;
    }
    let well = begin() + SignedDuration::try_from(plan.network.until + WELL).unwrap_or(SignedDuration::MAX);
    let (mut looked, mut begun, mut ended) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for state in history.of(&RUNS) {
        let run = &state.object;
        let (Some(now), Ok(created)) = (written(run), text(run, "/metadata/creationTimestamp").parse())
        else {
            broken.push(format!("{} does not say when it was written", title(run)));
            continue;
        };
        if !text(run, "/status/phase").is_empty() && looked.insert(uid(run)) {
            let late = now.duration_since(well.max(created));
            if late > SLACK {
                broken.push(format!("{} was looked at {late:#} too late", title(run)));
            }
        }
        if run.pointer("/status/run").is_some() {
            begun.entry(uid(run)).or_insert(now);
        }
        if has_ended(run)
            && ended.insert(uid(run))
            && let Some(begun) = begun.get(uid(run))
        {
            let late = now.duration_since(well.max(*begun) + RUN_DEADLINE + UNDO_DEADLINE);
            if late > SLACK {
                broken.push(format!("{} ended {late:#} too late", title(run)));
            }
        }
    }
}

/// A slot of a Plan fires once: its BackupJobs have different names, none of which was there twice.
fn slots(history: &History, broken: &mut Vec<String>) {
    let mut made: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for state in history.of(&["BackupJob"]) {
        let run = &state.object;
        let by_plan = items(run, "/metadata/ownerReferences").iter().any(|owner| owner["kind"] == "Plan");
        if !by_plan {
            continue;
        }
        let key = (text(run, "/metadata/namespace"), text(run, "/metadata/name"));
        if let Some(before) = made.insert(key, uid(run))
            && before != uid(run)
        {
            broken.push(format!("{} was made twice for one slot", title(run)));
        }
    }
    let mut before: BTreeMap<&str, i64> = BTreeMap::new();
    for state in history.of(&["Plan"]) {
        let fired = number(&state.object, "/status/counts/fired").unwrap_or(0);
        if before.insert(uid(&state.object), fired).is_some_and(|before| fired < before) {
            broken.push(format!("{} has fired less often than before", title(&state.object)));
        }
    }
}

/// A run costs few writes.
fn few_writes(plan: &Plan, history: &History, broken: &mut Vec<String>) {
    let mut writes: BTreeMap<&str, usize> = BTreeMap::new();
    for state in history.of(&RUNS) {
        *writes.entry(uid(&state.object)).or_default() += 1;
    }
    let last = history.last(&RUNS);
    for (uid, count) in writes {
        if count > 60 * plan.controllers
            && let Some(state) = last.get(uid)
        {
            broken.push(format!("{} was written {count} times", title(&state.object)));
        }
    }
}

/// Hours later no checkpoint of a run that has ended is left, and no private data of a Backup that is gone.
fn records_are_collected(history: &History, broken: &mut Vec<String>) {
    let (runs, backups) = (history.last(&RUNS), history.last(&["Backup"]));
    for state in history.last(&["Secret"]).values().filter(|state| !state.gone) {
        let secret = &state.object;
        if text(secret, "/metadata/namespace") != SYSTEM {
            continue;
        }
        let needed = match secret["metadata"]["labels"]["backstay.dev/record"].as_str() {
            Some("checkpoint") => {
                runs.get(run_uid(secret)).is_some_and(|run| !run.gone && !has_ended(&run.object))
            }
            Some("private") => {
                backups.values().any(|one| !one.gone && run_uid(&one.object) == run_uid(secret))
            }
            _ => true,
        };
        if !needed {
            broken.push(format!("{} is left, and nothing needs it", title(secret)));
        }
    }
}
