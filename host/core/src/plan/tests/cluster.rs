//! A simulated cluster with its own clock: one Plan, its status with a resourceVersion, and BackupJobs.

use std::collections::{BTreeMap, BTreeSet};

use backstay_api::{PlanStatus, SlotOutcome};

use super::*;
use crate::plan::{FireResult, PlanState, PlanVerdict, PlanView, Slot, decide, fired};

const OUR_UID: &str = "uid-of-the-plan";

/// A Plan's spec and the controller's view of the API server.
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) cron: String,
    pub(super) time_zone: Option<String>,
    pub(super) deadline: Option<i64>,
    pub(super) suspend: bool,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) refused: Option<(Timestamp, String)>,
    pub(super) status: PlanStatus,
    resource_version: u64,
    /// BackupJobs by name, with the owner's uid and the time of creation.
    pub(super) jobs: BTreeMap<String, (String, Timestamp)>,
    /// Writes that reached the API server.
    pub(super) writes: u64,
    /// The write after which the controller dies.
    pub(super) crash_after_write: Option<u64>,
}

/// The controller process has died.
#[derive(Debug)]
pub(super) struct Crashed;

/// The result of one reconcile of the Plan.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) fired: Option<Slot>,
    pub(super) wake_at: Option<Timestamp>,
    pub(super) invalid: Option<String>,
}

impl Cluster {
    pub(super) fn new(created: &str, cron: &str) -> Cluster {
        Cluster {
            name: "cache-nightly".to_owned(),
            created: at(created),
            cron: cron.to_owned(),
            time_zone: None,
            deadline: None,
            suspend: false,
            changed_at: None,
            refused: None,
            status: PlanStatus::default(),
            resource_version: 1,
            jobs: BTreeMap::new(),
            writes: 0,
            crash_after_write: None,
        }
    }

    pub(super) fn state(&self) -> PlanState {
        PlanState::from(&self.status)
    }

    pub(super) fn decide(&self, state: &PlanState, now: Timestamp) -> PlanVerdict {
        let ours = |(name, (uid, _)): (&String, &(String, Timestamp))| (uid == OUR_UID).then(|| name.clone());
        let runs: BTreeSet<String> = self.jobs.iter().filter_map(ours).collect();
        decide(
            &PlanView {
                name: &self.name,
                created: self.created,
                cron: &self.cron,
                time_zone: self.time_zone.as_deref(),
                starting_deadline_seconds: self.deadline,
                suspend: self.suspend,
                changed_at: self.changed_at,
                runs: &runs,
                refused: self.refused.as_ref().map(|(slot, why)| (*slot, why.as_str())),
                state,
            },
            now,
        )
    }

    fn written(&mut self) -> Result<(), Crashed> {
        self.writes += 1;
        if self.crash_after_write == Some(self.writes) { Err(Crashed) } else { Ok(()) }
    }

    pub(super) fn create(&mut self, slot: &Slot, now: Timestamp) -> Result<FireResult, Crashed> {
        match self.jobs.get(&slot.name) {
            Some((uid, _)) if uid == OUR_UID => Ok(FireResult::AlreadyOurs),
            Some((uid, _)) => Ok(FireResult::NameTaken { by: format!("Plan other (uid {uid})") }),
            None => {
                self.jobs.insert(slot.name.clone(), (OUR_UID.to_owned(), now));
                self.written()?;
                Ok(FireResult::Created)
            }
        }
    }

    pub(super) fn read(&self) -> (PlanState, u64) {
        (self.state(), self.resource_version)
    }

    /// Writes the status as the API server would store it, unless it has changed since `resource_version`.
    pub(super) fn write_status(&mut self, state: &PlanState, resource_version: u64) -> Result<bool, Crashed> {
        if resource_version != self.resource_version {
            return Ok(false);
        }
        let mut status = self.status.clone();
        state.apply_to(&mut status);
        if status != self.status {
            let stored = serde_json::to_value(&status).unwrap();
            self.status = serde_json::from_value(stored).unwrap();
            self.resource_version += 1;
            self.written()?;
        }
        Ok(true)
    }

    /// Reconciles the Plan as the host does: decide, create, record, one status write.
    pub(super) fn reconcile(&mut self, now: Timestamp) -> Result<Look, Crashed> {
        let (state, version) = self.read();
        let (state, look) = match self.decide(&state, now) {
            PlanVerdict::Invalid { message, state, .. } => {
                (state, Look { fired: None, wake_at: None, invalid: Some(message) })
            }
            PlanVerdict::Scheduled { state, fire: None, wake_at, .. } => {
                (state, Look { fired: None, wake_at, invalid: None })
            }
            PlanVerdict::Scheduled { state, fire: Some(slot), wake_at, .. } => {
                let result = self.create(&slot, now)?;
                (fired(&state, &slot, result), Look { fired: Some(slot), wake_at, invalid: None })
            }
        };
        assert!(self.write_status(&state, version)?, "nobody else writes");
        Ok(look)
    }

    /// Runs the controller from `from` up to `until`: it reconciles `reaction` after each time that it asked for, and
    /// restarts at once after a crash. Returns the next time that it asks for.
    pub(super) fn run(&mut self, from: Timestamp, until: Timestamp, reaction: SignedDuration) -> Timestamp {
        let mut now = from;
        while now < until {
            let Ok(look) = self.reconcile(now) else { continue };
            let wake_at = look.wake_at.expect("a valid schedule goes on");
            assert!(wake_at > now, "woken at {now} for {wake_at}");
            now = wake_at + reaction;
        }
        now
    }

    pub(super) fn counts(&self) -> (i64, i64, i64) {
        let counts = self.status.counts.unwrap_or_default();
        (counts.fired, counts.skipped, counts.missed)
    }

    /// Returns the recorded outcomes, newest first: time of day, outcome, reason.
    pub(super) fn recent(&self) -> Vec<(String, &str, &str)> {
        let entry = |known: &'_ SlotOutcome| known.slot.0.strftime("%H:%M:%S").to_string();
        self.status
            .recent
            .iter()
            .map(|known| (entry(known), known.outcome.as_str(), known.reason.as_str()))
            .collect()
    }

    pub(super) fn take_name(&mut self, name: &str) {
        self.jobs.insert(name.to_owned(), ("uid-of-another".to_owned(), self.created));
    }
}
