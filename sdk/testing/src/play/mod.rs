//! A whole run, controller included, on a Kubernetes in memory and in simulated time.
//!
//! A [`Stage`] says what there is and who works in the cluster: the objects, how pods end, what operators do.
//! [`crate::Built::run_backup`] plays a BackupJob on it, and returns a [`Run`] with everything that came of it. The API
//! server, its controllers and Backstay's controller are the real ones; the node is a script. Hours of waiting cost
//! nothing: while nobody has anything to do, the clock goes on to when somebody has.

mod account;
mod cluster;
mod journal;
mod kinds;
mod operator;
mod pods;
mod run;
mod stage;

pub use operator::Reaction;
pub use pods::PodEnd;
pub use run::Run;
pub use stage::Stage;
