//! Resolution of the paths in a file to the files that define their items.

use std::collections::{BTreeMap, HashSet};

use crate::tree::{FileId, Kind, Mention, ModuleId, Tree};

/// One file names an item of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file with the path.
    pub from: String,
    /// The file that defines the item.
    pub to: String,
    /// The first line of `from` that has such a path.
    pub line: usize,
    /// The path.
    pub path: String,
}

/// The meaning of a name: a module, an item, or one of each.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    module: Option<ModuleId>,
    item: Option<FileId>,
}

impl Named {
    fn is_nothing(self) -> bool {
        self.module.is_none() && self.item.is_none()
    }

    fn or(self, other: Self) -> Self {
        Self { module: self.module.or(other.module), item: self.item.or(other.item) }
    }
}

/// Names that are being looked up, so that imports which name each other do not loop.
type Seen = HashSet<(ModuleId, String)>;

impl Tree {
    /// Returns the arrows between the files of this tree, sorted, one for each pair of files.
    #[must_use]
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows: BTreeMap<(FileId, FileId), (usize, String)> = BTreeMap::new();
        for mention in &self.mentions {
            let from = self.modules[mention.module].file;
            if let Some(to) = self.target(mention).filter(|to| *to != from) {
                let found = (mention.line, mention.path.join("::"));
                let arrow = arrows.entry((from, to)).or_insert_with(|| found.clone());
                *arrow = found.min(arrow.clone());
            }
        }
        let path = |file: FileId| self.files[file].path.clone();
        let mut arrows: Vec<Arrow> = arrows
            .into_iter()
            .map(|((from, to), (line, named))| Arrow { from: path(from), to: path(to), line, path: named })
            .collect();
        arrows.sort();
        arrows
    }

    /// Counts in each file the functions that take the type `name` of `file`, by value, by reference or in an `Arc`.
    #[must_use]
    pub fn functions_with(&self, name: &str, file: &str) -> BTreeMap<&str, usize> {
        let mut functions = BTreeMap::new();
        for (module, types) in &self.signatures {
            let takes =
                types.iter().filter(|path| path.last().is_some_and(|last| last == name)).any(|path| {
                    let item = self.resolve(*module, path, &mut Seen::new()).item;
                    item.is_some_and(|item| self.files[item].path == file)
                });
            if takes {
                let path = self.files[self.modules[*module].file].path.as_str();
                *functions.entry(path).or_default() += 1;
            }
        }
        functions
    }

    /// Returns the file that defines the mentioned item, if the item is of this tree.
    fn target(&self, mention: &Mention) -> Option<FileId> {
        let Mention { module, path, kind, .. } = mention;
        let file = &self.files[self.modules[*module].file];
        // A re-export is no arrow: the files that use the re-exported name have one.
        let passes_on = |public: bool| public && file.declares;
        let named = || self.resolve(*module, path, &mut Seen::new());
        match kind {
            Kind::Use { public } | Kind::Glob { public } if passes_on(*public) => None,
            Kind::Use { .. } => named().item,
            Kind::Glob { .. } => {
                let named = named();
                named.item.or_else(|| {
                    let module = &self.modules[named.module?];
                    (!module.items.is_empty()).then_some(module.file)
                })
            }
            Kind::Code if path.len() == 1 && file.bound.contains(&path[0]) => None,
            Kind::Code => named().item,
        }
    }

    /// Resolves `path` in the code of `module`.
    fn resolve(&self, module: ModuleId, path: &[String], seen: &mut Seen) -> Named {
        let of = |module| Named { module: Some(module), item: None };
        let mut rest = path.iter();
        let Some(first) = rest.next() else { return of(module) };
        let is_library = |root: ModuleId| *first == self.library && self.modules[module].root != root;
        let mut named = match first.as_str() {
            "crate" => of(self.modules[module].root),
            "self" => of(module),
            "super" => self.modules[module].parent.map(of).unwrap_or_default(),
            _ => match self.library_root().filter(|root| is_library(*root)) {
                Some(root) => of(root),
                None => self.lookup(module, first, seen),
            },
        };
        for segment in rest {
            // The segments after an item are its variants and associated items.
            let Some(module) = named.module else { break };
            named = match segment.as_str() {
                "super" => self.modules[module].parent.map(of).unwrap_or_default(),
                "self" => named,
                segment => {
                    let found = self.lookup(module, segment, seen);
                    // A macro in the module makes the names that are not found.
                    let made = Named { module: None, item: Some(self.modules[module].file) };
                    if found.is_nothing() { made } else { found }
                }
            };
        }
        named
    }

    /// Looks up `name` in `module`: among its own names, its imports and its glob imports.
    fn lookup(&self, module: ModuleId, name: &str, seen: &mut Seen) -> Named {
        let of = &self.modules[module];
        let own = Named { module: of.children.get(name).copied(), item: of.items.get(name).copied() };
        if !seen.insert((module, name.to_owned())) {
            return own;
        }
        let imported = of.imports.iter().filter(|(bound, _)| bound == name);
        let named = imported.fold(own, |named, (_, path)| named.or(self.resolve(module, path, seen)));
        if !named.is_nothing() {
            return named;
        }
        of.globs.iter().fold(named, |named, path| {
            let from = self.resolve(module, path, seen).module;
            named.or(from.map(|from| self.lookup(from, name, seen)).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Source, Tree};

    /// The arrows of a library `house` with these files, as `from:line to`.
    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let tree = Tree::parse(&Source::of("src", "house", files)).expect("the tree is parsed");
        tree.arrows().iter().map(|arrow| format!("{}:{} {}", arrow.from, arrow.line, arrow.to)).collect()
    }

    #[test]
    fn a_use_names_the_file_of_an_item_through_groups_and_renames() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;"),
            ("a.rs", "use crate::{b::B as Other, c};\nfn f(_: Other, _: c::C) {}"),
            ("b.rs", "pub struct B;"),
            ("c.rs", "pub struct C;"),
        ];
        assert_eq!(arrows(&files), ["a.rs:1 b.rs", "a.rs:2 c.rs"]);
    }

    #[test]
    fn a_module_that_is_imported_and_not_used_is_no_arrow() {
        let files = [("lib.rs", "mod a;\nmod b;"), ("a.rs", "use crate::b;"), ("b.rs", "pub struct B;")];
        assert!(arrows(&files).is_empty());
    }

    #[test]
    fn inline_paths_are_followed_from_the_crate_the_module_and_its_parents() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a/mod.rs", "mod deep;\npub fn up() {}"),
            ("a/deep/mod.rs", "mod deeper;\n\nfn f() {\n    self::deeper::g();\n    super::up();\n}"),
            ("a/deep/deeper.rs", "pub fn g() {\n    super::super::super::b::h();\n    super::super::up()\n}"),
            ("b.rs", "pub fn h() {}"),
        ];
        let expected = [
            "a/deep/deeper.rs:3 a/mod.rs",
            "a/deep/deeper.rs:2 b.rs",
            "a/deep/mod.rs:4 a/deep/deeper.rs",
            "a/deep/mod.rs:5 a/mod.rs",
        ];
        assert_eq!(arrows(&files), expected);
    }

    #[test]
    fn a_reexport_is_no_arrow_and_is_followed_to_the_file_of_the_item() {
        let files = [
            ("lib.rs", "mod run;\nmod user;\npub use run::Run;"),
            (
                "run/mod.rs",
                "mod object;\nmod flow;\npub(crate) use object::Run;\npub(crate) use self::flow::flow;",
            ),
            ("run/object.rs", "pub struct Run;"),
            ("run/flow.rs", "pub fn flow() {}"),
            ("user.rs", "use crate::Run;\nfn f(_: Run) {\n    crate::run::flow()\n}"),
        ];
        assert_eq!(arrows(&files), ["user.rs:3 run/flow.rs", "user.rs:1 run/object.rs"]);
    }

    #[test]
    fn a_file_that_uses_what_it_reexports_has_an_arrow() {
        let files = [
            ("lib.rs", "mod run;"),
            ("run/mod.rs", "mod object;\npub(crate) use object::Run;\n\nfn f(_: Run) {}"),
            ("run/object.rs", "pub struct Run;"),
        ];
        assert_eq!(arrows(&files), ["run/mod.rs:4 run/object.rs"]);
    }

    #[test]
    fn a_reexport_of_a_file_without_modules_is_an_arrow() {
        let files =
            [("lib.rs", "mod a;\nmod b;"), ("a.rs", "pub use crate::b::B;"), ("b.rs", "pub struct B;")];
        assert_eq!(arrows(&files), ["a.rs:1 b.rs"]);
    }

    #[test]
    fn a_glob_names_the_items_of_a_module_and_those_that_it_passes_on() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod prelude;"),
            ("a.rs", "use crate::b::*;\nuse crate::prelude::*;\n\nfn f(_: Held) {}"),
            ("b.rs", "pub struct B;"),
            ("prelude/mod.rs", "mod held;\npub use held::Held;"),
            ("prelude/held.rs", "pub struct Held;"),
        ];
        assert_eq!(arrows(&files), ["a.rs:1 b.rs", "a.rs:4 prelude/held.rs"]);
    }

    #[test]
    fn code_for_tests_has_no_arrows_and_its_files_are_left_out() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            (
                "a.rs",
                "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse crate::b::B;\n\
                 impl A {\n    #[cfg(test)]\n    fn f(_: crate::b::B) {}\n}\n\
                 #[cfg(all(test, unix))]\nfn g(_: crate::b::B) {}\nstruct A;",
            ),
            ("a/tests.rs", "use crate::b::B;\nmod more;"),
            ("a/tests/more.rs", "use crate::b::B;"),
            ("b.rs", "pub struct B;\n#[cfg(not(test))]\nfn f(_: crate::a::A) {}"),
        ];
        assert_eq!(arrows(&files), ["b.rs:3 a.rs"]);
        let tree = Tree::parse(&Source::of("src", "house", &files)).expect("the tree is parsed");
        let tested: Vec<(&str, bool)> = tree.files.iter().map(|f| (f.path.as_str(), f.tested)).collect();
        assert_eq!(tested, [("lib.rs", false), ("a.rs", true), ("b.rs", false)]);
    }

    #[test]
    fn macros_and_attributes_are_read() {
        let files = [
            ("lib.rs", "#[macro_use]\nmod a;\nmod b;\nmod c;\nmod d;"),
            ("a.rs", "#[macro_export]\nmacro_rules! make {\n    () => { $crate::b::B };\n}"),
            ("b.rs", "pub struct B;"),
            ("c.rs", "pub fn g() {}\npub fn with() {}"),
            ("d.rs", "use crate::c;\nfn f() {\n    crate::make!();\n    assert!(c::g() == 1);\n}"),
        ];
        assert_eq!(arrows(&files), ["a.rs:3 b.rs", "d.rs:3 a.rs", "d.rs:4 c.rs"]);
        let files = [
            ("lib.rs", "mod a;\nmod c;"),
            ("a.rs", "struct A {\n    #[serde(with = \"crate::c::with\")]\n    b: u8,\n}"),
            ("c.rs", "pub mod with {}\npub fn with() {}"),
        ];
        assert_eq!(arrows(&files), ["a.rs:2 c.rs"]);
    }

    #[test]
    fn what_a_macro_makes_in_a_module_is_of_its_file() {
        let files = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "use super::b::made::Thing;"),
            ("b.rs", "pub mod made {\n    generate!();\n}"),
        ];
        assert_eq!(arrows(&files), ["a.rs:1 b.rs"]);
    }

    #[test]
    fn a_program_names_the_library_by_its_name() {
        let files = [
            ("lib.rs", "pub mod cli;"),
            ("cli.rs", "pub struct Cli;"),
            ("main.rs", "fn main() {\n    house::cli::Cli;\n}"),
            ("bin/other.rs", "use house::cli::Cli;\nfn main() {}"),
        ];
        assert_eq!(arrows(&files), ["bin/other.rs:1 cli.rs", "main.rs:2 cli.rs"]);
    }

    #[test]
    fn a_variable_hides_a_function_of_its_name() {
        let files = [
            ("lib.rs", "mod a;\npub use a::parse;\n\nfn f(parse: u8) -> u8 {\n    parse\n}"),
            ("a.rs", "pub fn parse() {}"),
        ];
        assert!(arrows(&files).is_empty());
    }

    #[test]
    fn functions_with_a_type_are_counted_through_references_and_arcs() {
        let files = [
            ("lib.rs", "mod context;\nmod a;"),
            ("context.rs", "pub struct Context;\nimpl Context {\n    fn own(&self) {}\n}"),
            (
                "a.rs",
                "use crate::context::Context;\nfn a(_: &Context) {}\nfn b(_: &std::sync::Arc<Context>) {}\n\
                 fn c(_: Arc<Context>, _: u8) {}\nfn d(_: &mut std::task::Context<'_>) {}",
            ),
        ];
        let tree = Tree::parse(&Source::of("src", "house", &files)).expect("the tree is parsed");
        assert_eq!(
            tree.functions_with("Context", "context.rs").into_iter().collect::<Vec<_>>(),
            [("a.rs", 3)]
        );
    }
}
