//! The dialect minijinja. An undefined value is an error, a trailing newline is kept, and comments are `{{/* ...
//! */}}`: `{#` starts no comment, because shell scripts contain `${#array[@]}`.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde_json::json;

use super::context::Context;
use super::meter::Meter;
use super::outcome::{Flawed, Place, Stray, Text};
use super::roots::Roots;

mod filters;
mod length;

/// The context as values of minijinja.
pub(super) struct Data {
    root: Value,
    roots: Roots,
}

/// The context of one string, which remembers the keys that it was asked for and that no context has.
#[derive(Debug)]
struct Root {
    values: Value,
    roots: Roots,
    strays: Mutex<BTreeSet<String>>,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = self.values.get_item(key).ok().filter(|value| !value.is_undefined());
        if found.is_none()
            && let Some(key) = key.as_str().filter(|key| !self.roots.has(key) && *key != FUNCTION)
            && let Ok(mut strays) = self.strays.lock()
        {
            strays.insert(key.to_owned());
        }
        found
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.values.try_iter() {
            Ok(keys) => Enumerator::Values(keys.collect()),
            Err(_) => Enumerator::Empty,
        }
    }
}

/// The one function.
const FUNCTION: &str = "range";

/// The remedy for braces that are not meant for the template.
const ESCAPE: &str =
    "; braces that are not a template are written {{ \"{{\" }}, a text with several {% raw %}...{% endraw %}";

/// One step of the engine also pays for 64 bytes, four times as many as a step of the Go dialect.
const STEPS: u64 = 4;

impl Data {
    pub(super) fn new(context: &Context<'_>) -> Self {
        let mut root = json!(context.own);
        root["Parameters"] = json!(context.parameters);
        if let Some(application) = &context.application {
            root["Application"] = application.as_ref().clone();
        }
        if let Some(release) = &context.release {
            root["Release"] = json!({ "Name": release.name, "Namespace": release.namespace });
        }
        if let Some(mode) = context.mode {
            root["Mode"] = mode.as_str().into();
        }
        if let Some(backup) = &context.backup {
            root["Backup"] = json!({
                "Name": backup.name.name,
                "Namespace": backup.name.namespace,
                "ApplicationRef": {
                    "APIGroup": backup.application.group,
                    "Kind": backup.application.kind,
                    "Name": backup.application_name,
                },
                "Metadata": backup.metadata,
            });
            if let Some(artifact) = backup.artifact_json() {
                root["Backup"]["Artifact"] = artifact;
            }
        }
        Self { root: value(&root), roots: context.roots() }
    }

    /// Parses one string without executing it, and returns the keys at the top that no context has.
    pub(super) fn check(&self, source: &str, meter: &Meter) -> Result<Vec<Stray>, Flawed> {
        not_too_long(source)?;
        let names = environment(meter)
            .and_then(|environment| Ok(environment.template_from_str(source)?.undeclared_variables(false)));
        let names = names.map_err(|error| flawed(&error, source, meter))?;
        Ok(self.strays(source, names.into_iter().filter(|name| name != FUNCTION && !self.roots.has(name))))
    }

    fn strays(&self, source: &str, names: impl Iterator<Item = String>) -> Vec<Stray> {
        let stray = |name: String| Stray {
            place: Place::of(source, place_of(source, &name)),
            complaint: self.roots.complaint(&name, "", ESCAPE),
            key: name,
        };
        let mut strays: Vec<Stray> = names.map(stray).collect();
        // The code of a stable sort is larger; the names, which are unique, decide where places are equal.
        strays.sort_unstable_by(|a, b| {
            let place = |stray: &Stray| (stray.place.line, stray.place.column);
            place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key))
        });
        strays
    }

    /// Renders one string. It cannot change values, so all strings share the context.
    pub(super) fn render(&self, source: &str, meter: &Meter) -> Result<Text, Flawed> {
        not_too_long(source)?;
        let start = Place { line: 1, column: 1 };
        let bound = |cause| Flawed { place: start, cause, remedy: "" };
        let text = (|| {
            let environment = environment(meter)?;
            let template = environment.template_from_str(source)?;
            let mut output = Bounded { bytes: Vec::new(), room: meter.output_left() };
            let root = Arc::new(Root {
                values: self.root.clone(),
                roots: self.roots.clone(),
                strays: Mutex::default(),
            });
            let captured = template.render_captured_to(Value::from_dyn_object(root.clone()), &mut output);
            let used = captured
                .as_ref()
                .map_or(0, |captured| captured.state().fuel_levels().map_or(0, |(used, _)| used));
            captured.map(|_| ())?;
            let strays = root.strays.lock().map(|strays| strays.clone()).unwrap_or_default();
            Ok((output.bytes, used, strays))
        })();
        match text {
            Ok((bytes, used, strays)) => {
                meter.spend(used * STEPS + 1).and_then(|()| meter.output(bytes.len())).map_err(bound)?;
                // The engine writes only valid UTF-8.
                Ok(Text {
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                    gaps: Vec::new(),
                    strays: self.strays(source, strays.into_iter()),
                })
            }
            Err(error) => Err(flawed(&error, source, meter)),
        }
    }
}

/// Returns where a name first stands in a text as a word of its own.
fn place_of(source: &str, name: &str) -> usize {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let mut found = source.match_indices(name).map(|(at, _)| at);
    let alone = |at: &usize| {
        let after = source[at + name.len()..].chars().next();
        !word(source[..*at].chars().next_back()) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    found.find(alone).unwrap_or_default()
}

fn not_too_long(source: &str) -> Result<(), Flawed> {
    match length::too_long(source) {
        None => Ok(()),
        Some(at) => Err(Flawed {
            place: Place::of(source, at),
            cause: "the expression is too long; keep parts of it in variables, with set".to_owned(),
            remedy: "",
        }),
    }
}

/// Converts JSON for the engine. Integers beyond 64 bits become floats.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::from(integer),
            (None, Some(integer)) => Value::from(integer),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        Json::Object(entries) => {
            Value::from_pairs(entries.iter().map(|(key, item)| (key.as_str(), value(item))))
        }
    }
}

fn environment<'s>(meter: &Meter) -> Result<Environment<'s>, Error> {
    let mut environment = Environment::new();
    let syntax =
        SyntaxConfig::builder().comment_delimiters("{{/*", "*/}}").keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    // A debug build would otherwise print other errors than a component.
    environment.set_debug(false);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_recursion_limit(meter.bounds().depth);
    environment.set_fuel(Some(meter.work_left() / STEPS));
    environment.set_formatter(|output, state, value| match value.kind() {
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        ValueKind::None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "the value is null; give it a value with default(..., true)",
        )),
        ValueKind::String => output.write_str(value.as_str().unwrap_or_default()).map_err(Error::from),
        _ => output.write_str(&filters::printed(state, value)?).map_err(Error::from),
    });
    filters::add(&mut environment);
    Ok(environment)
}

/// Accepts at most the output that is left in the budget.
struct Bounded {
    bytes: Vec<u8>,
    room: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the innermost cause of an error, its place, and the remedy.
fn flawed(error: &Error, source: &str, meter: &Meter) -> Flawed {
    let shown = error.range().and_then(|range| source.get(range)).unwrap_or_default().trim();
    let place = match error.range() {
        Some(range) => Place::of(source, range.start),
        None => Place { line: error.line().unwrap_or(1), column: 1 },
    };
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let (cause, remedy) = match error.kind() {
        ErrorKind::UndefinedError => (
            format!("{shown:?} is undefined or has something undefined in it"),
            "; give it a default filter, or ask with \"is defined\" whether it is there",
        ),
        // Any exhausted budget ends the whole render.
        ErrorKind::OutOfFuel => (meter.spend(u64::MAX).err().unwrap_or(detail), ""),
        ErrorKind::WriteFailure => (meter.output(usize::MAX).err().unwrap_or(detail), ""),
        ErrorKind::SyntaxError
        | ErrorKind::UnknownFilter
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownMethod => (detail, ESCAPE),
        _ => (detail, ""),
    };
    Flawed { place, cause, remedy }
}

#[cfg(test)]
mod tests;
