//! Functions about empty values.

use super::function::{Function, Type, fixed, variadic};
use crate::template::go::value::Value;

use Type::{Any, Bool};

pub(super) const TABLE: &[Function] = &[
    variadic("default", &[Any], Any, |args, _| match args.get(1) {
        Some(given) if !empty(given) => Ok(given.clone()),
        _ => Ok(args[0].clone()),
    }),
    fixed("empty", &[Any], |args, _| Ok(Value::Bool(empty(&args[0])))),
    variadic("coalesce", &[], Any, |args, _| {
        Ok(args.iter().find(|value| !empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    variadic("all", &[], Any, |args, _| Ok(Value::Bool(!args.iter().any(empty)))),
    variadic("any", &[], Any, |args, _| Ok(Value::Bool(!args.iter().all(empty)))),
    fixed("ternary", &[Any, Any, Bool], |args, _| Ok(args[usize::from(!args[2].truth())].clone())),
    fixed("fail", &[Type::Str], |args, _| Err(super::arguments::text(&args[0]).into_owned())),
];

/// Whether a value is missing, false, zero or without content. The string `false` is not empty.
pub(super) fn empty(value: &Value) -> bool {
    !value.truth()
}
