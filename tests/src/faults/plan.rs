//! A fault plan: one scenario, one trouble, one place. Its text is one line, and that line replays it.

use std::fmt;
use std::str::FromStr;

/// What the controller is to do while the trouble happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scenario {
    /// A BackupJob is created and ends with a Backup.
    Backup,
    /// A BackupJob whose Job fails.
    Failed,
    /// A RestoreJob of a Backup whose strategy has changed since.
    Restore,
    /// A Backup whose component cleans up is deleted.
    Deletion,
    /// A BackupJob whose strategy takes steps: it makes, waits, runs a pod and deletes.
    Steps,
    /// A BackupJob whose strategy takes steps is deleted midway: what it made is undone.
    Undo,
    /// A RestoreJob that ends where data may be gone, and the next one on its target, which is told of it.
    Inherited,
    /// A Backup with private data is deleted, and its strategy takes steps to clean up.
    Private,
    /// A Plan that was not looked at for over an hour: one slot is missed, one fires late.
    Plan,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Backup,
        Self::Failed,
        Self::Restore,
        Self::Deletion,
        Self::Steps,
        Self::Undo,
        Self::Inherited,
        Self::Private,
        Self::Plan,
    ];

    /// The one of this word.
    ///
    /// # Errors
    /// There is none; the error names all that there are.
    pub fn named(word: &str) -> Result<Self, UnknownScenario> {
        let known = Self::ALL.into_iter().find(|s| s.word() == word);
        known.ok_or_else(|| UnknownScenario(word.to_owned()))
    }

    /// File of the component that serves its strategy.
    #[must_use]
    pub fn component(self) -> &'static str {
        match self {
            Self::Backup | Self::Failed | Self::Restore | Self::Plan => "job.wasm",
            Self::Deletion => "scrubber.wasm",
            Self::Steps | Self::Undo | Self::Inherited | Self::Private => "steps.wasm",
        }
    }

    /// Its word in a plan's line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Failed => "failed",
            Self::Restore => "restore",
            Self::Deletion => "deletion",
            Self::Steps => "steps",
            Self::Undo => "undo",
            Self::Inherited => "inherited",
            Self::Private => "private",
            Self::Plan => "plan",
        }
    }
}

/// A word that is not a scenario's.
#[derive(Debug, thiserror::Error)]
#[error("there is no scenario {0:?}; there are: {names}", names = Scenario::ALL.map(Scenario::word).join(", "))]
pub struct UnknownScenario(String);

/// One call of the API server, as the controller makes it: which kind of call, and which of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// Such as `create jobs`, `patch backupjobs/status`, `list pods`.
    pub what: String,
    /// The first is 1.
    pub nth: u32,
}

/// One event of a watch, as it reaches the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event {
    /// Such as `MODIFIED jobs`.
    pub what: String,
    /// The first is 1.
    pub nth: u32,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The call and as many further ones of its kind as make `times` are answered with a status code, and not done.
    Answer {
        /// The call.
        at: Call,
        /// The HTTP status.
        code: u16,
        /// How many calls.
        times: u32,
    },
    /// The connection is cut before the call is sent.
    Unsent {
        /// The call.
        at: Call,
        /// How many calls.
        times: u32,
    },
    /// The call is done, and its answer is lost.
    Lost {
        /// The call.
        at: Call,
        /// How many calls.
        times: u32,
    },
    /// The call is held for a second before it is sent.
    Late {
        /// The call.
        at: Call,
    },
    /// The call is sent twice; the answer is the second one's.
    Twice {
        /// The call.
        at: Call,
    },
    /// The controller dies once the call is done, and starts again.
    Die {
        /// The call.
        at: Call,
        /// It starts again when the Job has ended, and its first lists are those of the beginning.
        stale: bool,
    },
    /// Right before the call, somebody else makes an object of the name that it is about to make.
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
    /// The event never arrives, and the watch then ends with 410, so that everything is listed anew.
    Gap {
        /// The event.
        at: Event,
    },
    /// The connection of the watch breaks right before the event.
    Break {
        /// The event.
        at: Event,
    },
    /// The event, and what follows it in its watch, comes a second late.
    Slow {
        /// The event.
        at: Event,
    },
}

impl Trouble {
    /// Its kind, in the words of a plan's line without numbers and place.
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

    /// The call that it strikes; none for one that strikes an event.
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
    /// What the controller is to do.
    pub scenario: Scenario,
    /// Whether two controllers do it at once.
    pub twin: bool,
    /// What goes wrong.
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

/// A line that is not a plan.
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
