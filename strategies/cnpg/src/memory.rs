//! The memory of a run between wakes: its stage, and the data that later stages must not look up again.

use backstay_sdk::step::{Step, View};
use backstay_sdk::{Deserialize, Failure, Inherited, Mode, Serialize};

use crate::plan::Plan;
use crate::rendered::Archive;
use crate::snapshot::Snapshot;
use crate::stage::Stage;

/// The state of a run between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) stage: Stage,
    pub(crate) data: Data,
    /// What the checkpoint of the view has.
    stored: Data,
}

/// The data of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, crate = "backstay_sdk::serde")]
pub(crate) struct Data {
    /// In a backup: its inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<BackupInputs>,
    /// In a restore: since when the archive has been incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate_closed_since: Option<i64>,
    /// In a restore: its plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
    /// In a restore that undoes its writes: the failure that it ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
    /// In a restore that attaches the archive again: the time at which it gives up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive_until: Option<i64>,
    /// In a restore that attaches the archive again: the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive_trouble: Option<String>,
}

/// The inputs of a backup, as they were when it was requested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct BackupInputs {
    pub(crate) archive: Archive,
    /// The server name in the archive.
    pub(crate) server: String,
    pub(crate) snapshot: Snapshot,
    /// Since when the run has waited for the plugin in the instances.
    pub(crate) plugin_awaited: Option<i64>,
    /// Number of the operator's Backup in this run, from 1.
    pub(crate) attempt: u32,
}

/// The failure that a restore ends with after it has undone its writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct Undo {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Memory {
    /// Reads the checkpoint of the view.
    pub(crate) fn read(mode: Mode, view: &View) -> Result<Self, Failure> {
        let Some(checkpoint) = &view.checkpoint else {
            return Ok(Self { stage: Stage::first(mode), data: Data::default(), stored: Data::default() });
        };
        let stage = Stage::named(&checkpoint.stage).ok_or_else(|| {
            let message = format!("there is no stage {}; begin a new run", checkpoint.stage);
            Failure::new("InvalidCheckpoint", message)
        })?;
        let data: Data = checkpoint.decode()?;
        Ok(Self { stage, stored: data.clone(), data })
    }

    /// Adds this memory to the step as a checkpoint, if it has changed.
    pub(crate) fn keep(&self, view: &View, step: Step) -> Step {
        let in_stage = view.checkpoint.as_ref().is_none_or(|stored| stored.stage == self.stage.name());
        if in_stage && self.data == self.stored { step } else { step.remember(self.stage.name(), &self.data) }
    }

    /// Returns the plan of a restore.
    pub(crate) fn plan(&self) -> Result<&Plan, Failure> {
        self.data.plan.as_ref().ok_or_else(|| self.lacks("plan"))
    }

    /// Returns the plan of a restore for changes.
    pub(crate) fn plan_mut(&mut self) -> Result<&mut Plan, Failure> {
        let missing = self.lacks("plan");
        self.data.plan.as_mut().ok_or(missing)
    }

    /// Returns the inputs of a backup.
    pub(crate) fn backup_inputs(&self) -> Result<&BackupInputs, Failure> {
        self.data.backup.as_ref().ok_or_else(|| self.lacks("backup"))
    }

    /// Returns the inputs of a backup for changes.
    pub(crate) fn backup_inputs_mut(&mut self) -> Result<&mut BackupInputs, Failure> {
        let missing = self.lacks("backup");
        self.data.backup.as_mut().ok_or(missing)
    }

    fn lacks(&self, what: &str) -> Failure {
        let message = format!("the checkpoint of stage {} has no {what}; begin a new run", self.stage.name());
        Failure::new("InvalidCheckpoint", message)
    }
}

/// Returns the plan that an earlier restore of this target left, if there is one that can be read.
pub(crate) fn inherited(inherited: Option<&Inherited>) -> Option<Plan> {
    inherited?.checkpoint.decode::<Data>().ok()?.plan
}
