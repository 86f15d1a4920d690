//! The functions: those of Go's `text/template` and of slim-sprig, without any that looks outside. They are native
//! and take checked arguments, so none is registered anywhere: a name is looked up where a template uses it.

use super::super::meter::Meter;
use super::value::{List, Map, Value};

mod builtins;
mod compare;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod lists;
mod numbers;
mod paths;
mod reflection;
mod regex;
mod strings;
mod urls;

pub(super) use compare::deep_equal;

/// What functions may use besides their arguments.
pub(in super::super) struct Env<'m> {
    pub(in super::super) meter: &'m Meter,
    /// When the run began, in seconds since 1970: the only clock there is.
    pub(in super::super) now: i64,
}

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Type {
    /// `interface {}`: anything; what is missing becomes nil.
    Any,
    /// `reflect.Value`: anything as it is.
    Reflect,
    Str,
    /// `int`; fields, which are `int64`, do not fit.
    Int,
    Bool,
    Float,
    /// `map[string]interface {}`; parameters and the release, which hold strings, do not fit.
    AnyMap,
    Time,
}

impl Type {
    /// For messages.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Type::Any | Type::Reflect => "a value",
            Type::Str => "a string",
            Type::Int => "an int",
            Type::Bool => "a bool",
            Type::Float => "a float64",
            Type::AnyMap => "a map of any values",
            Type::Time => "a time",
        }
    }
}

/// A function.
#[derive(Debug)]
pub(in super::super) struct Function {
    pub(in super::super) name: &'static str,
    /// The parameters that must be given.
    pub(in super::super) params: &'static [Type],
    /// The type of any further ones, if there may be more.
    pub(in super::super) rest: Option<Type>,
    pub(in super::super) run: Run,
}

/// What a function does. A native one gets arguments that fit its parameters.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Run {
    And,
    Or,
    Native(Native),
}

type Native = fn(&[Value], &Env<'_>) -> Result<Value, String>;

const fn fixed(name: &'static str, params: &'static [Type], run: Native) -> Function {
    Function { name, params, rest: None, run: Run::Native(run) }
}

const fn variadic(name: &'static str, params: &'static [Type], rest: Type, run: Native) -> Function {
    Function { name, params, rest: Some(rest), run: Run::Native(run) }
}

const TABLES: [&[Function]; 12] = [
    builtins::TABLE,
    defaults::TABLE,
    dates::TABLE,
    dicts::TABLE,
    encoding::TABLE,
    lists::TABLE,
    numbers::TABLE,
    paths::TABLE,
    reflection::TABLE,
    regex::TABLE,
    strings::TABLE,
    urls::TABLE,
];

/// The function of that name, or why there is none.
pub(in super::super) fn find(name: &str) -> Result<&'static Function, String> {
    if let Some(function) = TABLES.iter().copied().flatten().find(|function| function.name == name) {
        return Ok(function);
    }
    Err(match name {
        "env" | "expandenv" => {
            format!("{name} is not available: a template sees no environment; pass the value as a parameter")
        }
        "getHostByName" => {
            "getHostByName is not available: a template reaches no network; resolve the name in the container"
                .into()
        }
        "randInt" => "randInt is not available: a preview and the run must render the same; \
                      let the container choose a number"
            .into(),
        _ => format!("there is no function {name:?}"),
    })
}

/// The method of a time, as in `{{ now.Year }}`; its argument 0 is the time.
pub(in super::super) fn method(name: &str) -> Option<&'static Function> {
    dates::METHODS.iter().find(|method| method.name == name)
}

// Readers of arguments. The types have been checked, so the other cases cannot occur.

fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::Str(text) => text,
        _ => &[],
    }
}

fn text(value: &Value) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes(value)) {
        Ok(text) => text.into(),
        Err(_) => super::quote::lossy(bytes(value)).into(),
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        _ => 0,
    }
}

fn map(value: &Value) -> Option<&Map> {
    match value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

/// The argument of functions that take a list as a value of any type.
fn list(value: &Value) -> Result<&List, String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(format!("a list is wanted, not {}", with_article(other))),
    }
}

fn with_article(value: &Value) -> String {
    match value {
        Value::Missing | Value::Nil => "something missing or null".into(),
        other => format!("a {}", other.type_name()),
    }
}
