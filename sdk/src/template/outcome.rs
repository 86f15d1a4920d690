//! The results of a dialect for one string.

/// A rendered string.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// The actions that printed `<no value>`.
    pub(crate) gaps: Vec<Gap>,
    /// The keys at the top that it used and that no context has.
    pub(crate) strays: Vec<Stray>,
}

/// A key at the top that no context has.
#[derive(Clone, Debug)]
pub(crate) struct Stray {
    pub(crate) place: Place,
    /// The key, as a template writes it.
    pub(crate) key: String,
    pub(crate) complaint: String,
}

/// An action that printed `<no value>`.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) place: Place,
    /// Its source, without the braces.
    pub(crate) action: String,
}

/// The error of a string that cannot be rendered.
#[derive(Debug)]
pub(crate) struct Flawed {
    pub(crate) place: Place,
    pub(crate) cause: String,
    /// The rest of the message, starting with a semicolon: how to escape braces, if the string may not be meant as a
    /// template. Otherwise empty.
    pub(crate) remedy: &'static str,
}

/// Line and column, both starting at 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// Returns the position of a byte of `source`.
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
