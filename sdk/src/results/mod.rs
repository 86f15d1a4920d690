//! The usual rules for the result of an ended pod.

mod cause;
mod outcome;
mod report;

pub use cause::{cause_of_failure, error_line};
pub use outcome::outcome;
pub use report::{Report, ReportError, report};
