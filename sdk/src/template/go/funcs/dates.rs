//! Dates and durations. The time at which the run began takes the place of Go's clock, so that a preview and the run
//! render the same. Every zone is UTC, as in Go without zone data.

use super::arguments::{int, text};
use super::function::{Env, Function, Type, fixed};
use crate::template::go::layout;
use crate::template::go::time::{Time, parse_duration, print_duration};
use crate::template::go::value::Value;

use Type::{Any, Str};

pub(super) const TABLE: &[Function] = &[
    fixed("now", &[], |_, env| Ok(Value::Time(Time::utc(env.now)))),
    fixed("date", &[Str, Any], |args, env| format(&text(&args[0]), &args[1], env)),
    fixed("dateInZone", &[Str, Any, Str], |args, env| format(&text(&args[0]), &args[1], env)),
    fixed("date_in_zone", &[Str, Any, Str], |args, env| format(&text(&args[0]), &args[1], env)),
    fixed("htmlDate", &[Any], |args, env| format("2006-01-02", &args[0], env)),
    fixed("htmlDateInZone", &[Any, Str], |args, env| format("2006-01-02", &args[0], env)),
    fixed("dateModify", &[Str, Type::Time], |args, _| Ok(modify(args).unwrap_or_else(|_| args[1].clone()))),
    fixed("date_modify", &[Str, Type::Time], |args, _| Ok(modify(args).unwrap_or_else(|_| args[1].clone()))),
    fixed("mustDateModify", &[Str, Type::Time], |args, _| modify(args)),
    fixed("must_date_modify", &[Str, Type::Time], |args, _| modify(args)),
    fixed("toDate", &[Str, Str], |args, _| Ok(parse(args).unwrap_or_else(|_| Value::Time(Time::zero())))),
    fixed("mustToDate", &[Str, Str], |args, _| parse(args)),
    fixed("unixEpoch", &[Type::Time], |args, _| Ok(Value::str(moment(&args[0]).seconds.to_string()))),
    fixed("ago", &[Any], |args, env| Ok(Value::str(print_duration(round_to_seconds(since(&args[0], env)))))),
    fixed("duration", &[Any], |args, _| {
        let seconds = match &args[0] {
            Value::Str(_) => parse_seconds(&text(&args[0])),
            Value::Int64(n) => *n,
            _ => 0,
        };
        Ok(Value::str(print_duration(seconds.wrapping_mul(1_000_000_000))))
    }),
    fixed("durationRound", &[Any], |args, env| Ok(Value::str(round_to_unit(length(&args[0], env))))),
];

/// The methods of a time that templates can call.
pub(super) const METHODS: &[Function] = &[
    fixed("Format", &[Str], |args, env| {
        env.meter.string(text(&args[1]).len() * 4)?;
        Ok(Value::str(layout::format(&moment(&args[0]), &text(&args[1]))))
    }),
    fixed("Unix", &[], |args, _| Ok(Value::Int64(moment(&args[0]).seconds))),
    fixed("UTC", &[], |args, _| Ok(Value::Time(moment(&args[0]).in_utc()))),
    fixed("String", &[], |args, _| Ok(Value::str(layout::printed(&moment(&args[0]))))),
    fixed("Year", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().year))),
    fixed("YearDay", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().day_of_year.into()))),
    fixed("Day", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().day.into()))),
    fixed("Hour", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().hour.into()))),
    fixed("Minute", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().minute.into()))),
    fixed("Second", &[], |args, _| Ok(Value::Int(moment(&args[0]).civil().second.into()))),
];

fn moment(value: &Value) -> Time {
    match value {
        Value::Time(time) => time.clone(),
        _ => Time::zero(),
    }
}

/// Reads a time, or seconds since 1970; any other value is the time at which the run began.
fn moment_or_now(value: &Value, env: &Env<'_>) -> Time {
    match value {
        Value::Time(time) => time.clone(),
        Value::Int64(seconds) => Time::utc(*seconds),
        Value::Int(_) => Time::utc(int(value)),
        _ => Time::utc(env.now),
    }
}

fn format(pattern: &str, value: &Value, env: &Env<'_>) -> Result<Value, String> {
    // A part of a layout grows to a few times its length at most.
    env.meter.string(pattern.len() * 4)?;
    Ok(Value::str(layout::format(&moment_or_now(value, env).in_utc(), pattern)))
}

fn modify(args: &[Value]) -> Result<Value, String> {
    let length = text(&args[0]);
    match parse_duration(&length) {
        Some(nanoseconds) => Ok(Value::Time(moment(&args[1]).plus(nanoseconds))),
        None => Err(format!("{length:?} is no length of time such as \"-1h30m\"")),
    }
}

fn parse(args: &[Value]) -> Result<Value, String> {
    let (pattern, value) = (text(&args[0]), text(&args[1]));
    match layout::parse(&pattern, &value) {
        Some(time) => Ok(Value::Time(time)),
        None => Err(format!("{value:?} is no date after the pattern {pattern:?}")),
    }
}

fn since(value: &Value, env: &Env<'_>) -> i64 {
    Time::utc(env.now).since(&moment_or_now(value, env))
}

fn parse_seconds(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

fn round_to_seconds(nanoseconds: i64) -> i64 {
    let second = 1_000_000_000;
    let down = nanoseconds - nanoseconds % second;
    if (nanoseconds % second).abs() * 2 < second {
        down
    } else {
        down.saturating_add(nanoseconds.signum() * second)
    }
}

fn length(value: &Value, env: &Env<'_>) -> i64 {
    match value {
        Value::Str(_) => parse_duration(&text(value)).unwrap_or(0),
        Value::Int64(nanoseconds) => *nanoseconds,
        Value::Time(_) => since(value, env),
        _ => 0,
    }
}

/// Rounds to the largest unit that occurs more than once: `2h`, `3mo`.
fn round_to_unit(nanoseconds: i64) -> String {
    let hour = 3_600_000_000_000;
    let units = [
        (365 * 24 * hour, "y"),
        (30 * 24 * hour, "mo"),
        (24 * hour, "d"),
        (hour, "h"),
        (hour / 60, "m"),
        (hour / 3600, "s"),
    ];
    let total = nanoseconds.unsigned_abs();
    match units.iter().find(|(unit, _)| total > *unit) {
        Some((unit, name)) => format!("{}{name}", total / unit),
        None => "0s".into(),
    }
}
