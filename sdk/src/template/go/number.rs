//! Number literals: the same literal may be used as an integer or as a float.

use super::float;
use super::quote;

/// A literal. `ideal` is its value where any type is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    pub(super) float: Option<f64>,
    pub(super) ideal: Ideal,
}

/// See [`Number::ideal`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ideal {
    Int(i64),
    Float(f64),
    /// An integer that fits only an unsigned type: an error once it is used.
    Overflow,
}

/// Parses a literal, or returns the error message.
pub(super) fn parse(text: &str) -> Result<Number, String> {
    if text.starts_with('\'') {
        let Some(code) = quote::unquote_char(text) else {
            return Err(format!("{text} is not one character"));
        };
        return Ok(Number { int: Some(code), float: Some(code as f64), ideal: Ideal::Int(code) });
    }
    if text.ends_with('i') && !text.starts_with("0x") {
        return Err(format!("{text} is a complex number, which is not supported"));
    }
    let wide = integer(text);
    if let Some(int) = wide.and_then(|wide| i64::try_from(wide).ok()) {
        return Ok(Number { int: Some(int), float: Some(int as f64), ideal: Ideal::Int(int) });
    }
    if let Some(unsigned) = wide.and_then(|wide| u64::try_from(wide).ok()).filter(|_| !text.starts_with('+'))
    {
        return Ok(Number { int: None, float: Some(unsigned as f64), ideal: Ideal::Overflow });
    }
    match float::parse(text) {
        Some(_) if !text.contains(['.', 'e', 'E', 'p', 'P']) => {
            Err(format!("{text} is too large for an integer"))
        }
        Some(f) => {
            let int = (f.fract() == 0.0 && f.abs() < 9_223_372_036_854_775_808.0).then_some(f as i64);
            Ok(Number { int, float: Some(f), ideal: Ideal::Float(f) })
        }
        None => Err(format!("{text} is not a number")),
    }
}

/// Parses an integer with a base prefix (`0x`, `0o`, `0b`, or `0` for octal) and `_` between digits.
fn integer(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    // One underscore may follow the prefix, and one may be between two digits.
    let body = if radix == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    if body.starts_with(['_', '+', '-']) || body.ends_with('_') || body.contains("__") {
        return None;
    }
    let magnitude = u128::from_str_radix(&body.replace('_', ""), radix).ok()?;
    let magnitude = i128::try_from(magnitude).ok()?;
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}
