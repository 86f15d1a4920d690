//! Files of objects, read as kubectl reads them: YAML 1.1 in Go's dialect, JSON, and several objects in a file.
//!
//! The parser is one of YAML 1.2, which differs in what a scalar means, and that is decided here. `host/tests/yaml` has the
//! tables of kubectl's own reading.

use std::collections::HashMap;

use backstay_core::contract::{GroupKind, Json};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Number};

/// Most values of a file once its aliases are replaced: a file of one kilobyte could hold billions.
const VALUES: usize = 1_000_000;
/// Deepest nesting.
const LEVELS: usize = 1000;

/// Why a file is not read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum YamlError {
    /// The text is not YAML.
    #[error("line {line}: {cause}")]
    Syntax { line: usize, cause: String },
    /// The text is YAML that kubectl does not take for an object.
    #[error("line {line}: {what}")]
    Meaning { line: usize, what: String },
    /// A marker between documents has more behind it.
    #[error("line {0}: only a comment may stand behind the marker ---")]
    Marker(usize),
    /// The aliases are replaced by too many values.
    #[error("the file holds more than {VALUES} values, or is nested more than {LEVELS} levels deep")]
    TooLarge,
}

/// Returns the objects of a text, without empty documents.
///
/// # Errors
/// kubectl would refuse the text.
pub(crate) fn objects(text: &str) -> Result<Vec<Json>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut found, rest) = json(text);
    for (line, part) in parts(rest)? {
        found.extend(document(part, line)?);
    }
    found.retain(|object| !object.is_null());
    Ok(found)
}

/// Returns group and kind of an object.
pub(crate) fn kind(object: &Json) -> GroupKind {
    let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    GroupKind { group: group.to_owned(), kind: text("kind").to_owned() }
}

/// Reads the JSON objects at the beginning of a text that begins with a brace, and returns the rest.
fn json(text: &str) -> (Vec<Json>, &str) {
    let mut found = Vec::new();
    if !text.trim_start().starts_with('{') {
        return (found, text);
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Json>();
    let mut end = 0;
    while let Some(Ok(value)) = stream.next() {
        found.push(canonical(value));
        end = stream.byte_offset();
    }
    let rest = text.get(end..).unwrap_or_default();
    (found, if rest.trim().is_empty() { "" } else { rest })
}

/// Splits a text at its markers, and returns each part with the number of the line before it.
fn parts(text: &str) -> Result<Vec<(usize, &str)>, YamlError> {
    let (mut parts, mut begin, mut first, mut at) = (Vec::new(), 0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(behind) = line.strip_prefix("---") {
            let behind = behind.trim();
            if !behind.is_empty() && !behind.starts_with('#') {
                return Err(YamlError::Marker(number + 1));
            }
            parts.push((first, text.get(begin..at).unwrap_or_default()));
            (begin, first) = (at + line.len(), number + 1);
        }
        at += line.len();
    }
    parts.push((first, text.get(begin..).unwrap_or_default()));
    Ok(parts)
}

/// Reads the first document of a part; later ones have no marker before them, and kubectl does not see them.
fn document(text: &str, line: usize) -> Result<Option<Json>, YamlError> {
    let mut reader =
        Reader { events: Parser::new_from_str(text), line, anchors: HashMap::new(), left: VALUES };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(None),
            (Event::StreamStart | Event::DocumentStart(..) | Event::Comment(..), _) => {}
            (event, span) => return reader.node(event, span, LEVELS).map(Some),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// Lines before the part.
    line: usize,
    anchors: HashMap<usize, Json>,
    /// Values that may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, self.line_of(&span))),
                Some(Err(error)) => return Err(self.syntax(&error)),
                None => return Ok((Event::StreamEnd, self.line)),
            }
        }
    }

    fn line_of(&self, span: &Span) -> usize {
        self.line + span.start.line()
    }

    fn syntax(&self, error: &ScanError) -> YamlError {
        YamlError::Syntax { line: self.line + error.marker().line(), cause: error.info() }
    }

    /// Counts a value, or the values of an alias.
    fn count(&mut self, values: usize) -> Result<(), YamlError> {
        self.left = self.left.checked_sub(values).ok_or(YamlError::TooLarge)?;
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, line: usize, levels: usize) -> Result<Json, YamlError> {
        let levels = levels.checked_sub(1).ok_or(YamlError::TooLarge)?;
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let value = scalar(&text, plain, tag.as_deref());
                (anchor, value.map_err(|what| YamlError::Meaning { line, what })?)
            }
            Event::SequenceStart(_, anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => items.push(self.node(event, line, levels)?),
                    }
                }
                (anchor, Json::Array(items))
            }
            Event::MappingStart(_, anchor, _) => (anchor, Json::Object(self.map(levels)?)),
            Event::Alias(id) => {
                let Some(value) = self.anchors.get(&id).cloned() else {
                    let what = "the alias names no anchor before it".to_owned();
                    return Err(YamlError::Meaning { line, what });
                };
                self.count(values(&value))?;
                (0, value)
            }
            other => {
                let cause = format!("unexpected {other:?}");
                return Err(YamlError::Syntax { line, cause });
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn map(&mut self, levels: usize) -> Result<Map<String, Json>, YamlError> {
        let mut map = Map::new();
        loop {
            let (event, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(map),
                next => next,
            };
            let merges = is_merge(&event);
            let key = self.node(event, line, levels)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, levels)?;
            let refused = if merges {
                merge(&mut map, value)
            } else {
                key_text(&key).map(|key| drop(map.insert(key, value)))
            };
            refused.map_err(|what| YamlError::Meaning { line, what })?;
        }
    }
}

fn values(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Json::Object(map) => 1 + map.values().map(values).sum::<usize>(),
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
fn merge(map: &mut Map<String, Json>, value: Json) -> Result<(), String> {
    let merged = match value {
        Json::Array(several) => several,
        one => vec![one],
    };
    if merged.iter().any(|one| !one.is_object()) {
        return Err("the merge key << needs a map, or a list of maps".to_owned());
    }
    for one in merged.into_iter().rev() {
        if let Json::Object(one) = one {
            map.extend(one);
        }
    }
    Ok(())
}

/// Returns the key of an object that a key of YAML becomes.
fn key_text(key: &Json) -> Result<String, String> {
    match key {
        Json::String(text) => Ok(text.clone()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Number(number) if number.as_f64().is_some_and(|n| n.abs() >= 9_223_372_036_854_775_808.0) => {
            Err("a key is a number of more than 64 bits".to_owned())
        }
        // kubectl writes fractions with the digits of a short float.
        Json::Number(number) if number.is_f64() => {
            #[allow(clippy::cast_possible_truncation)]
            let short = number.as_f64().unwrap_or_default() as f32;
            Ok(short.to_string())
        }
        Json::Number(number) => Ok(number.to_string()),
        Json::Null => Err("a key is empty, or null".to_owned()),
        Json::Array(_) | Json::Object(_) => Err("a key is a list or a map".to_owned()),
    }
}

/// Returns the type of a tag of YAML's own, such as `int`.
fn core(tag: &Tag) -> Option<String> {
    let whole = format!("{}{}", tag.handle(), tag.suffix());
    whole.strip_prefix("tag:yaml.org,2002:").map(str::to_owned)
}

/// Returns the value of a scalar.
fn scalar(text: &str, plain: bool, tag: Option<&Tag>) -> Result<Json, String> {
    let wanted = match tag {
        None if plain => return resolved(text),
        None => return Ok(text.into()),
        Some(tag) => core(tag),
    };
    let cannot = |wanted: &str| format!("{text:?} is not of the type !!{wanted}");
    match wanted.as_deref() {
        Some(wanted @ ("bool" | "int" | "float" | "null")) => {
            let value = resolved(text)?;
            let fits = match (wanted, &value) {
                ("bool", Json::Bool(_)) | ("null", Json::Null) | ("float", Json::Number(_)) => true,
                ("int", Json::Number(_)) => integer(&text.replace('_', "")).is_some(),
                _ => false,
            };
            if fits { Ok(value) } else { Err(cannot(wanted)) }
        }
        Some("binary") => binary(text).map(Json::from).ok_or_else(|| cannot("binary")),
        _ => Ok(text.into()),
    }
}

/// Returns the value of a plain scalar.
fn resolved(text: &str) -> Result<Json, String> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => return Err(format!("{text} is no number of JSON")),
        _ => match number(text) {
            Some(number) => Json::Number(number),
            None => text.into(),
        },
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
    if !is_float(&plain) {
        return None;
    }
    let value: f64 = plain.parse().ok()?;
    value.is_finite().then(|| of_float(value)).flatten()
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
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let mantissa = match (whole, fraction) {
        ("", Some(fraction)) => digits(fraction),
        (whole, None | Some("")) => digits(whole),
        (whole, Some(fraction)) => digits(whole) && digits(fraction),
    };
    mantissa && exponent.is_none_or(digits)
}

/// Returns a number as it is after kubectl has sent it and the API server has answered it: a whole one has no point.
fn of_float(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let text = value.to_string();
        return text.parse::<i64>().map(Number::from).ok().or_else(|| serde_json::from_str(&text).ok());
    }
    Number::from_f64(value)
}

/// Returns JSON with its numbers as [`of_float`] has them.
fn canonical(value: Json) -> Json {
    match value {
        Json::Array(items) => items.into_iter().map(canonical).collect(),
        Json::Object(map) => map.into_iter().map(|(key, value)| (key, canonical(value))).collect(),
        Json::Number(number) if number.as_i64().is_none() => {
            number.as_f64().and_then(of_float).map_or(Json::Null, Json::Number)
        }
        other => other,
    }
}

/// Decodes base64 into text. Bytes that are no text become replacement characters, as in Go's JSON.
fn binary(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut word = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => 0,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        let [_, of_three @ ..] = word.to_be_bytes();
        bytes.extend_from_slice(&of_three);
    }
    bytes.truncate(bytes.len() - padding);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        name: String,
        yaml: String,
        #[serde(default)]
        json: Vec<String>,
        #[serde(default)]
        error: bool,
    }

    /// Texts that the parser of YAML 1.2 takes otherwise than one of YAML 1.1 (host/tests/yaml/README.md).
    const DIFFERENT: [&str; 4] =
        ["a: [b:, c]\n", "a: x\u{85}y\n", "a: text#c\nb: 'text'#c\n", "key: \"\\x41\\/\"\n"];

    /// Returns the number of rows, and those that are read otherwise although they should not, or not although they should.
    fn table(text: &str) -> (usize, Vec<String>) {
        let rows: Vec<Row> = serde_json::from_str(text).expect("a table");
        let wrong = |row: &Row| {
            let sent: Vec<Json> = row.json.iter().map(|t| serde_json::from_str(t).expect("JSON")).collect();
            let wanted = if row.error { None } else { Some(sent) };
            let read = objects(&row.yaml);
            let differs = read.as_ref().ok() != wanted.as_ref();
            (differs != DIFFERENT.contains(&row.yaml.as_str()))
                .then(|| format!("{} {:?}\n  kubectl: {wanted:?}\n  here:    {read:?}", row.name, row.yaml))
        };
        (rows.len(), rows.iter().filter_map(wrong).collect())
    }

    #[test]
    fn every_scalar_is_read_as_kubectl_reads_it() {
        let (count, wrong) = table(include_str!("../tests/yaml/scalars.json"));
        assert!(count >= 150 && wrong.is_empty(), "{count} scalars\n{}", wrong.join("\n"));
    }

    #[test]
    fn every_document_is_read_as_kubectl_reads_it() {
        let (count, wrong) = table(include_str!("../tests/yaml/documents.json"));
        assert!(count >= 50 && wrong.is_empty(), "{count} documents\n{}", wrong.join("\n"));
    }

    #[test]
    fn an_error_names_the_line_of_the_file() {
        let says = |text: &str| objects(text).map_err(|error| error.to_string());
        assert_eq!(says("a: 1\n---\nb: .nan\n"), Err("line 3: .nan is no number of JSON".to_owned()));
        assert_eq!(
            says("a: 1\n--- b: 1\n"),
            Err("line 2: only a comment may stand behind the marker ---".to_owned())
        );
    }

    #[test]
    fn aliases_that_multiply_are_an_error() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..8 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert_eq!(objects(&bomb), Err(YamlError::TooLarge));
    }
}
