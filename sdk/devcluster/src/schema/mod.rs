//! Schemas of kinds, and what is done by them: decoding, pruning, defaults, validation.

mod tree;

pub use tree::{ListType, Schema, Type};
