//! The filters, tests and functions of the dialect: a selection of Jinja's. They are implemented here because the
//! engine's own set makes a component half as large again. None reads the environment, and each is charged before it
//! makes anything.

use std::fmt::Write;

use minijinja::value::{Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

type Filter = fn(&State<'_, '_>, &[Value]) -> Result<Value, Error>;

/// Name, minimum and maximum number of arguments including the piped value, and code.
const FILTERS: [(&str, usize, usize, Filter); 30] = [
    ("default", 1, 3, default),
    ("d", 1, 3, default),
    ("upper", 1, 1, |_, args| Ok(text(&args[0])?.to_uppercase().into())),
    ("lower", 1, 1, |_, args| Ok(text(&args[0])?.to_lowercase().into())),
    ("capitalize", 1, 1, capitalize),
    ("trim", 1, 2, trim),
    ("replace", 3, 3, replace),
    ("split", 1, 2, split),
    ("lines", 1, 1, |_, args| Ok(text(&args[0])?.lines().map(Value::from).collect::<Vec<_>>().into())),
    ("join", 1, 2, join),
    ("indent", 2, 2, indent),
    ("length", 1, 1, length),
    ("count", 1, 1, length),
    ("first", 1, 1, |state, args| Ok(items(state, &args[0])?.first().cloned().unwrap_or_default())),
    ("last", 1, 1, |state, args| Ok(items(state, &args[0])?.last().cloned().unwrap_or_default())),
    ("reverse", 1, 1, |state, args| Ok(items(state, &args[0])?.into_iter().rev().collect::<Vec<_>>().into())),
    ("sort", 1, 1, |state, args| sorted(state, args, false)),
    ("unique", 1, 1, |state, args| sorted(state, args, true)),
    ("min", 1, 1, |state, args| Ok(in_order(items(state, &args[0])?)?.first().cloned().unwrap_or_default())),
    ("max", 1, 1, |state, args| Ok(in_order(items(state, &args[0])?)?.last().cloned().unwrap_or_default())),
    ("list", 1, 1, |state, args| Ok(items(state, &args[0])?.into())),
    ("items", 1, 1, pairs),
    ("dictsort", 1, 1, pairs),
    ("int", 1, 1, |_, args| int(&args[0]).map(Value::from)),
    ("float", 1, 1, |_, args| float(&args[0]).map(Value::from)),
    ("round", 1, 2, round),
    ("abs", 1, 1, abs),
    ("string", 1, 1, string),
    ("bool", 1, 1, |_, args| defined(&args[0]).map(|value| value.is_true().into())),
    ("tojson", 1, 1, to_json),
];

/// Name, whether there is an argument besides the value, and code.
const TESTS: [(&str, usize, Filter); 7] = [
    ("string", 1, |_, args| Ok((args[0].kind() == ValueKind::String).into())),
    ("number", 1, |_, args| Ok((args[0].kind() == ValueKind::Number).into())),
    ("boolean", 1, |_, args| Ok((args[0].kind() == ValueKind::Bool).into())),
    ("mapping", 1, |_, args| Ok((args[0].kind() == ValueKind::Map).into())),
    ("sequence", 1, |_, args| Ok(matches!(args[0].kind(), ValueKind::Seq | ValueKind::Iterable).into())),
    ("startingwith", 2, |_, args| Ok(text(&args[0])?.starts_with(text(&args[1])?).into())),
    ("endingwith", 2, |_, args| Ok(text(&args[0])?.ends_with(text(&args[1])?).into())),
];

/// Maximum bytes that one filter may make at once; the fuel bounds the sum.
const MAX_BYTES: usize = 1 << 20;
const MAX_ITEMS: usize = 1 << 16;
/// Maximum bytes that a list or a map may print.
const MAX_PRINTED: usize = 1 << 17;
/// Maximum depth of JSON that is written.
const MAX_NESTING: usize = 128;

/// Adds all of them to an environment.
pub(super) fn add(environment: &mut Environment<'_>) {
    for (name, least, most, filter) in FILTERS {
        environment.add_filter(name, checked(name, least, most, filter));
    }
    for (name, count, test) in TESTS {
        environment.add_test(name, checked(name, count, count, test));
    }
    environment.add_function("range", checked("range", 1, 3, range));
}

fn checked(
    name: &'static str,
    least: usize,
    most: usize,
    filter: Filter,
) -> impl Fn(&State<'_, '_>, Rest<Value>) -> Result<Value, Error> + Send + Sync + 'static {
    move |state, args| {
        if !(least..=most).contains(&args.len()) {
            return Err(flaw(format!(
                "{name} takes {least} to {most} arguments, its value among them, not {}",
                args.len()
            )));
        }
        filter(state, &args)
    }
}

fn flaw(cause: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, cause)
}

/// Charges for a string of `bytes`.
fn pay_bytes(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    if bytes > MAX_BYTES {
        return Err(flaw(format!("makes a string of more than {MAX_BYTES} bytes")));
    }
    state.consume_fuel(bytes as u64 / 64 + 1)
}

fn pay_items(state: &State<'_, '_>, count: usize) -> Result<(), Error> {
    if count > MAX_ITEMS {
        return Err(flaw(format!("makes a list of more than {MAX_ITEMS} items")));
    }
    state.consume_fuel(count as u64 + 1)
}

fn defined(value: &Value) -> Result<&Value, Error> {
    match value.is_undefined() {
        true => Err(Error::from(ErrorKind::UndefinedError)),
        false => Ok(value),
    }
}

/// Formats a value for output. The engine writes booleans as Python does, which neither shells nor manifests
/// understand. Printing a list costs far more than copying its text, so it is charged item by item, and its length is
/// bounded.
pub(super) fn printed(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let most = match value.kind() {
        ValueKind::Bool => return Ok(value.is_true().to_string()),
        ValueKind::String => return Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number => MAX_BYTES,
        _ => MAX_PRINTED,
    };
    let mut text = Capped { text: String::new(), most };
    let printed = write!(text, "{value}");
    state.consume_fuel(text.text.len() as u64 / 4 + 1)?;
    match printed {
        Ok(()) => Ok(text.text),
        Err(_) => {
            Err(flaw(format!("prints a list or map of more than {most} bytes; use tojson, or print less")))
        }
    }
}

fn string(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let text = printed(state, defined(&args[0])?)?;
    pay_bytes(state, text.len())?;
    Ok(text.into())
}

/// Formats a value for a message, cut to its beginning.
fn in_message(value: &Value) -> String {
    let mut text = Capped { text: String::new(), most: 100 };
    match write!(text, "{value}") {
        Ok(()) => text.text,
        Err(_) => format!("a {}", value.kind()),
    }
}

/// A bounded buffer: a list that contains another one twice, and so on, is small in memory and endless in print.
struct Capped {
    text: String,
    most: usize,
}

impl Write for Capped {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.text.len() + text.len() > self.most {
            return Err(std::fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Sorts values. Nested values are refused, because comparing them can take for ever.
fn in_order(mut items: Vec<Value>) -> Result<Vec<Value>, Error> {
    match items
        .iter()
        .find(|item| !matches!(item.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool))
    {
        Some(other) => Err(flaw(format!("strings and numbers have an order, a {} has none", other.kind()))),
        None => {
            items.sort_unstable();
            Ok(items)
        }
    }
}

fn text(value: &Value) -> Result<&str, Error> {
    defined(value)?
        .as_str()
        .ok_or_else(|| flaw(format!("a string is wanted, not a {}; use string", value.kind())))
}

/// Returns the items of a list, the keys of a map, or the characters of a string.
fn items(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    let mut items = Vec::new();
    for item in defined(value)?.try_iter()? {
        items.push(item);
        if items.len() > MAX_ITEMS {
            break;
        }
    }
    pay_items(state, items.len())?;
    Ok(items)
}

/// Returns the value, or the default if it is undefined, or if it is empty and the third argument is true.
fn default(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let empty_too = args.get(2).is_some_and(Value::is_true);
    if args[0].is_undefined() || (empty_too && !args[0].is_true()) {
        return Ok(args.get(1).cloned().unwrap_or_else(|| "".into()));
    }
    Ok(args[0].clone())
}

fn capitalize(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let mut chars = text(&args[0])?.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    Ok((first + &chars.as_str().to_lowercase()).into())
}

fn trim(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let whole = text(&args[0])?;
    match args.get(1) {
        None => Ok(whole.trim().into()),
        Some(set) => {
            let set = text(set)?;
            Ok(whole.trim_matches(|c| set.contains(c)).into())
        }
    }
}

fn replace(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let (whole, old, new) = (text(&args[0])?, text(&args[1])?, text(&args[2])?);
    let more = whole.matches(old).count().saturating_mul(new.len());
    pay_bytes(state, whole.len().saturating_add(more))?;
    Ok(whole.replace(old, new).into())
}

/// Splits at a separator, or without one at runs of white space.
fn split(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let whole = text(&args[0])?;
    let most = MAX_ITEMS + 1;
    let parts: Vec<Value> = match args.get(1).map(text).transpose()? {
        None => whole.split_whitespace().take(most).map(Value::from).collect(),
        Some("") => return Err(flaw("split wants a separator that is not empty")),
        Some(separator) => whole.split(separator).take(most).map(Value::from).collect(),
    };
    pay_items(state, parts.len())?;
    Ok(parts.into())
}

fn join(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let separator = args.get(1).map_or(Ok(""), text)?;
    let mut out = String::new();
    for (index, item) in items(state, &args[0])?.iter().enumerate() {
        let before = if index > 0 { separator } else { "" };
        let printed = printed(state, defined(item)?)?;
        pay_bytes(state, before.len() + printed.len())?;
        out.push_str(before);
        out.push_str(&printed);
        pay_bytes(state, out.len() / 1024)?;
        if out.len() > MAX_BYTES {
            pay_bytes(state, out.len())?;
        }
    }
    Ok(out.into())
}

/// Indents all lines but the first.
fn indent(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let whole = text(&args[0])?;
    let width = args[1].as_i64().and_then(|width| u64::try_from(width).ok());
    let width = width.ok_or_else(|| flaw("the width of indent is a whole number"))?;
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let more = whole.matches('\n').count().saturating_add(1).saturating_mul(width);
    pay_bytes(state, whole.len().saturating_add(more))?;
    Ok(whole.replace('\n', &format!("\n{}", " ".repeat(width))).into())
}

/// Returns the length; of a string in characters.
fn length(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let value = defined(&args[0])?;
    value.len().map(Value::from).ok_or_else(|| flaw(format!("a {} has no length", value.kind())))
}

fn sorted(state: &State<'_, '_>, args: &[Value], unique: bool) -> Result<Value, Error> {
    let items = items(state, &args[0])?;
    state.consume_fuel(items.len() as u64 * 16)?;
    let mut items = in_order(items)?;
    if unique {
        items.dedup();
    }
    Ok(items.into())
}

/// Returns key and value of each entry, sorted by key.
fn pairs(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    if defined(&args[0])?.kind() != ValueKind::Map {
        return Err(flaw(format!("a map is wanted, not a {}", args[0].kind())));
    }
    let keys = in_order(items(state, &args[0])?)?;
    let pair = |key: Value| args[0].get_item(&key).map(|value| Value::from(vec![key, value]));
    Ok(keys.into_iter().map(pair).collect::<Result<Vec<_>, _>>()?.into())
}

fn int(value: &Value) -> Result<i64, Error> {
    let whole = |f: f64| (f.abs() < 9.2e18).then_some(f as i64);
    let found = match defined(value)?.as_str() {
        Some(text) => text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(whole)),
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().and_then(whole)),
    };
    found.ok_or_else(|| flaw(format!("{} is no whole number", in_message(value))))
}

fn float(value: &Value) -> Result<f64, Error> {
    let found = match defined(value)?.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    found.ok_or_else(|| flaw(format!("{} is no number", in_message(value))))
}

fn round(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let places = args.get(1).map_or(Some(0), Value::as_usize).filter(|places| *places <= 15);
    let places = places.ok_or_else(|| flaw("round takes 0 to 15 places"))?;
    if args[0].is_integer() {
        return Ok(args[0].clone());
    }
    let scale = 10f64.powi(places as i32);
    Ok(((float(&args[0])? * scale).round() / scale).into())
}

fn abs(_: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    match defined(&args[0])?.as_i64() {
        Some(integer) => {
            integer.checked_abs().map(Value::from).ok_or_else(|| flaw("the number is too large"))
        }
        None => float(&args[0]).map(|f| f.abs().into()),
    }
}

/// Evaluates `range(end)`, `range(start, end)` or `range(start, end, step)`, each without the end.
fn range(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let numbers = args.iter().map(int).collect::<Result<Vec<_>, _>>()?;
    let (start, end, step) = match numbers[..] {
        [end] => (0, end, 1),
        [start, end] => (start, end, 1),
        [start, end, step] if step != 0 => (start, end, step),
        _ => return Err(flaw("the step of a range is not 0")),
    };
    let distance = (i128::from(end) - i128::from(start)) * i128::from(step.signum());
    let length = i128::from(step.unsigned_abs());
    let count = usize::try_from((distance + length - 1) / length).unwrap_or(if distance < 0 {
        0
    } else {
        usize::MAX
    });
    pay_items(state, count)?;
    let at = |index: usize| i64::try_from(i128::from(start) + i128::from(step) * index as i128);
    Ok((0..count).filter_map(|index| at(index).ok()).collect::<Vec<_>>().into())
}

fn to_json(state: &State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
    let mut out = String::new();
    write_json(state, &args[0], &mut out, 0)?;
    Ok(out.into())
}

fn write_json(state: &State<'_, '_>, value: &Value, out: &mut String, level: usize) -> Result<(), Error> {
    state.consume_fuel(1)?;
    if level > MAX_NESTING {
        return Err(flaw(format!("the value is nested more than {MAX_NESTING} levels deep")));
    }
    match defined(value)?.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool | ValueKind::Number => out.push_str(&printed(state, value)?),
        ValueKind::Map => {
            let keys = in_order(items(state, value)?)?;
            for (index, key) in keys.iter().enumerate() {
                out.push(if index == 0 { '{' } else { ',' });
                write_text(state, &printed(state, key)?, out)?;
                out.push(':');
                write_json(state, &value.get_item(key)?, out, level + 1)?;
            }
            out.push_str(if keys.is_empty() { "{}" } else { "}" });
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = items(state, value)?;
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                write_json(state, item, out, level + 1)?;
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        _ => write_text(state, &printed(state, value)?, out)?,
    }
    if out.len() > MAX_BYTES { pay_bytes(state, out.len()) } else { Ok(()) }
}

fn write_text(state: &State<'_, '_>, text: &str, out: &mut String) -> Result<(), Error> {
    pay_bytes(state, text.len())?;
    out.push_str(&serde_json::Value::from(text).to_string());
    Ok(())
}
