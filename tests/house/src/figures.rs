//! The figures of one source folder.

use std::collections::BTreeMap;

use crate::circles::circles;
use crate::{Floors, Tree};

/// A file of more code lines than this should have a unit test.
pub const TESTED_FROM: usize = 60;
/// The type that gives access to everything, and the file that defines it.
const CONTEXT: (&str, &str) = ("Context", "context.rs");
/// The modules that may take it.
const CONTEXT_TAKERS: [&str; 4] = ["cli/", "controller/", "reconcile/", "context.rs"];

/// The figures of one source folder, without the files that only tests use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Number of files.
    pub files: usize,
    /// Number of files directly in each folder.
    pub folders: BTreeMap<String, usize>,
    /// The file with the most code lines, and their number.
    pub longest: (String, usize),
    /// The files of each circle, the largest circle first.
    pub circles: Vec<Vec<String>>,
    /// Number of arrows to a higher floor, if the folder has a table of floors.
    pub up: Option<usize>,
    /// Files of more than [`TESTED_FROM`] code lines without a unit test.
    pub untested: Vec<String>,
    /// Lines of code: not blank, no comment, no test.
    pub code: usize,
    /// Lines of all files, those of tests too.
    pub lines: usize,
    /// Functions that take the `Context` of the host: all of them, and those outside of the modules at the top.
    pub with_context: (usize, usize),
}

impl Figures {
    /// Measures `tree`.
    #[must_use]
    pub fn of(tree: &Tree, floors: Option<&Floors>) -> Self {
        let arrows = tree.arrows();
        let longest = tree.files.iter().max_by_key(|file| file.code);
        let untested = tree.files.iter().filter(|file| file.code > TESTED_FROM && !file.tested);
        let takers = tree.functions_with(CONTEXT.0, CONTEXT.1);
        let outside = takers.iter().filter(|(file, _)| !CONTEXT_TAKERS.iter().any(|m| file.starts_with(m)));
        Self {
            files: tree.files.len(),
            folders: tree.folders(),
            longest: longest.map(|file| (file.path.clone(), file.code)).unwrap_or_default(),
            circles: circles(arrows.iter().map(|arrow| (arrow.from.clone(), arrow.to.clone()))),
            up: floors.map(|floors| floors.up(&arrows).len()),
            untested: untested.map(|file| file.path.clone()).collect(),
            code: tree.files.iter().map(|file| file.code).sum(),
            lines: tree.lines,
            with_context: (takers.values().sum(), outside.map(|(_, count)| count).sum()),
        }
    }
}
