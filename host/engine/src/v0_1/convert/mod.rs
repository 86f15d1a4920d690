//! Conversion between the types of this WIT version and [`backstay_core::contract`]. No other code knows both.
//!
//! Arguments are *lowered* under the contract's bounds on arguments; answers are *lifted* under its bounds on answers.
//! Rules that tie several items together are the same in every version, and live in [`crate::rules`].

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
    /// Reads the value under the bounds of its type.
    fn lift(self, answer: &mut Answer) -> Result<Self::To, ContractViolation>;
}
