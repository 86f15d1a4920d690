//! Where a value is: a chain of steps, of which a text is made only where a fault is told.

use std::fmt;

/// A place in an object.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The object, or a place whose path is a text already.
    From(&'a str),
    /// A field: with a point before it, unless it is the first.
    Field(&'a Path<'a>, &'a str),
    /// An entry of a map: with a point before it, even if it is the first.
    Entry(&'a Path<'a>, &'a str),
    /// An entry of a map, in brackets.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Item(&'a Path<'a>, usize),
    /// What is behind this text.
    Then(&'a Path<'a>, &'a dyn fmt::Display),
}

impl<'a> Path<'a> {
    /// The object itself.
    pub(crate) const ROOT: Path<'static> = Path::From("");

    /// Returns the place of a field.
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    /// Returns the place of an entry of a map.
    pub(crate) fn key(&'a self, name: &'a str) -> Self {
        Self::Key(self, name)
    }

    /// Returns the place of an item of a list.
    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// Returns whether its text is empty.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::From(text) => text.is_empty(),
            Self::Field(parent, name) => name.is_empty() && parent.is_empty(),
            Self::Entry(..) | Self::Key(..) | Self::Item(..) | Self::Then(..) => false,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(text) => f.write_str(text),
            Self::Field(parent, name) if parent.is_empty() => f.write_str(name),
            Self::Field(parent, name) | Self::Entry(parent, name) => write!(f, "{parent}.{name}"),
            Self::Key(parent, name) => write!(f, "{parent}[{name}]"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Then(parent, step) => write!(f, "{parent}{step}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{child, index, key};
    use super::*;

    #[test]
    fn its_text_is_the_one_that_is_made_step_by_step() {
        let root = Path::ROOT;
        for first in ["", "spec"] {
            let field = root.field(first);
            let (item, text) = (field.item(2), index(&child("", first), 2));
            assert_eq!(item.to_string(), text);
            assert_eq!(item.key("a").field("b").to_string(), child(&key(&text, "a"), "b"));
            assert_eq!(field.field("c").to_string(), child(&child("", first), "c"));
            assert_eq!(Path::Entry(&field, "d").to_string(), format!("{first}.d"));
        }
    }
}
