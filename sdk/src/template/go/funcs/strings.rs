//! Functions on strings, which are bytes: lengths and positions count bytes.

use super::arguments::{bytes, int};
use super::function::{Env, Function, Type, fixed, variadic};
use super::lists::strings;
use crate::template::go::printf;
use crate::template::go::quote::{self, chars};
use crate::template::go::value::{Text, Value};

use Type::{Any, Int, Str};

pub(super) const TABLE: &[Function] = &[
    fixed("hello", &[], |_, _| Ok(Value::str("Hello!"))),
    fixed("trim", &[Str], |args, _| Ok(trim(bytes(&args[0]), char::is_whitespace))),
    fixed("trimAll", &[Str, Str], trim_all),
    fixed("trimall", &[Str, Str], trim_all),
    fixed("trimPrefix", &[Str, Str], |args, _| {
        let text = bytes(&args[1]);
        Ok(Value::str(text.strip_prefix(bytes(&args[0])).unwrap_or(text)))
    }),
    fixed("trimSuffix", &[Str, Str], |args, _| {
        let text = bytes(&args[1]);
        Ok(Value::str(text.strip_suffix(bytes(&args[0])).unwrap_or(text)))
    }),
    fixed("upper", &[Str], |args, env| map_chars(&args[0], env, |_, c| upper(c))),
    fixed("lower", &[Str], |args, env| map_chars(&args[0], env, |_, c| lower(c))),
    fixed("title", &[Str], |args, env| {
        map_chars(&args[0], env, |before, c| if separates(before) { title(c) } else { c })
    }),
    fixed("trunc", &[Int, Str], |args, _| Ok(trunc(int(&args[0]), bytes(&args[1])))),
    fixed("substr", &[Int, Int, Str], substr),
    fixed("repeat", &[Int, Str], |args, env| repeat(bytes(&args[1]), int(&args[0]), env).map(Value::str)),
    fixed("replace", &[Str, Str, Str], |args, env| {
        replace(bytes(&args[2]), bytes(&args[0]), bytes(&args[1]), env).map(Value::str)
    }),
    fixed("contains", &[Str, Str], |args, env| {
        Ok(Value::Bool(!matches(bytes(&args[1]), bytes(&args[0]), 1, env)?.is_empty()))
    }),
    fixed("hasPrefix", &[Str, Str], |args, _| Ok(Value::Bool(bytes(&args[1]).starts_with(bytes(&args[0]))))),
    fixed("hasSuffix", &[Str, Str], |args, _| Ok(Value::Bool(bytes(&args[1]).ends_with(bytes(&args[0]))))),
    variadic("quote", &[], Any, |args, env| {
        join_some(args, env, |value, env| Ok(quote::quote(&printf::text(value, env.meter)?, false)))
    }),
    variadic("squote", &[], Any, |args, env| {
        join_some(args, env, |value, env| {
            Ok([&b"'"[..], &printf::text(value, env.meter)?, &b"'"[..]].concat())
        })
    }),
    variadic("cat", &[], Any, |args, env| join_some(args, env, |value, env| printf::text(value, env.meter))),
    fixed("indent", &[Int, Str], |args, env| indent(b"", args, env)),
    fixed("nindent", &[Int, Str], |args, env| indent(b"\n", args, env)),
    fixed("plural", &[Str, Str, Int], |args, _| Ok(args[usize::from(int(&args[2]) != 1)].clone())),
    fixed("join", &[Str, Any], |args, env| join(&strings(&args[1], env)?, bytes(&args[0]), env)),
    fixed("split", &[Str, Str], |args, env| numbered(&split(bytes(&args[1]), bytes(&args[0]), -1, env)?)),
    fixed("splitn", &[Str, Int, Str], |args, env| {
        numbered(&split(bytes(&args[2]), bytes(&args[0]), int(&args[1]), env)?)
    }),
    fixed("splitList", &[Str, Str], |args, env| {
        Ok(Value::strings(split(bytes(&args[1]), bytes(&args[0]), -1, env)?))
    }),
    fixed("toString", &[Any], |args, env| printf::text(&args[0], env.meter).map(Value::str)),
];

fn trim(text: &[u8], cut: impl Fn(char) -> bool) -> Value {
    let cut_here = |(c, _): &(Option<char>, &[u8])| cut(c.unwrap_or('\u{fffd}'));
    let front: usize = chars(text).take_while(cut_here).map(|(_, bytes)| bytes.len()).sum();
    let rest = &text[front..];
    let (mut end, mut at) = (0, 0);
    for item in chars(rest) {
        at += item.1.len();
        if !cut_here(&item) {
            end = at;
        }
    }
    Value::str(&rest[..end])
}

fn trim_all(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let set: Vec<char> = chars(bytes(&args[0])).map(|(c, _)| c.unwrap_or('\u{fffd}')).collect();
    env.meter.spend((set.len() * bytes(&args[1]).len()) as u64 / 16)?;
    Ok(trim(bytes(&args[1]), |c| set.contains(&c)))
}

/// Replaces each character by one that may depend on the character before it.
fn map_chars(text: &Value, env: &Env<'_>, map: fn(char, char) -> char) -> Result<Value, String> {
    let text = bytes(text);
    env.meter.string(text.len() * 3)?;
    let mut before = ' ';
    let mut out = String::with_capacity(text.len());
    for (c, _) in chars(text) {
        let c = c.unwrap_or('\u{fffd}');
        out.push(map(before, c));
        before = c;
    }
    Ok(Value::str(out))
}

/// Returns the single capital of a letter. A letter with several capitals, such as the sharp s, stays.
fn upper(c: char) -> char {
    // Greek letters with an iota have one capital, but two in the full mapping.
    let single = match c as u32 {
        code @ (0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7) => code + 8,
        code @ (0x1fb3 | 0x1fc3 | 0x1ff3) => code + 9,
        _ => return only(c.to_uppercase()).unwrap_or(c),
    };
    char::from_u32(single).unwrap_or(c)
}

/// Returns the capital at the start of a word. A digraph capitalizes only its first letter, and Georgian has no
/// capitals.
fn title(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        '\u{10d0}'..='\u{10ff}' => c,
        _ => upper(c),
    }
}

fn lower(c: char) -> char {
    if c == '\u{130}' { 'i' } else { only(c.to_lowercase()).unwrap_or(c) }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_none() { first } else { None }
}

/// Whether a word can start after this character.
fn separates(c: char) -> bool {
    if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() }
}

fn trunc(count: i64, text: &[u8]) -> Value {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    Value::str(match wanted < text.len() {
        true if count >= 0 => &text[..wanted],
        true => &text[text.len() - wanted..],
        false => text,
    })
}

fn substr(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    let text = bytes(&args[2]);
    let (start, end) = (int(&args[0]), int(&args[1]));
    let to_end = start >= 0 && (end < 0 || end > text.len() as i64);
    let end = if to_end { text.len() as i64 } else { end };
    let range = usize::try_from(start.max(0)).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| text.get(start..end)) {
        Some(part) => Ok(Value::str(part)),
        None => Err(format!("{start} to {end} is out of range: there are {} bytes", text.len())),
    }
}

fn repeat(text: &[u8], count: i64, env: &Env<'_>) -> Result<Vec<u8>, String> {
    let count = usize::try_from(count).map_err(|_| "the count is negative".to_owned())?;
    env.meter.string(text.len().saturating_mul(count))?;
    Ok(text.repeat(count))
}

/// Returns the positions of the first `most` occurrences of `part` in `text`, without overlaps. An empty `part` occurs
/// between all characters.
fn matches(text: &[u8], part: &[u8], most: usize, env: &Env<'_>) -> Result<Vec<usize>, String> {
    env.meter.spend(text.len() as u64 / 16 + 1)?;
    if part.is_empty() {
        let mut found = Vec::new();
        let mut at = 0;
        for (_, bytes) in chars(text).take(most) {
            found.push(at);
            at += bytes.len();
        }
        if found.len() < most {
            found.push(text.len());
        }
        return Ok(found);
    }
    if let (Ok(text), Ok(part)) = (std::str::from_utf8(text), std::str::from_utf8(part)) {
        return Ok(text.match_indices(part).map(|(at, _)| at).take(most).collect());
    }
    env.meter.spend((text.len() * part.len()) as u64 / 64)?;
    let (mut found, mut at) = (Vec::new(), 0);
    while found.len() < most && at + part.len() <= text.len() {
        if text[at..].starts_with(part) {
            found.push(at);
            at += part.len();
        } else {
            at += 1;
        }
    }
    Ok(found)
}

pub(super) fn replace(text: &[u8], old: &[u8], new: &[u8], env: &Env<'_>) -> Result<Vec<u8>, String> {
    if old == new {
        return Ok(text.to_vec());
    }
    let found = matches(text, old, usize::MAX, env)?;
    env.meter.string(text.len().saturating_add(found.len().saturating_mul(new.len())))?;
    let (mut out, mut done) = (Vec::new(), 0);
    for at in found {
        out.extend(&text[done..at]);
        out.extend(new);
        done = at + old.len();
    }
    out.extend(&text[done..]);
    Ok(out)
}

fn indent(before: &[u8], args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let padding = repeat(b" ", int(&args[0]), env)?;
    let lines = replace(bytes(&args[1]), b"\n", &[b"\n", &padding[..]].concat(), env)?;
    env.meter.string(padding.len() + lines.len() + 1)?;
    Ok(Value::str([before, &padding, &lines].concat()))
}

/// Joins the values that are not nil with spaces.
fn join_some(
    args: &[Value],
    env: &Env<'_>,
    show: fn(&Value, &Env<'_>) -> Result<Vec<u8>, String>,
) -> Result<Value, String> {
    let shown = args
        .iter()
        .filter(|value| !value.is_nil())
        .map(|value| show(value, env))
        .collect::<Result<Vec<_>, _>>()?;
    join(&shown, b" ", env)
}

fn join<T: AsRef<[u8]>>(parts: &[T], separator: &[u8], env: &Env<'_>) -> Result<Value, String> {
    let lengths = parts.iter().map(|part| part.as_ref().len() + separator.len());
    env.meter.string(lengths.fold(0, usize::saturating_add))?;
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    Ok(Value::str(parts.join(separator)))
}

/// Splits into at most `most` parts, or all parts if `most` is negative.
fn split<'t>(text: &'t [u8], separator: &[u8], most: i64, env: &Env<'_>) -> Result<Vec<&'t [u8]>, String> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut found = matches(text, separator, if separator.is_empty() { usize::MAX } else { most - 1 }, env)?;
    if separator.is_empty() {
        // An empty separator splits between characters, not before the first or after the last.
        found.retain(|at| *at > 0 && *at < text.len());
        found.truncate(most - 1);
        if text.is_empty() {
            return Ok(Vec::new());
        }
    }
    env.meter.items(found.len() + 1)?;
    let mut parts = Vec::with_capacity(found.len() + 1);
    let mut done = 0;
    for at in found {
        parts.push(&text[done..at]);
        done = at + separator.len();
    }
    parts.push(&text[done..]);
    Ok(parts)
}

/// Makes a map with the keys `_0`, `_1`, ...
fn numbered(parts: &[&[u8]]) -> Result<Value, String> {
    let entries = parts.iter().enumerate();
    Ok(Value::texts(
        entries.map(|(index, part)| (Text::from(format!("_{index}").as_bytes()), Text::from(*part))),
    ))
}
