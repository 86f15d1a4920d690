//! Values as Go prints them.

use std::fmt::Write as _;
use std::io;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::Formatter;

/// Returns a text as `%q` prints it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            letter if (letter as u32) < 0x20 || letter as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// JSON with numbers as Go's encoder writes them.
struct Go;

impl Formatter for Go {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size >= 1e16 && size < 1e21 {
            return write!(writer, "{value:.0}");
        }
        if size != 0.0 && (size < 1e-6 || size >= 1e21) {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |rest| ("-", rest));
            return write!(writer, "{digits}e{sign}{exponent:0>2}");
        }
        write!(writer, "{}", serde_json::Number::from_f64(value).map_or_else(String::new, |n| n.to_string()))
    }
}

/// Returns a value as JSON, numbers as Go writes them.
pub(crate) fn json(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Go);
    // A value that came from JSON can be written as JSON, and a vector takes all that is written.
    let _ = value.serialize(&mut serializer);
    out
}

/// Returns the size that a span of time has in words: the two largest units that matter, as kubectl shows ages.
pub(crate) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let and = |large: String, rest: i64, unit: char| {
        if rest == 0 { large } else { format!("{large}{rest}{unit}") }
    };
    match seconds {
        i64::MIN..-1 => "<invalid>".into(),
        -1..120 => format!("{}s", seconds.max(0)),
        120..600 => and(format!("{minutes}m"), seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => and(format!("{hours}h"), minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => and(format!("{days}d"), hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => and(format!("{}y", days / 365), days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        let text = |value: Value| String::from_utf8(super::json(&value)).expect("UTF-8");
        assert_eq!(text(json!(1e20)), "100000000000000000000");
        assert_eq!(text(json!(1e21)), "1e+21");
        assert_eq!(text(json!(1e-7)), "1e-07");
        assert_eq!(text(json!([1.5, 1.0, 3])), "[1.5,1.0,3]");
    }

    #[test]
    fn ages_have_at_most_two_units() {
        assert_eq!([age(5), age(119), age(125), age(86_400 * 3)], ["5s", "119s", "2m5s", "3d"]);
    }
}
