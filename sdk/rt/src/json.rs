//! JSON values, read and written.

use std::io;

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::Formatter;

/// Reads a JSON text.
///
/// # Errors
/// The text is no JSON, or is nested too deep.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// Writes a JSON value as text.
///
/// # Panics
/// Never: the keys of a JSON value are strings.
#[must_use]
pub fn print(value: &Value) -> String {
    // Not `Display`, which writes through a formatter and takes three times as long.
    let mut text = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, StandardFloats);
    value.serialize(&mut serializer).expect("the keys of a JSON value are strings");
    String::from_utf8(text).expect("JSON is text")
}

/// Writes floats with the standard library, which is linked anyway; the writer of `serde_json` adds tables of 12 KB.
struct StandardFloats;

impl Formatter for StandardFloats {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_it_was_read() {
        let text = r#"{"a":[1,-2,0.1,1e300,true,null,"\"é\n"],"b":{}}"#;
        let printed = print(&parse(text).expect("JSON"));
        assert_eq!(printed, text);
        assert!(parse("{").is_err());
    }
}
