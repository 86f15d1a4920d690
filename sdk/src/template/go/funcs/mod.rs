//! The functions: those of Go's `text/template` and of slim-sprig, except those that read the environment or the
//! network. They are native and take checked arguments, and are looked up by name where a template uses them.

mod arguments;
mod builtins;
mod compare;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod function;
mod lists;
mod numbers;
mod paths;
mod reflection;
mod regex;
mod strings;
mod urls;

pub(crate) use function::{Env, Function, Run, Type};

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

/// Returns the function of this name, or the error message.
pub(crate) fn find(name: &str) -> Result<&'static Function, String> {
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

/// Returns the method of a time, as in `{{ now.Year }}`. The time is its argument 0.
pub(crate) fn method(name: &str) -> Option<&'static Function> {
    dates::METHODS.iter().find(|method| method.name == name)
}
