//! Functions on lists. They never change a list: they return new ones.

use super::arguments::{int, list};
use super::compare::deep_equal;
use super::defaults::empty;
use super::function::{Env, Function, Type, fixed, variadic};
use super::numbers::to_int64;
use crate::template::go::printf;
use crate::template::go::value::{Elem, List, Text, Value};

use Type::{Any, Int};

pub(super) const TABLE: &[Function] = &[
    variadic("list", &[], Any, make),
    variadic("tuple", &[], Any, make),
    fixed("first", &[Any], first),
    fixed("mustFirst", &[Any], first),
    fixed("last", &[Any], last),
    fixed("mustLast", &[Any], last),
    fixed("rest", &[Any], |args, env| part(args, env, 1, 0)),
    fixed("mustRest", &[Any], |args, env| part(args, env, 1, 0)),
    fixed("initial", &[Any], |args, env| part(args, env, 0, 1)),
    fixed("mustInitial", &[Any], |args, env| part(args, env, 0, 1)),
    fixed("append", &[Any, Any], |args, env| concat(&[list(&args[0])?.items(), &args[1..]], env)),
    fixed("mustAppend", &[Any, Any], |args, env| concat(&[list(&args[0])?.items(), &args[1..]], env)),
    fixed("push", &[Any, Any], |args, env| concat(&[list(&args[0])?.items(), &args[1..]], env)),
    fixed("mustPush", &[Any, Any], |args, env| concat(&[list(&args[0])?.items(), &args[1..]], env)),
    fixed("prepend", &[Any, Any], |args, env| concat(&[&args[1..], list(&args[0])?.items()], env)),
    fixed("mustPrepend", &[Any, Any], |args, env| concat(&[&args[1..], list(&args[0])?.items()], env)),
    variadic("concat", &[], Any, |args, env| {
        let lists = args.iter().map(|value| Ok(list(value)?.items())).collect::<Result<Vec<_>, String>>()?;
        match lists.iter().all(|items| items.is_empty()) {
            true => Ok(Value::List(List::nil(Elem::Any))),
            false => concat(&lists, env),
        }
    }),
    fixed("reverse", &[Any], reverse),
    fixed("mustReverse", &[Any], reverse),
    fixed("compact", &[Any], |args, env| keep(args, env, |item, _| Ok(!empty(item)))),
    fixed("mustCompact", &[Any], |args, env| keep(args, env, |item, _| Ok(!empty(item)))),
    fixed("uniq", &[Any], |args, env| keep(args, env, |item, kept| Ok(!contains(kept, item, env)?))),
    fixed("mustUniq", &[Any], |args, env| keep(args, env, |item, kept| Ok(!contains(kept, item, env)?))),
    variadic("without", &[Any], Any, without),
    variadic("mustWithout", &[Any], Any, without),
    fixed("has", &[Any, Any], has),
    fixed("mustHas", &[Any, Any], has),
    variadic("slice", &[Any], Any, slice),
    variadic("mustSlice", &[Any], Any, slice),
    fixed("chunk", &[Int, Any], chunk),
    fixed("mustChunk", &[Int, Any], chunk),
    fixed("sortAlpha", &[Any], sort_alpha),
    fixed("toStrings", &[Any], |args, env| Ok(Value::strings(strings(&args[0], env)?))),
];

fn make(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    concat(&[args], env)
}

fn concat(parts: &[&[Value]], env: &Env<'_>) -> Result<Value, String> {
    env.meter.items(parts.iter().map(|part| part.len()).sum())?;
    Ok(Value::list(parts.concat()))
}

fn first(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    Ok(list(&args[0])?.items().first().cloned().unwrap_or(Value::Nil))
}

fn last(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    Ok(list(&args[0])?.items().last().cloned().unwrap_or(Value::Nil))
}

/// Returns a list without `front` items at its start and `back` items at its end.
fn part(args: &[Value], env: &Env<'_>, front: usize, back: usize) -> Result<Value, String> {
    let items = list(&args[0])?.items();
    if items.is_empty() {
        return Ok(Value::List(List::nil(Elem::Any)));
    }
    concat(&[&items[front..items.len() - back]], env)
}

fn reverse(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let items = list(&args[0])?.items();
    env.meter.items(items.len())?;
    Ok(Value::list(items.iter().rev().cloned().collect()))
}

/// Returns the items that `wanted` accepts, given the items accepted before.
fn keep(
    args: &[Value],
    env: &Env<'_>,
    wanted: impl Fn(&Value, &[Value]) -> Result<bool, String>,
) -> Result<Value, String> {
    let items = list(&args[0])?.items();
    env.meter.items(items.len())?;
    let mut kept = Vec::new();
    for item in items {
        if wanted(item, &kept)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn contains(items: &[Value], wanted: &Value, env: &Env<'_>) -> Result<bool, String> {
    for item in items {
        if deep_equal(wanted, item, env.meter)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn without(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    keep(args, env, |item, _| Ok(!contains(&args[1..], item, env)?))
}

fn has(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    if args[1].is_nil() {
        return Ok(Value::Bool(false));
    }
    contains(list(&args[1])?.items(), &args[0], env).map(Value::Bool)
}

fn slice(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let list = list(&args[0])?;
    let items = list.items();
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int64);
    let end = args.get(2).map_or(items.len() as i64, to_int64);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.filter(|(start, end)| start <= end && *end <= items.len()) {
        Some((start, end)) => {
            env.meter.items(end - start)?;
            Ok(Value::List(List::new(list.elem, items[start..end].to_vec())))
        }
        None => Err(format!("{start} to {end} is out of range: there are {} items", items.len())),
    }
}

fn chunk(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let items = list(&args[1])?.items();
    let size = usize::try_from(int(&args[0]))
        .ok()
        .filter(|size| *size > 0)
        .ok_or("the size of a chunk is at least 1")?;
    env.meter.items(items.len())?;
    let chunks = items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(Value::List(List::new(Elem::List, chunks)))
}

fn sort_alpha(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let mut items = match &args[0] {
        Value::List(_) => strings(&args[0], env)?,
        other => vec![Text::from(printf::text(other, env.meter)?)],
    };
    items.sort_unstable();
    Ok(Value::strings(items))
}

/// Returns the items as strings, without nils. Any other value counts as a list of one item.
pub(super) fn strings(value: &Value, env: &Env<'_>) -> Result<Vec<Text>, String> {
    let items = match value {
        Value::Missing | Value::Nil => &[],
        Value::List(list) => list.items(),
        other => std::slice::from_ref(other),
    };
    env.meter.items(items.len())?;
    items
        .iter()
        .filter(|item| !item.is_nil())
        .map(|item| match item {
            Value::Str(text) => Ok(text.clone()),
            other => printf::text(other, env.meter).map(Text::from),
        })
        .collect()
}
