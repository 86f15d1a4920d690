//! Templates of strategies: every string value of an object is rendered, all other values stay.
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
//! A render is a function of its arguments: it reads no clock, environment, file or network, and never panics.
//! [`Bounds`] limits its resources. `docs/templates.md` documents the languages.

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
mod roots;
mod walk;

pub use context::{BackupRef, Context};
pub use meter::Bounds;
pub use walk::{check, check_with, render, render_owned};

/// The language of a template. The strategy declares it; it is never guessed from the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Go's `text/template` with the functions of slim-sprig: the language of existing strategies.
    #[default]
    Go,
    /// minijinja, in which an undefined value is an error.
    Minijinja,
}

/// The options of a render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether `<no value>` in the output of a Go template is an error instead of a warning.
    pub strict: bool,
    /// The bounds of the render.
    pub bounds: Bounds,
}

/// A rendered object.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The object, with all strings rendered.
    pub value: serde_json::Value,
    /// Findings for the host about strings that printed `<no value>`, or used a key that no context has: at most
    /// [`MAX_FINDINGS`], and one that counts the rest.
    pub warnings: Vec<Finding>,
}

/// Maximum number of findings of a render; one more counts the rest.
pub const MAX_FINDINGS: usize = 20;

#[cfg(all(test, feature = "go"))]
mod tests;
