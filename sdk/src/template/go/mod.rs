//! Go templates: the language of `text/template` with the functions of slim-sprig, including Go's types. It is no
//! dependency, because the value types of the available crates cannot express the differences on which the output of
//! existing strategies depends: `int` and `int64`, maps of strings and of any values, missing and null, and strings
//! that are bytes.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::context::Context;
use super::meter::Meter;
use super::outcome::{Flawed, Gap, Place, Stray, Text};
use super::roots::Roots;
use crate::Mode;
use value::{Map, Value};

mod ast;
mod commands;
mod eval;
mod exec;
mod float;
mod funcs;
mod json;
mod layout;
mod lexer;
mod number;
mod parser;
mod pattern;
mod printer;
mod printf;
mod quote;
mod roots;
mod sink;
mod time;
mod value;

/// The remedy for braces that are not meant for the template.
const ESCAPE: &str =
    "; braces that are not a template are written {{ \"{{\" }}, a text with several {{ `...` }}";

/// The key of the live object, of which most templates see nothing.
const APPLICATION: &str = "Application";

/// The context as Go values.
pub(super) struct Data<'a> {
    root: Rc<Map>,
    /// The application, and what templates have seen of it: that much is in the context.
    application: Option<&'a serde_json::Value>,
    seen: Rc<Map>,
    roots: Roots,
    now: i64,
}

impl<'a> Data<'a> {
    pub(super) fn new(context: &'a Context<'_>) -> Self {
        let texts = |entries: &[(&str, &str)]| {
            let entries = entries.iter().map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()));
            Value::texts(entries)
        };
        let any = |entries: Vec<(&str, Value)>| {
            Value::map(entries.into_iter().map(|(key, value)| (key.as_bytes().into(), value)))
        };
        let own = context.own.iter();
        let mut root: Vec<_> = own.map(|(key, text)| (key.as_str(), Value::str(text))).collect();
        root.push(("Parameters", parameters(context)));
        root.extend(context.release.iter().map(|release| {
            ("Release", texts(&[("Name", &release.name), ("Namespace", &release.namespace)]))
        }));
        root.extend(context.mode.iter().map(|mode| ("Mode", Value::str(mode.as_str()))));
        root.extend(context.backup.iter().map(|backup| {
            let kind = &backup.application;
            let source =
                [("APIGroup", &*kind.group), ("Kind", &*kind.kind), ("Name", &*backup.application_name)];
            let metadata: Vec<_> = backup.metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
            let mut known = vec![
                ("Name", Value::str(&backup.name.name)),
                ("Namespace", Value::str(&backup.name.namespace)),
                ("ApplicationRef", texts(&source)),
                ("Metadata", texts(&metadata)),
            ];
            known.extend(backup.artifact_json().map(|artifact| ("Artifact", Value::from_json(&artifact))));
            ("Backup", any(known))
        }));
        let root = root.into_iter().map(|(key, value)| (key.as_bytes().into(), value));
        Self {
            root: Rc::new(Map::of(root)),
            application: context.application.as_deref(),
            seen: Rc::default(),
            roots: context.roots(),
            now: context.started_at,
        }
    }

    /// Returns the context for a template.
    fn root(&self, tree: &ast::Tree<'_>) -> Value {
        let sight = &tree.application;
        if let Some(application) = self.application.filter(|_| sight.whole || !sight.fields.is_empty()) {
            self.show(application, sight);
        }
        let root = Value::Map(Rc::clone(&self.root));
        if tree.mutates { root.deep_copy() } else { root }
    }
}

impl Data<'_> {
    /// Puts what a template can see of the application into the context. It may be large, and most templates see a field or two.
    fn show(&self, application: &serde_json::Value, sight: &ast::Sight<'_>) {
        let value = match application.as_object() {
            None => Value::from_json(application),
            Some(fields) => {
                let mut seen = self.seen.entries.borrow_mut();
                let mut see = |name: &str, value: &serde_json::Value| {
                    if !seen.contains_key(name.as_bytes()) {
                        seen.insert(name.as_bytes().into(), Value::from_json(value));
                    }
                };
                if sight.whole {
                    fields.iter().for_each(|(name, value)| see(name, value));
                }
                for name in &sight.fields {
                    if let Some(value) = fields.get(*name) {
                        see(name, value);
                    }
                }
                Value::Map(Rc::clone(&self.seen))
            }
        };
        self.root.entries.borrow_mut().insert(APPLICATION.as_bytes().into(), value);
    }
}

/// The Go implementation has no map at all if a backup class entry has no parameters. Only JSON and `eq` show the
/// difference.
fn parameters(context: &Context<'_>) -> Value {
    if context.parameters.is_empty() && context.mode == Some(Mode::Backup) {
        return Value::Texts(value::Texts { nil: true, entries: BTreeMap::new() }.into());
    }
    let entries = context.parameters.iter();
    Value::texts(entries.map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into())))
}

/// Parses one string without executing it, and returns the keys at the top that no context has.
pub(super) fn check(source: &str, data: &Data<'_>, meter: &Meter) -> Result<Vec<Stray>, Flawed> {
    let tree = parsed(source, meter)?;
    let found = roots::unknown(&tree, &data.roots);
    Ok(found.into_iter().map(|(at, name)| stray(source, at, name, data)).collect())
}

fn stray(source: &str, at: usize, name: &str, data: &Data<'_>) -> Stray {
    let complaint = data.roots.complaint(name, ".", ESCAPE);
    Stray { place: Place::of(source, at), key: format!(".{name}"), complaint }
}

fn parsed<'s>(source: &'s str, meter: &Meter) -> Result<ast::Tree<'s>, Flawed> {
    let flawed = |remedy| {
        move |flaw: lexer::Flaw| Flawed { place: Place::of(source, flaw.at), cause: flaw.cause, remedy }
    };
    meter.spend(source.len() as u64 / 16 + 1).map_err(|cause| flawed("")(lexer::Flaw { at: 0, cause }))?;
    parser::parse(source, meter.bounds().depth).map_err(flawed(ESCAPE))
}

/// Renders one string with its own copy of the context.
pub(super) fn render(source: &str, data: &Data<'_>, meter: &Meter) -> Result<Text, Flawed> {
    let tree = parsed(source, meter)?;
    let output = exec::execute(&tree, data.root(&tree), &data.roots, data.now, meter).map_err(
        |flaw: lexer::Flaw| Flawed { place: Place::of(source, flaw.at), cause: flaw.cause, remedy: "" },
    )?;
    let gaps = output.without_value.iter();
    let mut strays = output.strays;
    strays.sort_unstable();
    strays.dedup();
    Ok(Text {
        strays: strays.into_iter().map(|(at, name)| stray(source, at, &name, data)).collect(),
        text: quote::into_text(output.bytes),
        gaps: gaps
            .map(|(start, end)| Gap {
                place: Place::of(source, *start),
                action: source[*start..*end].trim().into(),
            })
            .collect(),
    })
}
