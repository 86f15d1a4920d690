//! Functions on maps of any values, and `dict`, which makes such a map.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::arguments::{bytes, map, text, with_article};
use super::function::{Env, Function, Type, fixed, variadic};
use crate::template::go::printf;
use crate::template::go::value::{Map, Text, Value};

use Type::{Any, AnyMap, Str};

pub(super) const TABLE: &[Function] = &[
    variadic("dict", &[], Any, dict),
    fixed("get", &[AnyMap, Str], |args, _| {
        Ok(map(&args[0]).and_then(|map| map.get(bytes(&args[1]))).unwrap_or_else(|| Value::str("")))
    }),
    fixed("set", &[AnyMap, Str, Any], set),
    fixed("unset", &[AnyMap, Str], |args, _| {
        if let Some(map) = map(&args[0]) {
            map.entries.borrow_mut().remove(bytes(&args[1]));
        }
        Ok(args[0].clone())
    }),
    fixed("hasKey", &[AnyMap, Str], |args, _| {
        Ok(Value::Bool(map(&args[0]).is_some_and(|map| map.entries.borrow().contains_key(bytes(&args[1])))))
    }),
    variadic("pluck", &[Str], AnyMap, |args, _| {
        let key = bytes(&args[0]);
        Ok(Value::list(args[1..].iter().filter_map(map).filter_map(|map| map.get(key)).collect()))
    }),
    variadic("keys", &[], AnyMap, |args, env| {
        let keys: Vec<Text> = args
            .iter()
            .filter_map(map)
            .flat_map(|map| map.entries.borrow().keys().cloned().collect::<Vec<_>>())
            .collect();
        env.meter.items(keys.len())?;
        Ok(Value::strings(keys))
    }),
    fixed("values", &[AnyMap], |args, env| {
        let values: Vec<Value> =
            map(&args[0]).map(|map| map.entries.borrow().values().cloned().collect()).unwrap_or_default();
        env.meter.items(values.len())?;
        Ok(Value::list(values))
    }),
    variadic("pick", &[AnyMap], Str, |args, env| choose(args, env, true)),
    variadic("omit", &[AnyMap], Str, |args, env| choose(args, env, false)),
    variadic("dig", &[], Any, dig),
];

fn dict(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    env.meter.items(args.len())?;
    let mut entries = BTreeMap::new();
    for pair in args.chunks(2) {
        let key = printf::text(&pair[0], env.meter)?;
        entries.insert(Text::from(key), pair.get(1).cloned().unwrap_or_else(|| Value::str("")));
    }
    Ok(Value::map(entries))
}

fn set(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    match map(&args[0]) {
        Some(map) if !map.nil => {
            let before = map.entries.borrow_mut().insert(Text::from(bytes(&args[1])), args[2].clone());
            drop(before);
            Ok(args[0].clone())
        }
        _ => Err("the map is missing, so nothing can be set in it".into()),
    }
}

fn choose(args: &[Value], env: &Env<'_>, named: bool) -> Result<Value, String> {
    let keys: Vec<&[u8]> = args[1..].iter().map(bytes).collect();
    let Some(map) = map(&args[0]) else { return Ok(Value::map(BTreeMap::new())) };
    let entries = map.entries.borrow();
    env.meter.spend((entries.len() * (keys.len() + 1)) as u64)?;
    let chosen = entries.iter().filter(|(key, _)| keys.contains(&&key[..]) == named);
    Ok(Value::map(chosen.map(|(key, value)| (key.clone(), value.clone()))))
}

/// Evaluates `dig "a" "b" default map`: the value at `.a.b` of the map, or the default.
fn dig(args: &[Value], _: &Env<'_>) -> Result<Value, String> {
    let [path @ .., otherwise, Value::Map(map)] = args else {
        return Err("the last argument is a map of any values, the one before it the default".into());
    };
    if path.is_empty() {
        return Err("at least one key, a default and a map are wanted".into());
    }
    if let Some(other) = path.iter().find(|key| !matches!(key, Value::Str(_))) {
        return Err(format!("a key is a string, not {}", with_article(other)));
    }
    let mut map: Rc<Map> = map.clone();
    for (index, key) in path.iter().enumerate() {
        match map.get(bytes(key)) {
            None => return Ok(otherwise.clone()),
            Some(value) if index + 1 == path.len() => return Ok(value),
            Some(Value::Map(inner)) => map = inner,
            Some(other) => return Err(format!("{:?} holds {}, not a map", text(key), with_article(&other))),
        }
    }
    Ok(otherwise.clone())
}
