//! Built-in kinds: their schemas, defaults and checks.

mod check;
pub mod decode;
mod defaults;
mod definition;
mod event;
mod internal;
mod job;
pub mod metadata;
pub mod names;
mod pod;
mod podchange;
mod probe;
pub mod quantity;
mod rbac;
mod selector;
mod time;
mod types;
mod value;

pub use check::{Write, check, name_rule, name_warning};
pub use defaults::{default, prepare};
pub use definition::{definition, definition_warnings};
pub use selector::selects;
pub use types::builtin;
