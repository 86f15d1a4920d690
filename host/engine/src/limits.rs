//! The limits of a call, and the bounds of the contract.
//!
//! [`Limits`] can be set: the host has a maximum for all components and may set less for one. The constants are the
//! contract's own bounds (`wit/v0.1/strategy.wit`) and fixed limits of the engine. `docs/limits.md` publishes all of
//! them; a test compares it with this file.

use std::time::Duration;

/// The resources that one call of a component may use. Every field is enforced on every call.
///
/// The default is the host's maximum unless it is configured otherwise: enough for an interpreter-based guest on the
/// largest arguments that the contract permits, and little enough that a hostile guest costs a few seconds only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fuel: about one unit per executed wasm instruction and one per logged byte. Deterministic: the same call uses
    /// the same fuel on every machine.
    pub fuel: u64,
    /// Wall-clock time in the guest, without the wait for a free instance. Checked every [`EPOCH_TICK`].
    pub wall: Duration,
    /// Linear memory in bytes, over all memories of an instance.
    pub memory_bytes: usize,
    /// Table elements, over all tables of an instance.
    pub table_elements: usize,
    /// Text in all arguments of a call, in bytes.
    pub input_bytes: usize,
    /// Text in the whole answer of a call, in bytes. Also the limit on what one host call may copy out of the guest.
    pub output_bytes: usize,
    /// JSON values (scalars, arrays, objects) in the whole answer of a call: bounds the cost of parsing it.
    pub json_values: usize,
    /// The `.wasm` file in bytes.
    pub component_bytes: usize,
    /// Log lines kept per call; further lines are counted and dropped.
    pub log_lines: usize,
    /// Bytes kept per log line; a longer line is cut.
    pub log_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            wall: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            input_bytes: 8 << 20,
            output_bytes: 1 << 20,
            json_values: 50_000,
            component_bytes: 16 << 20,
            log_lines: 100,
            log_line_bytes: 1 << 10,
        }
    }
}

impl Limits {
    /// Returns the smaller of both limits, field by field.
    #[must_use]
    pub fn at_most(self, maximum: Self) -> Self {
        Self {
            fuel: self.fuel.min(maximum.fuel),
            wall: self.wall.min(maximum.wall),
            memory_bytes: self.memory_bytes.min(maximum.memory_bytes),
            table_elements: self.table_elements.min(maximum.table_elements),
            input_bytes: self.input_bytes.min(maximum.input_bytes),
            output_bytes: self.output_bytes.min(maximum.output_bytes),
            json_values: self.json_values.min(maximum.json_values),
            component_bytes: self.component_bytes.min(maximum.component_bytes),
            log_lines: self.log_lines.min(maximum.log_lines),
            log_line_bytes: self.log_line_bytes.min(maximum.log_line_bytes),
        }
    }
}

/// Interval at which the wall clock of running calls is checked; a call may exceed [`Limits::wall`] by up to two
/// ticks.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Native stack that wasm frames may use, in bytes. The calling thread needs this much and 256 KiB for the host.
pub const STACK_BYTES: usize = 512 << 10;
/// Core instances in a component.
pub const CORE_INSTANCES: u32 = 16;
/// Linear memories in a component.
pub const MEMORIES: u32 = 4;
/// Tables in a component.
pub const TABLES: u32 = 8;
/// Levels of nesting in a JSON text that a component returns.
pub const JSON_DEPTH: usize = 100;

/// A name, in bytes.
pub const NAME_BYTES: usize = 253;
/// A message, in bytes; also URIs and label selectors.
pub const MESSAGE_BYTES: usize = 4 << 10;
/// The message of a failure, in bytes.
pub const FAILURE_MESSAGE_BYTES: usize = 16 << 10;
/// Entries of a list.
pub const LIST_ENTRIES: usize = 32;
/// A JSON text, in bytes.
pub const JSON_BYTES: usize = 1 << 20;
/// A JSON pointer, in bytes.
pub const POINTER_BYTES: usize = 512;
/// A reason, in bytes.
pub const REASON_BYTES: usize = 64;
/// Entries of pairs.
pub const PAIRS_ENTRIES: usize = 64;
/// Names and values of pairs together, in bytes.
pub const PAIRS_BYTES: usize = 64 << 10;
/// A descriptor, in bytes.
pub const DESCRIPTOR_BYTES: usize = 512 << 10;
/// The name of a component, in bytes.
pub const COMPONENT_NAME_BYTES: usize = 40;
/// Kinds that a component serves.
pub const KINDS: usize = 8;
/// Accesses that a component asks for.
pub const ACCESSES: usize = 64;
/// Stages of a component.
pub const STAGES: usize = 64;
/// Data of a pod run, in bytes.
pub const POD_DATA_BYTES: usize = 16 << 10;
/// Lines of a log.
pub const LOG_TAIL_LINES: u32 = 200;
/// Underlying resources of an outcome, in bytes.
pub const UNDERLYING_RESOURCES_BYTES: usize = 64 << 10;
/// Private data of an outcome, in bytes.
pub const PRIVATE_DATA_BYTES: usize = 256 << 10;
/// Data of a checkpoint, in bytes.
pub const CHECKPOINT_BYTES: usize = 256 << 10;
/// Conditions of a step.
pub const STEP_CONDITIONS: usize = 16;
/// Events of a step.
pub const STEP_EVENTS: usize = 16;
/// Actions of a step.
pub const ACTIONS: usize = 16;
/// Watches of a wait.
pub const WATCHES: usize = 16;
/// Objects of a list query.
pub const LISTED_OBJECTS: u32 = 500;
/// The name of a pod run, in bytes.
pub const POD_RUN_NAME_BYTES: usize = 16;
