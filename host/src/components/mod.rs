//! The strategy components: which are loaded, what an administrator allows each of them, and how they are called.

pub mod caller;
pub mod limits;
pub mod pod_bounds;
pub mod registry;
mod slots;

pub use caller::{CallFailed, Caller, Calls, Components};
