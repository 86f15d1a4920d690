//! Regular expressions in the syntax of RE2, on an engine whose time is linear in the text.

use regex_lite::{Captures, Regex, RegexBuilder};

use super::super::pattern::{self, Flaw};
use super::arguments::{bytes, int, text};
use super::function::{Env, Function, Type, fixed};
use crate::template::go::value::{Elem, List, Value};

use Type::{Int, Str};

pub(super) const TABLE: &[Function] = &[
    fixed("regexMatch", &[Str, Str], |args, env| match compile(args, env) {
        Ok(regex) => Ok(Value::Bool(regex.is_match(&text(&args[1])))),
        // As in Go, an invalid expression matches nothing.
        Err(Flaw::Malformed(_)) => Ok(Value::Bool(false)),
        Err(Flaw::Unsupported(cause)) => Err(cause),
    }),
    fixed("mustRegexMatch", &[Str, Str], |args, env| {
        Ok(Value::Bool(compile(args, env)?.is_match(&text(&args[1]))))
    }),
    fixed("regexFind", &[Str, Str], find),
    fixed("mustRegexFind", &[Str, Str], find),
    fixed("regexFindAll", &[Str, Str, Int], find_all),
    fixed("mustRegexFindAll", &[Str, Str, Int], find_all),
    fixed("regexReplaceAll", &[Str, Str, Str], |args, env| replace_all(args, env, expand)),
    fixed("mustRegexReplaceAll", &[Str, Str, Str], |args, env| replace_all(args, env, expand)),
    fixed("regexReplaceAllLiteral", &[Str, Str, Str], |args, env| {
        replace_all(args, env, |_, by, out| out.push_str(by))
    }),
    fixed("mustRegexReplaceAllLiteral", &[Str, Str, Str], |args, env| {
        replace_all(args, env, |_, by, out| out.push_str(by))
    }),
    fixed("regexSplit", &[Str, Str, Int], split),
    fixed("mustRegexSplit", &[Str, Str, Int], split),
    fixed("regexQuoteMeta", &[Str], |args, env| {
        env.meter.string(bytes(&args[0]).len() * 2)?;
        let quoted = bytes(&args[0]).iter().flat_map(|byte| {
            let escape = b"\\.+*?()|[]{}^$".contains(byte).then_some(b'\\');
            escape.into_iter().chain([*byte])
        });
        Ok(Value::str(quoted.collect::<Vec<u8>>()))
    }),
];

impl From<Flaw> for String {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Malformed(cause) => format!("the regular expression is malformed: {cause}"),
            Flaw::Unsupported(cause) => cause,
        }
    }
}

/// Compiles the expression in argument 0, and charges the meter for the text in argument 1.
fn compile(args: &[Value], env: &Env<'_>) -> Result<Regex, Flaw> {
    let pattern = pattern::translate(&text(&args[0]))?;
    let cost = (bytes(&args[1]).len() as u64 + 64).saturating_mul(pattern.weight) / 32;
    env.meter.spend(cost).map_err(Flaw::Unsupported)?;
    // The number of nested groups is bounded already; this bounds the levels that groups and repetitions make.
    let built = RegexBuilder::new(&pattern.text).nest_limit(250).build();
    built.map_err(|error| Flaw::Malformed(error.to_string()))
}

fn find(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let regex = compile(args, env)?;
    let text = text(&args[1]);
    Ok(Value::str(regex.find(&text).map_or("", |found| found.as_str())))
}

/// Returns the number of matches to find: `count`, or all if it is negative.
fn at_most(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn find_all(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let regex = compile(args, env)?;
    let text = text(&args[1]);
    let most = at_most(int(&args[2]));
    let found: Vec<&str> = regex
        .find_iter(&text)
        .take(most.min(env.meter.bounds().items + 1))
        .map(|found| found.as_str())
        .collect();
    env.meter.items(found.len())?;
    Ok(if found.is_empty() { Value::List(List::nil(Elem::Str)) } else { Value::strings(found) })
}

fn replace_all(
    args: &[Value],
    env: &Env<'_>,
    write: fn(&Captures<'_>, &str, &mut String),
) -> Result<Value, String> {
    let regex = compile(args, env)?;
    let (text, by) = (text(&args[1]), text(&args[2]));
    let (mut out, mut done) = (String::new(), 0);
    for captures in regex.captures_iter(&text) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(&text[done..found.start()]);
        write(&captures, &by, &mut out);
        done = found.end();
        if out.len() > env.meter.bounds().string_bytes {
            break;
        }
    }
    out.push_str(&text[done..]);
    env.meter.string(out.len())?;
    Ok(Value::str(out))
}

/// Replaces `$1`, `${1}`, `$name` and `${name}` in `template` by the matches of the groups; `$$` is a dollar.
fn expand(captures: &Captures<'_>, template: &str, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = reference(after) {
            out.push_str(group(captures, name));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

/// Returns the name of a group and the text after it; `None` if the dollar is a plain one.
fn reference(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('{').unwrap_or(text);
    let end = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    if name.is_empty() {
        return None;
    }
    if body.len() == text.len() { Some((name, rest)) } else { Some((name, rest.strip_prefix('}')?)) }
}

fn group<'t>(captures: &Captures<'t>, name: &str) -> &'t str {
    let padded = name.len() > 1 && name.starts_with('0');
    let found = match name.parse::<usize>() {
        Ok(index) if !padded => captures.get(index),
        _ => captures.name(name),
    };
    found.map_or("", |found| found.as_str())
}

fn split(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let regex = compile(args, env)?;
    let text = text(&args[1]);
    let most = at_most(int(&args[2]));
    if most == 0 {
        return Ok(Value::List(List::nil(Elem::Str)));
    }
    if text.is_empty() && !bytes(&args[0]).is_empty() {
        return Ok(Value::strings([""]));
    }
    let (mut parts, mut done, mut last) = (Vec::new(), 0, 0);
    for found in regex.find_iter(&text).take(most.min(env.meter.bounds().items + 1)) {
        if parts.len() + 1 == most {
            break;
        }
        last = found.start();
        if found.end() != 0 {
            parts.push(&text[done..last]);
        }
        done = found.end();
    }
    if last != text.len() {
        parts.push(&text[done..]);
    }
    env.meter.items(parts.len())?;
    Ok(Value::strings(parts))
}
