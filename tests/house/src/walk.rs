//! The paths that a file mentions.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericArgument, ImplItem, Item, ItemMod, ItemUse, Macro, Meta, PatIdent, Path,
    PathArguments, Signature, TraitItem, Type, UseTree, Visibility,
};

use crate::HouseError;
use crate::builder::Builder;
use crate::tree::{Kind, Mention, ModuleId};

/// Collects the modules, items and mentions of one file.
pub(crate) struct Walk<'b, 's> {
    builder: &'b mut Builder<'s>,
    module: ModuleId,
    /// How many items of other kinds than modules surround the place.
    nested: usize,
    /// Lines of code under `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
    error: Option<HouseError>,
}

impl<'b, 's> Walk<'b, 's> {
    /// Walks the file of `module`, and returns the lines under `#[cfg(test)]`.
    pub(crate) fn of_file(
        builder: &'b mut Builder<'s>,
        module: ModuleId,
        file: &syn::File,
    ) -> Result<Vec<RangeInclusive<usize>>, HouseError> {
        let mut walk = Self { builder, module, nested: 0, tests: Vec::new(), error: None };
        walk.visit_file(file);
        walk.error.map_or(Ok(walk.tests), Err)
    }

    fn mention(&mut self, path: Vec<String>, line: usize, kind: Kind) {
        self.builder.tree.mentions.push(Mention { module: self.module, path, line, kind });
    }

    /// Notes the lines of an item under `#[cfg(test)]`. Returns whether it is one.
    fn is_test(&mut self, attributes: &[Attribute], item: &impl syn::spanned::Spanned) -> bool {
        let test = attributes.iter().any(needs_test);
        if test {
            let span = item.span();
            self.tests.push(span.start().line..=span.end().line);
        }
        test
    }

    fn visit_module(&mut self, item: &ItemMod, test: bool) {
        let (name, line) = (unraw(&item.ident), item.ident.span().start().line);
        match &item.content {
            _ if test => {
                let file = self.builder.tree.modules[self.module].file;
                self.builder.tree.files[file].tested = true;
                if item.content.is_none() {
                    self.declare(&name, line, true);
                }
            }
            None => self.declare(&name, line, false),
            Some((_, items)) => {
                let outer = self.module;
                self.module = self.builder.add_inline(outer, &name);
                items.iter().for_each(|item| self.visit_item(item));
                self.module = outer;
            }
        }
    }

    fn declare(&mut self, name: &str, line: usize, test: bool) {
        let declared = self.builder.declare(self.module, name, line, test);
        self.error = self.error.take().or(declared.err());
    }

    fn visit_use(&mut self, item: &ItemUse) {
        // `use ::name` names another crate.
        if item.leading_colon.is_none() {
            let public = !matches!(item.vis, Visibility::Inherited);
            self.visit_tree(&item.tree, Vec::new(), public);
        }
    }

    fn visit_tree(&mut self, tree: &UseTree, mut path: Vec<String>, public: bool) {
        let line = tree.span().start().line;
        let (name, alias) = match tree {
            UseTree::Path(part) => {
                path.push(unraw(&part.ident));
                return self.visit_tree(&part.tree, path, public);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.visit_tree(tree, path.clone(), public));
            }
            UseTree::Glob(_) => {
                self.builder.tree.modules[self.module].globs.push(path.clone());
                return self.mention(path, line, Kind::Glob { public });
            }
            UseTree::Name(name) => (unraw(&name.ident), None),
            UseTree::Rename(rename) => (unraw(&rename.ident), Some(unraw(&rename.rename))),
        };
        if name != "self" {
            path.push(name);
        }
        if let Some(bound) = alias.or_else(|| path.last().cloned()) {
            self.builder.tree.modules[self.module].imports.push((bound, path.clone()));
        }
        self.mention(path, line, Kind::Use { public });
    }

    /// Mentions everything in `tokens` that reads like a path.
    fn visit_tokens(&mut self, tokens: TokenStream, in_attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let punct =
            |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.visit_tokens(group.stream(), in_attribute),
                TokenTree::Literal(literal) if in_attribute => self.visit_literal(literal),
                TokenTree::Ident(first) => {
                    let from = at;
                    let mut path = vec![unraw(first)];
                    while punct(at + 1, ':') && punct(at + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else { break };
                        path.push(unraw(next));
                        at += 3;
                    }
                    let line = first.span().start().line;
                    let before = |c| from > 0 && punct(from - 1, c);
                    let is_call = matches!(tokens.get(at + 1), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
                    let is_name = path.len() > 1 || is_call || path[0].starts_with(char::is_uppercase);
                    let is_variable = before('.') || before('\'') || (before('$') && path[0] != "crate");
                    if is_name && !is_variable {
                        self.mention(path, line, Kind::Code);
                    }
                }
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
            }
            at += 1;
        }
    }

    /// Mentions the path in a string such as that of `#[serde(with = "…")]`.
    fn visit_literal(&mut self, literal: &proc_macro2::Literal) {
        let text = literal.to_string();
        let text = text.trim_matches('"');
        if let Ok(path) = syn::parse_str::<Path>(text) {
            self.mention(segments(&path), literal.span().start().line, Kind::Code);
        }
    }
}

impl Visit<'_> for Walk<'_, '_> {
    fn visit_item(&mut self, item: &Item) {
        let test = self.is_test(attributes(item), item);
        match item {
            Item::Mod(module) => self.visit_module(module, test),
            _ if test => {}
            Item::Use(item) => self.visit_use(item),
            item => {
                if let Some(name) = name(item).filter(|_| self.nested == 0) {
                    let module = &self.builder.tree.modules[self.module];
                    let (file, root) = (module.file, module.root);
                    let exported = matches!(item, Item::Macro(m) if m.attrs.iter().any(|a| a.path().is_ident("macro_export")));
                    let of = if exported { root } else { self.module };
                    self.builder.tree.modules[of].items.insert(name, file);
                }
                self.nested += 1;
                visit::visit_item(self, item);
                self.nested -= 1;
            }
        }
    }

    fn visit_impl_item(&mut self, item: &ImplItem) {
        let attributes = match item {
            ImplItem::Const(i) => &i.attrs,
            ImplItem::Fn(i) => &i.attrs,
            ImplItem::Type(i) => &i.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !self.is_test(attributes, item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &TraitItem) {
        let attributes = match item {
            TraitItem::Const(i) => &i.attrs,
            TraitItem::Fn(i) => &i.attrs,
            TraitItem::Type(i) => &i.attrs,
            _ => return visit::visit_trait_item(self, item),
        };
        if !self.is_test(attributes, item) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &Path) {
        if path.leading_colon.is_none() {
            self.mention(segments(path), path.span().start().line, Kind::Code);
        }
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pattern: &PatIdent) {
        let name = unraw(&pattern.ident);
        if name.starts_with(char::is_uppercase) {
            // A constant or a variant, which a pattern does not bind.
            self.mention(vec![name], pattern.ident.span().start().line, Kind::Code);
        } else {
            let file = self.builder.tree.modules[self.module].file;
            self.builder.tree.files[file].bound.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_signature(&mut self, signature: &Signature) {
        let types = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(input) => plain(&input.ty),
            _ => None,
        });
        let types: Vec<Vec<String>> = types.map(segments).collect();
        self.builder.tree.signatures.push((self.module, types));
        visit::visit_signature(self, signature);
    }

    fn visit_macro(&mut self, invoked: &Macro) {
        // A macro without a path comes from a `use` declaration, or from the text above.
        if invoked.path.segments.len() > 1 {
            self.visit_path(&invoked.path);
        }
        self.visit_tokens(invoked.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.visit_tokens(list.tokens.clone(), true);
        }
    }

    fn visit_visibility(&mut self, _: &Visibility) {}
}

/// The path of a type, without references and `Arc`.
fn plain(ty: &Type) -> Option<&Path> {
    match ty {
        Type::Reference(reference) => plain(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(&path.path) };
            match arguments.args.first() {
                Some(GenericArgument::Type(inner)) if last.ident == "Arc" => plain(inner),
                _ => Some(&path.path),
            }
        }
        _ => None,
    }
}

/// Whether an attribute is `#[cfg(test)]`, or a `cfg` that needs `test` among others.
fn needs_test(attribute: &Attribute) -> bool {
    fn needs(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
                .is_ok_and(|all| all.iter().any(needs)),
            _ => false,
        }
    }
    attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs(&meta))
}

fn segments(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| unraw(&segment.ident)).collect()
}

fn unraw(ident: &proc_macro2::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or_else(|| text.clone(), str::to_owned)
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(i) => &i.ident,
        Item::Enum(i) => &i.ident,
        Item::Fn(i) => &i.sig.ident,
        Item::Macro(i) => i.ident.as_ref()?,
        Item::Static(i) => &i.ident,
        Item::Struct(i) => &i.ident,
        Item::Trait(i) => &i.ident,
        Item::TraitAlias(i) => &i.ident,
        Item::Type(i) => &i.ident,
        Item::Union(i) => &i.ident,
        _ => return None,
    };
    Some(unraw(ident))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::ExternCrate(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::ForeignMod(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::TraitAlias(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}
