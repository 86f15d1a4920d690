//! What a pod template inside a strategy needs that a pod does not.
//!
//! A template is text until it is rendered, and it is kept for years: what a newer cluster calls valid must survive
//! here, and labels and annotations must not be pruned (lifecycle F3).

use serde_json::{Value, json};

const KEEP_UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// Adapts the schema of the type `name`.
pub(super) fn adapt(name: &str, schema: &mut Value) {
    match name {
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" => *schema = template_metadata(),
        "io.k8s.apimachinery.pkg.api.resource.Quantity"
        | "io.k8s.apimachinery.pkg.util.intstr.IntOrString" => {
            int_or_string(schema);
        }
        _ => keep_unknown_fields(schema),
    }
}

/// Metadata of a template. The API server would read the full type as one that it manages itself, and refuse
/// `creationTimestamp: null`, which programs write into every template that they generate. So the two fields that
/// authors use are described, and the rest is kept as it is.
fn template_metadata() -> Value {
    let map = |description: &str| json!({"description": description, "type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "description": "Labels and annotations of the pods.",
        "type": "object",
        "properties": {
            "labels": map("Labels of the pods. Those that the controller sets itself are refused when a run begins."),
            "annotations": map("Annotations of the pods."),
        },
        KEEP_UNKNOWN: true,
    })
}

/// A number or text. Without a pattern: text may be a template.
fn int_or_string(schema: &mut Value) {
    schema["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    schema["x-kubernetes-int-or-string"] = json!(true);
}

/// Fields that this version of the schema does not know are kept instead of pruned.
fn keep_unknown_fields(schema: &mut Value) {
    if schema.get("properties").is_some() {
        schema[KEEP_UNKNOWN] = json!(true);
    }
}
