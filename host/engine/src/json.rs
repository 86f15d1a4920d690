//! JSON from a guest, parsed under the budget of its call.

use backstay_core::contract::Json;
pub(crate) use backstay_core::json::TOO_MANY;
use backstay_core::json::{Budget, parse as parse_within};

use crate::limits::JSON_DEPTH;

/// Parses `text`, and subtracts the number of its values from `values`. A key that occurs twice in an object is an
/// error, because readers differ on which one counts.
pub(crate) fn parse(text: &str, values: &mut usize) -> Result<Json, serde_json::Error> {
    let mut budget = Budget { values: *values, levels: JSON_DEPTH };
    let parsed = parse_within(text, &mut budget);
    *values = budget.values;
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_nesting() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(JSON_DEPTH), &mut 1000).is_ok());
        let error = parse(&nested(JSON_DEPTH + 1), &mut 1000).unwrap_err().to_string();
        assert!(error.contains("nested more than 100 levels deep"), "{error}");
    }

    #[test]
    fn counts_values_of_all_texts_together() {
        let mut values = 5;
        parse("[1,2]", &mut values).unwrap();
        assert_eq!(values, 2);
        assert!(parse("[1,2]", &mut values).unwrap_err().to_string().contains(TOO_MANY));
    }
}
