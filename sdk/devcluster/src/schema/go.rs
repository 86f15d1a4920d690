//! Values as Go prints them, because messages quote values.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter};

/// Writes JSON with numbers as Go writes them: `1000` for 1e3, `1e+21`, `1e-7`.
///
/// One thing differs, because a value keeps no text: a whole number that was written with a point and is in raw content keeps a
/// point (`1.0`). [`super::settle`] takes the points out of what the API server parses.
#[derive(Default)]
pub struct GoNumbers(CompactFormatter);

impl Formatter for GoNumbers {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(json_float(value).as_bytes())
    }
}

/// Returns the JSON text of a body, with numbers as Go writes them.
#[must_use]
pub fn body(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut text, GoNumbers::default());
    match value.serialize(&mut writer) {
        Ok(()) => text,
        Err(_) => Vec::new(),
    }
}

/// Returns the JSON text of a value in a message: with numbers as Go writes them, and `<`, `>`, `&` escaped.
#[must_use]
pub fn json(value: &Value) -> String {
    let text = String::from_utf8(body(value)).unwrap_or_default();
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Returns a float as Go's encoding/json writes it.
fn json_float(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 9_007_199_254_740_992.0 {
        return format!("{value:.1}");
    }
    if (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    exponent(value, 1)
}

/// Returns a float as `%v` of Go prints it.
#[must_use]
pub fn float(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-4..1e6).contains(&size) { value.to_string() } else { exponent(value, 2) }
}

/// Returns a float with an exponent that has a sign and at least so many digits.
fn exponent(value: f64, digits: usize) -> String {
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{exponent:0>digits$}")
}

/// Returns a text as `%q` of Go prints it.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c if is_print(c) => quoted.push(c),
            c if u32::from(c) < 0x10000 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether Go takes a character for printable: no control characters, no spaces but the plain one.
#[must_use]
pub fn is_print(c: char) -> bool {
    c == ' '
        || !(c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let text = |value: Value| json(&value);
        assert_eq!(
            text(json!([1.5, 1e21, 1e-7, 0.000_001, 9_223_372_036_854_775_808.0])),
            "[1.5,1e+21,1e-7,0.000001,9223372036854776000]"
        );
        assert_eq!(text(json!(123_456_789_012_345_678_901.0)), "123456789012345680000");
        assert_eq!(text(json!("<a&b>")), "\"\\u003ca\\u0026b\\u003e\"");
        assert_eq!(
            [float(1e6), float(12_345_678.9), float(123_456.7), float(1e-5)],
            ["1e+06", "1.23456789e+07", "123456.7", "1e-05"]
        );
    }

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(quote("a\u{7}b\"\u{1}é\u{a0}"), "\"a\\ab\\\"\\x01é\\u00a0\"");
    }
}
