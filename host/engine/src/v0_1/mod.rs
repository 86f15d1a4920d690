//! WIT version 0.1: its bindings, which stay in this module, and the driver of a loaded component.

mod bindings;
mod convert;
mod driver;
mod function;

pub(crate) use driver::{Call, Driver, add_to_linker};

/// The version of the package in `wit/v0.1`.
pub(crate) const VERSION: &str = "0.1.0";
