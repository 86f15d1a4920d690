//! What a run remembers between wakes: the stage, and what later stages must not look up anew.

use backstay_sdk::step::{Step, View};
use backstay_sdk::{Deserialize, Failure, Inherited, Mode, Serialize, serde_json};

use crate::plan::Plan;
use crate::rendered::Archive;
use crate::snapshot::Snapshot;
use crate::stage::Stage;

/// A run between two steps.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) stage: Stage,
    pub(crate) data: Data,
}

/// The data of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, crate = "backstay_sdk::serde")]
pub(crate) struct Data {
    /// Of a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<Backing>,
    /// Of a restore whose archive does not hold all yet: since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate_closed_since: Option<i64>,
    /// Of a restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
    /// Of a restore that puts back what it wrote: why it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Undo>,
    /// Of a restore that attaches the archive again: until when it tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive_until: Option<i64>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) archive_trouble: Option<String>,
}

/// What a backup is of, as it was when it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Backing {
    pub(crate) archive: Archive,
    /// The name of the server in the archive.
    pub(crate) server: String,
    pub(crate) snapshot: Snapshot,
    /// Since when the instances' plugin has been waited for.
    pub(crate) plugin_awaited: Option<i64>,
    /// Which backup of the operator's this is, from 1.
    pub(crate) attempt: u32,
}

/// Why a restore ends although it might not have to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct Undo {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Memory {
    /// What the checkpoint of the view holds.
    pub(crate) fn read(mode: Mode, view: &View) -> Result<Self, Failure> {
        let Some(checkpoint) = &view.checkpoint else {
            return Ok(Self { stage: Stage::first(mode), data: Data::default() });
        };
        let stage = Stage::named(&checkpoint.stage).ok_or_else(|| {
            let message = format!("there is no stage {}; begin a new run", checkpoint.stage);
            Failure::new("InvalidCheckpoint", message)
        })?;
        Ok(Self { stage, data: checkpoint.decode()? })
    }

    /// The step, with this remembered if it is not yet.
    pub(crate) fn keep(&self, view: &View, step: Step) -> Step {
        let data = serde_json::to_value(&self.data).expect("a checkpoint has string keys only");
        let known = match &view.checkpoint {
            Some(checkpoint) => checkpoint.stage == self.stage.name() && checkpoint.data == data,
            None => self.data == Data::default(),
        };
        if known { step } else { step.remember(self.stage.name(), &data) }
    }

    /// The plan of a restore.
    pub(crate) fn plan(&self) -> Result<&Plan, Failure> {
        self.data.plan.as_ref().ok_or_else(|| self.lacks("plan"))
    }

    /// The plan of a restore, to be changed.
    pub(crate) fn plan_mut(&mut self) -> Result<&mut Plan, Failure> {
        let missing = self.lacks("plan");
        self.data.plan.as_mut().ok_or(missing)
    }

    /// What a backup is of.
    pub(crate) fn backing(&self) -> Result<&Backing, Failure> {
        self.data.backup.as_ref().ok_or_else(|| self.lacks("backup"))
    }

    /// What a backup is of, to be changed.
    pub(crate) fn backing_mut(&mut self) -> Result<&mut Backing, Failure> {
        let missing = self.lacks("backup");
        self.data.backup.as_mut().ok_or(missing)
    }

    fn lacks(&self, what: &str) -> Failure {
        let message = format!("the checkpoint of stage {} has no {what}; begin a new run", self.stage.name());
        Failure::new("InvalidCheckpoint", message)
    }
}

/// The plan that an earlier restore of this target left, if it left one that can be read.
pub(crate) fn inherited(inherited: Option<&Inherited>) -> Option<Plan> {
    inherited?.checkpoint.decode::<Data>().ok()?.plan
}
