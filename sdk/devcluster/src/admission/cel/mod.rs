//! CEL as the API server has it, as far as it is modelled: functions that are not are refused when an expression is compiled.

mod authorizer;
mod iteration;
mod macros;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::common::types::DYN_TYPE;
use cel::objects::Key;
use cel::{Context, Env, Program, Value as Cel, extensions};
use parking_lot::Mutex;
use serde_json::Value;

use authorizer::add_authorizer;

pub(super) use authorizer::Authorizer;
pub(super) use words::bound;

/// The function that gives what a macro goes through: the items of a list, or the keys of a map in their order.
const ITEMS: &str = "@items";
/// The function that gives keys with values, of maps, or places with items, of lists.
const ENTRIES: &str = "@entries";

/// The functions that are modelled.
const FUNCTIONS: &str = "size contains startsWith endsWith matches string int uint double bytes bool dyn type charAt indexOf \
    lastIndexOf join lowerAscii upperAscii replace split substring trim hasValue value orValue \
    or optional.of optional.none of none ofNonZeroValue optional.ofNonZeroValue group resource \
    subresource namespace name path check allowed reason errored serviceAccount";

/// The other functions that the API server has.
const OTHERS: &str = "isSorted sum min max slice distinct flatten sort sortBy first last range find findAll url isURL getScheme getHost \
    getHostname getPort getEscapedPath getQuery quantity isQuantity isInteger asInteger asApproximateFloat sign add sub \
    isLessThan isGreaterThan compareTo ip isIP isCanonical family isUnspecified isLoopback isLinkLocalMulticast \
    isLinkLocalUnicast isGlobalUnicast cidr isCIDR containsIP containsCIDR masked prefixLength named validate semver \
    isSemver major minor patch equivalent intersects encode decode duration timestamp getFullYear getMonth getDate \
    getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds getMilliseconds fieldSelector labelSelector \
    quote format bind transformMap transformMapEntry optFlatMap error unwrap unwrapOpt greatest least ceil floor round \
    trunc abs isNaN isInf isFinite sqrt bitAnd bitOr bitXor bitNot bitShiftLeft bitShiftRight dns1123Label";

/// Returns the names and functions that every expression has.
fn environment() -> Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::default().with_stdlib();
        // Each of these fails for a name that is there already; expressions that use it are refused then, or fail.
        let _ = env.add_extension(extensions::strings);
        for one in macros::all() {
            let _ = env.add_macro(one);
        }
        let _ = env.add_overload(ITEMS, "items", vec![DYN_TYPE], iteration::items);
        let _ = env.add_overload(ENTRIES, "entries", vec![DYN_TYPE], iteration::entries);
        Arc::new(env)
    });
    Arc::clone(&ENVIRONMENT)
}

/// How many brackets in one another are taken on the stack of the caller.
const SHALLOW: usize = 12;

/// Runs what goes as deep as the expression does: on a stack of its own if that is very deep, as the library recurses.
fn deep<T: Send>(source: &str, run: impl FnOnce() -> T + Send) -> Result<T, String> {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    if most <= SHALLOW {
        return Ok(run());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(256 << 20)
            .spawn_scoped(scope, run)
            .map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "the expression cannot be run".to_owned())
    })
}

/// Why an expression cannot be compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// The words of the library.
    Syntax(String),
    /// The API server has this function, and it is not modelled.
    NotModelled(String),
    /// There is no such function.
    Undeclared(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(words) => f.write_str(words),
            Self::NotModelled(name) => write!(f, "the function {name} is not modelled"),
            Self::Undeclared(name) => write!(f, "undeclared reference to '{name}'"),
        }
    }
}

fn parse(source: &str) -> Result<Program, Fault> {
    let program = environment().compile(source).map_err(|error| Fault::Syntax(error.to_string()))?;
    let references = program.references();
    let mut functions = references.functions();
    functions.sort_unstable();
    let is = |list: &str, name: &str| list.split(' ').any(|known| known == name);
    let named = |name: &&str| name.starts_with(|c: char| c.is_ascii_alphabetic());
    if let Some(name) = functions.into_iter().filter(named).find(|name| !is(FUNCTIONS, name)) {
        let name = name.to_owned();
        return Err(if is(OTHERS, &name) { Fault::NotModelled(name) } else { Fault::Undeclared(name) });
    }
    drop(references);
    Ok(program)
}

/// Runs an expression with these variables.
///
/// # Errors
///
/// Says why it cannot be compiled, or how it fails, in the words of the API server.
pub(super) fn run(
    source: &str,
    variables: &BTreeMap<String, Cel>,
    authorizer: &Authorizer,
) -> Result<Cel, String> {
    let program = compile(source).map_err(|fault| fault.to_string())?;
    let run = || {
        let mut context = context(variables);
        add_authorizer(&mut context, authorizer);
        program.execute(&context).map_err(|error| words::of(&error, &program, &context))
    };
    deep(source, run)?
}

/// Returns the program of an expression; programs are kept, as compiling costs far more than running.
///
/// # Errors
///
/// Says what is wrong with it, or which function is not modelled.
pub(super) fn compile(source: &str) -> Result<Arc<Program>, Fault> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Program>>> = Mutex::new(BTreeMap::new());
    if let Some(program) = KNOWN.lock().get(source) {
        return Ok(Arc::clone(program));
    }
    let program = deep(source, || parse(source)).map_err(Fault::Syntax)??;
    let program = Arc::new(program);
    let mut known = KNOWN.lock();
    if known.len() >= 1000 {
        known.clear();
    }
    known.insert(source.to_owned(), Arc::clone(&program));
    Ok(program)
}

/// Returns a context with these variables.
fn context(variables: &BTreeMap<String, Cel>) -> Context<'static, 'static> {
    let mut context = Context::with_env(environment());
    for (name, value) in variables {
        context.add_variable_from_value(name.as_str(), value.clone());
    }
    context
}

/// Returns a value of JSON as expressions see it.
pub(super) fn value(json: &Value) -> Cel {
    match json {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| Cel::Float(number.as_f64().unwrap_or_default()), Cel::Int)
        }
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(value).collect())),
        Value::Object(fields) => map(fields.iter().map(|(name, json)| (name.clone(), value(json)))),
    }
}

/// Returns a map.
pub(super) fn map(entries: impl IntoIterator<Item = (String, Cel)>) -> Cel {
    entries.into_iter().map(|(name, value)| (Key::from(name), value)).collect::<HashMap<Key, Cel>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn eval(source: &str, object: &Value) -> Result<Cel, String> {
        let variables =
            BTreeMap::from([("object".to_owned(), value(object)), ("nothing".to_owned(), Cel::Null)]);
        run(source, &variables, &Authorizer::default())
    }

    #[test]
    fn expressions_give_what_the_api_server_has() {
        let object = json!({"a": {"z": 1, "b": 2}, "list": ["x", "y"], "deep": {"p": {"q": [1, {"r": "s"}]}}, "text": "abc"});
        for (source, want) in [
            ("object.a.map(k, k).join(',')", Cel::from("b,z")),
            ("object.a.filter(k, k != 'z').size()", Cel::Int(1)),
            ("object.a.all(k, v, v > 0 && k != 'c')", Cel::Bool(true)),
            ("object.a.exists(k, v, k == 'z' && v == 1)", Cel::Bool(true)),
            ("object.list.all(i, v, i < 2 && v != 'z')", Cel::Bool(true)),
            ("object.list.existsOne(v, v == 'x')", Cel::Bool(true)),
            ("object.list.transformList(i, v, i == 1, v + string(i)).join('')", Cel::from("y1")),
            (
                "object.deep.all(k1, v1, type(v1) != map && type(v1) != list || v1.all(k2, v2, type(v2) == list && size(k1) + size(k2) == 2))",
                Cel::Bool(true),
            ),
            ("has(object.a) && !has(object.b)", Cel::Bool(true)),
            ("object.?b.c.orValue('d')", Cel::from("d")),
            ("object.?a == object.?a && object.?b == object.?c", Cel::Bool(true)),
            ("nothing != null && object.?spec == nothing.?spec || nothing == null", Cel::Bool(true)),
            ("object.a != null && object.a != 1", Cel::Bool(true)),
            (
                "('k' in object.a ? object.a['k'] : null) != ('b' in object.a ? object.a['b'] : null)",
                Cel::Bool(true),
            ),
            (
                "object.text.matches('^a.c$') && object.text.startsWith('a') && object.text in ['abc']",
                Cel::Bool(true),
            ),
        ] {
            assert_eq!(eval(source, &object), Ok(want), "{source}");
        }
        assert_eq!(eval("object.x == 1", &object), Err("no such key: x".to_owned()));
        assert_eq!(eval("object.text > 5", &object), Err("no such overload".to_owned()));
        assert_eq!(
            eval("quantity('1').isGreaterThan(quantity('2'))", &object),
            Err("the function isGreaterThan is not modelled".to_owned())
        );
    }
}
