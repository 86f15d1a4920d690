//! The modules of a source folder: their files, their items, and what they import.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A source folder, parsed.
#[derive(Debug)]
pub struct Tree {
    /// The folder's path from the root of the repository.
    pub name: String,
    /// Its files without those that only tests use, by path.
    pub files: Vec<File>,
    /// Lines of all its files, those of tests too.
    pub lines: usize,
    pub(crate) library: String,
    pub(crate) modules: Vec<Module>,
    pub(crate) mentions: Vec<Mention>,
    /// For each function, the module it is in and the paths of the types of its arguments.
    pub(crate) signatures: Vec<(ModuleId, Vec<Vec<String>>)>,
}

/// A file of a [`Tree`].
#[derive(Debug)]
pub struct File {
    /// Path from the source folder.
    pub path: String,
    /// Lines that are not blank, no comment and no test.
    pub code: usize,
    /// Whether it has a unit test, in the file or in a module that it declares for tests.
    pub tested: bool,
    /// Whether it is the root of a crate, or declares modules that have files.
    pub(crate) declares: bool,
    /// Names that its patterns bind, which hide imported names of the same spelling.
    pub(crate) bound: HashSet<String>,
}

/// Index into [`Tree::modules`].
pub(crate) type ModuleId = usize;
/// Index into [`Tree::files`].
pub(crate) type FileId = usize;

/// A module, with a file of its own or inline.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: FileId,
    pub(crate) root: ModuleId,
    pub(crate) parent: Option<ModuleId>,
    /// The folder of the files of its child modules, with a `/` at its end unless it is empty.
    pub(crate) folder: String,
    pub(crate) children: HashMap<String, ModuleId>,
    /// The file that defines each item. That of a macro with `#[macro_export]` is not the root's own.
    pub(crate) items: HashMap<String, FileId>,
    pub(crate) imports: Vec<(String, Vec<String>)>,
    pub(crate) globs: Vec<Vec<String>>,
}

/// A path in the code of a module.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) module: ModuleId,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In a `use` declaration, without or with `pub`.
    Use { public: bool },
    /// In a `use` declaration that ends in `*`.
    Glob { public: bool },
    /// In code.
    Code,
}

impl Tree {
    /// Returns the library's root, if the folder has one.
    pub(crate) fn library_root(&self) -> Option<ModuleId> {
        self.modules.iter().position(|m| m.parent.is_none() && self.files[m.file].path == "lib.rs")
    }

    /// Counts the files directly in each folder.
    #[must_use]
    pub fn folders(&self) -> BTreeMap<String, usize> {
        let mut folders = BTreeMap::new();
        for file in &self.files {
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            *folders.entry(folder.to_owned()).or_default() += 1;
        }
        folders
    }
}
