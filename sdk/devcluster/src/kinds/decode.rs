//! Bodies of built-in kinds, read as Go reads them into its types.

use serde_json::{Map, Value};

use super::quantity::Quantity;
use super::{time, types};
use crate::schema::decode::{cannot_unmarshal, named};
use crate::schema::{Path, go};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Texts that may be empty: a pointer to nothing differs from a pointer to an empty text.
pub(crate) const MAY_BE_EMPTY: [&str; 7] = [
    "managedBy",
    "storageClassName",
    "volumeAttributesClassName",
    "holderIdentity",
    "apiGroup",
    "mountPropagation",
    "subPathExpr",
];
/// Numbers and truths that are not written if they are 0 or false: no pointers.
const ZERO_IS_NOTHING: [&str; 19] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPort",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "active",
    "succeeded",
    "failed",
    "observedGeneration",
    "restartCount",
    "count",
    "generation",
    "deprecatedCount",
    "unschedulable",
    "publishNotReadyAddresses",
    "partition",
];

/// Reads an object of a built-in kind, makes of it what is stored, and returns what a strict decoder minds. After an error the object is
/// read in part.
///
/// # Errors
/// The words of Go's decoder, which stand behind `Job in version "v1" cannot be handled as a Job: `.
pub fn object(group: &str, version: &str, kind: &str, value: &mut Value) -> Result<Vec<String>, String> {
    let name = types::type_of(group, version, kind).unwrap_or_default();
    let mut reader = Reader::default();
    reader.typed(name, value, Place::at(Path::ROOT))?;
    reader.saved.map_or(Ok(reader.unknown), Err)
}

/// Reads the metadata of any object, makes of it what is stored, and returns the paths of unknown fields, as in `metadata.x`. After an
/// error it is read in part.
///
/// # Errors
/// The words of Go's decoder.
pub fn metadata(value: &mut Value) -> Result<Vec<String>, String> {
    let mut reader = Reader::default();
    if !reader.typed(META, value, Place::at(Path::From("metadata")))? {
        *value = Value::Object(Map::new());
    }
    reader.saved.map_or(Ok(reader.unknown), Err)
}

/// Where a value is.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The struct that it is a field of.
    of: &'a str,
    /// The fields that lead to it, without places in lists.
    fields: Path<'a>,
    /// The path in the object.
    at: Path<'a>,
}

impl<'a> Place<'a> {
    const fn at(path: Path<'a>) -> Self {
        Self { of: "", fields: Path::ROOT, at: path }
    }

    fn field(&'a self, of: &'a str, name: &'a str) -> Self {
        Self { of, fields: self.fields.field(name), at: self.at.field(name) }
    }

    /// Returns the words for a value that does not fit.
    fn refuse(&self, value: &str, type_: &str) -> String {
        if self.of.is_empty() {
            return format!("json: cannot unmarshal {value} into Go value of type {type_}");
        }
        format!(
            "json: cannot unmarshal {value} into Go struct field {}.{} of type {type_}",
            self.of, self.fields
        )
    }
}

/// Reads values in their places. Each of its functions returns whether the value is there: null is not.
#[derive(Default)]
struct Reader {
    /// Paths of unknown fields.
    unknown: Vec<String>,
    /// The first value of another type: Go reads on, and tells it at the end, if nothing worse comes.
    saved: Option<String>,
}

impl Reader {
    /// Reads a value of a named type.
    fn typed(&mut self, name: &str, value: &mut Value, place: Place<'_>) -> Result<bool, String> {
        if value.is_null() {
            return Ok(false);
        }
        match name.rsplit('.').next().unwrap_or_default() {
            "Quantity" => *value = quantity(value)?,
            "Time" => {
                let time = time::seconds(text(value, place, "string")?)?;
                return Ok(replace(value, time));
            }
            "MicroTime" => {
                let time = time::micros(text(value, place, "string")?)?;
                return Ok(replace(value, time));
            }
            "IntOrString" if value.is_string() => {}
            "IntOrString" => integer(value, place, "int32")?,
            "JSONSchemaPropsOrBool" | "JSONSchemaPropsOrArray" => self.schema_or(name, value, place)?,
            _ if types::is_raw(name) => {}
            _ => match types::named(name) {
                Some(schema) if schema.get("properties").is_some() => {
                    self.fields(name, schema, value, place)?;
                }
                Some(schema) => return self.value(schema, value, place),
                None => {}
            },
        }
        Ok(true)
    }

    fn schema_or(&mut self, name: &str, value: &mut Value, place: Place<'_>) -> Result<(), String> {
        let props = name.strip_suffix("OrBool").or_else(|| name.strip_suffix("OrArray")).unwrap_or(name);
        match value {
            Value::Object(_) => drop(self.typed(props, value, place)?),
            Value::Array(items) => {
                for item in items {
                    self.typed(props, item, place)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fields(
        &mut self,
        name: &str,
        schema: &Value,
        value: &mut Value,
        place: Place<'_>,
    ) -> Result<(), String> {
        let Value::Object(given) = value else { return Err(place.refuse(named(value), &go_name(name))) };
        let short = name.rsplit('.').next().unwrap_or_default();
        let known = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let mut read = |field: &String, value: &mut Value| {
            let place = place.field(short, field);
            let Some(inner) = known.and_then(|known| known.get(field)) else {
                self.unknown.push(place.at.to_string());
                return Ok(false);
            };
            if !self.part(inner, value, place)? {
                return Ok(false);
            }
            let is_required = || required.is_some_and(|names| names.iter().any(|name| name == field));
            let is_raw = || inner.get("$ref").and_then(Value::as_str).is_some_and(types::is_raw);
            Ok(!is_zero(field, inner, value) || is_required() || is_raw())
        };
        let mut fault = Ok(());
        given.retain(|field, value| {
            fault.is_err()
                || read(field, value).unwrap_or_else(|words| {
                    fault = Err(words);
                    true
                })
        });
        fault
    }

    /// Reads a part of something. It is not there either if it is of another type.
    fn part(&mut self, schema: &Value, value: &mut Value, place: Place<'_>) -> Result<bool, String> {
        let worse = |words: &str| {
            let type_ =
                words.starts_with("json: cannot unmarshal ") && !words.ends_with(" resource.Quantity");
            !type_ && !words.starts_with("illegal base64")
        };
        match self.value(schema, value, place) {
            Err(words) if !worse(&words) => {
                self.saved.get_or_insert(words);
                Ok(false)
            }
            other => other,
        }
    }

    /// Reads a value.
    fn value(&mut self, schema: &Value, value: &mut Value, place: Place<'_>) -> Result<bool, String> {
        if value.is_null() {
            return Ok(false);
        }
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return self.typed(name, value, place);
        }
        let word = |word: &str| schema.get(word).and_then(Value::as_str).unwrap_or_default();
        match (word("type"), word("format")) {
            ("array", _) => self.items(schema, value, place)?,
            ("object", _) => self.entries(schema, value, place)?,
            ("integer", format) => integer(value, place, if format == "int32" { "int32" } else { "int64" })?,
            ("number", _) if value.is_number() => crate::schema::settle(value),
            ("number", _) => return Err(place.refuse(named(value), "float64")),
            ("boolean", _) if value.is_boolean() => {}
            ("boolean", _) => return Err(place.refuse(named(value), "bool")),
            ("string", "byte") => {
                let text = text(value, place, "[]uint8")?;
                base64(text)
                    .ok_or_else(|| format!("illegal base64 data at input byte {}", fault_of_base64(text)))?;
            }
            ("string", _) => drop(text(value, place, "string")?),
            _ => {}
        }
        Ok(true)
    }

    fn items(&mut self, schema: &Value, value: &mut Value, place: Place<'_>) -> Result<(), String> {
        let Value::Array(items) = value else { return Err(place.refuse(named(value), &type_name(schema))) };
        let inner = schema.get("items").unwrap_or(&Value::Null);
        for (i, item) in items.iter_mut().enumerate() {
            if !self.part(inner, item, Place { at: place.at.item(i), ..place })? {
                *item = zero(inner);
            }
        }
        Ok(())
    }

    fn entries(&mut self, schema: &Value, value: &mut Value, place: Place<'_>) -> Result<(), String> {
        let Value::Object(given) = value else { return Err(place.refuse(named(value), &type_name(schema))) };
        let Some(inner) = schema.get("additionalProperties") else { return Ok(()) };
        for (name, value) in given {
            if !self.part(inner, value, Place { at: place.at.key(name), ..place })? {
                *value = zero(inner);
            }
        }
        Ok(())
    }
}

/// Puts a text in the place of a value, if there is one.
fn replace(value: &mut Value, text: Option<String>) -> bool {
    let there = text.is_some();
    if let Some(text) = text {
        *value = text.into();
    }
    there
}

/// Whether Go leaves a field out when it writes it.
fn is_zero(field: &str, schema: &Value, value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty() && schema.get("additionalProperties").is_some(),
        // An empty list of managedFields is a wish to clear them.
        Value::Array(items) => items.is_empty() && field != "managedFields",
        Value::String(text) => text.is_empty() && !MAY_BE_EMPTY.contains(&field),
        Value::Bool(value) => !value && ZERO_IS_NOTHING.contains(&field),
        Value::Number(number) => number.as_i64() == Some(0) && ZERO_IS_NOTHING.contains(&field),
        Value::Null => true,
    }
}

/// Returns what Go has where null is given.
fn zero(schema: &Value) -> Value {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "".into(),
        Some("integer" | "number") => 0.into(),
        Some("boolean") => false.into(),
        _ if schema.get("$ref").is_some() => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

fn text<'a>(value: &'a Value, place: Place<'_>, type_: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| place.refuse(named(value), type_))
}

fn integer(value: &Value, place: Place<'_>, type_: &str) -> Result<(), String> {
    let Value::Number(number) = value else { return Err(place.refuse(named(value), type_)) };
    let fits = number.as_i64().is_some_and(|n| type_ == "int64" || i32::try_from(n).is_ok());
    if fits { Ok(()) } else { Err(place.refuse(&format!("number {}", go::json(value)), type_)) }
}

/// Reads an amount, which may be written as a number.
fn quantity(value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) => go::json(value),
        other => return Err(cannot_unmarshal(other, "resource.Quantity")),
    };
    Quantity::parse(&text).map(|quantity| quantity.to_string().into())
}

/// Returns the name of a type in Go, as in `v1.PodSpec`.
fn go_name(name: &str) -> String {
    let mut parts = name.rsplit('.');
    let (last, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{package}.{last}")
}

/// Returns the Go type of a schema.
fn type_name(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return go_name(name);
    }
    let word = |word: &str| schema.get(word).and_then(Value::as_str).unwrap_or_default();
    match (word("type"), word("format")) {
        ("array", _) => format!("[]{}", schema.get("items").map(type_name).unwrap_or_default()),
        ("object", _) => {
            format!(
                "map[string]{}",
                schema.get("additionalProperties").map_or_else(|| "interface {}".into(), type_name)
            )
        }
        ("integer", "int32") => "int32".into(),
        ("integer", _) => "int64".into(),
        ("number", _) => "float64".into(),
        ("boolean", _) => "bool".into(),
        ("string", "byte") => "[]uint8".into(),
        _ => "string".into(),
    }
}

/// Decodes base64 with padding, as Go does: line breaks do not count.
#[must_use]
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for (i, group) in digits.chunks(4).enumerate() {
        let mut word = 0_u32;
        for (j, digit) in group.iter().enumerate() {
            let value = match digit {
                b'=' if i * 4 + j + padding >= digits.len() => 0,
                digit => sextet(*digit)?,
            };
            word = word << 6 | u32::from(value);
        }
        let [_, of_three @ ..] = word.to_be_bytes();
        bytes.extend_from_slice(&of_three);
    }
    bytes.truncate(bytes.len() - padding);
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Returns where Go says that base64 is wrong.
fn fault_of_base64(text: &str) -> usize {
    let plain = text.trim_end_matches('=');
    match plain.bytes().position(|digit| sextet(digit).is_none() && !matches!(digit, b'\n' | b'\r')) {
        Some(at) => at,
        // The end comes before a group of four is full.
        None if plain.len() % 4 == 1 || text.len() == plain.len() => plain.len() / 4 * 4,
        None => text.len().min(plain.len() + 1),
    }
}

/// Encodes base64 with padding.
#[must_use]
pub fn to_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let digit = (word >> (18 - 6 * i)) as usize & 63;
            text.push(if i > group.len() {
                '='
            } else {
                char::from(DIGITS.get(digit).copied().unwrap_or(b'='))
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(spec: &Value) -> Result<(Value, Vec<String>), String> {
        let mut job = json!({"kind": "Job", "metadata": {"name": "j"}, "spec": spec});
        object("batch", "v1", "Job", &mut job).map(|unknown| (job, unknown))
    }

    #[test]
    fn a_value_of_another_type_is_told_as_go_tells_it() {
        let said = |spec: Value| job(&spec).expect_err("a fault");
        assert_eq!(
            said(json!({"parallelism": "x"})),
            "json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32"
        );
        assert_eq!(
            said(json!({"template": {"spec": {"containers": [{"image": 1}]}}})),
            "json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers.image of type string"
        );
        assert_eq!(
            said(json!({"template": {"spec": {"containers": {}}}})),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
        );
        assert_eq!(
            metadata(&mut json!("x")),
            Err("json: cannot unmarshal string into Go value of type v1.ObjectMeta".into())
        );
        assert_eq!(
            metadata(&mut json!({"labels": {"a": 1}})),
            Err("json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string".into())
        );
        assert_eq!(
            metadata(&mut json!({"labels": []})),
            Err("json: cannot unmarshal array into Go struct field ObjectMeta.labels of type map[string]string".into())
        );
    }

    #[test]
    fn what_go_does_not_keep_is_left_out_and_amounts_are_plain() {
        let resources = json!({"requests": {"cpu": "1000m", "memory": 1024}});
        let given = json!({"suspend": false, "template": {"metadata": {"labels": {}}, "spec": {"restartPolicy": null, "hostNetwork": false,
            "volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "a", "args": [], "resources": resources, "x": 1}]}}});
        let (read, unknown) = job(&given).expect("a Job");
        let pod = json!({"volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1024"}}}]});
        assert_eq!(read["spec"], json!({"suspend": false, "template": {"metadata": {}, "spec": pod}}));
        assert_eq!(unknown, ["spec.template.spec.containers[0].x"]);
    }

    #[test]
    fn base64_is_read_and_written() {
        for text in ["", "MQ==", "YWI=", "YWJj", "YWJjZA=="] {
            assert_eq!(base64(text).map(|bytes| to_base64(&bytes)).as_deref(), Some(text));
        }
        assert_eq!([base64("M"), base64("M==="), base64("M=Q="), base64("a b=")], [None, None, None, None]);
    }
}
