//! Built-in kinds: their schemas, defaults and checks.

pub mod decode;
pub mod metadata;
pub mod names;
pub mod quantity;
mod time;
mod types;

pub use types::builtin;
