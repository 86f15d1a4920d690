//! Places the anchor, from which the slots of a Plan count.

use jiff::{SignedDuration, Timestamp};

use super::settle::{Due, Recorded};
use super::state::{Anchor, PlanState};
use super::view::PlanView;
use crate::schedule::{self, Schedule};

/// A status further ahead than this was written under a wrong clock, and is not waited for. Up to here the difference is
/// taken for clock skew, and the recorded slots stand.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// Why an anchor is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorCause {
    /// This is the first reconcile of the Plan; the anchor is its creation.
    Created,
    /// The schedule or its time zone differs from the previous anchor's.
    ScheduleChanged,
    /// The status is more than a day ahead of the clock.
    ClockMovedBack,
}

/// Returns the state with the anchor of the Plan's current schedule, and records the due slots of the previous
/// schedule as missed: they will not fire any more.
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
                Due::new(view, &schedule, old.at, floor, at).abandon(&mut state, recorded);
            }
            (at, AnchorCause::ScheduleChanged)
        }
        Some(old) if state.floor(old.at.max(view.created)).duration_since(now) > CLOCK_TOLERANCE => {
            // The API server's clock wrote the creation time: if that is ahead too, our clock is wrong.
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
