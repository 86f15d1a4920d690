//! Fault plans: everything that can go wrong between the controller and the API server, one place at a time.
//!
//! The API server is a real one, and so are the Jobs; pods end on a simulated node. Under each controller's client lies a
//! tower layer ([`layer`](self)) that strikes one call or one event, as the plan says. What is left is compared with what
//! the undisturbed run leaves. Plans are enumerated from what the undisturbed run did, not drawn.

mod asked;
mod bystanders;
mod census;
mod compare;
mod course;
mod enumerate;
mod expected;
mod judge;
mod kill;
mod layer;
mod ledger;
mod plan;
mod play;
mod programs;
mod stage;
mod stream;
mod subject;
mod tap;

pub use enumerate::{Seen, plans};
pub use kill::Struck;
pub use plan::{Call, Event, NotAPlan, Plan, Scenario, Trouble, UnknownScenario};
pub use play::{Baseline, Played, Theatre};
