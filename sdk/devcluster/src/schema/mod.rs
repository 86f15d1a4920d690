//! Schemas of kinds, and what is done by them: decoding, pruning, defaults, validation.

pub mod decode;
pub mod fault;
mod formats;
pub mod go;
mod lists;
mod path;
mod pattern;
mod prune;
mod rules;
mod seen;
mod structural;
mod tree;
mod validate;
mod yaml;

pub use decode::{Decoded, decode, unrecognized};
pub use formats::is_known as is_known_format;
pub(crate) use path::Path;
pub use prune::{default, drop_nulls, prune, receive, settle};
pub use tree::{ListType, Schema, Type};
pub use validate::{Verdict, judge, judge_status, validate};
