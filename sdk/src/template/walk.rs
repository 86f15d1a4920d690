//! The walk over an object, and the findings about its strings.

use serde_json::Value;

use super::meter::Meter;
use super::outcome::{Flawed, Stray, Text};
use super::{Context, Dialect, MAX_FINDINGS, Options, Rendered};
use crate::leak::leak;
use crate::{Finding, Severity};

/// The host accepts no JSON that is nested deeper (`JSON_DEPTH` in `docs/limits.md`).
const MAX_NESTING: usize = 100;
/// Maximum bytes of a pointer in the contract.
const MAX_POINTER: usize = 512;
/// Maximum bytes of a message. Messages quote templates and data, and are cut here.
const MAX_MESSAGE: usize = 1000;

/// Most keys that a finding names beside its first.
const NAMED: usize = 5;

/// Renders every string in `value` as a template of its own, on the unchanged `context`. Map keys and all other values
/// stay. `root_pointer` is the place of `value` in the author's object.
///
/// # Errors
/// A finding for every string that cannot be rendered: an RFC 6901 pointer below `root_pointer` (cut to 512 bytes),
/// line, column, cause and remedy. All faulty strings are reported at once, up to [`MAX_FINDINGS`] and one that counts
/// the rest. Once a bound of the whole render is exceeded, the remaining strings are not tried.
/// behind it are not tried.
pub fn render(
    value: &Value,
    root_pointer: &str,
    dialect: Dialect,
    context: &Context<'_>,
    options: &Options,
) -> Result<Rendered, Vec<Finding>> {
    render_owned(value.clone(), root_pointer, dialect, context, options)
}

/// Renders as [`render`] does, without a copy of the value.
///
/// # Errors
/// As [`render`].
pub fn render_owned(
    mut value: Value,
    root_pointer: &str,
    dialect: Dialect,
    context: &Context<'_>,
    options: &Options,
) -> Result<Rendered, Vec<Finding>> {
    let engine = Engine::new(dialect, context);
    let meter = Meter::new(options.bounds);
    let mut walk = Walk::new(&engine, &meter);
    walk.strict = options.strict;
    walk.value(&mut value, &Path::Root(root_pointer), 0);
    let (errors, warnings) = (walk.errors.list(root_pointer), walk.warnings.list(root_pointer));
    leak(engine);
    if errors.is_empty() { Ok(Rendered { value, warnings }) } else { Err(errors) }
}

/// Returns a finding for every string in `value` that [`render`] could not parse, and warnings for those that name a key at
/// the top of the context that no context has. Strings are not executed, so errors that depend on the context are not found.
#[must_use]
pub fn check(value: &Value, root_pointer: &str, dialect: Dialect) -> Vec<Finding> {
    check_with(value, root_pointer, dialect, &[])
}

/// As [`check`], for templates that also see the keys `own` of the strategy ([`Context::own`]).
#[must_use]
pub fn check_with(
    value: &Value,
    root_pointer: &str,
    dialect: Dialect,
    own: &'static [&'static str],
) -> Vec<Finding> {
    let context = Context { own_keys: own, ..Context::default() };
    let engine = Engine::new(dialect, &context);
    let meter = Meter::new(Options::default().bounds);
    let mut walk = Walk::new(&engine, &meter);
    walk.parse_only = true;
    walk.value(&mut value.clone(), &Path::Root(root_pointer), 0);
    let mut findings = walk.errors.list(root_pointer);
    findings.extend(walk.warnings.list(root_pointer));
    findings
}

/// A dialect, and the context as its values.
enum Engine<'a> {
    #[cfg(feature = "go")]
    Go(super::go::Data<'a>),
    #[cfg(feature = "minijinja")]
    Minijinja(Box<super::minijinja::Data>),
    /// The component was built without this dialect.
    #[cfg(not(all(feature = "go", feature = "minijinja")))]
    Absent(&'a str),
}

impl<'a> Engine<'a> {
    fn new(dialect: Dialect, context: &'a Context<'_>) -> Self {
        match dialect {
            #[cfg(feature = "go")]
            Dialect::Go => Engine::Go(super::go::Data::new(context)),
            #[cfg(not(feature = "go"))]
            Dialect::Go => Engine::Absent("go"),
            #[cfg(feature = "minijinja")]
            Dialect::Minijinja => Engine::Minijinja(Box::new(super::minijinja::Data::new(context))),
            #[cfg(not(feature = "minijinja"))]
            Dialect::Minijinja => Engine::Absent("minijinja"),
        }
    }

    /// Whether rendering could change the text.
    fn may_change(&self, text: &str) -> bool {
        match self {
            #[cfg(feature = "minijinja")]
            Engine::Minijinja(_) => contains_pair(text, b"{{") || contains_pair(text, b"{%"),
            _ => contains_pair(text, b"{{"),
        }
    }

    fn render(&self, text: &str, meter: &Meter) -> Result<Text, Flawed> {
        match self {
            #[cfg(feature = "go")]
            Engine::Go(data) => super::go::render(text, data, meter),
            #[cfg(feature = "minijinja")]
            Engine::Minijinja(data) => data.render(text, meter),
            #[cfg(not(all(feature = "go", feature = "minijinja")))]
            Engine::Absent(dialect) => Err(absent(dialect)),
        }
    }

    fn check(&self, text: &str, meter: &Meter) -> Result<Vec<Stray>, Flawed> {
        match self {
            #[cfg(feature = "go")]
            Engine::Go(data) => super::go::check(text, data, meter),
            #[cfg(feature = "minijinja")]
            Engine::Minijinja(data) => data.check(text, meter),
            #[cfg(not(all(feature = "go", feature = "minijinja")))]
            Engine::Absent(dialect) => Err(absent(dialect)),
        }
    }
}

#[cfg(not(all(feature = "go", feature = "minijinja")))]
fn absent(dialect: &str) -> Flawed {
    Flawed {
        place: super::outcome::Place { line: 1, column: 1 },
        cause: format!("this component was built without the dialect {dialect}; use the other one"),
        remedy: "",
    }
}

/// Whether a text contains two bytes. `str::contains` prepares a search for long texts, which takes longer than most
/// strings are.
fn contains_pair(text: &str, pair: &[u8; 2]) -> bool {
    text.as_bytes().windows(2).any(|bytes| bytes == pair)
}

/// The path of a value, formatted only for a finding.
enum Path<'a> {
    /// The root.
    Root(&'a str),
    /// A key of an object.
    Key(&'a Path<'a>, &'a str),
    /// An index of an array.
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Path::Root(pointer) => (*pointer).to_owned(),
            Path::Key(parent, key) => {
                format!("{}/{}", parent.pointer(), key.replace('~', "~0").replace('/', "~1"))
            }
            Path::Index(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

struct Walk<'a, 'c> {
    engine: &'a Engine<'c>,
    meter: &'a Meter,
    strict: bool,
    parse_only: bool,
    errors: Findings,
    warnings: Findings,
}

impl<'a, 'c> Walk<'a, 'c> {
    fn new(engine: &'a Engine<'c>, meter: &'a Meter) -> Self {
        Self {
            engine,
            meter,
            strict: false,
            parse_only: false,
            errors: Findings::new(Severity::Error),
            warnings: Findings::new(Severity::Warning),
        }
    }

    /// Renders the strings in `value`, in place.
    fn value(&mut self, value: &mut Value, path: &Path<'_>, level: usize) {
        if level >= MAX_NESTING && (value.is_array() || value.is_object()) {
            self.errors.add(path, format!("the object is nested more than {MAX_NESTING} levels deep"));
            return;
        }
        match value {
            Value::String(text) => self.text(text, path),
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &Path::Index(path, index), level + 1);
                }
            }
            Value::Object(entries) => {
                for (key, item) in entries {
                    self.value(item, &Path::Key(path, key), level + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &mut String, path: &Path<'_>) {
        // Once a bound was exceeded the render has failed. If the budget is exactly used up, the next string fails.
        let failed = self.meter.exhausted() && !self.errors.kept.is_empty();
        if failed || !self.engine.may_change(text) {
            return;
        }
        let rendered = match self.parse_only {
            true => {
                let checked = self.engine.check(text, self.meter);
                checked.map(|strays| Text { text: String::new(), gaps: Vec::new(), strays })
            }
            false => self.engine.render(text, self.meter),
        };
        match rendered {
            Ok(mut rendered) => {
                self.strays(&mut rendered, path);
                self.gaps(&rendered, path);
                *text = rendered.text;
            }
            Err(flawed) => {
                self.errors.add(path, format!("{}: {}{}", flawed.place, flawed.cause, flawed.remedy));
            }
        }
    }

    /// Reports the keys at the top that no context has, one finding per string. Where they print `<no value>`, that needs no
    /// finding of its own, unless it is an error.
    fn strays(&mut self, rendered: &mut Text, path: &Path<'_>) {
        let Some(first) = rendered.strays.first() else { return };
        let others = rendered.strays.iter().map(|stray| stray.key.as_str());
        let mut others: Vec<&str> = others.filter(|key| *key != first.key).collect();
        others.sort_unstable();
        others.dedup();
        let more = match others.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let others = match others.len().min(NAMED) {
            0 => String::new(),
            named => format!(" (nor are there {}{more})", others[..named].join(", ")),
        };
        self.warnings.add(path, format!("{}: {}{others}", first.place, first.complaint));
        if !self.strict {
            let strays = std::mem::take(&mut rendered.strays);
            rendered.gaps.retain(|gap| strays.iter().all(|stray| stray.place != gap.place));
        }
    }

    /// Reports the actions that printed `<no value>`, one finding per string.
    fn gaps(&mut self, rendered: &Text, path: &Path<'_>) {
        let Some(first) = rendered.gaps.first() else { return };
        let more = match rendered.gaps.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more in this text)"),
        };
        let message = format!(
            "{}: {{{{ {} }}}} prints <no value>{more}; give it a default, or ask with if whether it is there",
            first.place, first.action
        );
        let findings = if self.strict { &mut self.errors } else { &mut self.warnings };
        findings.add(path, message);
    }
}

/// The first findings, and the number of further ones.
struct Findings {
    severity: Severity,
    kept: Vec<Finding>,
    more: usize,
}

impl Findings {
    fn new(severity: Severity) -> Self {
        Self { severity, kept: Vec::new(), more: 0 }
    }

    fn add(&mut self, path: &Path<'_>, message: String) {
        if self.kept.len() == MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let message =
            if message.len() > MAX_MESSAGE { format!("{}...", cut(&message, MAX_MESSAGE)) } else { message };
        self.kept.push(Finding { severity: self.severity, at: shortened(&path.pointer()), message });
    }

    fn list(mut self, root_pointer: &str) -> Vec<Finding> {
        if self.more > 0 {
            let message = format!("and {} more strings like these", self.more);
            self.kept.push(Finding { severity: self.severity, at: shortened(root_pointer), message });
        }
        self.kept
    }
}

fn cut(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Cuts a pointer to the longest prefix of whole keys within the bound.
fn shortened(pointer: &str) -> String {
    if pointer.len() <= MAX_POINTER {
        return pointer.to_owned();
    }
    let head = cut(pointer, MAX_POINTER);
    head[..head.rfind('/').unwrap_or(0)].to_owned()
}
