//! The CRD of a strategy kind, from its component's descriptor.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use crate::crd::add_type_meta;
use crate::schema::{self, SchemaError, field};

/// Returns the CRD of a strategy kind: cluster-scoped, with `.spec`, and with `.status.conditions` for the component's
/// findings.
///
/// `spec` is the OpenAPI v3 schema of `.spec`. A `{"$ref": "io.k8s.api.core.v1.<Kind>"}` in it names a type of pod
/// templates and is expanded here, so that a component need not contain those types. Unknown fields of such a type are
/// preserved.
///
/// # Errors
/// [`SchemaError`] if the API server would refuse the schema, with the place and the remedy.
pub fn strategy_crd(
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    spec: &Value,
) -> Result<CustomResourceDefinition, SchemaError> {
    let name = format!("{kind}.{group}");
    let spec = schema::of_strategy_spec(&name, spec)?;
    let mut conditions = field::conditions(&mut SchemaGenerator::default()).to_value();
    conditions["description"] =
        json!("Conditions of the strategy; Ready says whether its component accepts it.");
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    let mut root = json!({
        "description": format!("{kind} is a backup strategy. BackupClasses name it; a component carries it out."),
        "type": "object",
        "properties": {
            "spec": spec,
            "status": {
                "description": "What the controller found.",
                "type": "object",
                "properties": {"conditions": conditions},
            },
        },
    });
    add_type_meta(&mut root);
    let singular = kind.to_ascii_lowercase();
    let crd = json!({
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": singular,
            },
            "scope": "Cluster",
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {
                        "name": "Ready",
                        "type": "string",
                        "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status",
                        "description": "Whether the component accepts the strategy",
                    },
                    {
                        "name": "Age",
                        "type": "date",
                        "jsonPath": ".metadata.creationTimestamp",
                        "description": "Time since the object was created",
                    },
                ],
                "schema": {"openAPIV3Schema": root},
            }],
        },
    });
    serde_json::from_value(crd).map_err(|error| SchemaError::NotStructural {
        kind: name,
        at: String::new(),
        rule: format!("not an OpenAPI v3 schema: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd(spec: &Value) -> Result<CustomResourceDefinition, SchemaError> {
        strategy_crd("example.org", "v1", "Snapshot", "snapshots", spec)
    }

    #[test]
    fn a_schema_with_references_becomes_a_cluster_scoped_crd() {
        let spec = json!({
            "type": "object",
            "required": ["key"],
            "properties": {
                "key": {"$ref": "io.k8s.api.core.v1.SecretKeySelector", "description": "Where the key is."},
                "resources": {"$ref": "io.k8s.api.core.v1.ResourceRequirements"},
            },
        });
        let crd = serde_json::to_value(crd(&spec).unwrap()).unwrap();
        assert_eq!(crd["metadata"]["name"], "snapshots.example.org");
        assert_eq!(crd["spec"]["scope"], "Cluster");
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version["subresources"]["status"], json!({}));
        let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(spec["required"], json!(["key"]));
        assert_eq!(spec["properties"]["key"]["description"], "Where the key is.");
        assert_eq!(spec["properties"]["key"]["required"], json!(["key"]));
        assert_eq!(spec["properties"]["key"]["properties"]["name"]["default"], "");
        let limit = &spec["properties"]["resources"]["properties"]["limits"]["additionalProperties"];
        assert_eq!(limit["x-kubernetes-int-or-string"], true);
        assert!(limit.get("pattern").is_none(), "a quantity may be a template: {limit}");
        assert!(!crd.to_string().contains("$ref"));
    }

    #[test]
    fn an_unknown_reference_is_an_error_that_says_what_to_write() {
        let spec = json!({"type": "object", "properties": {"a": {"$ref": "io.k8s.api.apps.v1.Deployment"}}});
        let error = crd(&spec).unwrap_err();
        assert_eq!(error.reason(), "UnknownSchemaReference");
        let message = error.to_string();
        assert!(message.contains("Snapshot.example.org") && message.contains("/properties/a"), "{message}");
        assert!(message.contains("io.k8s.api.core.v1.<Kind>"), "{message}");
    }

    #[test]
    fn a_schema_that_is_not_structural_is_an_error_with_its_place() {
        let error = crd(&json!({"type": "object", "properties": {"a": {"enum": ["x"]}}})).unwrap_err();
        assert_eq!(error.reason(), "SchemaNotStructural");
        assert_eq!(
            error.to_string(),
            "schema of Snapshot.example.org at \"/properties/a\": a type is missing"
        );
    }

    #[test]
    fn keywords_of_the_wrong_type_are_an_error() {
        let error = crd(&json!({"type": "object", "required": "all"})).unwrap_err();
        assert!(error.to_string().contains("not an OpenAPI v3 schema"), "{error}");
    }
}
