//! Objects held to the schemas of CRDs.

use serde_json::Value;

use super::fault::{self, child};
use super::path::Path;
use super::tree::{Schema, Type};
use super::{formats, go, lists, rules};
use crate::status::Cause;

/// What the schema says about an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why it is refused; empty if it is not.
    pub causes: Vec<Cause>,
    /// What the client is warned of: rules that an unchanged part has broken before.
    pub warnings: Vec<String>,
}

/// Returns why an object is refused, without the checks of its metadata.
#[must_use]
pub fn validate(schema: &Schema, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    judge(schema, new, old, Vec::new()).causes
}

/// Returns why an object is refused, after the faults of its metadata: they come first, and some of them hinder the rules.
#[must_use]
pub fn judge(schema: &Schema, new: &Value, old: Option<&Value>, metadata: Vec<Cause>) -> Verdict {
    let mut causes = metadata;
    let mut found = Found::default();
    check(schema, new, old, Path::ROOT, &mut found);
    causes.extend(found.list.into_iter().map(|fault| fault.cause("")));
    causes.extend(schema.counts.iter().filter_map(|path| count(new, path)));
    lists::embedded(schema, new, Path::ROOT, &mut causes);
    finish(schema, new, old, causes)
}

/// Returns why an object is refused when it is written by its subresource `status`.
#[must_use]
pub fn judge_status(schema: &Schema, new: &Value, old: Option<&Value>, metadata: Vec<Cause>) -> Verdict {
    let mut causes = metadata;
    if let (Some(status), Some(schema)) = (new.get("status"), schema.field("status")) {
        let mut found = Found::default();
        check(schema, status, old.and_then(|old| old.get("status")), Path::ROOT, &mut found);
        causes.extend(found.list.into_iter().map(|fault| fault.cause("status")));
    }
    let counts = schema.counts.iter().filter(|path| path.starts_with(".status."));
    causes.extend(counts.filter_map(|path| count(new, path)));
    finish(schema, new, old, causes)
}

/// Returns the fault of a number of replicas.
fn count(object: &Value, path: &str) -> Option<Cause> {
    let value = object.pointer(&path.replace('.', "/"))?;
    let detail = match value.as_i64() {
        Some(number) if number < 0 => "should be a non-negative integer".to_owned(),
        Some(number) if number > i64::from(i32::MAX) => {
            format!("should be less than or equal to {}", i32::MAX)
        }
        Some(_) => return None,
        None => return Some(fault::not_modelled(path, "numbers of replicas that are none")),
    };
    Some(fault::invalid(path, value, &detail))
}

/// Returns why a part of an object, its default, is refused.
pub(super) fn part(schema: &Schema, value: &Value, path: &str) -> Vec<Cause> {
    let mut found = Found::default();
    check(schema, value, None, Path::ROOT, &mut found);
    found.list.into_iter().map(|fault| fault.cause(path)).collect()
}

/// Adds what is checked of the whole object after its values.
fn finish(schema: &Schema, new: &Value, old: Option<&Value>, mut causes: Vec<Cause>) -> Verdict {
    let mut doubles = Vec::new();
    lists::doubles(schema, new, Path::ROOT, &mut doubles);
    if !doubles.is_empty() {
        let mut before = Vec::new();
        if let Some(old) = old {
            lists::doubles(schema, old, Path::ROOT, &mut before);
        }
        if before.is_empty() {
            causes.append(&mut doubles);
        }
    }
    let mut verdict = Verdict { causes, warnings: Vec::new() };
    if schema.has_rules() {
        if verdict.causes.iter().any(fault::is_blocking) {
            verdict.causes.push(fault::unchecked());
        } else {
            rules::check(schema, new, old, &mut verdict);
        }
    }
    verdict
}

/// A fault of a value, its path counted from where the check began.
struct Fault {
    path: String,
    /// Whether the API server names no field.
    nowhere: bool,
    cause: Cause,
}

impl Fault {
    /// Returns the fault with its path in the object.
    fn cause(self, prefix: &str) -> Cause {
        let path = if self.nowhere { "" } else { self.path.trim_start_matches('.') };
        let mut cause = self.cause;
        cause.field = match (prefix.is_empty(), path.is_empty()) {
            (true, true) => "<nil>".to_owned(),
            (false, true) => prefix.to_owned(),
            _ => child(prefix, path),
        };
        cause
    }
}

/// Faults, and how much fitted: by that the API server chooses which alternative it tells about.
#[derive(Default)]
struct Found {
    list: Vec<Fault>,
    fitted: usize,
}

impl Found {
    fn add(&mut self, path: Path<'_>, cause: Cause) {
        self.push(Fault { path: path.to_string(), nowhere: false, cause });
    }

    fn nowhere(&mut self, message: &str) {
        self.push(Fault { path: String::new(), nowhere: true, cause: fault::invalid_text("", "", message) });
    }

    fn push(&mut self, fault: Fault) {
        if !self.list.iter().any(|one| one.path == fault.path && one.cause.message == fault.cause.message) {
            self.list.push(fault);
        }
    }

    fn merge(&mut self, other: Self) {
        self.fitted += other.fitted;
        other.list.into_iter().for_each(|fault| self.push(fault));
    }
}

/// Checks a value and what is in it. Faults of a part that is as it was before do not count.
fn check(schema: &Schema, value: &Value, old: Option<&Value>, path: Path<'_>, found: &mut Found) {
    let mut inner = Found::default();
    alone(schema, value, old, path, &mut inner);
    if !inner.list.is_empty() && old.is_some_and(|old| same(schema, value, old)) {
        inner.list.clear();
    }
    found.merge(inner);
}

/// Checks a value and what is in it.
fn alone(schema: &Schema, value: &Value, old: Option<&Value>, path: Path<'_>, found: &mut Found) {
    has_type(schema, value, path, found);
    if value.is_null() {
        one_of(schema, value, path, found);
        return;
    }
    alternatives(schema, value, old, path, found);
    match value {
        Value::String(text) => string(schema, text, path, found),
        Value::Number(number) => numeric(schema, number, path, found),
        Value::Array(items) => array(schema, items, old, path, found),
        _ => {}
    }
    one_of(schema, value, path, found);
    if let Value::Object(fields) = value {
        object(schema, fields, old, path, found);
    }
    found.fitted += 4;
}

/// Returns what the API server calls a value's type, and the format that goes with it.
fn type_of(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_f64() => ("number", "float64"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn has_type(schema: &Schema, value: &Value, path: Path<'_>, found: &mut Found) {
    let wanted = schema.type_.name();
    let (type_, format_of_value) = type_of(value);
    let mut fault = |wanted: &str, got: &str| {
        let detail = format!("{path} in body must be of type {wanted}: {}", go::quote(got));
        found.add(path, fault::wrong_type("", got, &detail));
    };
    if value.is_null() {
        if !wanted.is_empty() && !schema.nullable {
            fault(wanted, type_);
        }
        return;
    }
    let wants = |one: &str| wanted.split(',').any(|wanted| wanted == one);
    let fits = wants(type_) || (type_ == "integer" && wants("number"));
    let format = schema.raw.get("format").and_then(Value::as_str).filter(|format| formats::is_known(format));
    match format {
        // A text or a list of a type with a format is held to the format alone.
        Some(_) if !wants("number") && !wants("integer") && matches!(type_, "string" | "array") => {}
        Some(format) if !fits && !matches!(type_, "string" | "array") => fault(format, format_of_value),
        None if wanted.is_empty() => {}
        _ if !fits => fault(wanted, type_),
        _ => {}
    }
    found.fitted += usize::from(fits);
}

fn one_of(schema: &Schema, value: &Value, path: Path<'_>, found: &mut Found) {
    let Some(known) = schema.raw.get("enum").and_then(Value::as_array).filter(|known| !known.is_empty())
    else {
        return;
    };
    // A number becomes of the type of what it is compared with.
    let same = |one: &Value| match (one, value) {
        (Value::Number(one), Value::Number(value)) if one.is_f64() => one.as_f64() == value.as_f64(),
        (Value::Number(one), Value::Number(value)) => one.as_f64() == value.as_f64().map(f64::trunc),
        (one, value) => one == value,
    };
    if value.is_null() || !known.iter().any(same) {
        let known: Vec<String> =
            known.iter().map(|one| one.as_str().map_or_else(|| go::json(one), str::to_owned)).collect();
        found.add(path, fault::not_supported("", value, &known));
    }
}

fn string(schema: &Schema, text: &str, path: Path<'_>, found: &mut Found) {
    let length = text.chars().count() as u64;
    let word = |word: &str| schema.count(word);
    if let Some(most) = word("maxLength").filter(|most| length > *most) {
        found.add(path, fault::too_long("", most));
    } else if let Some(least) = word("minLength").filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        found.add(path, fault::invalid_text("", text, &detail));
    } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let pattern = schema.raw.get("pattern").and_then(Value::as_str).unwrap_or(pattern.as_str());
        found.add(path, fault::invalid_text("", text, &format!("{path} in body should match '{pattern}'")));
    }
    let format = schema.raw.get("format").and_then(Value::as_str).filter(|format| formats::is_known(format));
    if let Some(format) = format.filter(|format| !formats::fits(format, text)) {
        let detail = format!("{path} in body must be of type {format}: {}", go::quote(text));
        found.add(path, fault::wrong_type("", text, &detail));
    }
}

fn numeric(schema: &Schema, number: &serde_json::Number, path: Path<'_>, found: &mut Found) {
    let value = number.as_f64().unwrap_or_default();
    let shown = Value::Number(number.clone());
    let on = |word: &str| schema.raw.get(word).and_then(Value::as_bool).unwrap_or_default();
    let bound = |word: &str| {
        let bound = schema.raw.get(word)?.as_f64()?;
        #[allow(clippy::cast_possible_truncation)]
        let text = if number.is_f64() { go::float(bound) } else { (bound as i64).to_string() };
        Some((bound, text))
    };
    // A whole number is divided by a whole number: of a fraction nothing is left.
    if let Some((_, text)) = bound("multipleOf").filter(|(by, _)| !number.is_f64() && *by < 1.0) {
        let detail = format!("factor MultipleOf declared for {path} must be positive: {text}");
        found.add(path, fault::invalid("", &0.into(), &detail));
    } else if let Some((by, text)) = bound("multipleOf") {
        let times = if by < 1.0 { value * (1.0 / by) } else { value / by };
        if times.fract() != 0.0 {
            let detail = format!("{path} in body should be a multiple of {text}");
            found.add(path, fault::invalid("", &shown, &detail));
        }
    }
    let mut fault = |what: String| {
        found.add(path, fault::invalid("", &shown, &format!("{path} in body should be {what}")))
    };
    if let Some((most, text)) = bound("maximum") {
        match on("exclusiveMaximum") {
            true if value >= most => fault(format!("less than {text}")),
            false if value > most => fault(format!("less than or equal to {text}")),
            _ => {}
        }
    }
    if let Some((least, text)) = bound("minimum") {
        match on("exclusiveMinimum") {
            true if value <= least => fault(format!("greater than {text}")),
            false if value < least => fault(format!("greater than or equal to {text}")),
            _ => {}
        }
    }
}

fn array(schema: &Schema, items: &[Value], old: Option<&Value>, path: Path<'_>, found: &mut Found) {
    if let Some(inner) = schema.items.as_deref() {
        for (i, item) in items.iter().enumerate() {
            let old = old.and_then(|old| lists::counterpart(schema, item, old));
            check(inner, item, old, path.item(i), found);
        }
    }
    let there = items.len();
    if let Some(least) = schema.count("minItems").filter(|least| (there as u64) < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        found.add(path, fault::invalid("", &there.into(), &detail));
    }
    if let Some(most) = schema.count("maxItems").filter(|most| there as u64 > *most) {
        found.add(path, fault::too_many("", there, most));
    }
}

fn object(
    schema: &Schema,
    fields: &serde_json::Map<String, Value>,
    old: Option<&Value>,
    path: Path<'_>,
    found: &mut Found,
) {
    let there = fields.len();
    if let Some(least) = schema.count("minProperties").filter(|least| (there as u64) < *least) {
        let detail = format!("{path} in body should have at least {least} properties");
        found.add(path, fault::invalid("", &there.into(), &detail));
    }
    if let Some(most) = schema.count("maxProperties").filter(|most| there as u64 > *most) {
        found.add(path, fault::too_many("", there, most));
    }
    for (name, value) in fields {
        let old = old
            .and_then(|old| old.get(name))
            .filter(|_| !(path.is_empty() && matches!(name.as_str(), "kind" | "apiVersion")));
        match schema.properties.get(name) {
            Some(inner) => check(inner, value, old, path.field(name), found),
            None => {
                if let Some(inner) = schema.additional.as_deref() {
                    check(inner, value, old, Path::Entry(&path, name), found);
                }
            }
        }
    }
    for name in &schema.required {
        if !fields.contains_key(name) {
            found.add(Path::Entry(&path, name), fault::required("", ""));
        }
    }
}

/// Checks `allOf`, `anyOf`, `oneOf` and `not`.
fn alternatives(schema: &Schema, value: &Value, old: Option<&Value>, path: Path<'_>, found: &mut Found) {
    let quoted = || go::quote(&path.to_string());
    let tried = |word: &str| -> Vec<Found> {
        let list = schema.raw.get(word).and_then(Value::as_array);
        let one = |raw: &Value| {
            let mut inner = Found::default();
            alone(&Schema::read(raw), value, old, path, &mut inner);
            inner
        };
        list.into_iter().flatten().map(one).collect()
    };
    let any = tried("anyOf");
    if !any.is_empty() && any.iter().all(|one| !one.list.is_empty()) {
        found.nowhere(&format!("{} must validate at least one schema (anyOf)", quoted()));
        found.merge(nearest(any));
    }
    let one = tried("oneOf");
    if !one.is_empty() {
        match one.iter().filter(|one| one.list.is_empty()).count() {
            0 => {
                found.nowhere(&format!(
                    "{} must validate one and only one schema (oneOf). Found none valid",
                    quoted()
                ));
                found.merge(nearest(one));
            }
            1 => {}
            several => found.nowhere(&format!(
                "{} must validate one and only one schema (oneOf). Found {several} valid alternatives",
                quoted()
            )),
        }
    }
    let all = tried("allOf");
    let refused = all.iter().filter(|one| !one.list.is_empty()).count();
    if refused > 0 {
        let more = if refused == all.len() { ". None validated" } else { "" };
        all.into_iter().for_each(|one| found.merge(one));
        found.nowhere(&format!("{} must validate all the schemas (allOf){more}", quoted()));
    }
    if let Some(raw) = schema.raw.get("not") {
        let mut inner = Found::default();
        alone(&Schema::read(raw), value, old, path, &mut inner);
        if inner.list.is_empty() {
            found.nowhere(&format!("{} must not validate the schema (not)", quoted()));
        }
    }
}

/// Returns the first of those alternatives that fit most.
fn nearest(mut tried: Vec<Found>) -> Found {
    let most = tried.iter().map(|one| one.fitted).max().unwrap_or_default();
    tried.iter().position(|one| one.fitted == most).map(|i| tried.swap_remove(i)).unwrap_or_default()
}

/// Whether a value is as it was before, as far as the schema lets the API server compare it.
pub(super) fn same(schema: &Schema, new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Array(items), Value::Array(before)) if schema.is_keyed() => {
            let inner = schema.items.as_deref();
            items.len() == before.len()
                && items.iter().all(|item| {
                    lists::counterpart(schema, item, old)
                        .zip(inner)
                        .is_some_and(|(before, inner)| same(inner, item, before))
                })
        }
        (Value::Object(fields), Value::Object(before)) => {
            fields.len() == before.len()
                && fields.iter().all(|(name, value)| {
                    schema
                        .field(name)
                        .zip(before.get(name))
                        .is_some_and(|(inner, before)| same(inner, value, before))
                })
        }
        (new, old) => new == old,
    }
}

impl Schema {
    /// Whether the items of a list are known by keys.
    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.list, super::ListType::Map(_)) && self.type_ == Type::Array
    }
}
