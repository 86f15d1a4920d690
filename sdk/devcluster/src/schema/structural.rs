//! What a CRD may not say in a schema.

use serde_json::{Map, Value};

use super::fault::{self, child, index, key};
use super::tree::{Schema, texts};
use super::{formats, pattern, prune, validate};
use crate::status::Cause;

/// Where in the schema a part is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What is known of the parts around one.
#[derive(Clone, Copy)]
struct Around {
    /// Why there may be no defaults.
    no_defaults: Option<&'static str>,
    /// Whether it is in the metadata of an object.
    in_meta: bool,
}

/// Returns why the API server refuses a schema, before it looks at the rules.
pub(super) fn faults(raw: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    spine(raw, path, Level::Root, &mut faults);
    complete(raw, raw, path, path, &mut faults);
    if faults.is_empty() {
        defaults(raw, path, &mut faults);
    }
    words(raw, path, true, Around { no_defaults: None, in_meta: false }, &mut faults);
    faults
}

fn text<'a>(raw: &'a Value, word: &str) -> &'a str {
    raw.get(word).and_then(Value::as_str).unwrap_or_default()
}

fn on(raw: &Value, word: &str) -> bool {
    raw.get(word).and_then(Value::as_bool).unwrap_or_default()
}

fn there<'a>(raw: &'a Value, word: &str) -> Option<&'a Value> {
    raw.get(word).filter(|value| !value.is_null())
}

fn fields(raw: &Value) -> impl Iterator<Item = (&String, &Value)> {
    raw.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn list<'a>(raw: &'a Value, word: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    raw.get(word).and_then(Value::as_array).into_iter().flatten()
}

/// Checks the part of the schema that is no condition: everything in it must have a type.
fn spine(raw: &Value, path: &str, level: Level, faults: &mut Vec<Cause>) {
    let at = |word: &str| child(path, word);
    let type_ = text(raw, "type");
    let (embedded, free) =
        (on(raw, "x-kubernetes-embedded-resource"), on(raw, "x-kubernetes-preserve-unknown-fields"));
    let either = on(raw, "x-kubernetes-int-or-string");
    match there(raw, "items") {
        Some(items) => spine(items, &at("items"), Level::Item, faults),
        None if type_ == "array" => faults.push(fault::required(at("items"), "must be specified")),
        None => {}
    }
    for (name, inner) in fields(raw) {
        spine(inner, &key(&at("properties"), name), Level::Field, faults);
    }
    if let Some(additional) = there(raw, "additionalProperties") {
        if level == Level::Root {
            faults.push(fault::forbidden(at("additionalProperties"), "must not be used at the root"));
        }
        if additional.is_object() {
            spine(additional, &at("additionalProperties"), Level::Field, faults);
        }
        if embedded {
            let detail = "must not be used if x-kubernetes-embedded-resource is set";
            faults.push(fault::forbidden(at("additionalProperties"), detail));
        }
    }
    for (word, set) in
        [("x-kubernetes-preserve-unknown-fields", free), ("x-kubernetes-embedded-resource", embedded)]
    {
        if either && set {
            faults.push(fault::invalid(
                at(word),
                &true.into(),
                "must be false if x-kubernetes-int-or-string is true",
            ));
        }
    }
    conditions(raw, path, either_pattern(raw), faults);
    if embedded && type_ != "object" {
        must_be_object(
            type_,
            &at("type"),
            "must be object if x-kubernetes-embedded-resource is true",
            faults,
        );
    } else if type_.is_empty() && !either && !free {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        faults.push(fault::required(at("type"), detail));
    }
    if level == Level::Root && !type_.is_empty() && type_ != "object" {
        faults.push(fault::invalid_text(at("type"), type_, "must be object at the root"));
    }
    if embedded && !free && fields(raw).next().is_none() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        faults.push(fault::required(at("properties"), detail));
    }
    meta(raw, path, level, embedded, faults);
}

fn must_be_object(type_: &str, path: &str, detail: &str, faults: &mut Vec<Cause>) {
    faults.push(if type_.is_empty() {
        fault::required(path, detail)
    } else {
        fault::invalid_text(path, type_, detail)
    });
}

/// Checks what is said of the names and the metadata of an object.
fn meta(raw: &Value, path: &str, level: Level, embedded: bool, faults: &mut Vec<Cause>) {
    let is_object = level == Level::Root || embedded;
    let at = |name: &str| key(&child(path, "properties"), name);
    for name in ["kind", "apiVersion"] {
        let type_ =
            raw.get("properties").and_then(|fields| fields.get(name)).map(|field| text(field, "type"));
        if let Some(type_) = type_.filter(|type_| is_object && *type_ != "string") {
            faults.push(fault::invalid_text(child(&at(name), "type"), type_, "must be string"));
        }
    }
    let Some(metadata) = raw.get("properties").and_then(|fields| fields.get("metadata")) else { return };
    if is_object && text(metadata, "type") != "object" {
        faults.push(fault::invalid_text(
            child(&at("metadata"), "type"),
            text(metadata, "type"),
            "must be object",
        ));
    }
    let only_names = fields(metadata).all(|(name, _)| name == "name" || name == "generateName");
    let words = metadata.as_object().into_iter().flat_map(Map::keys);
    let mut others = words.filter(|word| !matches!(word.as_str(), "type" | "default" | "properties"));
    if level == Level::Root && (!only_names || others.next().is_some()) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        faults.push(fault::forbidden(at("metadata"), detail));
    }
}

/// Whether the schema says `anyOf: [{type: integer}, {type: string}]`, alone (0) or first in `allOf` (1).
fn either_pattern(raw: &Value) -> Option<u8> {
    let is = |raw: &Value| {
        raw.get("anyOf")
            .is_some_and(|any| *any == serde_json::json!([{"type": "integer"}, {"type": "string"}]))
    };
    if is(raw) {
        return Some(0);
    }
    list(raw, "allOf").next().is_some_and(is).then_some(1)
}

/// Checks the conditions of a part: they may not say what only the schema itself may.
fn conditions(raw: &Value, path: &str, either: Option<u8>, faults: &mut Vec<Cause>) {
    for word in ["anyOf", "allOf", "oneOf"] {
        for (i, inner) in list(raw, word).enumerate() {
            match either {
                Some(0) if word == "anyOf" => {}
                Some(1) if word == "allOf" && i == 0 => {
                    nested(inner, &index(&child(path, word), i), Some(0), faults)
                }
                _ => nested(inner, &index(&child(path, word), i), None, faults),
            }
        }
    }
    if let Some(inner) = there(raw, "not") {
        nested(inner, &child(path, "not"), None, faults);
    }
    if let Err(error) = pattern::compile(text(raw, "pattern")) {
        faults.push(fault::not_modelled(
            child(path, "pattern"),
            &format!("the pattern {:?}: {error}", text(raw, "pattern")),
        ));
    }
    if formats::is_not_modelled(text(raw, "format")) && text(raw, "type") == "string" {
        faults.push(fault::not_modelled(
            child(path, "format"),
            &format!("the format {:?}", text(raw, "format")),
        ));
    }
}

fn nested(raw: &Value, path: &str, either: Option<u8>, faults: &mut Vec<Cause>) {
    conditions(raw, path, either, faults);
    if let Some(items) = there(raw, "items") {
        nested(items, &child(path, "items"), None, faults);
    }
    for (name, inner) in fields(raw) {
        nested(inner, &key(&child(path, "properties"), name), None, faults);
    }
    const FORBIDDEN: [(&str, &str); 13] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    for (word, detail) in FORBIDDEN {
        let is_empty = |value: &Value| match value {
            Value::Bool(value) => !value,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if there(raw, word).is_some_and(|value| !is_empty(value)) {
            faults.push(fault::forbidden(child(path, word), detail));
        }
    }
    if raw.get("properties").and_then(|fields| fields.get("metadata")).is_some() {
        let at = key(&child(path, "properties"), "metadata");
        faults.push(fault::forbidden(at, "must not be specified in a nested context"));
    }
}

/// Checks that what conditions are about is in the schema itself.
fn complete(conditions: &Value, schema: &Value, path: &str, at: &str, faults: &mut Vec<Cause>) {
    let mut inner = Vec::new();
    for word in ["allOf", "anyOf", "oneOf"] {
        inner.extend(list(conditions, word).enumerate().map(|(i, one)| (one, index(&child(at, word), i))));
    }
    inner.extend(there(conditions, "not").map(|one| (one, child(at, "not"))));
    for (one, at) in inner {
        complete(one, schema, path, &at, faults);
        for (name, field) in fields(one) {
            let (path, at) = (key(&child(path, "properties"), name), key(&child(&at, "properties"), name));
            match schema.get("properties").and_then(|fields| fields.get(name)) {
                Some(schema) => complete_part(field, schema, &path, &at, faults),
                None => faults.push(fault::required(path, &format!("because it is defined in {at}"))),
            }
        }
        if let Some(items) = there(one, "items") {
            let (path, at) = (child(path, "items"), child(&at, "items"));
            match there(schema, "items") {
                Some(schema) => complete_part(items, schema, &path, &at, faults),
                None => faults.push(fault::required(path, &format!("because it is defined in {at}"))),
            }
        }
    }
}

fn complete_part(part: &Value, schema: &Value, path: &str, at: &str, faults: &mut Vec<Cause>) {
    // A part of a condition is a condition itself.
    complete(&serde_json::json!({"allOf": [part]}), schema, path, at, faults);
}

/// Checks that defaults are values of the schema.
fn defaults(raw: &Value, path: &str, faults: &mut Vec<Cause>) {
    if let Some(default) = there(raw, "default") {
        let (schema, mut pruned) = (Schema::read(raw), prune::settled(default));
        let at = child(path, "default");
        if !prune::prune_part(&schema, &mut pruned).is_empty() {
            faults.push(fault::invalid(at.clone(), default, "must not have unknown fields"));
        }
        faults.extend(validate::part(&schema, &prune::settled(default), &at));
    }
    if let Some(items) = there(raw, "items") {
        defaults(items, &child(path, "items"), faults);
    }
    for (name, inner) in fields(raw) {
        defaults(inner, &key(&child(path, "properties"), name), faults);
    }
}

/// Checks the words of a part and of all parts in it.
fn words(raw: &Value, path: &str, is_root: bool, around: Around, faults: &mut Vec<Cause>) {
    let at = |word: &str| child(path, word);
    const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
    let type_ = text(raw, "type");
    if !type_.is_empty() && !TYPES.contains(&type_) {
        faults.push(fault::not_supported(at("type"), &type_.into(), &TYPES));
    }
    if type_ == "null" {
        faults
            .push(fault::forbidden(at("type"), "type cannot be set to null, use nullable as an alternative"));
    }
    if let (Some(why), Some(_)) = (around.no_defaults, there(raw, "default")) {
        faults.push(fault::forbidden(at("default"), &format!("must not be set {why}")));
    }
    for word in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if there(raw, word).is_some() {
            faults.push(fault::forbidden(at(word), &format!("{word} is not supported")));
        }
    }
    if there(raw, "items").is_some_and(Value::is_array) {
        faults.push(fault::forbidden(at("items"), "items must be a schema object and not an array"));
    }
    if around.in_meta && on(raw, "x-kubernetes-embedded-resource") {
        faults.push(fault::forbidden(
            at("x-kubernetes-embedded-resource"),
            "must not be used inside of resource meta",
        ));
    }
    if on(raw, "uniqueItems") {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        faults.push(fault::forbidden(at("uniqueItems"), detail));
    }
    if raw.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let detail = "must be true or undefined";
        faults.push(fault::invalid(at("x-kubernetes-preserve-unknown-fields"), &false.into(), detail));
    }
    lists(raw, path, faults);
    rules(raw, path, faults);
    within(raw, path, is_root, around, faults);
}

fn within(raw: &Value, path: &str, is_root: bool, around: Around, faults: &mut Vec<Cause>) {
    let at = |word: &str| child(path, word);
    if let Some(additional) = there(raw, "additionalProperties") {
        if fields(raw).next().is_some() && additional != &Value::Bool(true) {
            let detail = "additionalProperties and properties are mutual exclusive";
            faults.push(fault::forbidden(at("additionalProperties"), detail));
        }
        let why = "inside additionalProperties applying to object metadata";
        let around = if around.in_meta { Around { no_defaults: Some(why), ..around } } else { around };
        if additional.is_object() {
            words(additional, &at("additionalProperties"), false, around, faults);
        }
    }
    for (name, inner) in fields(raw) {
        let mut around = around;
        if is_root || on(raw, "x-kubernetes-embedded-resource") {
            let why = match name.as_str() {
                "metadata" => "in top-level metadata",
                "kind" => "in top-level kind",
                "apiVersion" => "in top-level apiVersion",
                _ => "",
            };
            around.in_meta |= !why.is_empty();
            if is_root && !why.is_empty() {
                around.no_defaults = Some(why);
            }
        }
        words(inner, &key(&at("properties"), name), false, around, faults);
    }
    for word in ["allOf", "oneOf", "anyOf"] {
        for (i, inner) in list(raw, word).enumerate() {
            words(inner, &index(&at(word), i), false, around, faults);
        }
    }
    for word in ["not", "items"] {
        if let Some(inner) = there(raw, word).filter(|inner| inner.is_object()) {
            words(inner, &at(word), false, around, faults);
        }
    }
}

/// Checks how lists and maps are merged.
fn lists(raw: &Value, path: &str, faults: &mut Vec<Cause>) {
    let at = |word: &str| child(path, word);
    let (type_, items) = (text(raw, "type"), there(raw, "items"));
    let (list_type, map_type) = (text(raw, "x-kubernetes-list-type"), text(raw, "x-kubernetes-map-type"));
    let keys = texts(raw, "x-kubernetes-list-map-keys");
    if !map_type.is_empty() && type_ != "object" {
        must_be_object(type_, &at("type"), "must be object if x-kubernetes-map-type is specified", faults);
    }
    if !matches!(map_type, "" | "atomic" | "granular") {
        faults.push(fault::not_supported(
            at("x-kubernetes-map-type"),
            &map_type.into(),
            &["atomic", "granular"],
        ));
    }
    if !list_type.is_empty() && type_ != "array" {
        must_be_object(type_, &at("type"), "must be array if x-kubernetes-list-type is specified", faults);
    }
    if !matches!(list_type, "" | "atomic" | "set" | "map") {
        faults.push(fault::not_supported(
            at("x-kubernetes-list-type"),
            &list_type.into(),
            &["atomic", "set", "map"],
        ));
    }
    if !keys.is_empty() && list_type != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        must_be_object(list_type, &at("x-kubernetes-list-type"), detail, faults);
    }
    if list_type == "set"
        && let Some(items) = items
    {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        let (word, type_of_item) = match text(items, "type") {
            "array" => ("x-kubernetes-list-type", text(items, "x-kubernetes-list-type")),
            "object" => ("x-kubernetes-map-type", text(items, "x-kubernetes-map-type")),
            _ => ("", "atomic"),
        };
        if type_of_item != "atomic" && (word != "x-kubernetes-list-type" || !type_of_item.is_empty()) {
            let shown = there(items, "x-kubernetes-list-type").unwrap_or(&Value::Null);
            faults.push(fault::invalid(child(&at("items"), word), shown, detail));
        }
    }
    if matches!(list_type, "set" | "map") && items.is_some_and(|items| on(items, "nullable")) {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        faults.push(fault::forbidden(child(&at("items"), "nullable"), &detail));
    }
    if list_type == "map" {
        keyed(items, &keys, path, faults);
    }
}

fn keyed(items: Option<&Value>, keys: &[String], path: &str, faults: &mut Vec<Cause>) {
    let at = |word: &str| child(path, word);
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        faults.push(fault::required(at("x-kubernetes-list-map-keys"), detail));
    }
    let Some(items) = items else {
        faults.push(fault::required(at("items"), "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    let type_ = text(items, "type");
    if type_ != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        faults.push(fault::invalid_text(child(&at("items"), "type"), type_, detail));
        return;
    }
    let required = texts(items, "required");
    for (i, name) in keys.iter().enumerate() {
        let shown = Value::from(keys.to_vec());
        let field = key(&child(&at("items"), "properties"), name);
        match items.get("properties").and_then(|fields| fields.get(name)) {
            None => {
                let detail = "entries must all be names of item properties";
                faults.push(fault::invalid(at("x-kubernetes-list-map-keys"), &shown, detail));
            }
            Some(one) => {
                if matches!(text(one, "type"), "array" | "object") {
                    let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                    faults.push(fault::invalid_text(child(&field, "type"), type_, detail));
                }
                if !required.contains(name) && there(one, "default").is_none() {
                    let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                    faults.push(fault::required(child(&field, "default"), detail));
                }
                if on(one, "nullable") {
                    let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                    faults.push(fault::forbidden(child(&field, "nullable"), detail));
                }
            }
        }
        if keys.iter().take(i).any(|before| before == name) {
            let detail = "must not contain duplicate entries";
            faults.push(fault::invalid(at("x-kubernetes-list-map-keys"), &shown, detail));
        }
    }
}

/// Checks what is around the rules; the rules themselves are compiled later.
fn rules(raw: &Value, path: &str, faults: &mut Vec<Cause>) {
    const REASONS: [&str; 4] =
        ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
    for (i, rule) in list(raw, "x-kubernetes-validations").enumerate() {
        let at = |word: &str| child(&index(&child(path, "x-kubernetes-validations"), i), word);
        let (source, message) = (text(rule, "rule").trim(), text(rule, "message"));
        let breaks = |text: &str| text.contains(['\n', '\r']);
        if source.is_empty() {
            faults.push(fault::required(at("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            faults.push(fault::invalid_text(at("message"), message, "must be non-empty if specified"));
        } else if breaks(message.trim()) {
            faults.push(fault::invalid_text(at("message"), message, "must not contain line breaks"));
        } else if breaks(source) && message.trim().is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            faults.push(fault::required(at("message"), detail));
        }
        let expression = text(rule, "messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            faults.push(fault::required(at("messageExpression"), detail));
        }
        let reason = text(rule, "reason");
        if there(rule, "reason").is_some() && !REASONS.contains(&reason) {
            faults.push(fault::not_supported(at("reason"), &reason.into(), &REASONS));
        }
        let field = text(rule, "fieldPath");
        if !field.is_empty() && field.trim().is_empty() {
            faults.push(fault::invalid_text(at("fieldPath"), field, "must be non-empty if specified"));
        }
        if breaks(field) {
            faults.push(fault::invalid_text(at("fieldPath"), field, "must not contain line breaks"));
        }
        if super::rules::field_path(&Schema::read(raw), field).is_none() {
            faults.push(fault::invalid_text(at("fieldPath"), field, "must be a valid path"));
        }
    }
}
