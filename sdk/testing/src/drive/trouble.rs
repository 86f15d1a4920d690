//! Faults that a test can inject into a wake.

use backstay_core::contract::{Action, Checkpoint, Query, ReadError, WriteError};

/// A moment of a wake at which a fault can happen.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'m> {
    /// Before a question is answered.
    Read(&'m Query),
    /// Before a checkpoint is written.
    Checkpoint(&'m Checkpoint),
    /// Before an action is carried out.
    Write(&'m Action),
}

/// The fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// No fault.
    None,
    /// A read fails with this error.
    ReadFails(ReadError),
    /// A cached read shows the state of so many changes ago, but never one before a write of the run.
    Stale(u32),
    /// A write fails with this error and has no effect.
    WriteFails(WriteError),
    /// A write takes effect, and fails with this error.
    WriteFailsAfter(WriteError),
    /// The host crashes before the write, or before the checkpoint is written.
    CrashBefore,
    /// The host crashes after the write, or after the checkpoint is written.
    CrashAfter,
}
