//! What can go wrong in a wake.

use backstay_core::contract::{Action, Checkpoint, Query, ReadError, WriteError};

/// Where in a wake something can go wrong.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'m> {
    /// A question is about to be answered.
    Read(&'m Query),
    /// A checkpoint is about to be written.
    Checkpoint(&'m Checkpoint),
    /// An action is about to be carried out.
    Write(&'m Action),
}

/// What goes wrong there.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// A read is answered by this error.
    ReadFails(ReadError),
    /// A read from the cache shows what was, so many changes ago; never what was before a write of the run.
    Stale(u32),
    /// A write is answered by this error, and is not done.
    WriteFails(WriteError),
    /// A write is done, and answered by this error.
    WriteFailsAfter(WriteError),
    /// The host crashes before the write, or before the checkpoint is written.
    CrashBefore,
    /// The host crashes after it.
    CrashAfter,
}
