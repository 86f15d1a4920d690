//! The built-in functions of Go's `text/template`, except `slice`, which is the list function of slim-sprig.

use super::arguments::with_article;
use super::compare::{equal, less};
use super::function::{Env, Function, Run, Type, fixed, variadic};
use crate::template::go::printf;
use crate::template::go::quote;
use crate::template::go::sink::Sink;
use crate::template::go::value::Value;

use Type::{Any, Reflect, Str};

pub(super) const TABLE: &[Function] = &[
    Function { name: "and", params: &[Reflect], rest: Some(Reflect), run: Run::And },
    Function { name: "or", params: &[Reflect], rest: Some(Reflect), run: Run::Or },
    fixed("not", &[Reflect], |args, _| Ok(Value::Bool(!args[0].truth()))),
    fixed("len", &[Reflect], length),
    variadic("index", &[Reflect], Reflect, |args, _| index(&args[0], &args[1..])),
    variadic("call", &[Reflect], Reflect, |args, _| {
        Err(format!("{} is no function", with_article(&args[0])))
    }),
    variadic("print", &[], Any, |args, env| printf::print(args, env.meter).map(Value::str)),
    variadic("println", &[], Any, |args, env| printf::println(args, env.meter).map(Value::str)),
    variadic("printf", &[Str], Any, |args, env| {
        printf::printf(super::arguments::bytes(&args[0]), &args[1..], env.meter).map(Value::str)
    }),
    variadic("html", &[], Any, |args, env| escape(args, env, html)),
    variadic("js", &[], Any, |args, env| escape(args, env, js)),
    variadic("urlquery", &[], Any, |args, env| escape(args, env, urlquery)),
    variadic("eq", &[Reflect], Reflect, eq),
    fixed("ne", &[Reflect, Reflect], |args, env| Ok(Value::Bool(!equal(&args[0], &args[1], env.meter)?))),
    fixed("lt", &[Reflect, Reflect], |args, _| Ok(Value::Bool(less(&args[0], &args[1])?))),
    fixed("le", &[Reflect, Reflect], |args, env| at_most(&args[0], &args[1], env).map(Value::Bool)),
    fixed("gt", &[Reflect, Reflect], |args, env| at_most(&args[0], &args[1], env).map(|b| Value::Bool(!b))),
    fixed("ge", &[Reflect, Reflect], |args, _| Ok(Value::Bool(!less(&args[0], &args[1])?))),
];

fn length(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Str(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.entries.borrow().len(),
        Value::Texts(map) => map.entries.len(),
        other => return Err(format!("{} has no length", with_article(other))),
    };
    Ok(Value::Int(length as i64))
}

fn index(item: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut item = item.clone();
    if item.is_nil() {
        return Err("the value is missing or null; test for it with if first".into());
    }
    for key in keys {
        item = match &item {
            Value::Missing | Value::Nil => {
                return Err("a value on the way is missing or null; test for it with if first".into());
            }
            Value::List(list) => list.items()[position(key, list.items().len())?].clone(),
            Value::Str(text) => Value::Byte(text[position(key, text.len())?]),
            Value::Map(map) => map.get(name(key)?).unwrap_or(Value::Nil),
            Value::Texts(map) => Value::Str(map.entries.get(name(key)?).cloned().unwrap_or_default()),
            other => return Err(format!("{} cannot be indexed", with_article(other))),
        };
    }
    Ok(item)
}

fn name(key: &Value) -> Result<&[u8], String> {
    match key {
        Value::Str(text) => Ok(text),
        other => Err(format!("the key of a map is a string, not {}", with_article(other))),
    }
}

fn position(key: &Value, length: usize) -> Result<usize, String> {
    let number = match key {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Byte(n) => i64::from(*n),
        other => return Err(format!("the index of a list is a whole number, not {}", with_article(other))),
    };
    usize::try_from(number)
        .ok()
        .filter(|index| *index < length)
        .ok_or_else(|| format!("index {number} is out of range: there are {length} items"))
}

fn eq(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    if args.len() < 2 {
        return Err("there is nothing to compare with".into());
    }
    for other in &args[1..] {
        if equal(&args[0], other, env.meter)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn at_most(left: &Value, right: &Value, env: &Env<'_>) -> Result<bool, String> {
    Ok(less(left, right)? || equal(left, right, env.meter)?)
}

/// Joins and escapes the arguments.
fn escape(args: &[Value], env: &Env<'_>, write: fn(&[u8], &mut Sink)) -> Result<Value, String> {
    let shown: Vec<Value> = args
        .iter()
        .map(|value| if value.is_nil() { Value::str("<no value>") } else { value.clone() })
        .collect();
    let text = printf::print(&shown, env.meter)?;
    let mut sink = Sink::new(env.meter);
    write(&text, &mut sink);
    sink.finish(env.meter).map(Value::str)
}

fn html(text: &[u8], out: &mut Sink) {
    for byte in text {
        match byte {
            0 => out.str("\u{fffd}"),
            b'"' => out.str("&#34;"),
            b'\'' => out.str("&#39;"),
            b'&' => out.str("&amp;"),
            b'<' => out.str("&lt;"),
            b'>' => out.str("&gt;"),
            other => out.push(&[*other]),
        }
    }
}

fn js(text: &[u8], out: &mut Sink) {
    for (c, bytes) in quote::chars(text) {
        match c {
            Some(c @ ('\\' | '\'' | '"')) => out.push(&[b'\\', c as u8]),
            Some(c @ ('<' | '>' | '&' | '=' | '\0'..='\x1f')) => out.str(&format!("\\u{:04X}", c as u32)),
            Some(c) if !c.is_ascii() && !quote::printable(c) => out.str(&format!("\\u{:04X}", c as u32)),
            _ => out.push(bytes),
        }
    }
}

fn urlquery(text: &[u8], out: &mut Sink) {
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(&[*byte]),
            b' ' => out.str("+"),
            other => out.str(&format!("%{other:02X}")),
        }
    }
}
