//! A schema as a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::rules::Rules;
use crate::status::Cause;

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// `object`.
    Object,
    /// `array`.
    Array,
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// Anything: no type is given.
    #[default]
    Any,
}

impl Type {
    /// Returns the type as messages name it; empty for [`Type::Any`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
            Self::Any => "",
        }
    }
}

/// How a list is merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// As one value.
    #[default]
    Atomic,
    /// By the values of its items.
    Set,
    /// By these keys of its items.
    Map(Vec<String>),
}

/// The schema of a value and of all that is in it.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// What the value is.
    pub type_: Type,
    /// Whether null is a value of it.
    pub nullable: bool,
    /// The fields of an object.
    pub properties: BTreeMap<String, Schema>,
    /// The values of a map.
    pub additional: Option<Box<Schema>>,
    /// The items of a list.
    pub items: Option<Box<Schema>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// The value of a field that is not there.
    pub default: Option<Value>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// `x-kubernetes-list-type` and its keys.
    pub list: ListType,
    /// Whether a map, or an object, is merged as one value.
    pub atomic: bool,
    /// The name of the type in the API server's program, as in `io.k8s.api.batch.v1.JobSpec`; empty in CRDs.
    pub name: String,
    /// The schema as it was written, without fields, items and descriptions: for the keywords that are nothing but checks.
    pub raw: Value,
    /// The pattern of texts.
    pub(crate) pattern: Option<Regex>,
    /// The rules of this value.
    pub(crate) rules: Option<Arc<Rules>>,
    /// Where an object says of how many replicas it is, as the subresource scale has it: `.spec.replicas`.
    pub(crate) counts: Vec<String>,
    /// Whether this value, or one in it, has rules.
    pub(crate) has_rules: bool,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        (self.type_, self.nullable, self.preserve_unknown, self.embedded, self.atomic)
            == (other.type_, other.nullable, other.preserve_unknown, other.embedded, other.atomic)
            && (
                &self.properties,
                &self.additional,
                &self.items,
                &self.required,
                &self.default,
                &self.list,
                &self.name,
                &self.raw,
            ) == (
                &other.properties,
                &other.additional,
                &other.items,
                &other.required,
                &other.default,
                &other.list,
                &other.name,
                &other.raw,
            )
    }
}

impl Schema {
    /// Returns the schema of a version of a CRD: its `openAPIV3Schema`.
    ///
    /// # Errors
    /// The API server refuses the schema, or (with the reason `NotImplemented`) this crate cannot check what it says. The fields
    /// begin with `openAPIV3Schema`.
    pub fn of_crd(open_api_v3_schema: &Value) -> Result<Self, Vec<Cause>> {
        Self::of_crd_at(open_api_v3_schema, "openAPIV3Schema")
    }

    /// As [`Schema::of_crd`], with fields that begin with this path.
    ///
    /// # Errors
    /// As there.
    pub fn of_crd_at(raw: &Value, path: &str) -> Result<Self, Vec<Cause>> {
        let faults = super::structural::faults(raw, path);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut tree = Self::read(raw);
        let mut faults = Vec::new();
        super::rules::compile(&mut tree, raw, path, &mut faults);
        if faults.is_empty() { Ok(tree) } else { Err(faults) }
    }

    /// Returns the schema with what a version of a CRD says of its subresource scale: `subresources.scale`.
    #[must_use]
    pub fn with_scale(mut self, scale: &Value) -> Self {
        let paths = ["specReplicasPath", "statusReplicasPath"].into_iter().filter_map(|path| scale.get(path));
        self.counts = paths.filter_map(Value::as_str).map(str::to_owned).collect();
        self
    }

    /// Returns the tree of a schema without references, whose words have been checked.
    pub(crate) fn read(raw: &Value) -> Self {
        let text = |word: &str| raw.get(word).and_then(Value::as_str).unwrap_or_default();
        let on = |word: &str| raw.get(word).and_then(Value::as_bool).unwrap_or_default();
        let object = |word: &str| raw.get(word).filter(|one| one.is_object());
        Self {
            type_: kind(raw),
            nullable: on("nullable"),
            properties: object("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, one)| (name.clone(), Self::read(one)))
                .collect(),
            additional: match raw.get("additionalProperties") {
                Some(Value::Bool(true)) => Some(Box::new(Self::any())),
                Some(one @ Value::Object(_)) => Some(Box::new(Self::read(one))),
                _ => None,
            },
            items: object("items").map(|one| Box::new(Self::read(one))),
            required: texts(raw, "required"),
            default: raw.get("default").filter(|value| !value.is_null()).map(super::prune::settled),
            preserve_unknown: on("x-kubernetes-preserve-unknown-fields"),
            embedded: on("x-kubernetes-embedded-resource"),
            list: match text("x-kubernetes-list-type") {
                "map" => ListType::Map(texts(raw, "x-kubernetes-list-map-keys")),
                "set" => ListType::Set,
                _ => ListType::Atomic,
            },
            atomic: text("x-kubernetes-map-type") == "atomic",
            name: text("x-name").to_owned(),
            pattern: raw
                .get("pattern")
                .and_then(Value::as_str)
                .and_then(|pattern| super::pattern::compile(pattern).ok()),
            rules: None,
            counts: Vec::new(),
            has_rules: has_rules(raw),
            raw: checks(raw),
        }
    }

    /// Returns the schema of a field, or of the values of a map.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// Whether the CRD has rules anywhere: then faults that hinder them add a cause.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// Returns a number among the checks.
    pub(super) fn count(&self, word: &str) -> Option<u64> {
        self.raw.get(word).and_then(Value::as_u64)
    }

    /// Returns a schema that takes every value.
    #[must_use]
    pub fn any() -> Self {
        Self { preserve_unknown: true, nullable: true, ..Self::default() }
    }
}

/// Returns the texts of a list among the words of a schema.
pub(super) fn texts(raw: &Value, word: &str) -> Vec<String> {
    let list = raw.get(word).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn kind(raw: &Value) -> Type {
    if raw.get("x-kubernetes-int-or-string").and_then(Value::as_bool).unwrap_or_default() {
        return Type::IntOrString;
    }
    match raw.get("type").and_then(Value::as_str).unwrap_or_default() {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" if raw.get("format").is_some_and(|format| format == "int-or-string") => Type::IntOrString,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        _ => Type::Any,
    }
}

/// Returns whether a schema, or one in it, has rules.
fn has_rules(raw: &Value) -> bool {
    let rules = raw.get("x-kubernetes-validations").and_then(Value::as_array);
    rules.is_some_and(|rules| !rules.is_empty())
        || raw
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|fields| fields.values().any(has_rules))
        || raw.get("items").is_some_and(has_rules)
        || raw.get("additionalProperties").is_some_and(has_rules)
}

/// Returns the words of a schema that are nothing but checks.
fn checks(raw: &Value) -> Value {
    const OTHER: [&str; 7] = [
        "properties",
        "items",
        "additionalProperties",
        "description",
        "title",
        "default",
        "x-kubernetes-validations",
    ];
    let words = raw.as_object().into_iter().flatten();
    Value::Object(
        words
            .filter(|(word, _)| !OTHER.contains(&word.as_str()))
            .map(|(w, v)| (w.clone(), v.clone()))
            .collect::<Map<_, _>>(),
    )
}
