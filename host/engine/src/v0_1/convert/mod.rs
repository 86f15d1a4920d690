//! Between the types of this WIT version and those of [`backstay_core::contract`]: the one place where both are known.
//!
//! Arguments are *lowered* under the contract's bounds on what a call is told; answers are *lifted* under its bounds on
//! what a guest may return. Rules that tie several items together do not depend on the version: [`crate::rules`].

mod answers;
mod descriptor;

mod lower;
mod steps;

pub(super) use lower::Lower;

use crate::lift::{Answer, ContractViolation};

/// A type of this WIT version that a guest returns.
pub(super) trait Lift {
    /// The type in the contract.
    type To;
    /// Reads it under the bounds that its definition states.
    fn lift(self, answer: &mut Answer) -> Result<Self::To, ContractViolation>;
}
