//! The running controller: its start, the watches that enqueue objects, the workers that reconcile them, and what it does
//! in the background.

pub mod background;
mod compare;
mod crds;
mod held_backups;
pub mod http;
mod restore_turns;
mod resume;
pub mod start;
mod time;
pub mod triggers;
mod unreadable;
mod watches;
mod workers;

pub use start::{ControllerError, Surroundings, run, run_in};
