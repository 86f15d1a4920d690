//! Fault plans: every fault between the controller and the API server, one place at a time.
//!
//! The API server is one in memory, or a real one ([`Harness`]); pods end on a simulated node. A tower layer ([`layer`](self)) under
//! each controller's client strikes one call or one event. The end is compared with that of the undisturbed run, whose calls and
//! events also enumerate the plans; none are random.

mod asked;
mod bystanders;
mod census;
mod compare;
mod course;
mod enumerate;
mod expected;
mod ground;
mod in_memory;
mod judge;
mod kill;
mod layer;
mod ledger;
mod parts;
mod plan;
mod play;
mod programs;
mod progress;
mod sample;
mod stage;
mod stream;
mod subject;
pub mod suite;
mod tap;

pub use enumerate::{Seen, plans};
pub use ground::{Baseline, Played};
pub use in_memory::InMemory;
pub use kill::Struck;
pub use plan::{Call, Event, NotAPlan, Plan, Scenario, Trouble, UnknownScenario};
pub use play::Harness;
