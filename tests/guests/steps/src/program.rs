//! The program of a test, in the strategy's spec.

use backstay_sdk::prelude::*;
use backstay_sdk::{Deserialize, Value};

/// The spec of a `Steps`: a program for each mode, and one for a cancelled run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[schemars(crate = "backstay_sdk::schemars")]
pub struct StepsSpec {
    /// Program of mode backup.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub backup: Vec<Instruction>,
    /// Program of mode restore.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub restore: Vec<Instruction>,
    /// Program of mode cleanup.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub cleanup: Vec<Instruction>,
    /// Program of a cancelled run.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub undo: Vec<Instruction>,
    /// Private data of the Backup.
    #[serde(default)]
    #[schemars(schema_with = "any_value")]
    pub private: Option<Value>,
}

fn anything(_: &mut backstay_sdk::schemars::SchemaGenerator) -> backstay_sdk::schemars::Schema {
    backstay_sdk::schemars::json_schema!({"type": "array", "description": "Instructions, in order.",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}

fn any_value(_: &mut backstay_sdk::schemars::SchemaGenerator) -> backstay_sdk::schemars::Schema {
    backstay_sdk::schemars::json_schema!({"type": "object", "description": "Handover out of tenants' reach.",
        "x-kubernetes-preserve-unknown-fields": true})
}

/// An instruction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", crate = "backstay_sdk::serde")]
#[allow(missing_docs)]
pub enum Instruction {
    Get {
        object: Object,
        #[serde(default)]
        live: bool,
        #[serde(default)]
        fields: Vec<String>,
    },
    List {
        object: Object,
        #[serde(default)]
        labels: String,
        #[serde(default)]
        live: bool,
        #[serde(default)]
        fields: Vec<String>,
        limit: u32,
    },
    Log {
        pod: String,
        container: String,
        #[serde(default)]
        previous: bool,
    },
    Keys {
        secret: String,
    },
    /// The result of a pod run, once it has ended.
    Pod {
        name: String,
    },
    Create {
        object: Object,
        #[serde(default)]
        with: Value,
        #[serde(default)]
        dry_run: bool,
    },
    Apply {
        object: Object,
        #[serde(default)]
        with: Value,
        #[serde(default)]
        force: bool,
    },
    /// Applies an object with the ownership label of the run.
    ApplyOwn {
        object: Object,
        force: bool,
    },
    Patch {
        object: Object,
        with: Value,
        resource_version: Option<String>,
        uid: Option<String>,
    },
    /// Deletes the object with this uid without reading it; without a uid, reads it first, and deletes it, or only the run's
    /// own.
    Delete {
        object: Object,
        uid: Option<String>,
        #[serde(default)]
        own: bool,
        resource_version: Option<String>,
        #[serde(default)]
        propagation: Dependents,
    },
    /// Does several actions in one act.
    All(Vec<Instruction>),
    RunPod {
        name: String,
        script: String,
        node: Option<String>,
        warning: Option<String>,
    },
    /// Waits until a field of an object has a value.
    Until {
        object: Object,
        at: String,
        equals: String,
        wait_seconds: u32,
        watch: Watched,
    },
    /// Waits for a time from the beginning of the stage.
    Sleep {
        seconds: u32,
    },
    /// Does as much as the contract allows, without end: computes, remembers much, and writes one object again and again.
    Flood {
        object: Object,
        bytes: usize,
        #[serde(default)]
        spin: u64,
    },
    Stage(String),
    Condition {
        #[serde(rename = "type")]
        type_: String,
        status: Option<bool>,
        message: String,
    },
    Event {
        warning: bool,
        message: String,
    },
    Fail(String),
    Trap(String),
    /// Sends new queries for ever.
    Ask,
}

/// Deletion of dependents.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[allow(missing_docs)]
pub enum Dependents {
    #[default]
    Background,
    Foreground,
    Orphan,
}

/// A watch of a wait.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[allow(missing_docs)]
pub enum Watched {
    Nothing,
    Object,
    Labels(String),
}

/// An object. An absent namespace is the run's, an empty one is none; kind `$application` is the run's application.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
#[allow(missing_docs)]
pub struct Object {
    #[serde(default)]
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    #[serde(default)]
    pub name: String,
}
