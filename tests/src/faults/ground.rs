//! Plays one plan, wherever the API server is.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::Value;

use super::census::Census;
use super::compare::Snapshot;
use super::enumerate::Seen;
use super::judge::{Judge, is_stated};
use super::parts::Parts;
use super::plan::{Plan, Scenario, Trouble};
use super::stage::Stage;
use super::subject::{Reach, Subject};
use super::tap::Tap;
use crate::clock::Clock;

/// Limit of a plan.
pub(super) const TO_THE_END: Duration = Duration::from_secs(90);
/// Limit of the wait for the death of a controller whose run has ended.
const AFTER_THE_END: Duration = Duration::from_secs(2);
/// Limit of the wait for the watches before the cue.
const TO_WATCH: Duration = Duration::from_secs(3);
/// How long a dead controller stays away before it returns with stale lists.
const AWAY: Duration = Duration::from_secs(10);

/// An API server on which plans are played, with what they share.
pub(super) struct Ground {
    pub client: Client,
    pub clock: Clock,
    pub reach: Reach,
    pub parts: Arc<Parts>,
    pub census: Census,
}

/// The undisturbed run of a scenario: its end, and the places where a plan can strike.
pub struct Baseline {
    snapshot: Snapshot,
    /// Number of calls and events of each kind.
    pub seen: Seen,
    /// Number of reads and writes, without lists, watches, discovery and Events.
    pub traffic: (usize, usize),
}

/// The result of a plan.
pub struct Played {
    /// The plan.
    pub plan: Plan,
    /// Its faults; empty if it has none.
    pub broken: Vec<String>,
    /// Whether the place of its trouble was reached.
    pub reached: bool,
    snapshot: Snapshot,
    seen: Seen,
    traffic: (usize, usize),
}

impl Ground {
    /// Sets the stage of a scenario in a new namespace.
    pub(super) async fn stage(&self, namespace: &str, revisions: &str, scenario: Scenario) -> Stage {
        Stage::set(self.client.clone(), self.clock, namespace, revisions, scenario, &self.parts.pins).await
    }

    /// Plays one plan in a new namespace.
    pub(super) async fn play(&self, namespace: &str, plan: &Plan, baseline: Option<&Baseline>) -> Played {
        let stage = self.stage(namespace, namespace, plan.scenario).await;
        self.play_on(&stage, plan, baseline).await
    }

    /// Plays one plan on a stage of its own.
    pub(super) async fn play_on(&self, stage: &Stage, plan: &Plan, baseline: Option<&Baseline>) -> Played {
        let tap = Arc::new(Tap::new(&stage.namespace, plan.trouble.clone(), stage.meddling()));
        let registry = self.parts.registry(plan.scenario);
        let start = || Subject::start(&self.reach, registry, &tap);
        let mut subjects = vec![start()];
        subjects.extend(plan.twin.then(start));
        let _ = tokio::time::timeout(TO_WATCH, tap.all_watched()).await;
        stage.cue().await;
        let mut broken = Vec::new();
        let ends = stage.ends(is_stated(&plan.trouble), TO_THE_END);
        tokio::pin!(ends);
        let dying = matches!(plan.trouble, Trouble::Die { .. });
        let end = tokio::select! {
            end = &mut ends => {
                // The controller may also die after the end of the run; another one starts then as well.
                if dying && let Ok(dead) = tokio::time::timeout(AFTER_THE_END, dies(&subjects)).await {
                    subjects[dead] = start();
                }
                end
            }
            dead = dies(&subjects), if dying => {
                if matches!(plan.trouble, Trouble::Die { stale: true, .. }) {
                    stage.jobs_ended(AWAY).await;
                }
                // A second controller lives on.
                subjects[dead] = start();
                ends.await
            }
        };
        broken.extend(end.err());
        let intruders = tap.intruders();
        let kinds = intruders.iter().map(|(_, made)| made["kind"].as_str().unwrap_or_default().to_owned());
        let judge = Judge::of(&plan.trouble, baseline.map(|b| &b.snapshot), kinds.collect());
        let snapshot = self.rest(stage, &judge, || tap.written(), &mut broken).await;
        for (path, made) in intruders {
            if !self.untouched(&path, &made).await {
                broken.push(format!("the intruder's object was changed: {path}"));
            }
        }
        broken.extend(stage.touched(&plan.trouble).await);
        drop(subjects);
        Played {
            plan: plan.clone(),
            broken,
            reached: tap.reached(),
            snapshot,
            seen: Seen { calls: tap.calls(), events: tap.events() },
            traffic: tap.traffic(),
        }
    }

    async fn untouched(&self, path: &str, made: &Value) -> bool {
        let Ok(request) = http::Request::get(path).body(Vec::new()) else { return false };
        let now: Result<Value, _> = self.client.request(request).await;
        now.is_ok_and(|now| now["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"])
    }
}

/// The controller that dies.
async fn dies(subjects: &[Subject]) -> usize {
    futures::future::select_all(subjects.iter().map(|subject| Box::pin(subject.dies()))).await.1
}

impl Played {
    /// The result of a plan that could not be played to its end.
    pub(super) fn failed(plan: &Plan, why: String) -> Self {
        Self {
            plan: plan.clone(),
            broken: vec![why],
            reached: true,
            snapshot: Snapshot::default(),
            seen: Seen::default(),
            traffic: (0, 0),
        }
    }

    /// Returns it as the undisturbed run of its scenario.
    ///
    /// # Errors
    /// The run has faults: no plan of the scenario can be judged by it.
    pub(super) fn baseline(self) -> Result<Baseline, Box<Self>> {
        if !self.broken.is_empty() {
            return Err(Box::new(self));
        }
        Ok(Baseline { snapshot: self.snapshot, seen: self.seen, traffic: self.traffic })
    }

    /// Formats the plan's line and its faults; `command` replays it.
    #[must_use]
    pub fn report(&self, command: &str) -> String {
        let mut text = format!("BROKEN  {}\n", self.plan);
        for line in self.broken.iter().take(12) {
            let _ = writeln!(text, "        {}", &line[..line.floor_char_boundary(1500)]);
        }
        let _ = write!(text, "replay: BACKSTAY_FAULT_PLAN='{}' {command}", self.plan);
        text
    }
}
