//! JSON in the format of Go's `encoding/json`.

use std::collections::BTreeMap;

use super::super::meter::Meter;
use super::sink::Sink;
use super::value::{MAX_NESTING, Text, Value};
use super::{float, layout, quote};

/// The format of the output.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Whether to escape `<`, `>` and `&`.
    pub(super) html: bool,
    /// Whether to indent by two spaces per level.
    pub(super) pretty: bool,
}

/// The reason why a value has no JSON form.
pub(super) enum EncodeError {
    /// Go cannot encode it either: infinity or NaN. `toJson` returns an empty string then.
    Value(String),
    /// A bound of this implementation.
    Bound(String),
}

/// Writes `value` as JSON.
pub(super) fn encode(value: &Value, style: Style, meter: &Meter) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer { sink: Sink::new(meter), style, unsupported: None };
    writer.value(value, 0);
    let bytes = writer.sink.finish(meter).map_err(EncodeError::Bound)?;
    match writer.unsupported {
        Some(cause) => Err(EncodeError::Value(cause)),
        None => Ok(bytes),
    }
}

struct Writer {
    sink: Sink,
    style: Style,
    unsupported: Option<String>,
}

impl Writer {
    fn value(&mut self, value: &Value, level: usize) {
        if !self.sink.enter(level) {
            return;
        }
        match value {
            Value::Missing | Value::Nil => self.sink.str("null"),
            Value::Bool(b) => self.sink.str(if *b { "true" } else { "false" }),
            Value::Int(n) | Value::Int64(n) => self.sink.str(&n.to_string()),
            Value::Byte(n) => self.sink.str(&n.to_string()),
            Value::Float(f) if f.is_finite() => self.sink.str(&float::json(*f)),
            Value::Float(f) => self.unsupported = Some(format!("unsupported value: {}", float::printed(*f))),
            Value::Str(text) => self.text(text),
            Value::Time(time) => {
                self.text(layout::format(time, "2006-01-02T15:04:05.999999999Z07:00").as_bytes());
            }
            Value::List(list) if list.is_nil() => self.sink.str("null"),
            Value::List(list) => {
                self.sequence("[", "]", level, list.items().iter(), |writer, item| {
                    writer.value(item, level + 1)
                });
            }
            Value::Map(map) if map.nil => self.sink.str("null"),
            Value::Map(map) => {
                self.sequence("{", "}", level, map.entries.borrow().iter(), |writer, (key, item)| {
                    writer.key(key);
                    writer.value(item, level + 1);
                });
            }
            Value::Texts(map) if map.nil => self.sink.str("null"),
            Value::Texts(map) => {
                self.sequence("{", "}", level, map.entries.iter(), |writer, (key, item)| {
                    writer.key(key);
                    writer.text(item);
                });
            }
        }
    }

    fn sequence<T>(
        &mut self,
        open: &str,
        close: &str,
        level: usize,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let empty = items.len() == 0;
        self.sink.str(open);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.sink.str(",");
            }
            self.new_line(level + 1);
            write(self, item);
        }
        if !empty {
            self.new_line(level);
        }
        self.sink.str(close);
    }

    fn new_line(&mut self, level: usize) {
        if self.style.pretty {
            self.sink.str("\n");
            self.sink.repeat(b' ', level * 2);
        }
    }

    fn key(&mut self, key: &[u8]) {
        self.text(key);
        self.sink.str(if self.style.pretty { ": " } else { ":" });
    }

    fn text(&mut self, text: &[u8]) {
        self.sink.str("\"");
        for (c, bytes) in quote::chars(text) {
            match c {
                None => self.sink.str("\\ufffd"),
                Some('"') => self.sink.str("\\\""),
                Some('\\') => self.sink.str("\\\\"),
                Some('\n') => self.sink.str("\\n"),
                Some('\r') => self.sink.str("\\r"),
                Some('\t') => self.sink.str("\\t"),
                Some('\x08') => self.sink.str("\\b"),
                Some('\x0c') => self.sink.str("\\f"),
                Some(c @ ('<' | '>' | '&')) if self.style.html => {
                    self.sink.str(&format!("\\u{:04x}", c as u32))
                }
                Some(c @ ('\0'..='\x1f' | '\u{2028}' | '\u{2029}')) => {
                    self.sink.str(&format!("\\u{:04x}", c as u32));
                }
                Some(_) => self.sink.push(bytes),
            }
        }
        self.sink.str("\"");
    }
}

/// The reason why a text cannot be parsed.
pub(super) struct DecodeError {
    pub(super) message: String,
    /// Whether a bound of this implementation is the reason.
    pub(super) bound: bool,
}

/// Parses one JSON text. All numbers are floats, as in Go. A number that is too large for a float is null, and the second result
/// says so: Go goes on behind it, too.
pub(super) fn decode(text: &[u8], meter: &Meter) -> Result<(Value, Option<String>), DecodeError> {
    meter.spend(text.len() as u64 / 4 + 1).map_err(|message| DecodeError { message, bound: true })?;
    let mut reader = Reader { text, at: 0, unfit: None };
    let value = reader.value(0)?;
    reader.spaces();
    if reader.at < text.len() {
        return Err(reader.unexpected("after the JSON text"));
    }
    Ok((value, reader.unfit))
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    /// The first number that does not fit.
    unfit: Option<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, place: &str) -> DecodeError {
        let message = match self.peek() {
            Some(byte) => format!("unexpected {:?} at byte {} {place}", byte as char, self.at),
            None => format!("the JSON text ends too early {place}"),
        };
        DecodeError { message, bound: false }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, level: usize) -> Result<Value, DecodeError> {
        if level > MAX_NESTING {
            let message = format!("the JSON text is nested more than {MAX_NESTING} levels deep");
            return Err(DecodeError { message, bound: true });
        }
        self.spaces();
        let rest = &self.text[self.at..];
        for (word, value) in
            [(&b"true"[..], Value::Bool(true)), (b"false", Value::Bool(false)), (b"null", Value::Nil)]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::Str),
            Some(b'[') => self.list(level),
            Some(b'{') => self.map(level),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("where a value begins")),
        }
    }

    fn list(&mut self, level: usize) -> Result<Value, DecodeError> {
        self.at += 1;
        let mut items = Vec::new();
        self.spaces();
        if self.take(b']') {
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value(level + 1)?);
            self.spaces();
            if self.take(b']') {
                return Ok(Value::list(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected("after a list item"));
            }
        }
    }

    fn map(&mut self, level: usize) -> Result<Value, DecodeError> {
        self.at += 1;
        let mut entries = BTreeMap::new();
        self.spaces();
        if self.take(b'}') {
            return Ok(Value::map(entries));
        }
        loop {
            self.spaces();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("where a key begins"));
            }
            let key = self.string()?;
            self.spaces();
            if !self.take(b':') {
                return Err(self.unexpected("after a key"));
            }
            entries.insert(key, self.value(level + 1)?);
            self.spaces();
            if self.take(b'}') {
                return Ok(Value::map(entries));
            }
            if !self.take(b',') {
                return Err(self.unexpected("after a map entry"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), DecodeError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("in a number")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value, DecodeError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        Ok(match float::parse(&text) {
            Some(f) => Value::Float(f),
            None => {
                self.unfit.get_or_insert_with(|| format!("the number {text} does not fit a float64"));
                Value::Nil
            }
        })
    }

    fn string(&mut self) -> Result<Text, DecodeError> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let (c, length) = match rest {
                [] | [0..=0x1f, ..] => return Err(self.unexpected("in a string")),
                _ => quote::next_char(rest),
            };
            self.at += length;
            match c {
                Some('"') => return Ok(Text::from(out)),
                Some('\\') => self.escape(&mut out)?,
                Some(_) => out.extend(&rest[..length]),
                None => push(&mut out, '\u{fffd}'),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let Some(first) = self.code_unit(self.at) else {
                    return Err(self.unexpected("in an escape"));
                };
                self.at += 5;
                let low = if self.peek() == Some(b'\\') { self.code_unit(self.at + 1) } else { None };
                let pair = low.and_then(|low| char::decode_utf16([first, low]).next().and_then(Result::ok));
                match pair.filter(|c| c.len_utf16() == 2) {
                    Some(c) => {
                        self.at += 6;
                        push(out, c);
                    }
                    None => push(out, char::from_u32(first.into()).unwrap_or('\u{fffd}')),
                }
                return Ok(());
            }
            _ => return Err(self.unexpected("in an escape")),
        };
        self.at += 1;
        push(out, c);
        Ok(())
    }

    /// Reads the four hexadecimal digits after the `u` at `at`.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 5)?.strip_prefix(b"u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend(c.encode_utf8(&mut [0; 4]).bytes());
}
