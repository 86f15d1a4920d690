//! Arithmetic. It converts every value to a number: text in base 10, fractions truncated, and other values to 0.

use super::arguments::{bytes, int, text};
use super::function::{Env, Function, Type, fixed, variadic};
use crate::template::go::float;
use crate::template::go::printf;
use crate::template::go::value::{Elem, List, Value};

use Type::{Any, Float, Int, Str};

pub(super) const TABLE: &[Function] = &[
    fixed("atoi", &[Str], |args, _| Ok(Value::Int(parse(bytes(&args[0]), 10)))),
    fixed("int", &[Any], |args, _| Ok(Value::Int(to_int64(&args[0])))),
    fixed("int64", &[Any], |args, _| Ok(Value::Int64(to_int64(&args[0])))),
    fixed("float64", &[Any], |args, _| Ok(Value::Float(to_float64(&args[0])))),
    fixed("toDecimal", &[Any], |args, env| Ok(Value::Int64(parse(&printf::text(&args[0], env.meter)?, 8)))),
    variadic("add", &[], Any, |args, _| fold(0, args, i64::wrapping_add)),
    fixed("add1", &[Any], |args, _| fold(1, args, i64::wrapping_add)),
    fixed("sub", &[Any, Any], |args, _| fold(to_int64(&args[0]), &args[1..], i64::wrapping_sub)),
    variadic("mul", &[Any], Any, |args, _| fold(1, args, i64::wrapping_mul)),
    fixed("div", &[Any, Any], |args, _| divide(args, i64::wrapping_div)),
    fixed("mod", &[Any, Any], |args, _| divide(args, i64::wrapping_rem)),
    variadic("max", &[Any], Any, |args, _| fold(i64::MIN, args, i64::max)),
    variadic("biggest", &[Any], Any, |args, _| fold(i64::MIN, args, i64::max)),
    variadic("min", &[Any], Any, |args, _| fold(i64::MAX, args, i64::min)),
    variadic("maxf", &[Any], Any, |args, _| {
        fold_floats(args, |a, b| if b > a || b.is_nan() { b } else { a })
    }),
    variadic("minf", &[Any], Any, |args, _| {
        fold_floats(args, |a, b| if b < a || b.is_nan() { b } else { a })
    }),
    fixed("ceil", &[Any], |args, _| Ok(Value::Float(to_float64(&args[0]).ceil()))),
    fixed("floor", &[Any], |args, _| Ok(Value::Float(to_float64(&args[0]).floor()))),
    variadic("round", &[Any, Int], Float, |args, _| Ok(Value::Float(round(args)))),
    variadic("seq", &[], Int, seq),
    fixed("until", &[Int], |args, env| {
        let count = int(&args[0]);
        numbers(env, 0, count, count.signum())
    }),
    fixed("untilStep", &[Int, Int, Int], |args, env| {
        numbers(env, int(&args[0]), int(&args[1]), int(&args[2]))
    }),
];

/// Parses digits with a sign. Returns 0 if they are no number or too many.
fn parse(digits: &[u8], radix: u32) -> i64 {
    std::str::from_utf8(digits).ok().and_then(|text| i64::from_str_radix(text, radix).ok()).unwrap_or(0)
}

pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Str(text) => parse(text, 10),
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Byte(n) => i64::from(*n),
        // A float out of range becomes the smallest integer, as on amd64.
        Value::Float(f) if f.is_nan() || *f >= 9_223_372_036_854_775_808.0 => i64::MIN,
        Value::Float(f) => *f as i64,
        Value::Bool(b) => i64::from(*b),
        _ => 0,
    }
}

fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Str(_) => float::parse(&text(value)).unwrap_or(0.0),
        Value::Float(f) => *f,
        other => to_int64(other) as f64,
    }
}

fn fold(start: i64, args: &[Value], with: fn(i64, i64) -> i64) -> Result<Value, String> {
    Ok(Value::Int64(args.iter().map(to_int64).fold(start, with)))
}

fn fold_floats(args: &[Value], with: fn(f64, f64) -> f64) -> Result<Value, String> {
    let mut floats = args.iter().map(to_float64);
    let first = floats.next().unwrap_or(0.0);
    Ok(Value::Float(floats.fold(first, with)))
}

fn divide(args: &[Value], with: fn(i64, i64) -> i64) -> Result<Value, String> {
    match to_int64(&args[1]) {
        0 => Err("division by zero".into()),
        divisor => Ok(Value::Int64(with(to_int64(&args[0]), divisor))),
    }
}

/// Rounds to a number of places, upwards from `args[2]`, by default from a half.
fn round(args: &[Value]) -> f64 {
    let up_from = args.get(2).map_or(0.5, to_float64);
    let scale = 10f64.powf(int(&args[1]) as f64);
    let scaled = scale * to_float64(&args[0]);
    let rounded = if scaled.fract() >= up_from { scaled.ceil() } else { scaled.floor() };
    rounded / scale
}

fn numbers(env: &Env<'_>, start: i64, stop: i64, step: i64) -> Result<Value, String> {
    Ok(Value::List(List::new(
        Elem::Int,
        range(env, start, stop, step)?.into_iter().map(Value::Int).collect(),
    )))
}

/// Returns the numbers from `start` up to, but without, `stop`; none if the step leads away from it.
fn range(env: &Env<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, String> {
    let distance = i128::from(stop) - i128::from(start);
    if step == 0 || distance == 0 || (distance < 0) != (step < 0) {
        return Ok(Vec::new());
    }
    let step = i128::from(step);
    let count = (distance.abs() + step.abs() - 1) / step.abs();
    env.meter.items(usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok((0..count).filter_map(|index| i64::try_from(i128::from(start) + index * step).ok()).collect())
}

/// Evaluates `seq` like the command of this name, with spaces: `seq 5`, `seq 2 4`, `seq 0 2 10`.
fn seq(args: &[Value], env: &Env<'_>) -> Result<Value, String> {
    let numbers: Vec<i64> = args.iter().map(int).collect();
    let (start, step, end) = match numbers[..] {
        [end] => (1, if end < 1 { -1 } else { 1 }, end),
        [start, end] => (start, if end < start { -1 } else { 1 }, end),
        [start, step, end] if end >= start || step <= 0 => (start, step, end),
        _ => return Ok(Value::str("")),
    };
    let beyond = if end < start { end.saturating_sub(1) } else { end.saturating_add(1) };
    let numbers = range(env, start, beyond, step)?;
    env.meter.string(numbers.len() * 4)?;
    Ok(Value::str(numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")))
}
