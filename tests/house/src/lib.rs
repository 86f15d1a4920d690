//! The structure of the repository: which file names which, and whether that obeys the floors of `docs/architecture.md`.
//!
//! ```text
//! Source::read ─ files of one folder ─▶ Tree::parse ─ modules, names, mentions ─▶ Tree::arrows ─▶ circles, Floors::check
//!                                                                             └─▶ Figures, report
//! ```
//!
//! An arrow leads from a file to the file that defines an item which the first names by a path. Calls of methods are not
//! seen: they need types. Code under `#[cfg(test)]` has no arrows.

mod builder;
pub mod circles;
pub mod error;
pub mod figures;
pub mod floors;
mod parse;
pub mod report;
mod resolve;
pub mod source;
pub mod tree;
mod walk;

pub use error::HouseError;
pub use figures::Figures;
pub use floors::{Floors, Problem};
pub use resolve::Arrow;
pub use source::Source;
pub use tree::Tree;

/// The source folders that are measured, by their paths from the root of the repository.
pub const TREES: [&str; 10] = [
    "host/api/src",
    "host/core/src",
    "host/engine/src",
    "host/src",
    "sdk/src",
    "sdk/testing/src",
    "strategies/altinity/src",
    "strategies/cnpg/src",
    "strategies/job/src",
    "tests/house/src",
];

/// The page with the tables of the floors, by its path from the root of the repository.
pub const FLOORS_PAGE: &str = "docs/architecture.md";
