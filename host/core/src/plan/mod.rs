//! Plans: which slots of a schedule fire, and the recorded outcome of every slot (docs/rules.md R1).
//!
//! Every activation strictly after the anchor is a slot and gets exactly one recorded outcome. The anchor is the
//! Plan's creation, or the last change of its schedule. Firing has two phases, since a create must be confirmed:
//!
//! 1. [`decide`] names the slot that is due. The host creates the BackupJob of [`Slot::name`], owned by the Plan.
//! 2. [`fired`] takes the API server's answer and returns the state to write to the Plan's status.
//!
//! A crash between the two loses nothing: the next `decide` either names the same slot again, and the create is
//! answered by "exists already", or finds the BackupJob among [`PlanView::runs`]. Two overlapping controllers come to
//! the same state; the one whose status write is refused reads the status again and decides again.

mod anchor;
mod decide;
mod fire;
mod settle;
mod state;
mod view;

#[cfg(test)]
mod tests;

pub use anchor::AnchorCause;
pub use decide::{PlanVerdict, decide};
pub use fire::{FireResult, fired};
pub use settle::{Recorded, reasons};
pub use state::{Anchor, PlanState};
pub use view::{PlanView, Slot};
