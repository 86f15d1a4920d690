//! Schemas of fields that several kinds have. Used by `schema_with`; the description is that of the field.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// Pattern of the reasons of conditions. The API server enforces it on status writes too, so a reason with a space
/// loses the whole write (docs/rules.md F1).
pub(crate) const REASON_PATTERN: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
/// Pattern of the types of conditions.
pub(crate) const CONDITION_TYPE_PATTERN: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A number of 32 bits that is not negative. A CRD has no format for unsigned numbers.
pub(crate) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX})
}

/// An object with any content, stored unchanged.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// `status.conditions` of every kind.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": condition()})
}

/// A `metav1.Condition` with its validations, which the schema of `k8s-openapi` lacks. The list is not keyed by type:
/// the CRDs of the Go implementation accept two conditions of one type.
pub(crate) fn condition() -> Value {
    json!({
        "description": "One aspect of the state of the object.",
        "type": "object",
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
        "properties": {
            "type": {
                "description": "What the condition is about, such as Ready.",
                "type": "string",
                "maxLength": 316,
                "pattern": CONDITION_TYPE_PATTERN,
            },
            "status": {
                "description": "Whether it holds: True, False or Unknown.",
                "type": "string",
                "enum": ["True", "False", "Unknown"],
            },
            "reason": {
                "description": "Why, in one word.",
                "type": "string",
                "minLength": 1,
                "maxLength": 1024,
                "pattern": REASON_PATTERN,
            },
            "message": {
                "description": "Why, in words, and what to do about it.",
                "type": "string",
                "maxLength": 32768,
            },
            "lastTransitionTime": {
                "description": "When the status of the condition last changed.",
                "type": "string",
                "format": "date-time",
            },
            "observedGeneration": {
                "description": "Generation of the object that the condition is about.",
                "type": "integer",
                "format": "int64",
                "minimum": 0,
            },
        },
    })
}
