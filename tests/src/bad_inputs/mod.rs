//! The table of bad inputs: what somebody did wrong, how it ends, and what to do about it.
//!
//! The table is `tests/tests/cluster/bad_inputs.yaml`. It is read by three: the test on the cluster makes every row happen,
//! the unit tests here check its schedules without a cluster, and [`page()`] makes the operators' page
//! `docs/operations/failures.md` of it. So what the page promises is what was seen.

mod page;

use backstay_core::schedule::Schedule;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

pub use page::page;

/// The table, in the order of the page.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// Bad inputs that a cluster is needed for.
    pub rows: Vec<Row>,
    /// Schedules: of the bad ones a Plan says what is wrong, the odd ones have the slots given.
    pub schedules: Vec<ScheduleRow>,
}

/// One bad input. `$NS` in any text stands for the namespace of the row, which is also the name of its class and strategy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// Its name, unique.
    pub id: String,
    /// What is wrong, in a sentence for operators.
    pub wrong: String,
    /// What to do about it, for operators.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Seconds in which all of it has to happen.
    #[serde(default = "two_minutes")]
    pub within: u64,
    /// What there is before.
    #[serde(default)]
    pub given: Given,
    /// What is done, one after the other.
    pub when: Vec<Action>,
    /// What comes of it.
    pub then: Vec<Check>,
    /// What is done at the end, whatever came of it, so that nothing is left behind.
    #[serde(default)]
    pub after: Vec<Action>,
}

fn two_minutes() -> u64 {
    120
}

/// What there is before: an application `cache`, and unless something else is said a strategy of kind Job whose pod ends
/// well, and a class that binds it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Given {
    /// The script of the strategy's pod.
    pub script: Option<String>,
    /// Merged over the spec of the strategy.
    pub strategy: Option<Value>,
    /// Merged over the spec of its pod.
    pub pod: Option<Value>,
    /// Merged over its container.
    pub container: Option<Value>,
    /// Instead: a strategy of kind Broken with this spec.
    pub broken: Option<Value>,
    /// Instead: a strategy of kind Scrub with this command.
    pub scrub: Option<String>,
    /// Instead: no strategy.
    #[serde(default)]
    pub no_strategy: bool,
    /// Merged over the entry of the class.
    pub class: Option<Value>,
    /// Instead: no class.
    #[serde(default)]
    pub no_class: bool,
    /// A validating webhook that denies every Job of the namespace with this text.
    pub denies_jobs: Option<String>,
    /// Whatever else there is. `apiVersion` may be left out; a `status` is written after the object, and `owner`, as a
    /// [`Target`] is written, becomes its controller.
    #[serde(default)]
    pub objects: Vec<Value>,
}

/// An object: its kind and name, as `BackupJob/nightly`. `JobStrategy` is the strategy kind Job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Target {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').ok_or_else(|| format!("{text:?} is not KIND/NAME"))?;
        Ok(Self { kind: kind.to_owned(), name: name.to_owned() })
    }
}

/// Something that is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// Creates a BackupJob of this name, of the application `cache`.
    Backup(String),
    /// The same, and waits until it has succeeded.
    BackedUp(String),
    /// Creates a RestoreJob of this name, of the Backup `nightly`.
    Restore(String),
    /// Creates an object, as in [`Given::objects`].
    Create(Value),
    /// Merges into an object.
    Merge {
        /// Which.
        to: Target,
        /// RFC 7386.
        patch: Value,
    },
    /// Deletes an object.
    Delete {
        /// Which.
        the: Target,
        /// Whether what it owns goes first.
        #[serde(default)]
        foreground: bool,
    },
    /// Waits until a pod of a Job is in a phase, then evicts it through the API.
    Evict(PodOf),
    /// The same, then deletes it.
    DeletePod(PodOf),
    /// The same, then writes its status, as the node would.
    PodStatus {
        /// Which.
        of: PodOf,
        /// Merged into its status.
        status: Value,
    },
    /// Waits.
    Until(Check),
}

/// A pod of a Job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodOf {
    /// The Job.
    pub job: String,
    /// The phase that the pod is in.
    pub phase: String,
}

/// Something that comes to be so.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Check {
    /// An object says so.
    Told(Told),
    /// An Event says so.
    Event {
        /// The object that it is about.
        of: Target,
        /// Its reason.
        reason: String,
        /// What its note holds.
        #[serde(default)]
        says: Vec<String>,
    },
    /// The API server does not take this object.
    Refused {
        /// The object, as in [`Given::objects`].
        create: Value,
        /// What the answer holds.
        says: Vec<String>,
    },
    /// These are gone, or go.
    Gone(Vec<Target>),
    /// These are not there.
    Absent(Vec<Target>),
    /// This text stands in no BackupJob, RestoreJob, Backup and Event of the namespace.
    Nowhere(String),
    /// Nobody has written to these since they were given: they have the resource version that they had.
    Untouched(Vec<Target>),
}

/// What an object says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Told {
    /// The object.
    pub of: Target,
    /// Its `status.phase`.
    pub phase: Option<String>,
    /// Type of the condition that is looked at.
    #[serde(default = "ready")]
    pub condition: String,
    /// The condition's reason.
    pub reason: Option<String>,
    /// What the condition's message holds, the remedy among it.
    #[serde(default)]
    pub says: Vec<String>,
    /// What stands nowhere in the object.
    #[serde(default)]
    pub never: Vec<String>,
    /// JSON pointers into the object, and what is there; `true` for anything.
    #[serde(default)]
    pub holds: serde_json::Map<String, Value>,
}

fn ready() -> String {
    "Ready".to_owned()
}

/// A schedule of a Plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleRow {
    /// Its name, unique.
    pub id: String,
    /// What is wrong, or odd, in a sentence for operators.
    pub wrong: String,
    /// What to do about it, for operators.
    #[serde(rename = "do")]
    pub remedy: String,
    /// `spec.schedule.cron`.
    pub cron: String,
    /// `spec.timeZone`.
    pub time_zone: Option<String>,
    /// Of a bad one: what the message holds.
    #[serde(default)]
    pub says: Vec<String>,
    /// Of one that is only odd: the time from which slots are looked for.
    pub after: Option<Timestamp>,
    /// And the next slots.
    #[serde(default)]
    pub slots: Vec<Timestamp>,
}

impl ScheduleRow {
    /// Whether the schedule is refused.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.slots.is_empty()
    }

    /// Compares what the schedule comes to with what is expected.
    ///
    /// # Errors
    /// How they differ.
    pub fn check(&self) -> Result<(), String> {
        match (Schedule::parse(&self.cron, self.time_zone.as_deref()), self.is_bad()) {
            (Err(error), true) => self.says(&error.to_string()),
            (Err(error), false) => Err(format!("{} is refused: {error}", self.id)),
            (Ok(_), true) => Err(format!("{} is not refused", self.id)),
            (Ok(schedule), false) => {
                let mut at = self.after.ok_or_else(|| format!("{} has slots and no `after`", self.id))?;
                for slot in &self.slots {
                    let next = schedule.next_after(at, at);
                    if next != Some(*slot) {
                        return Err(format!("{}: the slot after {at} is {next:?}, not {slot}", self.id));
                    }
                    at = *slot;
                }
                Ok(())
            }
        }
    }

    /// Whether a message holds what it should.
    ///
    /// # Errors
    /// What it lacks.
    pub fn says(&self, message: &str) -> Result<(), String> {
        match self.says.iter().find(|part| !message.contains(part.as_str())) {
            None => Ok(()),
            Some(part) => Err(format!("{}: the message does not say {part:?}: {message}", self.id)),
        }
    }
}

impl Table {
    /// The table.
    ///
    /// # Panics
    /// Where it is not one: it is part of this program.
    #[must_use]
    pub fn load() -> Self {
        let text = include_str!("../../tests/cluster/bad_inputs.yaml");
        let value: Value = serde_saphyr::from_str(text).expect("the table is YAML");
        // Through JSON: which enums a YAML library reads how is no concern of the table.
        serde_json::from_value(value).expect("the table has the form of its types")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_schedule_is_refused_or_comes_as_the_table_says() {
        let wrong: Vec<_> = Table::load().schedules.iter().filter_map(|row| row.check().err()).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn names_are_unique_and_texts_are_sentences() {
        let table = Table::load();
        let runs = table.rows.iter().map(|r| (&r.id, &r.wrong, &r.remedy));
        let all: Vec<_> = runs.chain(table.schedules.iter().map(|r| (&r.id, &r.wrong, &r.remedy))).collect();
        assert!(all.len() >= 40, "{}", all.len());
        let ids: BTreeSet<_> = all.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.len(), all.len());
        for (id, wrong, remedy) in all {
            // A namespace is named after the row.
            assert!(
                id.len() <= 40
                    && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{id}"
            );
            for text in [wrong, remedy] {
                assert!(
                    text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c == '`'),
                    "{id}: {text}"
                );
            }
        }
    }

    #[test]
    fn every_row_that_fails_says_what_to_do() {
        for row in Table::load().rows {
            for check in &row.then {
                if let Check::Told(told) = check
                    && told.phase.as_deref() == Some("Failed")
                {
                    assert!(told.reason.is_some() && !told.says.is_empty(), "{}", row.id);
                }
            }
        }
    }
}
