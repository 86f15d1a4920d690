//! The functions: those of Go's `text/template` and of slim-sprig, without any that looks outside. They are native
//! and take checked arguments, so none is registered anywhere: a name is looked up where a template uses it.

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

/// The function of that name, or why there is none.
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

/// The method of a time, as in `{{ now.Year }}`; its argument 0 is the time.
pub(crate) fn method(name: &str) -> Option<&'static Function> {
    dates::METHODS.iter().find(|method| method.name == name)
}
