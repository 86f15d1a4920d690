//! What a function is: its name, the types of its parameters, and its code.

use crate::template::go::value::Value;
use crate::template::meter::Meter;

/// What functions may use besides their arguments.
pub(crate) struct Env<'m> {
    pub(crate) meter: &'m Meter,
    /// When the run began, in seconds since 1970: the only clock there is.
    pub(crate) now: i64,
}

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
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
    /// The parameters that must be given.
    pub(crate) params: &'static [Type],
    /// The type of any further ones, if there may be more.
    pub(crate) rest: Option<Type>,
    pub(crate) run: Run,
}

/// What a function does. A native one gets arguments that fit its parameters.
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
