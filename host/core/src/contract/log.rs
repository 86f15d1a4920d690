//! Log lines of a guest.

use serde::Serialize;

/// A line that a guest wrote with `log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Level of the line.
    pub level: LogLevel,
    /// Text of the line.
    pub message: String,
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
}
