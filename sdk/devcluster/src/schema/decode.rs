//! Bodies as values, with the words of Go's decoder for what it cannot read.

use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use super::go;
use super::path::Path;

/// Deepest nesting that Go's decoder takes.
const DEEPEST: usize = 10_000;
/// Most faults that a strict decoder tells.
const MOST: usize = 100;

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The value. A number that was written with a point or an exponent is a float still: see [`super::settle`].
    pub object: Value,
    /// What a strict decoder minds: `duplicate field "spec.x"`, or of YAML one text about the lines. Unknown fields come by
    /// [`super::prune`] and [`crate::kinds::decode`].
    pub faults: Vec<String>,
}

/// Reads a body.
///
/// # Errors
/// The words of the API server's parser, as in `invalid character 'o' in literal null (expecting 'u')`. [`unrecognized`] makes the
/// message of a POST or PUT of them; a merge patch says `error decoding patch: ` before them, an apply `error decoding YAML: `.
pub fn decode(text: &[u8], yaml: bool) -> Result<Decoded, String> {
    if yaml {
        return super::yaml::decode(text);
    }
    let mut reader = Reader { text, at: 0, faults: Vec::new() };
    let object = reader.value(Path::ROOT, 0)?;
    reader.space();
    match reader.peek() {
        Some(_) => Err(reader.wrong("after top-level value")),
        None => Ok(Decoded { object, faults: reader.faults }),
    }
}

/// Returns the message of the 400 for a body that names no kind: because it cannot be read, or because it does not.
#[must_use]
pub fn unrecognized(kind: &str, words: &str, body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (start, more) = match body.get(..SHOWN) {
        Some(start) if body.len() > SHOWN => (start, " ..."),
        _ => (body, ""),
    };
    let start = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(start).into_owned(),
        Some(_) => start.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    format!("the object provided is unrecognized (must be of type {kind}): {words} ({start}{more})")
}

/// Returns what Go's decoder calls a value.
#[must_use]
pub fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the words for a value that does not fit the Go type `into`.
#[must_use]
pub fn cannot_unmarshal(value: &Value, into: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {into}", named(value))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Returns the words for the character that comes next, or for the end.
    fn wrong(&self, whence: &str) -> String {
        let Some(byte) = self.peek() else { return "unexpected end of JSON input".to_owned() };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            byte => {
                let quoted = go::quote(&char::from(byte).to_string());
                format!("'{}'", quoted.get(1..quoted.len() - 1).unwrap_or_default())
            }
        };
        format!("invalid character {shown} {whence}")
    }

    fn value(&mut self, path: Path<'_>, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err("exceeded max depth".to_owned());
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(path, depth),
            Some(b'[') => self.array(path, depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.literal("true", true.into()),
            Some(b'f') => self.literal("false", false.into()),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.wrong("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for wanted in word.bytes() {
            if self.peek() != Some(wanted) {
                return Err(self.wrong(&format!("in literal {word} (expecting '{}')", char::from(wanted))));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn object(&mut self, path: Path<'_>, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut fields = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("looking for beginning of object key string"));
            }
            let name = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("after object key"));
            }
            self.at += 1;
            let value = self.value(path.field(&name), depth + 1)?;
            match fields.entry(name) {
                Entry::Vacant(field) => drop(field.insert(value)),
                Entry::Occupied(mut field) => {
                    let inner = path.field(field.key()).to_string();
                    self.fault(format!("duplicate field {}", go::quote(&inner)));
                    field.insert(value);
                }
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("after object key:value pair")),
            }
        }
        self.at += 1;
        Ok(Value::Object(fields))
    }

    fn array(&mut self, path: Path<'_>, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            let item = self.value(path.item(items.len()), depth + 1)?;
            items.push(item);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("after array element")),
            }
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < MOST && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0..0x20) => return Err(self.wrong("in string literal")),
                Some(_) => self.at += 1,
                None => return Err(self.wrong("")),
            }
        }
        self.at += 1;
        let text = self.text.get(from + 1..self.at - 1).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        Ok(if text.contains('\\') { unescaped(&text) } else { text.into_owned() })
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.wrong("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.wrong("in string escape code")),
        }
        Ok(())
    }

    fn digits(&mut self) -> bool {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > from
    }

    fn number(&mut self) -> Result<Value, String> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => drop(self.digits()),
            _ => return Err(self.wrong("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.digits() {
                return Err(self.wrong("after decimal point in numeric literal"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.digits() {
                return Err(self.wrong("in exponent of numeric literal"));
            }
        }
        let text = String::from_utf8_lossy(self.text.get(from..self.at).unwrap_or_default());
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(whole.into());
        }
        let float = text.parse().ok().and_then(Number::from_f64);
        // What follows is looked at before the number is: a fault of grammar is told first.
        float
            .map(Value::Number)
            .ok_or_else(|| format!("json: cannot unmarshal number {text} into Go value of type float64"))
    }
}

/// Returns a text without its escapes, as Go reads them: half a pair of surrogates becomes a replacement character.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    let mut units: Vec<u16> = Vec::new();
    let flush = |units: &mut Vec<u16>, plain: &mut String| {
        plain.push_str(&String::from_utf16_lossy(units));
        units.clear();
    };
    while let Some(c) = rest.next() {
        let escape = if c == '\\' { rest.next() } else { None };
        if escape == Some('u') {
            let digits: String = rest.by_ref().take(4).collect();
            units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
            continue;
        }
        flush(&mut units, &mut plain);
        plain.push(match escape {
            None => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(other) => other,
        });
    }
    flush(&mut units, &mut plain);
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(text: &str) -> String {
        decode(text.as_bytes(), false).expect_err("a fault")
    }

    #[test]
    fn what_cannot_be_read_is_said_as_go_says_it() {
        assert_eq!(says("not json"), "invalid character 'o' in literal null (expecting 'u')");
        assert_eq!(says(""), "unexpected end of JSON input");
        assert_eq!(says("{"), "unexpected end of JSON input");
        assert_eq!(says("{} {}"), "invalid character '{' after top-level value");
        assert_eq!(says("spec: 1"), "invalid character 's' looking for beginning of value");
        assert_eq!(says(r#"{"a":01}"#), "invalid character '1' after object key:value pair");
        assert_eq!(says("[1 2]"), "invalid character '2' after array element");
        assert_eq!(says("{a:1}"), "invalid character 'a' looking for beginning of object key string");
        assert_eq!(says(r#"{"a" 1}"#), "invalid character '1' after object key");
        assert_eq!(says("\"a\nb\""), "invalid character '\\n' in string literal");
        assert_eq!(says(r#""\x""#), "invalid character 'x' in string escape code");
        assert_eq!(says("[1.x]"), "invalid character 'x' after decimal point in numeric literal");
        assert_eq!(says("[1e400]"), "json: cannot unmarshal number 1e400 into Go value of type float64");
    }

    #[test]
    fn values_are_read_and_doubles_are_told_once_each() {
        let read = decode(
            br#"{"a":[{"b":1,"b":2},{"b":1.0}],"c":"x\u00e9\ud83d\ude00\ud800\n","c":9223372036854775808}"#,
            false,
        );
        let read = read.expect("JSON");
        assert_eq!(read.object, json!({"a": [{"b": 2}, {"b": 1.0}], "c": 9_223_372_036_854_775_808.0}));
        assert_eq!(read.faults, ["duplicate field \"a[0].b\"", "duplicate field \"c\""]);
    }

    #[test]
    fn an_unrecognized_body_is_shown_at_its_beginning() {
        let says = |text: &str| unrecognized("Widget", "words", text.as_bytes());
        assert_eq!(says(""), "the object provided is unrecognized (must be of type Widget): words (<empty>)");
        assert_eq!(says("[]"), "the object provided is unrecognized (must be of type Widget): words (5b5d)");
        assert_eq!(
            says(r#"{"apiVersion":"lab.example.com/v1"}"#),
            r#"the object provided is unrecognized (must be of type Widget): words ({"apiVersion":"lab.example.com ...)"#
        );
    }
}
