//! Fuzz targets, on stable Rust: data of strategies, applications and pods is hostile.
//!
//! A target makes an input of bytes (raw, by changing a known one, or by a grammar), runs the code, and checks the result:
//! no panic, memory and work within the bounds, an answer within the contract, and the same answer the second time.
//! [`driver::run`] makes the bytes from a seed. `tests/` runs each target for a fixed count, natively and in the built
//! component. A bad input is shrunk, and one line replays it.
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
pub mod stored;
pub mod templates;

use driver::Target;

/// Targets by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("go", templates::go),
    ("minijinja", templates::minijinja),
    ("results", reports::results),
    ("guest", requests::guest),
    ("stored", stored::stored),
];
