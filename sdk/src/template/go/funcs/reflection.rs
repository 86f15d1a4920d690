//! Functions about Go types.

use super::arguments::bytes;
use super::compare::deep_equal;
use super::function::{Function, Type, fixed};
use crate::template::go::value::Value;

use Type::{Any, Str};

pub(super) const TABLE: &[Function] = &[
    fixed("typeOf", &[Any], |args, _| Ok(Value::str(args[0].type_name()))),
    fixed("typeIs", &[Str, Any], |args, _| {
        Ok(Value::Bool(bytes(&args[0]) == args[1].type_name().as_bytes()))
    }),
    fixed("typeIsLike", &[Str, Any], |args, _| {
        Ok(Value::Bool(bytes(&args[0]) == args[1].type_name().as_bytes()))
    }),
    fixed("kindOf", &[Any], |args, _| Ok(Value::str(args[0].kind_name()))),
    fixed("kindIs", &[Str, Any], |args, _| {
        Ok(Value::Bool(bytes(&args[0]) == args[1].kind_name().as_bytes()))
    }),
    fixed("deepEqual", &[Any, Any], |args, env| deep_equal(&args[0], &args[1], env.meter).map(Value::Bool)),
];
