//! Judges the end of a plan. The end must stay right until nobody has written for a while, so that late and repeated
//! writes count.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::census::Count;
use super::compare::{Snapshot, differences};
use super::expected;
use super::ground::Ground;
use super::ledger::{End, Found, is_terminal};
use super::plan::{Scenario, Trouble};
use super::stage::Stage;

/// How long after the end the last writes may come: a watch that is refused five times is down for half a minute.
const TO_REST: Duration = Duration::from_secs(40);
/// Time without writes before the end is judged for the last time.
const QUIET: Duration = Duration::from_secs(2);
/// Limit of the wait for the last write.
const TO_QUIET: Duration = Duration::from_secs(30);

/// The end to expect, besides the rules that always hold.
pub(super) enum Judge<'a> {
    /// The checks of the scenario's undisturbed run.
    Absolute,
    /// The end of the undisturbed run; records may be left for collection.
    Like(&'a Snapshot),
    /// The end of the undisturbed run, without leftover records.
    Just(&'a Snapshot),
    /// A stated end: no more objects than after the undisturbed run, except an intruder's, and a fitting reason.
    Stated {
        undisturbed: &'a Snapshot,
        trouble: &'a Trouble,
        /// Kinds of the intruder's objects.
        intruders: Vec<String>,
    },
}

impl<'a> Judge<'a> {
    /// Returns the end to expect of a plan with this trouble.
    pub(super) fn of(
        trouble: &'a Trouble,
        undisturbed: Option<&'a Snapshot>,
        intruders: Vec<String>,
    ) -> Self {
        let Some(undisturbed) = undisturbed else { return Self::Absolute };
        if is_stated(trouble) {
            return Self::Stated { undisturbed, trouble, intruders };
        }
        // A checkpoint that could not be deleted, or whose controller died, is collected later.
        let undeleted = trouble.call().is_some_and(|call| call.what == "delete secrets");
        if undeleted || matches!(trouble, Trouble::Die { .. }) {
            Self::Like(undisturbed)
        } else {
            Self::Just(undisturbed)
        }
    }

    fn wrong(&self, scenario: Scenario, found: &Found, snapshot: &Snapshot) -> Vec<String> {
        match self {
            Self::Absolute => expected::wrong(scenario, found, snapshot),
            Self::Like(undisturbed) => differences(undisturbed, &snapshot.collected()),
            Self::Just(undisturbed) => differences(undisturbed, snapshot),
            Self::Stated { undisturbed, trouble, intruders } => {
                let mut wrong = more_than(&undisturbed.counts, &snapshot.counts, intruders);
                wrong.extend(found.ends().filter_map(|end| reason(&end, undisturbed, trouble)));
                wrong.extend(found.unfinished_jobs());
                wrong
            }
        }
    }
}

/// Returns whether a plan may end otherwise than the undisturbed run, with a stated end and no broken rule.
pub(super) fn is_stated(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Taken { .. } | Trouble::Answer { code: 422, .. })
}

/// Returns the kinds of which more objects were created or deleted than in the undisturbed run. An intruder is one more
/// and stays. A run that ends early deletes its Jobs in progress.
fn more_than(
    undisturbed: &BTreeMap<String, Count>,
    found: &BTreeMap<String, Count>,
    intruders: &[String],
) -> Vec<String> {
    let mut more = Vec::new();
    for (kind, (made, deleted)) in found {
        let (most_made, mut most_deleted) = undisturbed.get(kind).copied().unwrap_or_default();
        if kind == "Job" {
            most_deleted = most_deleted.max(most_made);
        }
        let most_made = most_made + intruders.iter().filter(|i| *i == kind).count();
        if *made > most_made || *deleted > most_deleted {
            more.push(format!(
                "{kind}: (made, deleted) ({made}, {deleted}), at most ({most_made}, {most_deleted})"
            ));
        }
    }
    more
}

/// Returns the faults in the stated end of a run.
fn reason(end: &End, undisturbed: &Snapshot, trouble: &Trouble) -> Option<String> {
    let as_ever = undisturbed.ends.contains(&(end.phase.clone(), end.reason.clone()));
    let cleanup = end.phase.is_none();
    if as_ever || !cleanup && !is_terminal(end.phase.as_deref()) {
        return None;
    }
    let reasons = reasons(trouble, cleanup);
    let known = if cleanup {
        reasons.iter().any(|r| end.message.contains(&format!("({r})")))
    } else {
        reasons.contains(&end.reason.as_str())
    };
    let fault = || {
        format!("{} ended with {}: {}; expected was one of {reasons:?}", end.name, end.reason, end.message)
    };
    (!known).then(fault)
}

/// Returns the reasons that fit a trouble, in a clean-up or in another run.
fn reasons(trouble: &Trouble, cleanup: bool) -> &'static [&'static str] {
    let what = trouble.call().map(|call| call.what.as_str()).unwrap_or_default();
    match (what, trouble) {
        ("create jobs", Trouble::Taken { .. }) => &["JobNameConflict", "PodRefused"],
        ("create jobs", _) => &["InvalidJob", "PodRefused"],
        ("create controllerrevisions", Trouble::Taken { .. }) => &["StrategySnapshotCorrupt"],
        ("create secrets", Trouble::Taken { .. }) => &["CheckpointCorrupt"],
        // The status of a clean-up is that of its Backup.
        ("create backups" | "patch backups/status", _) if !cleanup => &["ArtifactNotRecorded"],
        _ => &["InvalidObject"],
    }
}

impl Ground {
    /// Waits until the end is right and stays so, or returns its faults. `written` returns the time of the last write.
    pub(super) async fn rest(
        &self,
        stage: &Stage,
        judge: &Judge<'_>,
        written: impl Fn() -> Option<Instant>,
        broken: &mut Vec<String>,
    ) -> Snapshot {
        let mut deadline = Instant::now() + TO_REST;
        let mut every = tokio::time::interval(Duration::from_millis(250));
        let mut right_since = None;
        loop {
            every.tick().await;
            let found = match Found::list(stage).await {
                Ok(found) => found,
                Err(error) => {
                    broken.push(format!("the objects could not be listed: {error}"));
                    return Snapshot::default();
                }
            };
            let snapshot = found.snapshot(&self.census);
            let mut wrong = found.broken_rules(stage.scenario);
            wrong.extend(judge.wrong(stage.scenario, &found, &snapshot));
            if wrong.is_empty() {
                // The end was right before the quiet began.
                if right_since.is_some() {
                    return snapshot;
                }
                let now = *right_since.insert(Instant::now());
                deadline = deadline.max(now + QUIET);
                if !quiet(now, &written).await {
                    broken.push(format!("writes still go on after {TO_QUIET:?}"));
                    return snapshot;
                }
                continue;
            }
            if right_since.take().is_some() {
                wrong.push("the end was right, and did not stay so".to_owned());
            }
            if Instant::now() >= deadline {
                broken.extend(wrong);
                return snapshot;
            }
        }
    }
}

/// Waits until nobody has written for a while; returns whether that happened in time.
async fn quiet(from: Instant, written: impl Fn() -> Option<Instant>) -> bool {
    loop {
        let since = written().map_or(from, |at| at.max(from));
        if since.elapsed() >= QUIET {
            return true;
        }
        if from.elapsed() >= TO_QUIET {
            return false;
        }
        tokio::time::sleep_until(since + QUIET).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::plan::Call;

    fn counts(of: &[(&str, Count)]) -> BTreeMap<String, Count> {
        of.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
    }

    #[test]
    fn more_objects_than_undisturbed_are_told_and_an_intruder_is_not() {
        let undisturbed = counts(&[("Job", (1, 0))]);
        assert!(more_than(&undisturbed, &counts(&[("Job", (1, 0))]), &[]).is_empty());
        assert!(more_than(&undisturbed, &counts(&[("Job", (2, 0))]), &["Job".to_owned()]).is_empty());
        assert_eq!(more_than(&undisturbed, &counts(&[("Job", (2, 0))]), &[]).len(), 1);
        assert!(more_than(&undisturbed, &counts(&[("Job", (1, 1))]), &[]).is_empty());
        assert_eq!(more_than(&undisturbed, &counts(&[("Job", (2, 2))]), &["Job".to_owned()]).len(), 1);
        assert_eq!(more_than(&undisturbed, &counts(&[("Secret", (1, 1))]), &[]).len(), 1);
    }

    #[test]
    fn a_checkpoint_may_be_left_where_its_controller_died_or_could_not_delete_it() {
        let snapshot = Snapshot::default();
        let at = |what: &str| Call { what: what.to_owned(), nth: 1 };
        let judge =
            |trouble: &Trouble| matches!(Judge::of(trouble, Some(&snapshot), Vec::new()), Judge::Like(_));
        assert!(judge(&Trouble::Die { at: at("create jobs"), stale: false }));
        assert!(judge(&Trouble::Answer { at: at("delete secrets"), code: 500, times: 1 }));
        assert!(!judge(&Trouble::Answer { at: at("create secrets"), code: 500, times: 1 }));
    }
}
