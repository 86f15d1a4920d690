//! Walks the paths of the rules through a template.

use std::fmt;

use crate::contract::Json;

/// Fields of a pod that hold containers.
pub(super) const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A part of a place in a template.
#[derive(Clone, Copy)]
enum Part<'a> {
    Key(&'a str),
    Item(usize),
}

/// A place in a template. Displays itself as a JSON pointer: a template has many places, and few are shown.
pub(super) struct Place<'a>(Vec<Part<'a>>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Key(key) => write!(f, "/{}", escaped(key)),
            Part::Item(item) => write!(f, "/{item}"),
        })
    }
}

/// Calls `found` with the place and the value of every field at `path`, where the template has one. Where the path leads
/// through a value that is neither map nor list as it should be, `found` gets that value: no rule allows it.
pub(super) fn values<'a>(template: &'a Json, path: &[&str], found: &mut dyn FnMut(&Place<'_>, &Json)) {
    at(template, path, &mut Place(Vec::with_capacity(path.len())), found);
}

fn at<'a>(value: &'a Json, path: &[&str], place: &mut Place<'a>, found: &mut dyn FnMut(&Place<'_>, &Json)) {
    let Some((part, rest)) = path.split_first() else { return found(place, value) };
    let mut inside = |part: Part<'a>, value: &'a Json| {
        place.0.push(part);
        at(value, rest, place, found);
        place.0.pop();
    };
    match (*part, value) {
        (_, Json::Null) => {}
        ("*", Json::Array(items)) => {
            items.iter().enumerate().for_each(|(i, item)| inside(Part::Item(i), item));
        }
        ("containers", Json::Object(fields)) => {
            for (kind, containers) in fields.iter().filter(|(kind, _)| CONTAINERS.contains(&kind.as_str())) {
                inside(Part::Key(kind), containers);
            }
        }
        ("*", _) => found(place, value),
        (key, Json::Object(fields)) => match key.strip_suffix('*') {
            Some(beginning) => {
                for (key, value) in fields.iter().filter(|(key, _)| key.starts_with(beginning)) {
                    inside(Part::Key(key), value);
                }
            }
            None => {
                if let Some((key, value)) = fields.get_key_value(key) {
                    inside(Part::Key(key), value);
                }
            }
        },
        _ => found(place, value),
    }
}

/// Returns a key as a part of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
