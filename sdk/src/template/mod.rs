//! Templates of strategies: every string value of an object is rendered, everything else stays as it is.
//!
//! ```
//! use backstay_sdk::Mode;
//! use backstay_sdk::template::{Context, Dialect, Options, render};
//!
//! let context = Context { mode: Some(Mode::Backup), ..Context::default() };
//! let template = serde_json::json!({"args": ["--mode={{ .Mode }}", 3]});
//! let rendered = render(&template, "/spec/template", Dialect::Go, &context, &Options::default()).unwrap();
//! assert_eq!(rendered.value, serde_json::json!({"args": ["--mode=backup", 3]}));
//! ```
//!
//! A render is a function of its arguments: nothing here reads a clock, an environment, a file or a network, and nothing
//! panics. What it may use up is bounded by [`Bounds`]. `docs/templates.md` says what templates can do.

#![cfg_attr(
    not(all(feature = "go", feature = "minijinja")),
    allow(
        dead_code,
        unused_variables,
        reason = "a dialect that is left out leaves what only it uses without a user"
    )
)]

use serde::{Deserialize, Serialize};

use crate::Finding;

mod context;
#[cfg(feature = "go")]
mod go;
mod meter;
#[cfg(feature = "minijinja")]
mod minijinja;
mod outcome;
mod walk;

pub use context::{BackupRef, Context};
pub use meter::Bounds;
pub use walk::{check, render, render_owned};

/// The language of a template. It is declared by the strategy, never guessed from the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Go's `text/template` with the functions of slim-sprig: the language of existing strategies.
    #[default]
    Go,
    /// minijinja, where what is undefined is an error.
    Minijinja,
}

/// How to render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A Go template that prints `<no value>` is an error, not a warning.
    pub strict: bool,
    /// What the render may use up.
    pub bounds: Bounds,
}

/// A rendered object.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The object, with every string rendered.
    pub value: serde_json::Value,
    /// Strings that printed `<no value>`, as findings to hand on to the host; at most [`MAX_FINDINGS`] and one that
    /// counts the rest.
    pub warnings: Vec<Finding>,
}

/// Findings of a render are no more than these, and one that counts the rest.
pub const MAX_FINDINGS: usize = 20;

#[cfg(all(test, feature = "go"))]
mod tests;
