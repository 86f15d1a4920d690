//! JSON from outside, parsed under a budget.
//!
//! Parsing a text of one megabyte can cost a hundred times as much memory (`[{"":0},…`), and nesting costs stack. So values are
//! counted and nesting is bounded during parsing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number};

use crate::contract::Json;

/// What a text, or several together, may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Values (scalars, arrays, objects) that are left.
    pub values: usize,
    /// Levels of nesting of each text.
    pub levels: usize,
}

/// The error once the values of a budget are used up.
pub const TOO_MANY: &str = "too many JSON values";

/// Parses `text`, and subtracts the number of its values from the budget. A key that occurs twice in an object is an error,
/// because readers differ on which one counts.
///
/// # Errors
/// The text is no JSON, is ambiguous, or exceeds the budget.
pub fn parse(text: &str, budget: &mut Budget) -> Result<Json, serde_json::Error> {
    let mut source = serde_json::Deserializer::from_str(text);
    let all = budget.levels;
    let json = Bounded { values: &mut budget.values, left: all, all }.deserialize(&mut source)?;
    source.end()?;
    Ok(json)
}

struct Bounded<'a> {
    values: &'a mut usize,
    /// Levels that are left.
    left: usize,
    all: usize,
}

impl Bounded<'_> {
    fn inner<E: Error>(&mut self) -> Result<Bounded<'_>, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Bounded { values: self.values, left, all: self.all }),
            None => Err(E::custom(format_args!("nested more than {} levels deep", self.all))),
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
                let shown: String = key.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("key {shown:?} occurs twice")));
            }
            map.insert(key, value);
        }
        Ok(Json::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_with(text: &str, values: usize, levels: usize) -> Result<Json, String> {
        parse(text, &mut Budget { values, levels }).map_err(|e| e.to_string())
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
            assert_eq!(parse_with(text, 100, 10), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn bounds_nesting() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse_with(&nested(7), 1000, 7).is_ok());
        let error = parse_with(&nested(8), 1000, 7).unwrap_err();
        assert!(error.contains("nested more than 7 levels deep"), "{error}");
    }

    #[test]
    fn counts_values_of_all_texts_together() {
        let mut budget = Budget { values: 5, levels: 10 };
        parse("[1,2]", &mut budget).unwrap();
        assert_eq!(budget.values, 2);
        assert!(parse("[1,2]", &mut budget).unwrap_err().to_string().contains(TOO_MANY));
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
            let error = parse_with(text, 100, 10).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
