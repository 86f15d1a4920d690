//! What a dialect says of one string.

/// A rendered string.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// What printed `<no value>`.
    pub(crate) gaps: Vec<Gap>,
}

/// An action that had no value to print.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) place: Place,
    /// Its text, without the braces.
    pub(crate) action: String,
}

/// Why a string cannot be rendered.
#[derive(Debug)]
pub(crate) struct Flawed {
    pub(crate) place: Place,
    pub(crate) cause: String,
    /// What else to say, beginning with a semicolon: how to escape braces where the string is no template at all, so
    /// that it may well not be meant as one. Else empty.
    pub(crate) remedy: &'static str,
}

/// Line and column, both from 1 on; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// Of a byte of `source`.
    pub(crate) fn of(source: &str, at: usize) -> Self {
        let at = (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
        let before = &source[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: 1 + before.matches('\n').count(), column: 1 + before[start..].chars().count() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
