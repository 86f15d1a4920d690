//! The shape of a template: the maps and lists that the host reads and writes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use super::findings::field;
use super::rules::{BASELINE, BEYOND, RESTRICTED};
use super::walk;
use super::walk::escaped;
use crate::contract::Json;

/// A part of a template that is not of the type that a `core/v1` PodTemplateSpec has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// JSON pointer into the template.
    pub at: String,
    /// The type that it must have.
    pub expected: &'static str,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", if self.at.is_empty() { "/" } else { &self.at }, self.expected)
    }
}

/// Checks that a template has the shape of a `core/v1` PodTemplateSpec wherever the host looks into it: when it builds the
/// Job, and when it judges the pod.
///
/// # Errors
/// The first part of another type.
pub fn shape(template: &Json) -> Result<(), Misshapen> {
    map(template, String::new())?;
    let spec = field(template, "spec");
    map_or_none(spec, "/spec".to_owned())?;
    text(field(spec, "restartPolicy"), "/spec/restartPolicy".to_owned())?;
    let metadata = field(template, "metadata");
    map_or_none(metadata, "/metadata".to_owned())?;
    for key in ["labels", "annotations"] {
        let entries = field(metadata, key);
        let at = format!("/metadata/{key}");
        map_or_none(entries, at.clone())?;
        for (name, value) in entries.as_object().into_iter().flatten() {
            text(value, format!("{at}/{}", escaped(name)))?;
        }
    }
    ways().iter().try_for_each(|(way, next)| {
        let mut wrong = None;
        walk::values(template, way, &mut |at, value| {
            let (sound, expected) = match *next {
                "*" => (value.is_array(), "a list"),
                _ => (value.is_object(), "a map"),
            };
            if !sound && !value.is_null() && wrong.is_none() {
                wrong = Some(Misshapen { at: at.to_string(), expected });
            }
        });
        wrong.map_or(Ok(()), Err)
    })
}

/// Returns the beginnings of the rules' paths, each after its own beginnings, with the part that follows: `*` or a key.
fn ways() -> &'static BTreeSet<(&'static [&'static str], &'static str)> {
    static WAYS: LazyLock<BTreeSet<(&'static [&'static str], &'static str)>> = LazyLock::new(|| {
        let rules = BASELINE.iter().chain(&BEYOND).chain(&RESTRICTED);
        let paths = rules.flat_map(|rule| rule.fields);
        let splits = paths.flat_map(|path| (1..path.len()).filter_map(|end| path.split_at_checked(end)));
        // What follows is a list or a map, whatever the key is.
        let kind = |next: &'static str| if next == "*" { "*" } else { "" };
        splits.map(|(way, rest)| (way, kind(rest.first().copied().unwrap_or_default()))).collect()
    });
    &WAYS
}

fn map(value: &Json, at: String) -> Result<(), Misshapen> {
    if value.is_object() { Ok(()) } else { Err(Misshapen { at, expected: "a map" }) }
}

fn map_or_none(value: &Json, at: String) -> Result<(), Misshapen> {
    if value.is_null() { Ok(()) } else { map(value, at) }
}

fn text(value: &Json, at: String) -> Result<(), Misshapen> {
    if value.is_null() || value.is_string() { Ok(()) } else { Err(Misshapen { at, expected: "a text" }) }
}
