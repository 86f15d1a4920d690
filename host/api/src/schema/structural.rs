//! The rules of structural schemas: the API server accepts no CRD that breaks them.

use serde_json::{Map, Value, json};

use super::error::Fault;
use super::walk::for_each;

/// Keywords that a CRD may hold. The API server refuses others, or drops them silently.
const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];
/// Keywords that are not allowed inside allOf, anyOf, oneOf or not, because they shape a value.
const SHAPING: &[&str] = &["additionalProperties", "default", "description", "nullable", "title", "type"];
const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];

/// Removes the keywords of schema generators that a CRD may not hold, and replaces formats that OpenAPI lacks.
pub(crate) fn normalise(schema: &mut Value) {
    for_each(schema, &mut |object| {
        object.remove("$schema");
        object.remove("title");
        let format = match object.get("format").and_then(Value::as_str) {
            Some("uint8" | "uint16" | "int8" | "int16") => Some("int32"),
            Some("uint" | "uint32" | "uint64" | "int") => Some("int64"),
            _ => None,
        };
        if let Some(format) = format {
            object.insert("format".to_owned(), json!(format));
        }
    });
}

/// Removes `nullable`. With it the API server would store an explicit null, where the Go implementation's schema fills in
/// the default or refuses.
pub(crate) fn refuse_null(schema: &mut Value) {
    for_each(schema, &mut |object| {
        object.remove("nullable");
    });
}

/// Checks that `schema` is structural; the error names the first place that is not.
pub(super) fn check(schema: &Value) -> Result<(), Fault> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return fault("", "the spec must be an object: write type: object");
    }
    shape(schema, "")
}

/// Checks a schema that shapes a value.
fn shape(schema: &Value, at: &str) -> Result<(), Fault> {
    let object = as_object(schema, at)?;
    known_keywords(object, at)?;
    has_type(object, at)?;
    if object.contains_key("properties") && object.contains_key("additionalProperties") {
        return fault(at, "properties and additionalProperties exclude each other");
    }
    if object.get("uniqueItems") == Some(&Value::Bool(true)) {
        return fault(at, "uniqueItems is not allowed: write x-kubernetes-list-type: set");
    }
    match object.get("additionalProperties") {
        None => {}
        Some(Value::Bool(true)) => {
            return fault(
                at,
                "additionalProperties: true needs a schema, or x-kubernetes-preserve-unknown-fields",
            );
        }
        Some(Value::Bool(false)) => {
            return fault(at, "additionalProperties: false is not allowed: unknown fields are pruned anyway");
        }
        Some(inner) => shape(inner, &format!("{at}/additionalProperties"))?,
    }
    if let Some(items) = object.get("items") {
        shape(items, &format!("{at}/items"))?;
    } else if object.get("type").and_then(Value::as_str) == Some("array") {
        return fault(at, "an array needs items");
    }
    for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        shape(property, &format!("{at}/properties/{}", escape(name)))?;
    }
    let int_or_string = object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    each_constraint(object, at, &mut |inner, at| constraint(inner, at, int_or_string))
}

/// Checks a schema inside allOf, anyOf, oneOf or not, which may constrain a value but not shape it, except the anyOf of
/// integer and string in an int-or-string.
fn constraint(schema: &Value, at: &str, int_or_string: bool) -> Result<(), Fault> {
    let object = as_object(schema, at)?;
    known_keywords(object, at)?;
    if let Some(keyword) =
        SHAPING.iter().find(|k| object.contains_key(**k) && !(int_or_string && **k == "type"))
    {
        return fault(at, &format!("{keyword} is not allowed inside allOf, anyOf, oneOf or not"));
    }
    if let Some(items) = object.get("items") {
        constraint(items, &format!("{at}/items"), false)?;
    }
    for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        constraint(property, &format!("{at}/properties/{}", escape(name)), false)?;
    }
    each_constraint(object, at, &mut |inner, at| constraint(inner, at, int_or_string))
}

fn each_constraint(
    object: &Map<String, Value>,
    at: &str,
    check: &mut dyn FnMut(&Value, &str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for (i, inner) in object.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate() {
            check(inner, &format!("{at}/{keyword}/{i}"))?;
        }
    }
    object.get("not").map_or(Ok(()), |inner| check(inner, &format!("{at}/not")))
}

fn has_type(object: &Map<String, Value>, at: &str) -> Result<(), Fault> {
    let open = |keyword| object.get(keyword) == Some(&Value::Bool(true));
    match object.get("type") {
        Some(Value::String(name)) if open("x-kubernetes-int-or-string") => {
            fault(at, &format!("an int-or-string has no type, not {name:?}"))
        }
        Some(Value::String(name)) if TYPES.contains(&name.as_str()) => Ok(()),
        Some(other) => fault(at, &format!("type must be one of {}, not {other}", TYPES.join(", "))),
        None if open("x-kubernetes-int-or-string") || open("x-kubernetes-preserve-unknown-fields") => Ok(()),
        None => fault(at, "a type is missing"),
    }
}

fn known_keywords(object: &Map<String, Value>, at: &str) -> Result<(), Fault> {
    match object.keys().find(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        Some(keyword) => fault(at, &format!("keyword {keyword:?} is not allowed in the schema of a CRD")),
        None => Ok(()),
    }
}

fn as_object<'a>(schema: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Fault> {
    match schema.as_object() {
        Some(object) => Ok(object),
        None => Err(Fault::Structure { at: at.to_owned(), rule: format!("must be a schema, not {schema}") }),
    }
}

/// Escapes a key for a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn fault<T>(at: &str, rule: &str) -> Result<T, Fault> {
    Err(Fault::Structure { at: at.to_owned(), rule: rule.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_would_refuse_is_refused_by_place() {
        let inside = |property: Value| json!({"type": "object", "properties": {"a/b": property}});
        for (schema, at, word) in [
            (json!({"type": "string"}), "", "must be an object"),
            (json!(true), "", "must be an object"),
            (inside(json!({})), "/properties/a~1b", "a type is missing"),
            (inside(json!({"type": ["string", "null"]})), "/properties/a~1b", "type must be one of"),
            (inside(json!({"type": "null"})), "/properties/a~1b", "type must be one of"),
            (inside(json!({"type": "array"})), "/properties/a~1b", "needs items"),
            (inside(json!(true)), "/properties/a~1b", "must be a schema"),
            (inside(json!({"type": "object", "additionalProperties": false})), "/properties/a~1b", "false"),
            (inside(json!({"type": "object", "additionalProperties": true})), "/properties/a~1b", "true"),
            (inside(json!({"type": "string", "const": "x"})), "/properties/a~1b", "\"const\""),
            (
                inside(json!({"type": "object", "patternProperties": {}})),
                "/properties/a~1b",
                "patternProperties",
            ),
            (inside(json!({"type": "string", "x-mine": 1})), "/properties/a~1b", "x-mine"),
            (
                inside(json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true})),
                "/properties/a~1b",
                "set",
            ),
            (
                inside(
                    json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
                ),
                "/properties/a~1b",
                "exclude each other",
            ),
            (
                inside(json!({"type": "string", "anyOf": [{"type": "string"}]})),
                "/properties/a~1b/anyOf/0",
                "type is not allowed inside",
            ),
            (
                inside(json!({"type": "integer", "x-kubernetes-int-or-string": true})),
                "/properties/a~1b",
                "has no type",
            ),
        ] {
            match check(&schema).unwrap_err() {
                Fault::Structure { at: found, rule } => {
                    assert_eq!(found, at, "{schema}");
                    assert!(rule.contains(word), "{rule}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_the_api_server_takes_is_taken() {
        for property in [
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 3}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"x-kubernetes-preserve-unknown-fields": true}),
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "oneOf": [{"required": ["a"]}]}),
        ] {
            let schema = json!({"type": "object", "properties": {"p": property}});
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn formats_of_unsigned_numbers_become_formats_that_exist() {
        let mut schema = json!({"title": "T", "properties": {"n": {"type": "integer", "format": "uint32"}}});
        normalise(&mut schema);
        assert_eq!(schema, json!({"properties": {"n": {"type": "integer", "format": "int64"}}}));
    }
}
