//! A fault plan: one scenario, one trouble, one place. Its text is one line that replays it.

use std::fmt;
use std::str::FromStr;

/// The work of the controller while the trouble happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scenario {
    /// A BackupJob succeeds.
    Backup,
    /// A BackupJob whose Job fails.
    Failed,
    /// A RestoreJob of a Backup whose strategy has changed.
    Restore,
    /// A Backup with a clean-up is deleted.
    Deletion,
    /// A BackupJob in steps: it creates, waits, runs a pod and deletes.
    Steps,
    /// A BackupJob in steps is deleted midway, and undoes its work.
    Undo,
    /// Two BackupJobs of one application, each of which is deleted as soon as it has begun: the lock outlives neither.
    Turns,
    /// A RestoreJob fails after data may have been lost, and hands its checkpoint over to the next one.
    Inherited,
    /// A Backup with private data is deleted, with a clean-up in steps.
    Private,
    /// A Plan after an outage of over an hour: one slot is missed, one fires late.
    Plan,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 10] = [
        Self::Backup,
        Self::Failed,
        Self::Restore,
        Self::Deletion,
        Self::Steps,
        Self::Undo,
        Self::Turns,
        Self::Inherited,
        Self::Private,
        Self::Plan,
    ];

    /// Parses the word of a scenario.
    ///
    /// # Errors
    /// No scenario has this word; the error names all words.
    pub fn named(word: &str) -> Result<Self, UnknownScenario> {
        let known = Self::ALL.into_iter().find(|s| s.word() == word);
        known.ok_or_else(|| UnknownScenario(word.to_owned()))
    }

    /// Returns the file of the component that serves its strategy.
    #[must_use]
    pub fn component(self) -> &'static str {
        match self {
            Self::Backup | Self::Failed | Self::Restore | Self::Plan => "job.wasm",
            Self::Deletion => "scrubber.wasm",
            Self::Steps | Self::Undo | Self::Turns | Self::Inherited | Self::Private => "steps.wasm",
        }
    }

    /// Returns its word in a plan's line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Failed => "failed",
            Self::Restore => "restore",
            Self::Deletion => "deletion",
            Self::Steps => "steps",
            Self::Undo => "undo",
            Self::Turns => "turns",
            Self::Inherited => "inherited",
            Self::Private => "private",
            Self::Plan => "plan",
        }
    }
}

/// A word of no scenario.
#[derive(Debug, thiserror::Error)]
#[error("there is no scenario {0:?}; there are: {names}", names = Scenario::ALL.map(Scenario::word).join(", "))]
pub struct UnknownScenario(String);

/// One call of the API server by the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// Kind of the call, such as `create jobs`, `patch backupjobs/status`, `list pods`.
    pub what: String,
    /// Number within its kind, from 1.
    pub nth: u32,
}

/// One event of a watch of the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event {
    /// Kind of the event, such as `MODIFIED jobs`.
    pub what: String,
    /// Number within its kind, from 1.
    pub nth: u32,
}

/// The trouble of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No trouble.
    None,
    /// The call, and further ones of its kind up to `times`, are answered with a status code and not carried out.
    Answer {
        /// The call.
        at: Call,
        /// The HTTP status.
        code: u16,
        /// Number of calls.
        times: u32,
    },
    /// The connection is cut before the call is sent.
    Unsent {
        /// The call.
        at: Call,
        /// Number of calls.
        times: u32,
    },
    /// The call is carried out, and its answer is lost.
    Lost {
        /// The call.
        at: Call,
        /// Number of calls.
        times: u32,
    },
    /// The call is held for a second before it is sent.
    Late {
        /// The call.
        at: Call,
    },
    /// The call is sent twice, and the controller gets the second answer.
    Twice {
        /// The call.
        at: Call,
    },
    /// The controller dies after the call, and starts again.
    Die {
        /// The call.
        at: Call,
        /// Whether it starts again only when the Job has ended, and its first lists are those of the beginning.
        stale: bool,
    },
    /// Right before the call, an intruder creates an object of the name that the call is about to create.
    Taken {
        /// The call.
        at: Call,
    },
    /// Right after the call, an administrator edits strategy and class and deletes the application.
    Meddle {
        /// The call.
        at: Call,
    },
    /// The event never arrives.
    Lose {
        /// The event.
        at: Event,
    },
    /// The event never arrives, and the watch ends with 410, which forces a new list.
    Gap {
        /// The event.
        at: Event,
    },
    /// The connection of the watch breaks right before the event.
    Break {
        /// The event.
        at: Event,
    },
    /// The event and those after it in its watch come a second late.
    Slow {
        /// The event.
        at: Event,
    },
}

impl Trouble {
    /// Returns the words of a plan's line for the trouble, without numbers and place.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Answer { .. } => "answer",
            Self::Unsent { .. } => "unsent",
            Self::Lost { .. } => "answer lost",
            Self::Late { .. } => "late",
            Self::Twice { .. } => "sent twice",
            Self::Die { stale: false, .. } => "die after",
            Self::Die { stale: true, .. } => "die after, then stale lists",
            Self::Taken { .. } => "name taken before",
            Self::Meddle { .. } => "inputs change after",
            Self::Lose { .. } => "never arrives",
            Self::Gap { .. } => "never arrives, watch expires",
            Self::Break { .. } => "watch breaks before",
            Self::Slow { .. } => "late event",
        }
    }

    /// Returns the call that the trouble strikes; none if it strikes an event.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Answer { at, .. }
            | Self::Unsent { at, .. }
            | Self::Lost { at, .. }
            | Self::Late { at }
            | Self::Twice { at }
            | Self::Die { at, .. }
            | Self::Taken { at }
            | Self::Meddle { at } => Some(at),
            Self::None | Self::Lose { .. } | Self::Gap { .. } | Self::Break { .. } | Self::Slow { .. } => {
                None
            }
        }
    }
}

/// A fault plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The work of the controller.
    pub scenario: Scenario,
    /// Whether two controllers run at once.
    pub twin: bool,
    /// The trouble.
    pub trouble: Trouble,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.what, self.nth)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} #{}", self.what, self.nth)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Answer { at, code, times } => write!(f, "answer {code} x{times} | {at}"),
            Self::Unsent { at, times } => write!(f, "unsent x{times} | {at}"),
            Self::Lost { at, times } => write!(f, "answer lost x{times} | {at}"),
            Self::Late { at } => write!(f, "late | {at}"),
            Self::Twice { at } => write!(f, "sent twice | {at}"),
            Self::Die { at, stale: false } => write!(f, "die after | {at}"),
            Self::Die { at, stale: true } => write!(f, "die after, then stale lists | {at}"),
            Self::Taken { at } => write!(f, "name taken before | {at}"),
            Self::Meddle { at } => write!(f, "inputs change after | {at}"),
            Self::Lose { at } => write!(f, "never arrives | {at}"),
            Self::Gap { at } => write!(f, "never arrives, watch expires | {at}"),
            Self::Break { at } => write!(f, "watch breaks before | {at}"),
            Self::Slow { at } => write!(f, "late | {at}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let twin = if self.twin { ", two controllers" } else { "" };
        write!(f, "{}{twin} | {}", self.scenario.word(), self.trouble)
    }
}

/// A line that is no plan.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a fault plan; one looks like: backup | answer 500 x5 | create jobs #1")]
pub struct NotAPlan(String);

impl FromStr for Plan {
    type Err = NotAPlan;

    fn from_str(line: &str) -> Result<Self, NotAPlan> {
        parse(line).ok_or_else(|| NotAPlan(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<Plan> {
    let mut parts = line.split(" | ").map(str::trim);
    let (who, what, place) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (scenario, twin) = match who.strip_suffix(", two controllers") {
        Some(scenario) => (scenario, true),
        None => (who, false),
    };
    let scenario = Scenario::named(scenario).ok()?;
    let trouble = match place {
        None => (what == "nothing").then_some(Trouble::None)?,
        Some(place) => match place.strip_prefix("event ") {
            Some(event) => {
                let (what_event, nth) = numbered(event)?;
                at_event(what, Event { what: what_event, nth })?
            }
            None => {
                let (what_call, nth) = numbered(place)?;
                at_call(what, Call { what: what_call, nth })?
            }
        },
    };
    Some(Plan { scenario, twin, trouble })
}

fn numbered(text: &str) -> Option<(String, u32)> {
    let (what, nth) = text.rsplit_once(" #")?;
    Some((what.to_owned(), nth.parse().ok()?))
}

fn at_event(what: &str, at: Event) -> Option<Trouble> {
    Some(match what {
        "never arrives" => Trouble::Lose { at },
        "never arrives, watch expires" => Trouble::Gap { at },
        "watch breaks before" => Trouble::Break { at },
        "late" => Trouble::Slow { at },
        _ => return None,
    })
}

fn at_call(what: &str, at: Call) -> Option<Trouble> {
    let (words, times) = match what.rsplit_once(" x") {
        Some((words, times)) => (words, times.parse().ok()?),
        None => (what, 1),
    };
    Some(match words {
        "unsent" => Trouble::Unsent { at, times },
        "answer lost" => Trouble::Lost { at, times },
        "late" => Trouble::Late { at },
        "sent twice" => Trouble::Twice { at },
        "die after" => Trouble::Die { at, stale: false },
        "die after, then stale lists" => Trouble::Die { at, stale: true },
        "name taken before" => Trouble::Taken { at },
        "inputs change after" => Trouble::Meddle { at },
        _ => Trouble::Answer { at, code: words.strip_prefix("answer ")?.parse().ok()?, times },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_from_its_line() {
        let call = || Call { what: "patch backupjobs/status".into(), nth: 2 };
        let event = || Event { what: "MODIFIED jobs".into(), nth: 3 };
        let troubles = [
            Trouble::None,
            Trouble::Answer { at: call(), code: 429, times: 5 },
            Trouble::Unsent { at: call(), times: 1 },
            Trouble::Lost { at: call(), times: 5 },
            Trouble::Late { at: call() },
            Trouble::Twice { at: call() },
            Trouble::Die { at: call(), stale: false },
            Trouble::Die { at: call(), stale: true },
            Trouble::Taken { at: call() },
            Trouble::Meddle { at: call() },
            Trouble::Lose { at: event() },
            Trouble::Gap { at: event() },
            Trouble::Break { at: event() },
            Trouble::Slow { at: event() },
        ];
        for scenario in Scenario::ALL {
            for (trouble, twin) in troubles.iter().flat_map(|t| [(t, false), (t, true)]) {
                let plan = Plan { scenario, twin, trouble: trouble.clone() };
                assert_eq!(plan.to_string().parse::<Plan>().expect("a plan"), plan);
            }
        }
    }

    #[test]
    fn a_scenario_that_there_is_not_is_refused_with_those_that_there_are() {
        let refused = Scenario::named("backups").expect_err("no scenario").to_string();
        assert!(refused.contains("backup, failed, restore"), "{refused}");
    }

    #[test]
    fn what_is_not_a_plan_is_refused() {
        for line in
            ["", "backup", "backup | nothing | x", "backup | answer x | create jobs #1", "x | nothing"]
        {
            assert!(line.parse::<Plan>().is_err(), "{line:?}");
        }
    }
}
