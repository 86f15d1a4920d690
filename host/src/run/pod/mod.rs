//! A run that is one pod: its Job, and what the end of the Job means.

pub(crate) mod job;
pub(crate) mod verdict;
