//! Selectors of lists and watches.

mod fields;
mod labels;

pub(crate) use fields::{Fields, text_of};
pub(crate) use labels::Labels;
