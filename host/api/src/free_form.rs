//! A field of any content, kept as text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bounds::{FREE_FORM_BYTES, FREE_FORM_LEVELS};

/// The JSON of a field whose content is not ours, such as `spec.options`.
///
/// It is kept as text: as values it would take a hundred times the memory. Whoever needs it parses it under a budget. Of a text
/// beyond the bounds only the fact is kept; it encodes as `null`.
#[derive(Clone, PartialEq)]
pub struct FreeForm<const BYTES: usize = FREE_FORM_BYTES, const LEVELS: usize = FREE_FORM_LEVELS>(
    Result<Text, Unreadable>,
);

/// Why a free-form field cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The text is too long.
    #[error("has {0} bytes, and may have {1}")]
    Bytes(usize, usize),
    /// The content is nested too deeply.
    #[error("is nested more than {0} levels deep")]
    Levels(usize),
}

#[derive(Clone)]
struct Text(Arc<RawValue>);

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl<const BYTES: usize, const LEVELS: usize> FreeForm<BYTES, LEVELS> {
    fn new(text: Box<RawValue>) -> Self {
        let bytes = text.get().len();
        Self(if bytes > BYTES {
            Err(Unreadable::Bytes(bytes, BYTES))
        } else if levels(text.get()) > LEVELS {
            Err(Unreadable::Levels(LEVELS))
        } else {
            Ok(Text(text.into()))
        })
    }

    /// Returns the JSON text.
    ///
    /// # Errors
    /// The text is beyond the bounds.
    pub fn text(&self) -> Result<&str, Unreadable> {
        match &self.0 {
            Ok(text) => Ok(text.0.get()),
            Err(why) => Err(*why),
        }
    }

    /// Returns the value, without a budget. For texts of our own; `None` if it is beyond the bounds.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        self.text().ok().and_then(|text| serde_json::from_str(text).ok())
    }
}

/// Returns the levels of nesting of a JSON text.
#[must_use]
fn levels(text: &str) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<const BYTES: usize, const LEVELS: usize> From<&Value> for FreeForm<BYTES, LEVELS> {
    fn from(value: &Value) -> Self {
        // A value is printed without recursion into anything that can fail.
        match RawValue::from_string(value.to_string()) {
            Ok(text) => Self::new(text),
            Err(_) => Self(Err(Unreadable::Levels(LEVELS))),
        }
    }
}

impl<const BYTES: usize, const LEVELS: usize> fmt::Debug for FreeForm<BYTES, LEVELS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(text) => write!(f, "FreeForm({} bytes)", text.0.get().len()),
            Err(why) => write!(f, "FreeForm({why})"),
        }
    }
}

impl<const BYTES: usize, const LEVELS: usize> Serialize for FreeForm<BYTES, LEVELS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(text) => text.0.serialize(serializer),
            Err(_) => serializer.serialize_none(),
        }
    }
}

impl<'de, const BYTES: usize, const LEVELS: usize> Deserialize<'de> for FreeForm<BYTES, LEVELS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = FreeForm<20, 3>;

    fn read(text: &str) -> Small {
        serde_json::from_str(text).expect("it is JSON")
    }

    #[test]
    fn a_text_within_the_bounds_is_kept_as_it_is_written() {
        let field = read(r#"{"b":1.0,"a":[null]}"#);
        assert_eq!(field.text(), Ok(r#"{"b":1.0,"a":[null]}"#));
        assert_eq!(serde_json::to_string(&field).unwrap(), r#"{"b":1.0,"a":[null]}"#);
        assert_eq!(field.value(), Some(serde_json::json!({"a": [null], "b": 1.0})));
        assert_eq!(FreeForm::from(&serde_json::json!([1])), read("[1]"));
    }

    #[test]
    fn of_a_text_beyond_a_bound_only_that_is_kept() {
        let long = read(r#"["0123456789abcdefg"]"#);
        assert_eq!(long.text(), Err(Unreadable::Bytes(21, 20)));
        assert_eq!(read("[[[[]]]]").text(), Err(Unreadable::Levels(3)));
        assert_eq!(serde_json::to_value(&long).unwrap(), Value::Null);
    }

    #[test]
    fn brackets_within_strings_are_no_levels() {
        assert_eq!(levels(r#"{"[[\"[[":"}\\"}"#), 1);
        assert_eq!(levels(r#"[{"a":[]},[[]],1]"#), 3);
        assert_eq!(levels("1"), 0);
    }

    #[test]
    fn a_hundred_thousand_levels_decode_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let field: FreeForm = serde_json::from_str(&deep).expect("skipping is no recursion");
        assert_eq!(field.text(), Err(Unreadable::Bytes(200_000, 65_536)));
    }
}
