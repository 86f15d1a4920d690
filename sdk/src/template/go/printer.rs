//! Formats one operand of `printf` by its verb and flags.

use super::super::meter::Meter;
use super::quote;
use super::sink::Sink;
use super::value::Value;
use super::{float, layout};

/// The flags between `%` and the verb.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) sharp: bool,
    pub(super) sharp_v: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Writes values.
pub(super) struct Printer {
    pub(super) sink: Sink,
    pub(super) flags: Flags,
    /// Whether an error is being formatted, in which further errors are ignored.
    in_error: bool,
}

impl Printer {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { sink: Sink::new(meter), flags: Flags::default(), in_error: false }
    }

    pub(super) fn finish(self, meter: &Meter) -> Result<Vec<u8>, String> {
        self.sink.finish(meter)
    }

    pub(super) fn complaint(&mut self, verb: char, what: &str) {
        self.sink.str("%!");
        self.sink.str(verb.encode_utf8(&mut [0; 4]));
        self.sink.str(what);
    }

    pub(super) fn typed(&mut self, value: &Value) {
        if value.is_nil() {
            self.sink.str("<nil>");
            return;
        }
        self.sink.str(value.type_name());
        self.sink.str("=");
        self.operand(value, 'v');
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        if self.in_error {
            self.sink.str("?");
            return;
        }
        self.in_error = true;
        self.complaint(verb, "(");
        self.typed(value);
        self.sink.str(")");
        self.in_error = false;
    }

    /// Formats a value of the argument list.
    pub(super) fn operand(&mut self, value: &Value, verb: char) {
        match (verb, value) {
            ('T' | 'v', Value::Missing | Value::Nil) => self.pad(b"<nil>"),
            (_, Value::Missing | Value::Nil) => self.bad_verb(value, verb),
            ('T', _) => self.string(value.type_name().as_bytes()),
            ('p', Value::List(_) | Value::Map(_) | Value::Texts(_)) => {
                self.sink.fail(
                    "printf %p prints an address, which differs from run to run; use another verb".into(),
                );
            }
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, level: usize) {
        if !self.sink.enter(level) {
            return;
        }
        match value {
            Value::Missing | Value::Nil if self.flags.sharp_v => self.sink.str("interface {}(nil)"),
            Value::Missing | Value::Nil => self.sink.str("<nil>"),
            Value::Bool(b) if matches!(verb, 't' | 'v') => self.pad(if *b { b"true" } else { b"false" }),
            Value::Int(n) | Value::Int64(n) => self.integer(value, n.unsigned_abs(), *n < 0, verb),
            Value::Byte(n) => self.integer(value, u64::from(*n), false, verb),
            Value::Float(f) => self.float(value, *f, verb),
            Value::Str(text) => self.text(value, text, verb),
            Value::Time(time) if self.flags.sharp_v => self.string(layout::as_source(time).as_bytes()),
            Value::Time(time) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
                self.text(value, layout::printed(time).as_bytes(), verb);
            }
            Value::List(_) | Value::Map(_) | Value::Texts(_) | Value::Time(_) if verb == 'w' => {
                self.bad_verb(value, verb);
            }
            Value::List(list) => {
                self.open(value, list.is_nil(), "[");
                if !(self.flags.sharp_v && list.is_nil()) {
                    for (index, item) in list.items().iter().enumerate() {
                        self.separate(index);
                        self.value(item, verb, level + 1);
                    }
                    self.close();
                }
            }
            Value::Map(map) => {
                self.open(value, map.nil, "map[");
                if !(self.flags.sharp_v && map.nil) {
                    for (index, (key, item)) in map.entries.borrow().iter().enumerate() {
                        self.separate(index);
                        self.text(&Value::Str(key.clone()), key, verb);
                        self.sink.str(":");
                        self.value(item, verb, level + 1);
                    }
                    self.close();
                }
            }
            Value::Texts(map) => {
                self.open(value, map.nil, "map[");
                if !(self.flags.sharp_v && map.nil) {
                    for (index, (key, item)) in map.entries.iter().enumerate() {
                        self.separate(index);
                        self.text(&Value::Str(key.clone()), key, verb);
                        self.sink.str(":");
                        self.text(&Value::Str(item.clone()), item, verb);
                    }
                    self.close();
                }
            }
            Value::Bool(_) | Value::Time(_) => self.bad_verb(value, verb),
        }
    }

    fn open(&mut self, value: &Value, nil: bool, plain: &str) {
        if !self.flags.sharp_v {
            self.sink.str(plain);
            return;
        }
        self.sink.str(value.type_name());
        self.sink.str(if nil { "(nil)" } else { "{" });
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.sink.str(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    fn close(&mut self) {
        self.sink.str(if self.flags.sharp_v { "}" } else { "]" });
    }

    fn text(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'q' => self.quoted(text),
            'x' | 'X' => self.hex(text, verb == 'X'),
            _ => self.bad_verb(value, verb),
        }
    }

    /// Cuts text to the precision, which counts characters.
    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let length = quote::chars(text).take(precision).map(|(_, bytes)| bytes.len()).sum();
        &text[..length]
    }

    fn string(&mut self, text: &[u8]) {
        self.pad(self.cut(text));
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.cut(text);
        let raw = |(c, _): (Option<char>, &[u8])| {
            c.is_some_and(|c| c != '`' && c != '\u{feff}' && c != '\x7f' && (c == '\t' || c >= ' '))
        };
        if self.flags.sharp && quote::chars(text).all(raw) {
            let mut quoted = vec![b'`'];
            quoted.extend(text);
            quoted.push(b'`');
            self.pad(&quoted);
        } else {
            self.pad(&quote::quote(text, self.flags.plus));
        }
    }

    fn hex(&mut self, text: &[u8], upper: bool) {
        let text = &text[..text.len().min(self.flags.precision.unwrap_or(usize::MAX))];
        let mut out = String::new();
        for (index, byte) in text.iter().enumerate() {
            if index > 0 && self.flags.space {
                out.push(' ');
            }
            if self.flags.sharp && (index == 0 || self.flags.space) {
                out.push_str(if upper { "0X" } else { "0x" });
            }
            out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(out.as_bytes());
    }

    fn integer(&mut self, value: &Value, n: u64, negative: bool, verb: char) {
        let unsigned_go_syntax = self.flags.sharp_v && matches!(value, Value::Byte(_));
        match verb {
            'v' if unsigned_go_syntax => self.digits(format!("{n:x}"), "0x", false),
            'v' | 'd' => self.digits(n.to_string(), "", negative),
            'b' => self.digits(format!("{n:b}"), if self.flags.sharp { "0b" } else { "" }, negative),
            'o' => {
                let prefix = if self.flags.sharp && n != 0 { "0" } else { "" };
                self.digits(format!("{n:o}"), prefix, negative);
            }
            'O' => {
                self.digits(format!("{n:o}"), if self.flags.sharp && n != 0 { "0o0" } else { "0o" }, negative)
            }
            'x' => self.digits(format!("{n:x}"), if self.flags.sharp { "0x" } else { "" }, negative),
            'X' => self.digits(format!("{n:X}"), if self.flags.sharp { "0X" } else { "" }, negative),
            'c' | 'q' | 'U' => self.code_point(n, negative, verb),
            _ => self.bad_verb(value, verb),
        }
    }

    /// Writes digits with zeros up to the precision or width, a prefix and a sign.
    fn digits(&mut self, digits: String, prefix: &str, negative: bool) {
        let signed = negative || self.flags.plus || self.flags.space;
        let least = match (self.flags.precision, self.flags.width) {
            (Some(0), width) if digits == "0" => {
                self.sink.repeat(b' ', width.unwrap_or(0));
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(signed.into())
            }
            _ => 0,
        };
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        // The zero that marks an octal number is not added if there is one already.
        let prefix = if zeros.is_empty() { prefix } else { prefix.strip_suffix('0').unwrap_or(prefix) };
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(format!("{sign}{prefix}{zeros}{digits}").as_bytes());
        self.flags.zero = zero;
    }

    fn code_point(&mut self, n: u64, negative: bool, verb: char) {
        let bits = if negative { n.wrapping_neg() } else { n };
        let c = u32::try_from(bits).ok().and_then(char::from_u32);
        match verb {
            'c' => self.pad(c.unwrap_or('\u{fffd}').to_string().as_bytes()),
            'q' => self.pad(&quote::quote_char(c.unwrap_or('\u{fffd}'), self.flags.plus)),
            _ => {
                let precision = self.flags.precision.unwrap_or(4).max(4);
                let digits = format!("{bits:X}");
                let mut out = format!("U+{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
                if let Some(c) = c.filter(|c| self.flags.sharp && quote::printable(*c)) {
                    out.push_str(&format!(" '{c}'"));
                }
                let zero = std::mem::take(&mut self.flags.zero);
                self.pad(out.as_bytes());
                self.flags.zero = zero;
            }
        }
    }

    fn float(&mut self, value: &Value, f: f64, verb: char) {
        let precision = self.flags.precision;
        let mut text = match verb {
            'v' => float::format(f, b'g', precision),
            'g' | 'G' => float::format(f, b'g', precision),
            'e' | 'E' => float::format(f, b'e', Some(precision.unwrap_or(6))),
            'f' | 'F' => float::format(f, b'f', Some(precision.unwrap_or(6))),
            'b' | 'x' | 'X' => {
                self.sink.fail(format!("printf %{verb} of a float is not supported; use %g, %e or %f"));
                return;
            }
            _ => return self.bad_verb(value, verb),
        };
        if !f.is_finite() {
            self.special(&text);
            return;
        }
        if matches!(verb, 'G' | 'E') {
            text = text.to_uppercase();
        }
        let (sign, magnitude) = match text.strip_prefix('-') {
            Some(magnitude) => ("-", magnitude.to_owned()),
            None if self.flags.plus => ("+", text),
            None if self.flags.space => (" ", text),
            None => ("", text),
        };
        let magnitude = if self.flags.sharp { self.with_point(&magnitude, verb) } else { magnitude };
        let length = sign.len() + magnitude.len();
        match self.flags.width {
            Some(width) if self.flags.zero && !self.flags.minus && width > length && !sign.is_empty() => {
                self.sink.str(sign);
                self.sink.repeat(b'0', width - length);
                self.sink.str(&magnitude);
            }
            _ => self.pad(format!("{sign}{magnitude}").as_bytes()),
        }
    }

    /// Applies the flag `#`: always a decimal point, and for `%g` all trailing zeros.
    fn with_point(&self, magnitude: &str, verb: char) -> String {
        let (mantissa, exponent) = match magnitude.find(['e', 'E']) {
            Some(at) => magnitude.split_at(at),
            None => (magnitude, ""),
        };
        let mut out = mantissa.to_owned();
        let wanted = if matches!(verb, 'v' | 'g' | 'G') { self.flags.precision.unwrap_or(6) } else { 0 };
        let significant = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|b| *b == b'0').count();
        let written = if mantissa == "0" { 1 } else { significant };
        if !mantissa.contains('.') {
            out.push('.');
        }
        out.push_str(&"0".repeat(wanted.saturating_sub(written)));
        out + exponent
    }

    /// Writes infinities and NaN, which are not padded with zeros.
    fn special(&mut self, text: &str) {
        let text = match text.strip_prefix('+') {
            Some(bare) if self.flags.plus => format!("+{bare}"),
            Some(bare) if self.flags.space => format!(" {bare}"),
            Some(bare) => format!("+{bare}"),
            None if text == "NaN" && self.flags.plus => "+NaN".into(),
            None if text == "NaN" && self.flags.space => " NaN".into(),
            None => text.into(),
        };
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    fn pad(&mut self, text: &[u8]) {
        let missing = match self.flags.width {
            Some(width) => width.saturating_sub(quote::chars(text).count()),
            None => 0,
        };
        if self.flags.minus {
            self.sink.push(text);
            self.sink.repeat(b' ', missing);
        } else {
            self.sink.repeat(if self.flags.zero { b'0' } else { b' ' }, missing);
            self.sink.push(text);
        }
    }
}
