//! A tree of modules that grows with each `mod` declaration.

use std::collections::{HashMap, HashSet};

use crate::tree::{File, FileId, Module, ModuleId, Tree};
use crate::{HouseError, Source};

/// A [`Tree`] that is being parsed.
pub(crate) struct Builder<'s> {
    source: &'s Source,
    pub(crate) tree: Tree,
    queue: Vec<ModuleId>,
    /// Files of modules that are declared under `#[cfg(test)]`.
    for_tests: HashSet<String>,
}

impl<'s> Builder<'s> {
    /// Begins with the roots of the crates: `lib.rs`, `main.rs` and the files in `bin/`.
    pub(crate) fn new(source: &'s Source) -> Self {
        let tree = Tree {
            name: source.name.clone(),
            files: Vec::new(),
            lines: source.files.values().map(|text| text.lines().count()).sum(),
            library: source.library.clone(),
            modules: Vec::new(),
            mentions: Vec::new(),
            signatures: Vec::new(),
        };
        let mut builder = Self { source, tree, queue: Vec::new(), for_tests: HashSet::new() };
        for path in source.files.keys() {
            let program = path.strip_prefix("bin/").is_some_and(|rest| !rest.contains('/'));
            if program || path == "lib.rs" || path == "main.rs" {
                let folder = if program { "bin/" } else { "" };
                builder.add(path, folder.to_owned(), None);
            }
        }
        builder
    }

    /// Takes a module whose file has not been walked yet.
    pub(crate) fn next(&mut self) -> Option<ModuleId> {
        self.queue.pop()
    }

    /// Returns the text of a file.
    pub(crate) fn text(&self, file: FileId) -> &'s str {
        &self.source.files[&self.tree.files[file].path]
    }

    /// Adds a module with the file `path`, to be walked later.
    fn add(&mut self, path: &str, folder: String, parent: Option<ModuleId>) -> ModuleId {
        let file = self.tree.files.len();
        self.tree.files.push(File {
            path: path.to_owned(),
            code: 0,
            tested: false,
            declares: parent.is_none(),
            bound: HashSet::new(),
        });
        let module = self.insert(file, folder, parent);
        self.queue.push(module);
        module
    }

    fn insert(&mut self, file: FileId, folder: String, parent: Option<ModuleId>) -> ModuleId {
        let id = self.tree.modules.len();
        self.tree.modules.push(Module {
            file,
            root: parent.map_or(id, |parent| self.tree.modules[parent].root),
            parent,
            folder,
            children: HashMap::new(),
            items: HashMap::new(),
            imports: Vec::new(),
            globs: Vec::new(),
        });
        id
    }

    /// Adds the inline module `name` of `parent`.
    pub(crate) fn add_inline(&mut self, parent: ModuleId, name: &str) -> ModuleId {
        let (file, folder) = {
            let parent = &self.tree.modules[parent];
            (parent.file, format!("{}{name}/", parent.folder))
        };
        let module = self.insert(file, folder, Some(parent));
        self.tree.modules[parent].children.insert(name.to_owned(), module);
        module
    }

    /// Adds the module that `mod name;` declares in `parent`, or notes its file as one of tests.
    pub(crate) fn declare(
        &mut self,
        parent: ModuleId,
        name: &str,
        line: usize,
        test: bool,
    ) -> Result<(), HouseError> {
        let Module { file, folder, .. } = &self.tree.modules[parent];
        let (file, folder) = (*file, format!("{folder}{name}/"));
        let candidates = [format!("{}.rs", folder.trim_end_matches('/')), format!("{folder}mod.rs")];
        let Some(path) = candidates.into_iter().find(|path| self.source.files.contains_key(path)) else {
            return Err(HouseError::NoFile { file: self.place(file), line, name: name.to_owned() });
        };
        if test {
            self.for_tests.insert(path);
            return Ok(());
        }
        self.tree.files[file].declares = true;
        let module = self.add(&path, folder, Some(parent));
        self.tree.modules[parent].children.insert(name.to_owned(), module);
        Ok(())
    }

    /// Returns the path of a file from the root of the repository.
    pub(crate) fn place(&self, file: FileId) -> String {
        format!("{}/{}", self.source.name, self.tree.files[file].path)
    }

    /// Returns the tree, once every module has been walked.
    pub(crate) fn finish(self) -> Result<Tree, HouseError> {
        let known: HashSet<&str> = self.tree.files.iter().map(|file| file.path.as_str()).collect();
        // The modules of a test module are in the folder of its name.
        let of_tests = |path: &str| {
            self.for_tests.iter().any(|test| {
                let folder = test.strip_suffix("mod.rs").or_else(|| test.strip_suffix(".rs"));
                path == test
                    || folder
                        .is_some_and(|folder| path.starts_with(&format!("{}/", folder.trim_end_matches('/'))))
            })
        };
        match self.source.files.keys().find(|path| !known.contains(path.as_str()) && !of_tests(path)) {
            Some(path) => Err(HouseError::Orphan { file: format!("{}/{path}", self.source.name) }),
            None => Ok(self.tree),
        }
    }
}
