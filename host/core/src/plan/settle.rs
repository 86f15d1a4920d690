//! Outcomes of slots that are due: what fires, and what is recorded of the rest.

use std::collections::BTreeSet;

use backstay_api::conditions::reasons as words;
use backstay_api::{RECENT_SLOTS, SlotCounts, SlotOutcome, Time, slot_outcome};
use jiff::{SignedDuration, Timestamp};

use super::{PlanState, PlanView, Slot};
use crate::schedule::Schedule;

/// Slots further back are not looked at: nothing has run that long, so a clock was wrong.
const OLDEST: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// Reasons of outcomes, beyond those that conditions share.
pub mod reasons {
    /// Missed: nobody looked at the slot within `startingDeadlineSeconds`.
    pub const STARTING_DEADLINE_EXCEEDED: &str = "StartingDeadlineExceeded";
    /// Missed: it could still have fired, but a later slot is due as well and runs in its place.
    pub const SUPERSEDED_BY_LATER: &str = "SupersededByLater";
    /// Missed: the schedule was changed before the slot fired.
    pub const SCHEDULE_CHANGED: &str = "ScheduleChanged";
    /// Fired: the Plan's BackupJob was found, not made; a crash or another controller came between.
    pub const ALREADY_CREATED: &str = "AlreadyCreated";

    /// Every reason above.
    pub const ALL: &[&str] =
        &[STARTING_DEADLINE_EXCEEDED, SUPERSEDED_BY_LATER, SCHEDULE_CHANGED, ALREADY_CREATED];
}

/// Slots that one verdict settled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// How many, by outcome.
    pub counts: SlotCounts,
    /// The latest of them, newest first, at most [`RECENT_SLOTS`].
    pub latest: Vec<SlotOutcome>,
    /// The counts are a lower bound: there are slots more than ten years back.
    pub at_least: bool,
}

/// The slots of one schedule that have come and have no outcome yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'a> {
    view: &'a PlanView<'a>,
    schedule: &'a Schedule,
    anchor: Timestamp,
    from: Timestamp,
    now: Timestamp,
    /// There may be slots before `from` that are not looked at.
    clipped: bool,
}

/// What became of slots that did not fire: they are counted under one outcome.
#[derive(Debug, Clone, Copy)]
enum Left {
    Skipped,
    Missed,
}

impl<'a> Due<'a> {
    /// The slots of `schedule` that are strictly after `floor` and not after `now`.
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

    /// The Plan is suspended: no slot fires.
    pub(super) fn skip(self, state: &mut PlanState, recorded: &mut Recorded) {
        self.settle(self.now, Left::Skipped, state, recorded, |_| {
            (words::SUSPENDED, "spec.suspend was true".to_owned())
        });
    }

    /// The schedule is no longer the Plan's: no slot of it fires.
    pub(super) fn abandon(self, state: &mut PlanState, recorded: &mut Recorded) {
        if self.view.suspend {
            return self.skip(state, recorded);
        }
        self.settle(self.now, Left::Missed, state, recorded, |_| {
            (reasons::SCHEDULE_CHANGED, "the schedule was changed before this slot fired".to_owned())
        });
    }

    /// At most the latest slot fires, if it is not older than the starting deadline; all before it are missed.
    pub(super) fn catch_up(self, state: &mut PlanState, recorded: &mut Recorded) -> Option<Slot> {
        let latest = *self.schedule.latest(self.from, self.now, self.anchor, 1).first()?;
        let deadline = self.view.deadline();
        let in_time = |slot: Timestamp| self.now.duration_since(slot) <= deadline;
        let slot = self.view.slot(latest, self.now);
        let fire = (in_time(latest) && !self.view.runs.contains(&slot.name)).then_some(slot);
        // The slot that fires is settled by `fired`, once its BackupJob is there.
        let until = if fire.is_some() { latest - SignedDuration::from_secs(1) } else { self.now };
        self.settle(until, Left::Missed, state, recorded, |slot| {
            if in_time(slot) {
                (reasons::SUPERSEDED_BY_LATER, format!("the later slot {latest} runs in its place"))
            } else {
                let delay = self.now.duration_since(slot).as_secs();
                let allowed = deadline.as_secs();
                (
                    reasons::STARTING_DEADLINE_EXCEEDED,
                    format!("looked at {delay} s after its time: startingDeadlineSeconds allows {allowed} s"),
                )
            }
        });
        fire
    }

    /// Records every slot after `from` and not after `until`: as fired where its BackupJob exists, else as `left`.
    fn settle(
        self,
        until: Timestamp,
        left: Left,
        state: &mut PlanState,
        recorded: &mut Recorded,
        why: impl Fn(Timestamp) -> (&'static str, String),
    ) {
        let latest = self.schedule.latest(self.from, until, self.anchor, RECENT_SLOTS);
        let Some(last) = latest.first() else { return };
        let fired = self.slots_of_runs(until);
        let all = self.schedule.count(self.from, until, self.anchor);
        let left_over = all.saturating_sub(fired.len() as u64);
        let mut counts = SlotCounts { fired: fired.len() as i64, ..SlotCounts::default() };
        let outcome = match left {
            Left::Skipped => {
                counts.skipped = left_over as i64;
                slot_outcome::SKIPPED
            }
            Left::Missed => {
                counts.missed = left_over as i64;
                slot_outcome::MISSED
            }
        };
        let outcomes = latest.iter().map(|slot| {
            if fired.contains(slot) {
                return found(&self.view.slot(*slot, self.now));
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

    /// The slots after `from` and not after `until` whose BackupJob exists.
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

/// The outcome of a slot whose BackupJob was there already.
pub(super) fn found(slot: &Slot) -> SlotOutcome {
    SlotOutcome {
        slot: Time(slot.at),
        outcome: slot_outcome::FIRED.to_owned(),
        reason: reasons::ALREADY_CREATED.to_owned(),
        message: Some("its BackupJob existed already when the slot was recorded".to_owned()),
        backup_job: Some(slot.name.clone()),
    }
}

impl PlanState {
    /// Adds outcomes, newest first, that are later than all recorded ones.
    pub(super) fn add(&mut self, counts: SlotCounts, outcomes: Vec<SlotOutcome>) {
        self.counts = sum(self.counts, counts);
        self.recent = newest_first(outcomes, &self.recent);
    }
}

fn newest_first(mut newer: Vec<SlotOutcome>, older: &[SlotOutcome]) -> Vec<SlotOutcome> {
    newer.extend_from_slice(older);
    newer.truncate(RECENT_SLOTS);
    newer
}

fn sum(a: SlotCounts, b: SlotCounts) -> SlotCounts {
    SlotCounts {
        fired: a.fired.saturating_add(b.fired),
        skipped: a.skipped.saturating_add(b.skipped),
        missed: a.missed.saturating_add(b.missed),
    }
}
