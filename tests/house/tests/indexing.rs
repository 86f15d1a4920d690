//! The host indexes nothing that comes from outside: an index that is not there, or of another type, is a panic.
//!
//! Reading JSON by a literal key is fine: `value["spec"]` of anything is null. Assigning by it is not: of a text it is a
//! panic. Any other index is written with `get`.

use std::path::Path;

use backstay_house::Source;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr, ExprIndex, ExprLit, Lit, Token};

/// The source folders that read what components, tenants and stored objects say.
const FOLDERS: &[&str] = &["host/core/src", "host/engine/src", "host/src"];

/// Methods that change a value: called on an index, they index mutably.
const CHANGING: &[&str] = &[
    "append",
    "clear",
    "dedup",
    "drain",
    "entry",
    "extend",
    "get_or_insert_with",
    "insert",
    "insert_str",
    "pop",
    "push",
    "push_str",
    "remove",
    "replace",
    "retain",
    "sort",
    "sort_by",
    "swap",
    "take",
    "truncate",
];

#[derive(Default)]
struct Indexing {
    found: Vec<usize>,
}

impl Indexing {
    fn found(&mut self, at: &Expr) {
        self.found.push(at.span().start().line);
    }

    /// Reports an index in a place that is changed.
    fn changed(&mut self, place: &Expr) {
        match place {
            Expr::Index(index) if matches!(&*index.index, Expr::Cast(_)) => {}
            Expr::Index(_) => self.found(place),
            Expr::Field(field) => self.changed(&field.base),
            Expr::Paren(paren) => self.changed(&paren.expr),
            _ => {}
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("test")
            || a.path().is_ident("cfg") && a.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Indexing {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        // The arguments of `format!` and its like.
        if let Ok(arguments) = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            for argument in &arguments {
                let mut inner = Self::default();
                inner.visit_expr(argument);
                self.found.append(&mut inner.found);
            }
        }
    }

    fn visit_expr_index(&mut self, index: &'ast ExprIndex) {
        let sound = match &*index.index {
            Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => true,
            // All of it.
            Expr::Range(range) => range.start.is_none() && range.end.is_none(),
            // A case of an enum of this program.
            Expr::Cast(_) => true,
            _ => false,
        };
        if !sound {
            self.found(&index.expr);
        }
        visit::visit_expr_index(self, index);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        self.changed(&assign.left);
        visit::visit_expr_assign(self, assign);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        use BinOp::{AddAssign, BitAndAssign, BitOrAssign, DivAssign, MulAssign, RemAssign, SubAssign};
        if matches!(
            binary.op,
            AddAssign(_)
                | SubAssign(_)
                | MulAssign(_)
                | DivAssign(_)
                | RemAssign(_)
                | BitAndAssign(_)
                | BitOrAssign(_)
        ) {
            self.changed(&binary.left);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_reference(&mut self, reference: &'ast syn::ExprReference) {
        if reference.mutability.is_some() {
            self.changed(&reference.expr);
        }
        visit::visit_expr_reference(self, reference);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        if name.ends_with("_mut") || CHANGING.contains(&name.as_str()) {
            self.changed(&call.receiver);
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Returns the lines of a file that index other than to read JSON by a literal key.
fn lines(text: &str) -> Vec<usize> {
    let mut indexing = Indexing::default();
    indexing.visit_file(&syn::parse_file(text).expect("it parses"));
    indexing.found.dedup();
    indexing.found
}

#[test]
fn the_host_reads_by_get_and_assigns_by_no_index() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut found, mut files) = (Vec::new(), 0);
    for folder in FOLDERS {
        let source = Source::read(&repo, folder).expect("it can be read").expect("it exists");
        for (path, text) in &source.files {
            if path.ends_with("tests.rs") || path.contains("/tests/") || path.ends_with("stand_in.rs") {
                continue;
            }
            files += 1;
            found.extend(lines(text).into_iter().map(|line| format!("{folder}/{path}:{line}")));
        }
    }
    assert!(files > 100, "{files} files");
    assert!(found.is_empty(), "index with `get`, and assign with `insert`:\n{}", found.join("\n"));
}

#[test]
fn an_index_is_found_where_it_changes_or_may_miss_and_not_in_tests() {
    for (code, found) in [
        (r#"value["spec"]["a"] = 1;"#, true),
        (r#"let a = &mut value["spec"];"#, true),
        (r#"value["n"] += 1;"#, true),
        (r#"value["labels"].as_object_mut();"#, true),
        (r#"value["list"].push(1);"#, true),
        ("list[0];", true),
        ("text[1..];", true),
        ("map[&key];", true),
        ("value[KEY];", true),
        (r#"format!("{}", &text[..2]);"#, true),
        ("let [a, b] = all[..];", false),
        ("let queue = &mut queues[priority as usize];", false),
        (r#"let a = &value["spec"]["a"];"#, false),
        (r#"if value["a"] == 1 {}"#, false),
    ] {
        assert_eq!(!lines(&format!("fn f() {{ {code} }}")).is_empty(), found, "{code}");
    }
    assert!(lines("#[cfg(test)] mod tests { fn f() { list[0]; } }").is_empty());
}
