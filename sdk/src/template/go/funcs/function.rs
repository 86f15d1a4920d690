//! The description of a function: its name, the types of its parameters, and its code.

use crate::template::go::value::Value;
use crate::template::meter::Meter;

/// The environment of functions.
pub(crate) struct Env<'m> {
    pub(crate) meter: &'m Meter,
    /// When the run began, in seconds since 1970: the only clock.
    pub(crate) now: i64,
}

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface {}`: any value; a missing value becomes nil.
    Any,
    /// `reflect.Value`: any value, unchanged.
    Reflect,
    Str,
    /// `int`. A field does not fit, because its type is `int64`.
    Int,
    Bool,
    Float,
    /// `map[string]interface {}`. Parameters and the release do not fit, because they hold strings.
    AnyMap,
    Time,
}

impl Type {
    /// Returns its name in messages.
    pub(crate) fn describe(self) -> &'static str {
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
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The required parameters.
    pub(crate) params: &'static [Type],
    /// The type of further parameters, if the function accepts them.
    pub(crate) rest: Option<Type>,
    pub(crate) run: Run,
}

/// The code of a function. A native function gets arguments of its parameters' types.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    And,
    Or,
    Native(Native),
}

type Native = fn(&[Value], &Env<'_>) -> Result<Value, String>;

pub(super) const fn fixed(name: &'static str, params: &'static [Type], run: Native) -> Function {
    Function { name, params, rest: None, run: Run::Native(run) }
}

pub(super) const fn variadic(
    name: &'static str,
    params: &'static [Type],
    rest: Type,
    run: Native,
) -> Function {
    Function { name, params, rest: Some(rest), run: Run::Native(run) }
}
