//! Adapts the schema of a pod template to a strategy's spec.
//!
//! A template is text until it is rendered, and is stored for years: fields of newer Kubernetes versions must survive, and
//! labels and annotations must not be pruned (docs/rules.md F3).

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

/// Returns the schema of a template's metadata: the two fields that authors use, and unknown ones. With the full type the
/// API server would refuse `creationTimestamp: null`, which many programs write into templates.
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

/// Returns the schema of a number or a text, without a pattern: the text may be a template.
fn int_or_string(schema: &mut Value) {
    schema["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    schema["x-kubernetes-int-or-string"] = json!(true);
}

/// Preserves fields that this version of the schema does not know.
fn keep_unknown_fields(schema: &mut Value) {
    if schema.get("properties").is_some() {
        schema[KEEP_UNKNOWN] = json!(true);
    }
}
