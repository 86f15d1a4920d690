//! Values that many of the contract's types hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A parsed JSON value; the doc of the field names its schema.
pub type Json = serde_json::Value;
/// A JSON pointer (RFC 6901), such as `/spec/suspend`. Empty is the whole document.
pub type JsonPointer = String;
/// Seconds since 1970-01-01T00:00:00Z.
pub type Timestamp = i64;
/// A length of time in seconds.
pub type Seconds = u32;
/// `[A-Za-z][A-Za-z0-9]*`, at most 64 bytes: reason of a condition, an event and a metric alike.
pub type Reason = String;
/// Name and value, sorted by name.
pub type Pairs = BTreeMap<String, String>;

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Makes a Backup.
    Backup,
    /// Restores a Backup.
    Restore,
    /// Cleans up after a Backup that is being deleted.
    Cleanup,
}

impl Mode {
    /// Returns the word used in labels and templates.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Cleanup => "cleanup",
        }
    }
}
