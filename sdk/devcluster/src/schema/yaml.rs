//! Bodies in YAML, read as the API server reads them: scalars as in YAML 1.1, in Go's dialect.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use super::decode::Decoded;
use super::go;

/// Most values of a body once its aliases are replaced: a body of one kilobyte could hold billions.
const VALUES: usize = 1_000_000;
/// Deepest nesting.
const LEVELS: usize = 1000;

/// Reads a body.
///
/// # Errors
/// The words of the API server's parser, as in `yaml: line 2: did not find expected key`.
pub(super) fn decode(text: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(text).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let mut reader = Reader {
        text,
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        left: VALUES,
        doubles: Vec::new(),
    };
    let object = loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break Value::Null,
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (event, _) => break reader.node(event, LEVELS)?,
        }
    };
    let mut faults = Vec::new();
    if !reader.doubles.is_empty() {
        faults.push(format!("yaml: unmarshal errors:{}", reader.doubles.concat()));
    }
    Ok(Decoded { object, faults })
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Value>,
    /// Values that may still come.
    left: usize,
    /// Keys that are there twice, each with its line.
    doubles: Vec<String>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                Some(Err(error)) => return Err(syntax(self.text, &error)),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        let too_many = || "yaml: document contains excessive aliasing".to_owned();
        self.left = self.left.checked_sub(values).ok_or_else(too_many)?;
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, levels: usize) -> Result<Value, String> {
        let levels = levels.checked_sub(1).ok_or_else(|| "yaml: exceeded max depth".to_owned())?;
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar(&text, style == ScalarStyle::Plain, tag.as_deref())?)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, _) => items.push(self.node(event, levels)?),
                    }
                }
                (anchor, Value::Array(items))
            }
            Event::MappingStart(_, anchor, _) => (anchor, Value::Object(self.map(levels)?)),
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned().ok_or("yaml: unknown anchor referenced")?;
                self.count(values(&value))?;
                (0, value)
            }
            other => return Err(format!("yaml: unexpected {other:?}")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn map(&mut self, levels: usize) -> Result<Map<String, Value>, String> {
        let mut map = Map::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(map),
                next => next,
            };
            let merges = is_merge(&event);
            let key = self.node(event, levels)?;
            let (event, _) = self.next()?;
            let value = self.node(event, levels)?;
            if merges {
                merge(&mut map, value)?;
                continue;
            }
            let key = key_text(&key)?;
            if map.contains_key(&key) {
                self.doubles.push(format!(
                    "\n  line {}: key {} already set in map",
                    span.start.line(),
                    go::quote(&key)
                ));
            }
            map.insert(key, value);
        }
    }
}

/// Returns the words of the API server's parser for an error of this one.
fn syntax(text: &str, error: &ScanError) -> String {
    let info = error.info();
    let mut before = text.chars().take(error.marker().index()).collect::<String>();
    let mut line = error.marker().line().saturating_sub(1);
    let words = if let Some(open) =
        info.strip_prefix("mismatched bracket '").or(info.strip_prefix("unclosed bracket '"))
    {
        let is_list = open.starts_with('[');
        if info.starts_with("unclosed") {
            line = text.lines().count();
            before = text.to_owned();
        }
        match before.trim_end().ends_with(['[', '{', ',', ':']) {
            true => "did not find expected node content",
            false if is_list => "did not find expected ',' or ']'",
            false => "did not find expected ',' or '}'",
        }
    } else {
        info.rsplit_once(", ").map_or(info.as_str(), |(_, words)| words)
    };
    // The first line is counted as 0, and then it is not named.
    if line == 0 { format!("yaml: {words}") } else { format!("yaml: line {line}: {words}") }
}

fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = event else { return false };
    text == "<<"
        && match tag {
            None => *style == ScalarStyle::Plain,
            Some(tag) => core(tag).as_deref() == Some("merge"),
        }
}

/// Puts the entries of a merge key over those that the map has so far. Of a list, the first map wins.
fn merge(map: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    let merged = match value {
        Value::Array(several) => several,
        one => vec![one],
    };
    for one in merged.into_iter().rev() {
        let Value::Object(one) = one else {
            return Err("yaml: map merge requires map or sequence of maps as the value".to_owned());
        };
        map.extend(one);
    }
    Ok(())
}

/// Returns the key of an object that a key of YAML becomes.
fn key_text(key: &Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        // The API server writes fractions with the digits of a short float.
        Value::Number(number) if number.is_f64() => {
            #[allow(clippy::cast_possible_truncation)]
            let short = number.as_f64().unwrap_or_default() as f32;
            Ok(short.to_string())
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err("unsupported map key".to_owned()),
    }
}

/// Returns the type of a tag of YAML's own, such as `int`.
fn core(tag: &Tag) -> Option<String> {
    let whole = format!("{}{}", tag.handle(), tag.suffix());
    whole.strip_prefix("tag:yaml.org,2002:").map(str::to_owned)
}

/// Returns the value of a scalar.
fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let wanted = match tag {
        None if plain => return resolved(text),
        None => return Ok(text.into()),
        Some(tag) => core(tag),
    };
    let Some(wanted) = wanted.filter(|wanted| matches!(wanted.as_str(), "bool" | "int" | "float" | "null"))
    else {
        return Ok(text.into());
    };
    let value = resolved(text)?;
    let fits = match (wanted.as_str(), &value) {
        ("bool", Value::Bool(_)) | ("null", Value::Null) | ("float", Value::Number(_)) => true,
        ("int", Value::Number(_)) => integer(&text.replace('_', "")).is_some(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(format!("yaml: cannot decode !!str `{text}` as a !!{wanted}")) }
}

/// Returns the value of a plain scalar.
fn resolved(text: &str) -> Result<Value, String> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Err("json: unsupported value: +Inf".to_owned());
        }
        "-.inf" | "-.Inf" | "-.INF" => return Err("json: unsupported value: -Inf".to_owned()),
        ".nan" | ".NaN" | ".NAN" => return Err("json: unsupported value: NaN".to_owned()),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    };
    Ok(value)
}

/// Returns the number that a plain scalar is.
fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    // Underscores may stand between digits, except in a number that begins with a point.
    let plain = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(whole) = integer(&plain) {
        return Some(whole);
    }
    let value: f64 = is_float(&plain).then(|| plain.parse().ok()).flatten()?;
    of_float(value)
}

/// Returns the number of a text that is an integer of 64 bits.
fn integer(plain: &str) -> Option<Number> {
    let (negative, digits) = match plain.strip_prefix(['+', '-']) {
        Some(digits) => (plain.starts_with('-'), digits),
        None => (false, plain),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if let Some(digits) = lower.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        (8, digits)
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_digit(base)) {
        return None;
    }
    let signed = i128::from_str_radix(digits, base).ok()?;
    let signed = if negative { -signed } else { signed };
    match i64::try_from(signed) {
        Ok(small) => Some(small.into()),
        // A plus before an unsigned number is none of Go's.
        Err(_) => {
            let large = u64::try_from(signed).ok().filter(|_| !plain.starts_with('+'))?;
            #[allow(clippy::cast_precision_loss)]
            of_float(large as f64)
        }
    }
}

/// Returns whether a text has the form `1`, `1.5`, `.5` or `1.5e+6`.
fn is_float(plain: &str) -> bool {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(digits)
}

/// Returns a number as it is in the JSON that the API server makes of the YAML: a whole one has no point.
fn of_float(value: f64) -> Option<Number> {
    let mut number = Value::Number(Number::from_f64(value)?);
    super::settle(&mut number);
    match number {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        decode(text.as_bytes()).expect("YAML").object
    }

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        assert_eq!(
            read("{p: 4.0, q: 1e3, r: 9007199254740993, s: 0x10, t: yes, u: 1_000, v: 0o17}"),
            json!({"p": 4, "q": 1000, "r": 9_007_199_254_740_993_i64, "s": 16, "t": true, "u": 1000, "v": 15})
        );
        assert_eq!(
            read("{a: 2001-01-01, b: yes, c: \"no\", d: ~, e: 012, f: 1:30, g: .5, h: 1.0}"),
            json!({"a": "2001-01-01", "b": true, "c": "no", "d": null, "e": 10, "f": "1:30", "g": 0.5, "h": 1})
        );
        assert_eq!(read("just text"), json!("just text"));
        assert_eq!(read(""), Value::Null);
    }

    #[test]
    fn doubles_are_told_with_their_lines() {
        let read = decode(b"a: 1\nspec:\n  size: 1\n  size: 2\na: 2\n").expect("YAML");
        assert_eq!(read.object, json!({"a": 2, "spec": {"size": 2}}));
        let said = "yaml: unmarshal errors:\n  line 4: key \"size\" already set in map\n  line 5: key \"a\" already set in map";
        assert_eq!(read.faults, [said]);
    }

    #[test]
    fn what_cannot_be_read_is_said_as_go_says_it() {
        assert_eq!(decode(b"{\"a\": [}"), Err("yaml: did not find expected node content".to_owned()));
        assert_eq!(decode(b"a: [1"), Err("yaml: line 1: did not find expected ',' or ']'".to_owned()));
    }
}
