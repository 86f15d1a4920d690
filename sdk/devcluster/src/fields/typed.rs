//! Values by their schema: whether they fit, which fields they hold, and what of them is left when fields are taken away.

use serde_json::{Map, Value};

use super::{
    set::{Element, Set},
    shape::{Fields, List, Scalar, Shape},
};
use crate::schema::{Path, go};

/// Checks that a value fits.
///
/// # Errors
///
/// Returns each fault with its path, in the words of the API server; they name Go's types, as it does.
pub(super) fn check(shape: Shape, value: &Value, duplicates: bool) -> Result<(), String> {
    let mut faults = Vec::new();
    Checker { duplicates, faults: &mut faults }.value(shape, value, Path::ROOT);
    match faults.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

struct Checker<'a> {
    duplicates: bool,
    faults: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn fault(&mut self, path: Path<'_>, words: impl AsRef<str>) {
        let before = if path.is_empty() { String::new() } else { format!("{path}: ") };
        self.faults.push(format!("{before}{}", words.as_ref()));
    }

    fn value(&mut self, shape: Shape, value: &Value, path: Path<'_>) {
        let forms = shape.forms().of(Some(value));
        match (forms.map, forms.scalar, forms.list) {
            (Some(map), _, _) => self.map(&map, value, path),
            (_, Some(scalar), _) => {
                if let Some(words) = unfit(scalar, value) {
                    self.fault(path, words);
                }
            }
            (_, _, Some(list)) => self.list(&list, value, path),
            _ => {}
        }
    }

    fn map(&mut self, map: &Fields, value: &Value, path: Path<'_>) {
        let entries = match value {
            Value::Object(entries) => entries,
            Value::Null => return,
            other => return self.fault(path, format!("expected map, got &{{{}}}", plain(other))),
        };
        for (name, value) in entries {
            let path = Path::Entry(&path, name);
            match map.entry(name) {
                Shape::Nothing => return self.fault(path, "field not declared in schema"),
                shape => self.value(shape, value, path),
            }
        }
    }

    fn list(&mut self, list: &List, value: &Value, path: Path<'_>) {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            other => return self.fault(path, format!("expected list, got &{{{}}}", plain(other))),
        };
        let mut seen = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if list.whole() {
                self.value(list.items, item, path.item(index));
                continue;
            }
            match list.element(item) {
                Ok(element) => {
                    if !self.duplicates && seen.contains(&element) {
                        self.fault(path, format!("duplicate entries for key {element}"));
                    }
                    self.value(list.items, item, Path::Then(&path, &element));
                    seen.push(element);
                }
                Err(words) => return self.fault(path, format!("element {index}: {words}")),
            }
        }
    }
}

/// Returns why a scalar does not fit.
pub(super) fn unfit(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null)
        | (Scalar::Number, Value::Number(_))
        | (Scalar::String, Value::String(_))
        | (Scalar::Boolean, Value::Bool(_))
        | (Scalar::Any, Value::Number(_) | Value::String(_) | Value::Bool(_)) => None,
        (Scalar::Number, value) => Some(format!("expected numeric (int or float), got {}", type_name(value))),
        (Scalar::String, value) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", syntax(value)))
        }
        (Scalar::Boolean, value) => Some(format!("expected boolean, got &{{{}}}", plain(value))),
        (Scalar::Any, value) => Some(format!("expected any scalar, got &{{{}}}", plain(value))),
    }
}

/// What `%T` prints.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn entries(map: &Map<String, Value>, print: impl Fn(&String, &Value) -> String, between: &str) -> String {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(name, _)| *name);
    entries.into_iter().map(|(name, value)| print(name, value)).collect::<Vec<_>>().join(between)
}

/// What `%v` prints.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            format!("map[{}]", entries(map, |name, value| format!("{name}:{}", plain(value)), " "))
        }
        other => number(other),
    }
}

/// What both print of a number or a boolean.
fn number(value: &Value) -> String {
    value.as_f64().filter(|_| value.is_f64()).map_or_else(|| value.to_string(), go::float)
}

/// What `%#v` prints.
fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => go::quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            format!(
                "map[string]interface {{}}{{{}}}",
                entries(map, |name, value| format!("{}:{}", go::quote(name), syntax(value)), ", ")
            )
        }
        other => number(other),
    }
}

/// Returns the fields that a value holds.
pub(super) fn held(shape: Shape, value: &Value) -> Set {
    let mut set = Set::default();
    hold(shape, value, &mut Vec::new(), &mut set);
    set
}

fn hold(shape: Shape, value: &Value, path: &mut Vec<Element>, set: &mut Set) {
    let forms = shape.forms().of(Some(value));
    match (forms.map, forms.scalar, forms.list, value) {
        (Some(map), ..) if map.whole => set.insert(path),
        (Some(map), _, _, Value::Object(entries)) => {
            for (name, value) in entries {
                path.push(Element::Field(name.clone()));
                hold(map.entry(name), value, path, set);
                let nothing = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if nothing || map.named(name).is_none() {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (None, Some(_), ..) => set.insert(path),
        (None, None, Some(list), _) if list.whole() => set.insert(path),
        (None, None, Some(list), Value::Array(items)) => {
            let known: Vec<_> =
                items.iter().filter_map(|item| Some((list.element(item).ok()?, item))).collect();
            for (element, item) in &known {
                path.push(element.clone());
                if known.iter().filter(|(other, _)| other == element).count() == 1 {
                    hold(list.items, item, path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Returns what is left of a value without these fields; null for a map or list of which nothing is left.
pub(super) fn without(shape: Shape, value: &Value, gone: &Set) -> Value {
    let forms = shape.forms().of(Some(value));
    match (forms.map, forms.scalar, forms.list, value) {
        (Some(map), _, _, Value::Object(entries)) if !map.whole => {
            let left = entries.iter().filter_map(|(name, value)| {
                let kept = match gone.children.get(&Element::Field(name.clone())) {
                    Some(gone) if gone.member => return None,
                    Some(gone) => without(map.entry(name), value, gone),
                    None => value.clone(),
                };
                Some((name.clone(), kept))
            });
            let left: Map<_, _> = left.collect();
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        (None, Some(_), ..) => value.clone(),
        (None, None, Some(list), Value::Array(items)) if !list.whole() => {
            let left = items.iter().filter_map(|item| {
                match list.element(item).ok().and_then(|element| gone.children.get(&element)) {
                    Some(gone) if gone.member => None,
                    Some(gone) => Some(without(list.items, item, gone)),
                    None => Some(item.clone()),
                }
            });
            let left: Vec<_> = left.collect();
            if left.is_empty() { Value::Null } else { Value::Array(left) }
        }
        _ => Value::Null,
    }
}

/// Returns the set with each named field in it that leads to a member.
pub(super) fn with_named(shape: Shape, set: &Set) -> Set {
    let forms = shape.forms();
    let children = set.children.iter().map(|(element, below)| {
        let (inner, named) = match (element, forms.map, forms.list) {
            (Element::Field(name), Some(map), _) => (map.entry(name), map.named(name).is_some()),
            (Element::Key(_), _, Some(list)) => (list.items, false),
            _ => (Shape::Nothing, false),
        };
        let mut below = with_named(inner, below);
        below.member |= named;
        (element.clone(), below)
    });
    Set { member: set.member, children: children.collect() }
}
