//! From the files of a source folder to its modules.

use crate::builder::Builder;
use crate::tree::{ModuleId, Tree};
use crate::walk::Walk;
use crate::{HouseError, Source};

impl Tree {
    /// Parses every file that a `mod` declaration leads to from `lib.rs`, `main.rs` or a file in `bin/`.
    ///
    /// # Errors
    /// A file that is not Rust, a declaration without a file, and a file without a declaration.
    pub fn parse(source: &Source) -> Result<Self, HouseError> {
        let mut builder = Builder::new(source);
        while let Some(module) = builder.next() {
            walk(&mut builder, module)?;
        }
        builder.finish()
    }
}

fn walk(builder: &mut Builder<'_>, module: ModuleId) -> Result<(), HouseError> {
    let file = builder.tree.modules[module].file;
    let text = builder.text(file);
    let parsed = syn::parse_file(text).map_err(|cause| HouseError::Parse {
        file: builder.place(file),
        line: cause.span().start().line,
        cause,
    })?;
    let tests = Walk::of_file(builder, module, &parsed)?;
    let is_test = |line: usize| tests.iter().any(|range| range.contains(&line));
    let code = (1..).zip(text.lines()).filter(|(number, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//") && !is_test(*number)
    });
    builder.tree.files[file].code = code.count();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{Source, Tree};

    fn error(files: &[(&str, &str)]) -> String {
        Tree::parse(&Source::of("src", "house", files)).expect_err("the tree has a fault").to_string()
    }

    #[test]
    fn lines_of_code_are_counted_without_blanks_comments_and_tests() {
        let text = "//! Doc.\n\nuse std::fmt;\n\n/// Doc.\nfn f() {\n    // Why.\n    fmt::f();\n}\n\n\
            #[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        let tree = Tree::parse(&Source::of("src", "house", &[("lib.rs", text)])).expect("the tree is parsed");
        assert_eq!((tree.files[0].code, tree.lines, tree.files[0].tested), (4, 14, true));
    }

    #[test]
    fn a_tree_that_does_not_hold_together_is_an_error_with_its_place() {
        assert_eq!(error(&[("lib.rs", "\nmod a;")]), "src/lib.rs:2: `mod a` has no file");
        assert_eq!(
            error(&[("lib.rs", ""), ("a.rs", "")]),
            "src/a.rs: no `mod` declaration leads to this file"
        );
        assert!(error(&[("lib.rs", "\nfn 1() {}")]).starts_with("src/lib.rs:2: not parsed: "));
    }
}
