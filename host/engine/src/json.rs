//! JSON from a guest, parsed under a budget.
//!
//! Parsing a text of one megabyte can cost the host a hundred times as much memory (`[{"":0},…`), and nesting costs
//! stack. So values are counted and nesting is bounded during parsing.

use std::fmt;

use backstay_core::contract::Json;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number};

use crate::call_error::quoted;
use crate::limits::JSON_DEPTH;

/// Parses `text`, and subtracts the number of its values from `values`. A key that occurs twice in an object is an
/// error, because readers differ on which one counts.
pub(crate) fn parse(text: &str, values: &mut usize) -> Result<Json, serde_json::Error> {
    let mut source = serde_json::Deserializer::from_str(text);
    let json = Bounded { values, depth: JSON_DEPTH }.deserialize(&mut source)?;
    source.end()?;
    Ok(json)
}

struct Bounded<'a> {
    values: &'a mut usize,
    depth: usize,
}

impl Bounded<'_> {
    fn inner<E: Error>(&mut self) -> Result<Bounded<'_>, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Bounded { values: self.values, depth }),
            None => Err(E::custom(format_args!("nested more than {JSON_DEPTH} levels deep"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        *self.values = self.values.checked_sub(1).ok_or_else(|| D::Error::custom(TOO_MANY))?;
        source.deserialize_any(self)
    }
}

/// The error once the budget is used up.
pub(crate) const TOO_MANY: &str = "too many JSON values in one answer";

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner()?)? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.inner()?)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("key {} occurs twice", quoted(&key))));
            }
            map.insert(key, value);
        }
        Ok(Json::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, values: usize) -> Result<Json, String> {
        parse(text, &mut { values }).map_err(|e| e.to_string())
    }

    #[test]
    fn parses_what_serde_json_parses() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "1.5",
            r#""a\u00e9""#,
            "[]",
            r#"{"a":[1,{"b":{}}]}"#,
        ] {
            assert_eq!(parse_with(text, 100), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn bounds_nesting() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse_with(&nested(JSON_DEPTH), 1000).is_ok());
        let error = parse_with(&nested(JSON_DEPTH + 1), 1000).unwrap_err();
        assert!(error.contains("nested more than 100 levels deep"), "{error}");
    }

    #[test]
    fn counts_values_of_all_texts_together() {
        let mut values = 5;
        parse("[1,2]", &mut values).unwrap();
        assert_eq!(values, 2);
        assert!(parse("[1,2]", &mut values).unwrap_err().to_string().contains(TOO_MANY));
    }

    #[test]
    fn refuses_what_is_ambiguous_or_unfinished() {
        for (text, why) in [
            (r#"{"a":1,"a":2}"#, "\"a\" occurs twice"),
            ("1 2", "trailing characters"),
            ("[1,", "EOF"),
            ("", "EOF"),
            ("1e999", "out of range"),
        ] {
            let error = parse_with(text, 100).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
