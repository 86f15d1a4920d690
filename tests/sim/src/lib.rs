//! Seeded disasters. The real controllers run on a Kubernetes in memory, in simulated time; people create, edit and delete
//! objects, networks lose and delay, controllers die; and whatever happens, some things must stay right.
//!
//! One seed is one play, always the same. A broken one prints the line that replays it.

mod base;
mod chance;
mod day;
mod network;
mod oracles;
mod order;
mod people;
mod plan;
mod play;
mod programs;
mod shrink;
mod subject;
mod trace;
mod watchman;

pub use base::Base;
pub use day::{Day, day};
pub use plan::{Kept, Part};
pub use play::{Verdict, in_thread, play, ready};
pub use shrink::shrink;
