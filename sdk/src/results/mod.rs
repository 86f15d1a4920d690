//! What an ended pod means, where a strategy follows the usual rules.

mod cause;
mod report;

pub use cause::cause_of_failure;
pub use report::{Report, ReportError, report};
