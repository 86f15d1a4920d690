//! Outcomes of due slots: which slot fires, and the outcome of each of the others.

use std::collections::BTreeSet;

use backstay_api::conditions::reasons as words;
use backstay_api::{RECENT_SLOTS, SlotCounts, SlotOutcome, Time, slot_outcome};
use jiff::{SignedDuration, Timestamp};

use super::state::{PlanState, newest_first, sum};
use super::view::{PlanView, Slot};
use crate::schedule::Schedule;

/// Bytes of the reason why a BackupJob was not created.
const REFUSAL: usize = 512;

/// Older slots are not considered: a Plan that old means that a clock was wrong.
const OLDEST: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Reasons of outcomes that no condition uses.
pub mod reasons {
    /// Missed: no controller decided the slot within `startingDeadlineSeconds`.
    pub const STARTING_DEADLINE_EXCEEDED: &str = "StartingDeadlineExceeded";
    /// Missed: a later slot was due as well and ran in its place.
    pub const SUPERSEDED_BY_LATER: &str = "SupersededByLater";
    /// Missed: the schedule was changed before the slot fired.
    pub const SCHEDULE_CHANGED: &str = "ScheduleChanged";
    /// Fired: the slot's BackupJob existed already, after a crash or made by another controller.
    pub const ALREADY_CREATED: &str = "AlreadyCreated";

    /// Every reason above.
    pub const ALL: &[&str] =
        &[STARTING_DEADLINE_EXCEEDED, SUPERSEDED_BY_LATER, SCHEDULE_CHANGED, ALREADY_CREATED];
}

/// The slots that one verdict recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Number of slots by outcome.
    pub counts: SlotCounts,
    /// The outcomes of the latest slots, newest first, at most [`RECENT_SLOTS`].
    pub latest: Vec<SlotOutcome>,
    /// The counts are a lower bound: slots more than ten years back were not counted.
    pub at_least: bool,
}

/// The slots of one schedule that are due and have no outcome yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'a> {
    view: &'a PlanView<'a>,
    schedule: &'a Schedule,
    anchor: Timestamp,
    from: Timestamp,
    now: Timestamp,
    /// There may be older slots without an outcome, before `from`.
    clipped: bool,
}

/// The outcome of due slots that did not fire.
#[derive(Debug, Clone, Copy)]
enum Unfired {
    Skipped,
    Missed,
}

impl<'a> Due<'a> {
    /// Returns the slots of `schedule` that are strictly after `floor` and not after `now`.
    pub(super) fn new(
        view: &'a PlanView<'a>,
        schedule: &'a Schedule,
        anchor: Timestamp,
        floor: Timestamp,
        now: Timestamp,
    ) -> Due<'a> {
        let oldest = now.checked_sub(OLDEST).unwrap_or(Timestamp::MIN);
        Due { view, schedule, anchor, from: floor.max(oldest), now, clipped: floor < oldest }
    }

    /// Records all due slots as skipped: the Plan is suspended.
    pub(super) fn skip(self, state: &mut PlanState, recorded: &mut Recorded) {
        self.record(self.now, Unfired::Skipped, state, recorded, |_| {
            (words::SUSPENDED, "spec.suspend was true".to_owned())
        });
    }

    /// Records all due slots as missed: the Plan has another schedule now.
    pub(super) fn abandon(self, state: &mut PlanState, recorded: &mut Recorded) {
        if self.view.suspend {
            return self.skip(state, recorded);
        }
        self.record(self.now, Unfired::Missed, state, recorded, |_| {
            (reasons::SCHEDULE_CHANGED, "the schedule was changed before this slot fired".to_owned())
        });
    }

    /// Returns the latest slot to fire, unless it is older than the starting deadline, and records those before it as missed.
    pub(super) fn catch_up(self, state: &mut PlanState, recorded: &mut Recorded) -> Option<Slot> {
        let latest = *self.schedule.latest(self.from, self.now, self.anchor, 1).first()?;
        let deadline = self.view.deadline();
        let in_time = |slot: Timestamp| self.now.duration_since(slot) <= deadline;
        let slot = self.view.slot(latest, self.now);
        let fire = (in_time(latest) && !self.view.runs.contains(&slot.name)).then_some(slot);
        // `fired` records the slot that fires, once its BackupJob exists.
        let until = if fire.is_some() { latest - SignedDuration::from_secs(1) } else { self.now };
        self.record(until, Unfired::Missed, state, recorded, |slot| {
            if in_time(slot) {
                (reasons::SUPERSEDED_BY_LATER, format!("the later slot {latest} runs in its place"))
            } else {
                let delay = self.now.duration_since(slot).as_secs();
                let allowed = deadline.as_secs();
                let message = match self.view.refused.filter(|(refused, _)| *refused == slot) {
                    Some((_, why)) => format!(
                        "its BackupJob could not be created until {delay} s after its time, and startingDeadlineSeconds allows {allowed} s: {}",
                        why.get(..why.floor_char_boundary(REFUSAL)).unwrap_or_default()
                    ),
                    None => {
                        format!("looked at {delay} s after its time: startingDeadlineSeconds allows {allowed} s")
                    }
                };
                (reasons::STARTING_DEADLINE_EXCEEDED, message)
            }
        });
        fire
    }

    /// Records every slot after `from` and not after `until`: as fired if its BackupJob exists, else as `unfired`.
    fn record(
        self,
        until: Timestamp,
        unfired: Unfired,
        state: &mut PlanState,
        recorded: &mut Recorded,
        why: impl Fn(Timestamp) -> (&'static str, String),
    ) {
        let latest = self.schedule.latest(self.from, until, self.anchor, RECENT_SLOTS);
        let Some(last) = latest.first() else { return };
        let fired = self.slots_of_runs(until);
        let all = self.schedule.count(self.from, until, self.anchor);
        let others = all.saturating_sub(fired.len() as u64);
        let mut counts = SlotCounts { fired: fired.len() as i64, ..SlotCounts::default() };
        let outcome = match unfired {
            Unfired::Skipped => {
                counts.skipped = others as i64;
                slot_outcome::SKIPPED
            }
            Unfired::Missed => {
                counts.missed = others as i64;
                slot_outcome::MISSED
            }
        };
        let outcomes = latest.iter().map(|slot| {
            if fired.contains(slot) {
                return already_created(&self.view.slot(*slot, self.now));
            }
            let (reason, message) = why(*slot);
            SlotOutcome {
                slot: Time(*slot),
                outcome: outcome.to_owned(),
                reason: reason.to_owned(),
                message: Some(message),
                backup_job: None,
            }
        });
        let outcomes: Vec<SlotOutcome> = outcomes.collect();
        state.last_slot = Some(*last);
        state.add(counts, outcomes.clone());
        recorded.at_least |= self.clipped;
        recorded.counts = sum(recorded.counts, counts);
        recorded.latest = newest_first(outcomes, &recorded.latest);
    }

    /// Returns the slots after `from` and not after `until` whose BackupJob exists.
    fn slots_of_runs(self, until: Timestamp) -> BTreeSet<Timestamp> {
        let slot_of = |name: &String| {
            let minute: i64 = name.rsplit_once('-')?.1.parse().ok()?;
            let before = Timestamp::from_second(minute.checked_mul(60)?.checked_sub(1)?).ok()?;
            let end = before.checked_add(SignedDuration::from_secs(60)).ok()?;
            if end <= self.from || before >= until {
                return None;
            }
            let slots = self.schedule.latest(self.from.max(before), until.min(end), self.anchor, 1);
            slots.first().copied().filter(|slot| self.view.slot(*slot, self.now).name == *name)
        };
        self.view.runs.iter().filter_map(slot_of).collect()
    }
}

/// Returns the outcome of a slot whose BackupJob existed already.
pub(super) fn already_created(slot: &Slot) -> SlotOutcome {
    SlotOutcome {
        slot: Time(slot.at),
        outcome: slot_outcome::FIRED.to_owned(),
        reason: reasons::ALREADY_CREATED.to_owned(),
        message: Some("its BackupJob existed already when the slot was recorded".to_owned()),
        backup_job: Some(slot.name.clone()),
    }
}
