//! Where the slots of a Plan count from.

use jiff::{SignedDuration, Timestamp};

use super::settle::{self, Recorded};
use super::{PlanState, PlanView};
use crate::schedule::{self, Schedule};

/// A status that is further ahead than this was written under a wrong clock. Up to here the clock is taken for skewed,
/// and what is recorded stands; beyond, backups would stop until the clock comes by again.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// Where the slots of a schedule count from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Slots are strictly after this; `@every` counts from it. A whole second.
    pub at: Timestamp,
    /// The schedule with its time zone, as [`schedule::canonical`] writes it.
    pub schedule: String,
}

/// Why an anchor is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorCause {
    /// The Plan is seen for the first time: its creation.
    Created,
    /// The schedule or its time zone differs from that of the anchor before.
    ScheduleChanged,
    /// The status is more than a day ahead of the clock.
    ClockMovedBack,
}

/// Gives the state with the anchor of the Plan's current schedule. Slots of the schedule before that have no outcome
/// yet are settled here: whatever was due under it will not fire any more.
pub(super) fn place(
    view: &PlanView<'_>,
    now: Timestamp,
    recorded: &mut Recorded,
) -> (PlanState, Timestamp, Option<AnchorCause>) {
    let mut state = view.state.clone();
    let text = schedule::canonical(view.cron, view.time_zone);
    let (at, cause) = match &view.state.anchor {
        None => (view.created, AnchorCause::Created),
        Some(old) if old.schedule != text => {
            let floor = state.floor(old.at);
            // The API server's clock may be ahead of ours, and it writes whole seconds.
            let at = view.changed_at.unwrap_or(now).min(now).max(floor);
            if let Ok(schedule) = Schedule::parse(&old.schedule, None) {
                settle::Due::new(view, &schedule, old.at, floor, at).abandon(&mut state, recorded);
            }
            (at, AnchorCause::ScheduleChanged)
        }
        Some(old) if state.floor(old.at.max(view.created)).duration_since(now) > CLOCK_TOLERANCE => {
            // Creation is by the API server's clock: where that is ahead, it is ours that is wrong.
            if view.created.duration_since(now) > CLOCK_TOLERANCE {
                return (state, old.at, None);
            }
            state.last_slot = None;
            (now, AnchorCause::ClockMovedBack)
        }
        Some(old) => return (state, old.at, None),
    };
    let at = schedule::whole_second(at);
    state.anchor = Some(Anchor { at, schedule: text });
    (state, at, Some(cause))
}
