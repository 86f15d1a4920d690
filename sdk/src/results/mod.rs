//! What an ended pod means, where a strategy follows the usual rules.

mod cause;
mod outcome;
mod report;

pub use cause::{cause_of_failure, error_line};
pub use outcome::outcome;
pub use report::{Report, ReportError, report};
