//! Backstay on a Kubernetes in memory, for `backstay dev` and the test kit of authors: what an administrator installs, what
//! one run needs, and how it is told.

mod admin;
mod install;
mod run;

pub use admin::{Admin, Kind};
pub use install::{ACCOUNT, SYSTEM, install, token};
pub use run::{State, Story, backup_job, class, is_custom, restore_job};
