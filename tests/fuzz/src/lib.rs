//! Fuzz targets, on stable Rust: what strategies, applications and pods say is hostile until shown otherwise.
//!
//! A target takes bytes. It makes an input of them (raw, by changing what is known, by a grammar), runs the code, and
//! judges what came out: no panic, no more memory and work than the bounds allow, answers within the contract, and the
//! same answer again. [`driver::run`] makes the bytes from a seed; `tests/` runs each target for a fixed count, and the
//! same inputs through the built component. An input with a fault is made small and told in one line that replays it.
//!
//! ```text
//! cargo run -p backstay-fuzz -- go --seed 1 --seconds 300
//! ```

pub mod allocations;
mod choose;
mod corpus;
pub mod driver;
mod grammar;
mod mutate;
pub mod objects;
pub mod reports;
pub mod requests;
pub mod templates;

use driver::Target;

/// The targets, by name.
pub const TARGETS: [(&str, Target); 4] = [
    ("go", templates::go),
    ("minijinja", templates::minijinja),
    ("results", reports::results),
    ("guest", requests::guest),
];
