//! Watched objects: the stores that hold them, and the watches that fill the stores.

pub mod backups;
pub mod evidence;
pub mod index;
pub mod interruptions;
pub mod job_pods;
pub mod shelf;
pub mod stores;
pub mod unfinished;
pub mod watcher;
