//! A schema as a tree.

use std::collections::BTreeMap;

use serde_json::Value;

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
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// The schema as it was written, for the keywords that are nothing but checks.
    pub raw: Value,
}
