//! The table of bad inputs: each mistake, its result and its remedy.
//!
//! The table is `tests/tests/cluster/bad_inputs.yaml`. The test on the cluster plays every row, the unit tests here check
//! its schedules, and [`page()`] makes the operators' page `docs/operations/failures.md` of it, so that the page is tested.

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
    /// Bad inputs, played on a cluster.
    pub rows: Vec<Row>,
    /// Schedules: the invalid ones with their messages, the odd ones with their slots.
    pub schedules: Vec<ScheduleRow>,
}

/// One bad input. `$NS` in any text is the namespace of the row, which is also the name of its class and strategy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// Unique name of the row.
    pub id: String,
    /// The mistake, in a sentence for operators.
    pub wrong: String,
    /// The remedy, for operators.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Limit of the whole row, in seconds.
    #[serde(default = "two_minutes")]
    pub within: u64,
    /// Objects that exist before.
    #[serde(default)]
    pub given: Given,
    /// Actions, in order.
    pub when: Vec<Action>,
    /// Expected results.
    pub then: Vec<Check>,
    /// Actions that clean up at the end, whatever the result.
    #[serde(default)]
    pub after: Vec<Action>,
}

fn two_minutes() -> u64 {
    120
}

/// The objects that exist before: an application `cache`, and by default a strategy of kind Job whose pod succeeds, and a
/// class that binds it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Given {
    /// Script of the strategy's pod.
    pub script: Option<String>,
    /// Merged over the spec of the strategy.
    pub strategy: Option<Value>,
    /// Merged over the spec of the strategy's pod.
    pub pod: Option<Value>,
    /// Merged over the pod's container.
    pub container: Option<Value>,
    /// Use a strategy of kind Broken with this spec instead.
    pub broken: Option<Value>,
    /// Use a strategy of kind Scrub with this command instead.
    pub scrub: Option<String>,
    /// Use a strategy of kind Steps with this program of mode backup instead.
    pub steps: Option<Value>,
    /// Create no strategy.
    #[serde(default)]
    pub no_strategy: bool,
    /// Merged over the entry of the class.
    pub class: Option<Value>,
    /// Create no class.
    #[serde(default)]
    pub no_class: bool,
    /// Text of a validating webhook that denies every Job of the namespace.
    pub denies_jobs: Option<String>,
    /// Further objects. `apiVersion` is optional; a `status` is written after the object, and `owner`, written like a
    /// [`Target`], becomes its controller.
    #[serde(default)]
    pub objects: Vec<Value>,
}

/// Kind and name of an object, such as `BackupJob/nightly`. `JobStrategy` is the strategy kind Job.
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

/// An action of a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// Creates a BackupJob of this name for the application `cache`.
    Backup(String),
    /// Creates a BackupJob for the application `cache`, and waits until it has succeeded.
    BackedUp(String),
    /// Creates a RestoreJob of this name for the Backup `nightly`.
    Restore(String),
    /// Creates an object, as in [`Given::objects`].
    Create(Value),
    /// Patches an object.
    Merge {
        /// The object.
        to: Target,
        /// JSON merge patch (RFC 7386).
        patch: Value,
    },
    /// Deletes an object.
    Delete {
        /// The object.
        the: Target,
        /// Whether its dependents are deleted first.
        #[serde(default)]
        foreground: bool,
    },
    /// Waits until a pod of a Job is in a phase, then evicts it through the API.
    Evict(PodOf),
    /// Waits until a pod of a Job is in a phase, then deletes it.
    DeletePod(PodOf),
    /// Waits until a pod of a Job is in a phase, then patches its status as the node would.
    PodStatus {
        /// The pod.
        of: PodOf,
        /// Merged into the pod's status.
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

/// An expected result.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Check {
    /// The content of an object.
    #[serde(rename = "told")]
    Content(Content),
    /// An Event.
    Event {
        /// The object that the Event is about.
        of: Target,
        /// Reason of the Event.
        reason: String,
        /// Texts in the Event's note.
        #[serde(default)]
        says: Vec<String>,
    },
    /// The API server refuses this object.
    Refused {
        /// The object, as in [`Given::objects`].
        create: Value,
        /// Texts in the answer.
        says: Vec<String>,
    },
    /// These objects are deleted in time.
    Gone(Vec<Target>),
    /// These objects do not exist.
    Absent(Vec<Target>),
    /// No BackupJob, RestoreJob, Backup or Event of the namespace contains this text.
    Nowhere(String),
    /// These objects still have their first resource version.
    Untouched(Vec<Target>),
}

/// The expected content of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// The object.
    pub of: Target,
    /// `status.phase` of the object.
    pub phase: Option<String>,
    /// Type of the condition to check.
    #[serde(default = "ready")]
    pub condition: String,
    /// The condition's reason.
    pub reason: Option<String>,
    /// Texts in the condition's message, including the remedy.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts that the object does not contain.
    #[serde(default)]
    pub never: Vec<String>,
    /// Values by JSON pointer into the object; `true` is any value.
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
    /// Unique name of the row.
    pub id: String,
    /// The mistake or the oddity, in a sentence for operators.
    pub wrong: String,
    /// The remedy, for operators.
    #[serde(rename = "do")]
    pub remedy: String,
    /// `spec.schedule.cron`.
    pub cron: String,
    /// `spec.timeZone`.
    pub time_zone: Option<String>,
    /// Texts in the message of an invalid schedule.
    #[serde(default)]
    pub says: Vec<String>,
    /// Start of the slots of an odd schedule.
    pub after: Option<Timestamp>,
    /// The next slots of an odd schedule.
    #[serde(default)]
    pub slots: Vec<Timestamp>,
}

impl ScheduleRow {
    /// Returns whether the schedule is invalid.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.slots.is_empty()
    }

    /// Compares the schedule's error or slots with the expected ones.
    ///
    /// # Errors
    /// The difference.
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

    /// Checks that a message contains the texts.
    ///
    /// # Errors
    /// The missing text.
    pub fn says(&self, message: &str) -> Result<(), String> {
        match self.says.iter().find(|part| !message.contains(part.as_str())) {
            None => Ok(()),
            Some(part) => Err(format!("{}: the message does not say {part:?}: {message}", self.id)),
        }
    }
}

impl Table {
    /// Parses the table, which is part of this program.
    ///
    /// # Panics
    /// The table does not parse.
    #[must_use]
    pub fn load() -> Self {
        let text = include_str!("../../tests/cluster/bad_inputs.yaml");
        let value: Value = serde_saphyr::from_str(text).expect("the table is YAML");
        // Enums are read from JSON, since YAML libraries differ in how they write them.
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
            // The row's namespace has its name.
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
                if let Check::Content(content) = check
                    && content.phase.as_deref() == Some("Failed")
                {
                    assert!(content.reason.is_some() && !content.says.is_empty(), "{}", row.id);
                }
            }
        }
    }
}
