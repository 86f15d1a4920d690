//! What a schema says of merging: a value is a scalar, a list or a map, and is merged whole or by its parts.

use std::sync::LazyLock;

use serde_json::Value;

use super::set::Element;
use crate::kinds;
use crate::schema::{ListType, Schema, Type};

/// The schema of one place in an object.
#[derive(Clone, Copy)]
pub(super) enum Shape<'a> {
    /// The object itself: it has `apiVersion`, `kind` and `metadata` whatever its schema says.
    Object(&'a Schema),
    /// What a schema describes.
    Of(&'a Schema),
    /// Content that nobody describes: maps by their entries, lists whole.
    Deduced,
    /// Content that nobody describes, merged whole.
    Whole,
    /// Nothing may be here.
    Nothing,
}

/// What a scalar may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A number.
    Number,
    /// A text.
    String,
    /// A boolean.
    Boolean,
    /// Any of them.
    Any,
}

/// How a list is merged.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    /// By what.
    pub(super) by: &'a ListType,
    /// Its items.
    pub(super) items: Shape<'a>,
}

/// How a map is merged.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    /// As one value.
    pub(super) whole: bool,
    /// Whose fields are named.
    shape: Shape<'a>,
    /// What the other entries are.
    pub(super) others: Shape<'a>,
}

/// What a value may be, of all that its schema allows.
#[derive(Clone, Copy, Default)]
pub(super) struct Forms<'a> {
    /// A map.
    pub(super) map: Option<Fields<'a>>,
    /// A scalar.
    pub(super) scalar: Option<Scalar>,
    /// A list.
    pub(super) list: Option<List<'a>>,
}

impl<'a> Forms<'a> {
    /// Leaves the form that the value has; all of them if it has none of them.
    pub(super) fn of(self, value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if self.scalar.is_some() => {
                Self { scalar: self.scalar, ..Self::default() }
            }
            Some(Value::Array(_)) if self.list.is_some() => Self { list: self.list, ..Self::default() },
            Some(Value::Object(_)) if self.map.is_some() => Self { map: self.map, ..Self::default() },
            _ => self,
        }
    }

    /// Returns whether the same forms are left.
    pub(super) fn like(&self, other: &Self) -> bool {
        let left = |forms: &Self| (forms.map.is_some(), forms.scalar.is_some(), forms.list.is_some());
        left(self) == left(other)
    }
}

static ATOMIC: ListType = ListType::Atomic;

impl<'a> Shape<'a> {
    /// Returns what a value here may be.
    pub(super) fn forms(self) -> Forms<'a> {
        match self {
            Self::Object(schema) => Forms { map: Some(self.fields(schema)), ..Forms::default() },
            Self::Of(schema) => self.described(schema),
            Self::Deduced | Self::Whole => Forms {
                map: Some(Fields { whole: matches!(self, Self::Whole), shape: self, others: self }),
                scalar: Some(Scalar::Any),
                list: Some(List { by: &ATOMIC, items: self }),
            },
            Self::Nothing => Forms::default(),
        }
    }

    fn described(self, schema: &'a Schema) -> Forms<'a> {
        let scalar = |scalar| Forms { scalar: Some(scalar), ..Forms::default() };
        // Of what the API server holds as it was sent, and of amounts, only the name of the type tells.
        match schema.name.rsplit('.').next() {
            Some("RawExtension" | "FieldsV1" | "JSON") => return Self::Whole.forms(),
            Some("Quantity") => return scalar(Scalar::Any),
            _ => {}
        }
        match schema.type_ {
            Type::String => scalar(Scalar::String),
            Type::Integer | Type::Number => scalar(Scalar::Number),
            Type::Boolean => scalar(Scalar::Boolean),
            // In a CRD it has no type, so that the value is checked by its schema only.
            Type::IntOrString if schema.name.is_empty() => Self::Whole.forms(),
            Type::IntOrString => scalar(Scalar::Any),
            Type::Array => {
                let items = schema.items.as_deref().map_or(Self::Deduced, Self::Of);
                Forms { list: Some(List { by: &schema.list, items }), ..Forms::default() }
            }
            Type::Any if schema.properties.is_empty() && schema.additional.is_none() => {
                if schema.preserve_unknown { Self::Deduced.forms() } else { Self::Whole.forms() }
            }
            Type::Object | Type::Any => Forms { map: Some(self.fields(schema)), ..Forms::default() },
        }
    }

    fn fields(self, schema: &'a Schema) -> Fields<'a> {
        let others = match &schema.additional {
            Some(values) => Self::Of(values),
            None if schema.preserve_unknown || schema.properties.is_empty() => Self::Deduced,
            None => Self::Nothing,
        };
        Fields { whole: schema.atomic, shape: self, others }
    }
}

impl<'a> Fields<'a> {
    /// Returns the schema of a field that is named.
    pub(super) fn named(&self, field: &str) -> Option<Shape<'a>> {
        let (schema, object) = match self.shape {
            Shape::Object(schema) => (schema, true),
            Shape::Of(schema) => (schema, schema.embedded),
            _ => return None,
        };
        match field {
            "apiVersion" | "kind" if object => Some(Shape::Of(&TEXT)),
            "metadata" if object => Some(Shape::Of(&METADATA)),
            _ => schema.properties.get(field).map(Shape::Of),
        }
    }

    /// Returns the schema of an entry.
    pub(super) fn entry(&self, name: &str) -> Shape<'a> {
        self.named(name).unwrap_or(self.others)
    }
}

impl List<'_> {
    /// Returns by what an item is known.
    ///
    /// # Errors
    ///
    /// Says why it cannot be known, in the words of the API server.
    pub(super) fn element(&self, item: &Value) -> Result<Element, String> {
        let words = match (self.by, item) {
            (ListType::Map(_), Value::Null) => "associative list with keys may not have a null element",
            (ListType::Map(keys), Value::Object(item)) => {
                let default = |key: &String| match self.items {
                    Shape::Of(schema) => schema.properties.get(key)?.default.as_ref(),
                    _ => None,
                };
                let mut known: Vec<_> = keys
                    .iter()
                    .filter_map(|key| Some((key.clone(), item.get(key).or_else(|| default(key))?.clone())))
                    .collect();
                known.sort_by(|(a, _), (b, _)| a.cmp(b));
                if known.is_empty() {
                    let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                        keys.join(" ")
                    ));
                }
                return Ok(Element::Key(known));
            }
            (ListType::Map(_), _) => "associative list with keys may not have non-map elements",
            (ListType::Set, Value::Object(_)) => {
                "associative list without keys has an element that's a map type"
            }
            (ListType::Set, Value::Array(_)) => "not supported: associative list with lists as elements",
            (ListType::Set, Value::Null) => {
                "associative list without keys has an element that's an explicit null"
            }
            (ListType::Set, value) => return Ok(Element::Value(value.clone())),
            (ListType::Atomic, _) => "invalid indexing of non-associative list",
        };
        Err(words.to_owned())
    }

    /// Returns whether the list is one value.
    pub(super) fn whole(&self) -> bool {
        *self.by == ListType::Atomic
    }
}

/// The metadata of an object: `meta/v1.ObjectMeta`, which all kinds have.
static METADATA: LazyLock<Schema> = LazyLock::new(|| {
    let any = kinds::builtin("", "v1", "ConfigMap").and_then(|kind| kind.field("metadata"));
    any.cloned().unwrap_or_else(Schema::any)
});

static TEXT: LazyLock<Schema> = LazyLock::new(|| METADATA.field("name").cloned().unwrap_or_else(Schema::any));
