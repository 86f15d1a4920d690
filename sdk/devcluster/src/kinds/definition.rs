//! What a `CustomResourceDefinition` may say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::names;
use super::value::{at, entries, items, on, text};
use crate::schema::fault::{self, child, index};
use crate::schema::{Schema, go};
use crate::status::Cause;

/// What a schema may say at its root if the status is a subresource.
const AT_ROOT: [&str; 22] = [
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// Returns why a definition is refused, without the faults of its metadata.
///
/// What all versions say alike is named once, as if it stood in `spec` itself: so the API server holds it.
#[must_use]
pub fn definition(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let spec = at(new, &["spec"]);
    let mut causes = Vec::new();
    let group = text(spec, &["group"]);
    if group.is_empty() {
        causes.push(fault::required("spec.group", ""));
    } else {
        let faults = names::dns1123_subdomain(group);
        if !faults.is_empty() {
            causes.push(fault::invalid_text("spec.group", group, &faults.join(",")));
        } else if !group.contains('.') {
            causes.push(fault::invalid_text("spec.group", group, "should be a domain with at least one dot"));
        }
    }
    one_of(spec, "scope", "spec", &["Cluster", "Namespaced"], &mut causes);
    versions(spec, &mut causes);
    names_of(spec, &mut causes);
    stored(new, old.is_none(), &mut causes);
    match text(spec, &["conversion", "strategy"]) {
        "" | "None" => {}
        "Webhook" => causes.push(fault::not_modelled("spec.conversion", "conversion by webhooks")),
        other => {
            causes.push(fault::not_supported("spec.conversion.strategy", &other.into(), &["None", "Webhook"]))
        }
    }
    if on(spec, &["preserveUnknownFields"]) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        causes.push(fault::invalid("spec.preserveUnknownFields", &true.into(), detail));
    }
    if let Some(old) = old {
        const KEPT: [&[&str]; 4] = [&["scope"], &["names", "kind"], &["group"], &["names", "plural"]];
        for path in KEPT {
            let value = at(spec, path);
            if value != at(old, &[&["spec"][..], path].concat()) {
                causes.push(fault::immutable(child("spec", &path.join(".")), value));
            }
        }
    }
    causes
}

/// Returns the warnings about a new definition: formats that nobody checks.
#[must_use]
pub fn definition_warnings(new: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    for version in items(new, &["spec", "versions"]) {
        formats(at(version, &["schema", "openAPIV3Schema"]), &mut found);
    }
    found.into_iter().map(|format| format!("unrecognized format {}", go::quote(&format))).collect()
}

fn formats(schema: &Value, found: &mut BTreeSet<String>) {
    let format = text(schema, &["format"]);
    if text(schema, &["type"]) == "string" && !format.is_empty() && !crate::schema::is_known_format(format) {
        found.insert(format.to_owned());
    }
    entries(schema, &["properties"]).for_each(|(_, inner)| formats(inner, found));
    for word in ["items", "additionalProperties"] {
        let inner = at(schema, &[word]);
        if inner.is_object() {
            formats(inner, found);
        }
    }
}

fn one_of(parent: &Value, field: &str, path: &str, known: &[&str], causes: &mut Vec<Cause>) {
    match text(parent, &[field]) {
        "" => causes.push(fault::required(child(path, field), "")),
        value if known.contains(&value) => {}
        value => causes.push(fault::not_supported(child(path, field), &value.into(), known)),
    }
}

fn names_of(spec: &Value, causes: &mut Vec<Cause>) {
    let names_ = at(spec, &["names"]);
    for (field, is_kind) in [("plural", false), ("singular", false), ("kind", true), ("listKind", true)] {
        let path = child("spec.names", field);
        let name = text(names_, &[field]);
        if name.is_empty() {
            causes.push(fault::required(path, ""));
            continue;
        }
        let faults = names::dns1035_label(&if is_kind { name.to_lowercase() } else { name.to_owned() });
        if !faults.is_empty() {
            let what = if is_kind { "may have mixed case, but should otherwise match: " } else { "" };
            causes.push(fault::invalid_text(path, name, &format!("{what}{}", faults.join(","))));
        }
    }
    for field in ["shortNames", "categories"] {
        for (i, name) in items(names_, &[field]).iter().filter_map(Value::as_str).enumerate() {
            let faults = names::dns1035_label(name);
            if !faults.is_empty() {
                causes.push(fault::invalid_text(
                    index(&child("spec.names", field), i),
                    name,
                    &faults.join(","),
                ));
            }
        }
    }
    let (kind, list) = (text(names_, &["kind"]), text(names_, &["listKind"]));
    if !kind.is_empty() && kind == list {
        causes.push(fault::invalid_text(
            "spec.names.listKind",
            list,
            "kind and listKind may not be the same",
        ));
    }
}

/// Checks the versions in which objects are stored.
fn stored(new: &Value, is_new: bool, causes: &mut Vec<Cause>) {
    const PATH: &str = "status.storedVersions";
    let versions = items(new, &["spec", "versions"]);
    let is_stored = |version: &&Value| on(version, &["storage"]);
    let known: Vec<&str> = if is_new {
        versions.iter().filter(is_stored).take(1).map(|version| text(version, &["name"])).collect()
    } else {
        items(new, &["status", "storedVersions"]).iter().filter_map(Value::as_str).collect()
    };
    if known.is_empty() {
        causes.push(fault::invalid(PATH, &Value::Null, "must have at least one stored version"));
        return;
    }
    for name in versions.iter().filter(is_stored).map(|version| text(version, &["name"])) {
        if is_new && !known.contains(&name) {
            let detail = format!("must have the storage version {name}");
            causes.push(fault::invalid(PATH, &known.clone().into(), &detail));
        }
    }
    for (i, name) in known.iter().enumerate() {
        if !versions.iter().any(|version| text(version, &["name"]) == *name) {
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            causes.push(fault::invalid_text(index(PATH, i), name, &detail));
        }
    }
}

fn versions(spec: &Value, causes: &mut Vec<Cause>) {
    let versions = items(spec, &["versions"]);
    let is_alike = |field: &str| {
        versions
            .first()
            .is_some_and(|first| versions.iter().all(|one| at(one, &[field]) == at(first, &[field])))
    };
    let parts = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];
    let alike = parts.map(is_alike);
    let status = versions.iter().any(|version| at(version, &["subresources", "status"]).is_object());
    for (i, version) in versions.iter().enumerate() {
        let path = index("spec.versions", i);
        let name = text(version, &["name"]);
        let faults = names::dns1035_label(name);
        if !faults.is_empty() {
            causes.push(fault::invalid_text(child(&path, "name"), name, &faults.join(",")));
            // The first version is the version of the whole definition, too.
            if i == 0 && !name.is_empty() {
                causes.push(fault::invalid_text("spec.version", name, &faults.join(",")));
            }
        }
        deprecation(version, &path, causes);
        let places = [
            ("schema", "validation"),
            ("subresources", ""),
            ("additionalPrinterColumns", ""),
            ("selectableFields", ""),
        ];
        for ((field, elsewhere), is_alike) in places.into_iter().zip(alike) {
            if is_alike && i > 0 {
                continue;
            }
            let name = if is_alike && !elsewhere.is_empty() { elsewhere } else { field };
            let path = child(if is_alike { "spec" } else { &path }, name);
            match field {
                "schema" => schema(version, &path, status, causes),
                "subresources" if !at(version, &["subresources", "scale"]).is_null() => {
                    scale(at(version, &["subresources", "scale"]), &child(&path, "scale"), causes);
                }
                "additionalPrinterColumns" => columns(version, &path, causes),
                "selectableFields" => selectable(version, &path, causes),
                _ => {}
            }
        }
    }
    let names: BTreeSet<&str> = versions.iter().map(|version| text(version, &["name"])).collect();
    let shown = || {
        let all: Vec<String> = versions.iter().map(|version| shown_version(version, alike)).collect();
        format!("[{}]", all.join(","))
    };
    if names.len() != versions.len() {
        causes.push(super::internal::invalid("spec.versions", &shown(), "must contain unique version names"));
    }
    if versions.iter().filter(|version| on(version, &["storage"])).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(super::internal::invalid("spec.versions", &shown(), detail));
    }
}

/// Returns a version as the API server shows it, which holds elsewhere what all versions say alike.
fn shown_version(version: &Value, alike: [bool; 4]) -> String {
    let truth = |field: &str| format!("\"{}\":{}", capital(field), on(version, &[field]));
    let mut parts = vec![format!("\"Name\":{}", go::json(at(version, &["name"])))];
    parts.extend(["served", "storage", "deprecated"].map(truth));
    parts.push(format!("\"DeprecationWarning\":{}", go::json(at(version, &["deprecationWarning"]))));
    for (field, is_alike) in
        ["schema", "subresources", "additionalPrinterColumns", "selectableFields"].iter().zip(alike)
    {
        let value = if is_alike { &Value::Null } else { at(version, &[field]) };
        parts.push(format!("\"{}\":{}", capital(field), go::json(value)));
    }
    format!("{{{}}}", parts.join(","))
}

fn capital(field: &str) -> String {
    let mut characters = field.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}

fn deprecation(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    let warning = at(version, &["deprecationWarning"]);
    let Some(text) = warning.as_str() else { return };
    let mut refuse =
        |detail: &str| causes.push(fault::invalid(child(path, "deprecationWarning"), warning, detail));
    if !on(version, &["deprecated"]) {
        return refuse("can only be set for deprecated versions");
    }
    if text.len() > 256 {
        refuse("must be <= 256 characters long");
    }
    if text.is_empty() {
        refuse("must not be an empty string");
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| !go::is_print(*c)) {
        let what = "must only contain printable UTF-8 characters; non-printable character found at index";
        refuse(&format!("{what} {at}"));
    }
}

fn schema(version: &Value, path: &str, has_status: bool, causes: &mut Vec<Cause>) {
    let raw = at(version, &["schema", "openAPIV3Schema"]);
    if !raw.is_object() {
        let path = path.replace("spec.validation", "spec.versions[0].schema");
        causes.push(fault::required(child(&path, "openAPIV3Schema"), ""));
        return;
    }
    let at_schema = child(path, "openAPIV3Schema");
    let mut others =
        entries(raw, &[]).filter(|(word, value)| !AT_ROOT.contains(&word.as_str()) && !value.is_null());
    if let Some((word, _)) = others.next().filter(|_| has_status) {
        let what = format!("what the API server says of {word} at the root of a schema with a status");
        causes.push(fault::not_modelled(at_schema.clone(), &what));
    }
    if on(raw, &["nullable"]) {
        causes.push(fault::forbidden(child(&at_schema, "nullable"), "nullable cannot be true at the root"));
    }
    causes.extend(Schema::of_crd_at(raw, &at_schema).err().unwrap_or_default());
}

fn columns(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    for (i, column) in items(version, &["additionalPrinterColumns"]).iter().enumerate() {
        let at_field = |field: &str| child(&index(path, i), field);
        if text(column, &["name"]).is_empty() {
            causes.push(fault::required(at_field("name"), ""));
        }
        let known = |known: &[&str]| format!("must be one of {}", known.join(","));
        match text(column, &["type"]) {
            "" => causes.push(fault::required(at_field("type"), &known(&TYPES))),
            type_ if TYPES.contains(&type_) => {}
            type_ => causes.push(fault::invalid_text(at_field("type"), type_, &known(&TYPES))),
        }
        let format = text(column, &["format"]);
        if !format.is_empty() && !FORMATS.contains(&format) {
            causes.push(fault::invalid_text(at_field("format"), format, &known(&FORMATS)));
        }
        let json_path = text(column, &["jsonPath"]);
        if json_path.is_empty() {
            causes.push(fault::required(at_field("JSONPath"), ""));
        } else if !json_path.starts_with('.') {
            let detail = "must be a simple json path starting with .";
            causes.push(fault::invalid_text(at_field("JSONPath"), json_path, detail));
        }
    }
}

fn selectable(version: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mut known = BTreeSet::new();
    for (i, field) in items(version, &["selectableFields"]).iter().enumerate() {
        let at_path = child(&index(path, i), "jsonPath");
        let json_path = text(field, &["jsonPath"]);
        if json_path.is_empty() {
            causes.push(fault::required(at_path, ""));
            continue;
        }
        let schema = at(version, &["schema", "openAPIV3Schema"]);
        let inner = match json_path.strip_prefix('.') {
            None => {
                let first = json_path.split(['.', '[']).next().unwrap_or_default();
                Err(format!("expected [ or . but got: {first}"))
            }
            Some(plain) => plain.split('.').try_fold(schema, |schema, name| {
                let found = at(schema, &["properties"]).get(name);
                found.ok_or_else(|| "does not refer to a valid field".to_owned())
            }),
        };
        match inner {
            Err(why) => {
                causes.push(fault::invalid_text(at_path, json_path, &format!("is an invalid path: {why}")));
                continue;
            }
            Ok(_) if json_path.starts_with(".metadata") => {
                causes.push(fault::invalid_text(
                    at_path.clone(),
                    json_path,
                    "must not point to fields in metadata",
                ));
            }
            Ok(inner) if !matches!(text(inner, &["type"]), "string" | "boolean" | "integer") => {
                let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
                causes.push(fault::invalid_text(at_path.clone(), json_path, detail));
            }
            Ok(_) => {}
        }
        if !known.insert(json_path) {
            causes.push(fault::duplicate(at_path, &json_path.into()));
        }
    }
    if known.len() > 8 {
        causes.push(fault::too_many(path, known.len(), 8));
    }
}

/// Adds the faults of where objects say of how many replicas they are.
fn scale(scale: &Value, path: &str, causes: &mut Vec<Cause>) {
    let places: [(&str, &[&str], &str); 3] = [
        ("specReplicasPath", &[".spec."], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status"),
    ];
    for (field, within, detail) in places {
        let (given, at) = (text(scale, &[field]), child(path, field));
        if given.is_empty() {
            if field != "labelSelectorPath" {
                causes.push(fault::required(at, ""));
            }
        } else if !given.starts_with('.') {
            causes.push(fault::invalid_text(at, given, "must be a simple json path starting with ."));
        } else if !within.iter().any(|within| given.starts_with(within)) {
            causes.push(fault::invalid_text(at, given, detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(spec: Value) -> Vec<String> {
        let causes = definition(&json!({"spec": spec}), None);
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    fn spec(schema: Value) -> Value {
        json!({"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]})
    }

    #[test]
    fn paths_of_scale_lead_to_the_spec_and_the_status() {
        let mut spec = spec(json!({"type": "object"}));
        spec["versions"][0]["subresources"] = json!({"scale": {"specReplicasPath": ".spec.a", "statusReplicasPath": "x",
            "labelSelectorPath": ".metadata.x"}});
        assert_eq!(
            told(spec),
            [
                "spec.subresources.scale.statusReplicasPath: Invalid value: \"x\": must be a simple json path starting with .",
                "spec.subresources.scale.labelSelectorPath: Invalid value: \".metadata.x\": should be a json path under either .spec or .status",
            ]
        );
    }

    #[test]
    fn faults_of_a_schema_are_named_where_the_api_server_holds_it() {
        assert_eq!(told(spec(json!({"type": "object"}))), Vec::<String>::new());
        assert_eq!(
            told(spec(
                json!({"type": "object", "properties": {"spec": {"properties": {"a": {"type": "strin"}}}}})
            )),
            [
                "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
                "spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Unsupported value: \"strin\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
            ]
        );
    }

    #[test]
    fn there_is_one_version_that_is_stored() {
        let mut spec = spec(json!({"type": "object"}));
        spec["versions"][0]["storage"] = false.into();
        let shown = "[{\"Name\":\"v1\",\"Served\":true,\"Storage\":false,\"Deprecated\":false,\"DeprecationWarning\":null,\"Schema\":null,\"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}]";
        assert_eq!(
            told(spec),
            [
                format!(
                    "spec.versions: Invalid value: {shown}: must have exactly one version marked as storage version"
                ),
                "status.storedVersions: Invalid value: null: must have at least one stored version"
                    .to_owned(),
            ]
        );
    }
}
