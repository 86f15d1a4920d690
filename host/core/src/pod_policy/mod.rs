//! Checks a rendered pod template before anything is created from it.
//!
//! A strategy's pods run in tenants' namespaces, created with the rights of the controller or of a component's account. A
//! pod that gets more than a tenant's pod may have is refused, whatever the namespace's own admission allows: everything
//! that the Kubernetes Pod Security Standard "baseline" refuses, and what places a pod on a node or ahead of others
//! ([`rules`]). An administrator can ask for "restricted" for a component, and bound the ServiceAccounts, Secrets and
//! images of its pods ([`Allowed`]).
//!
//! Every rule lists what is allowed. A value of another type is refused like any other value that is not in the list.

mod bounds;
mod findings;
mod judge;
mod restricted;
mod rules;
mod shape;
mod walk;
mod workload;

pub use bounds::{Allowed, Level, UNBOUNDED};
pub use judge::check;
pub use rules::{BASELINE, BEYOND, RESTRICTED, Rule, Values};
pub use shape::{Misshapen, shape};
pub use workload::{holds_pods, judge_change};

#[cfg(test)]
mod tests;
