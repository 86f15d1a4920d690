//! Equality and order. `eq` and `lt` refuse values of different kinds; `deepEqual`, `has` and similar functions treat
//! them as different.

use super::arguments::with_article;
use crate::template::go::value::{MAX_NESTING, Value};
use crate::template::meter::Meter;

/// A value that is compared by its content.
enum Basic<'v> {
    Bool(bool),
    /// `int`, `int64` and `uint8`, which can be compared with each other.
    Int(i64),
    Float(f64),
    Str(&'v [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(b) => Basic::Bool(*b),
        Value::Int(n) | Value::Int64(n) => Basic::Int(*n),
        Value::Byte(n) => Basic::Int(i64::from(*n)),
        Value::Float(f) => Basic::Float(*f),
        Value::Str(text) => Basic::Str(text),
        _ => return None,
    })
}

fn mixed(left: &Value, right: &Value) -> String {
    format!(
        "{} cannot be compared with {}; convert one of them (toString, int64, float64)",
        with_article(left),
        with_article(right)
    )
}

/// Compares two values as `eq` does.
pub(super) fn equal(left: &Value, right: &Value, meter: &Meter) -> Result<bool, String> {
    meter.spend(1)?;
    match (basic(left), basic(right)) {
        (Some(Basic::Bool(left)), Some(Basic::Bool(right))) => return Ok(left == right),
        (Some(Basic::Int(left)), Some(Basic::Int(right))) => return Ok(left == right),
        (Some(Basic::Float(left)), Some(Basic::Float(right))) => return Ok(left == right),
        (Some(Basic::Str(left)), Some(Basic::Str(right))) => return Ok(left == right),
        (None, None) => {}
        _ if left.is_nil() || right.is_nil() => return Ok(false),
        _ => return Err(mixed(left, right)),
    }
    if !(left.is_nil() || right.is_nil()) && left.kind_name() != right.kind_name() {
        return Err(mixed(left, right));
    }
    match (no_content(left), no_content(right)) {
        (false, false) => match (left, right) {
            (Value::Time(left), Value::Time(right)) => Ok(left == right),
            _ => Err(format!("{} cannot be compared; use deepEqual", with_article(right))),
        },
        (left, right) => Ok(left == right),
    }
}

/// Whether a value is nil, or a nil list or map.
fn no_content(value: &Value) -> bool {
    match value {
        Value::Missing | Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.nil,
        Value::Texts(map) => map.nil,
        _ => false,
    }
}

/// Compares two values as `lt` does.
pub(super) fn less(left: &Value, right: &Value) -> Result<bool, String> {
    match (basic(left), basic(right)) {
        (Some(Basic::Int(left)), Some(Basic::Int(right))) => Ok(left < right),
        (Some(Basic::Float(left)), Some(Basic::Float(right))) => Ok(left < right),
        (Some(Basic::Str(left)), Some(Basic::Str(right))) => Ok(left < right),
        (Some(Basic::Bool(_)), Some(Basic::Bool(_))) => Err("booleans have no order".into()),
        (None, _) => Err(format!("{} has no order", with_article(left))),
        (_, None) => Err(format!("{} has no order", with_article(right))),
        _ => Err(mixed(left, right)),
    }
}

/// Compares type and content at every level.
pub(super) fn deep_equal(left: &Value, right: &Value, meter: &Meter) -> Result<bool, String> {
    deep(left, right, meter, 0)
}

fn deep(left: &Value, right: &Value, meter: &Meter, level: usize) -> Result<bool, String> {
    meter.spend(1)?;
    if level > MAX_NESTING {
        return Err(format!("the values are nested more than {MAX_NESTING} levels deep, or hold themselves"));
    }
    if left.is_nil() && right.is_nil() {
        return Ok(true);
    }
    if left.type_name() != right.type_name() {
        return Ok(false);
    }
    Ok(match (left, right) {
        (Value::List(left), Value::List(right)) => {
            if left.is_nil() != right.is_nil() || left.items().len() != right.items().len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !deep(left, right, meter, level + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            let (left_entries, right_entries) = (left.entries.borrow(), right.entries.borrow());
            if left.nil != right.nil || left_entries.len() != right_entries.len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left_entries.iter().zip(right_entries.iter()) {
                if left_key != right_key || !deep(left, right, meter, level + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Texts(left), Value::Texts(right)) => left.nil == right.nil && left.entries == right.entries,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) | (Value::Int64(left), Value::Int64(right)) => left == right,
        (Value::Byte(left), Value::Byte(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Str(left), Value::Str(right)) => left == right,
        (Value::Time(left), Value::Time(right)) => left == right,
        _ => false,
    })
}
