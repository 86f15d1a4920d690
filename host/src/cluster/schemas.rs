//! The schemas of our kinds as the API server serves them, from its OpenAPI documents, which every account may read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backstay_core::kept_fields::missing;
use kube::Client;
use serde_json::{Map, Value};

use super::error::ApiError;

/// How long the read may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the fields of our kinds that the served schemas lack, by kind. A kind that is not served is left out.
///
/// # Errors
/// The API server's, or that it does not answer in time.
pub(crate) async fn missing_fields(client: &Client) -> Result<BTreeMap<String, BTreeSet<String>>, ApiError> {
    let path = format!("/openapi/v3/apis/{}", backstay_api::API_VERSION);
    let mut request = http::Request::new(Vec::new());
    // The path is a constant of ours.
    *request.uri_mut() = path.parse().unwrap_or_default();
    let doing = "reading the schemas of the CRDs";
    let answer = tokio::time::timeout(TIMEOUT, client.request::<Value>(request)).await;
    let answer = answer.unwrap_or_else(|_| Err(kube::Error::Service("no answer in time".into())));
    let document = answer.map_err(|e| ApiError::new(doing, e))?;
    // Some API servers serve no schemas. Ours are made for nothing then.
    if document["components"]["schemas"].as_object().is_none_or(Map::is_empty) {
        return Ok(BTreeMap::new());
    }
    let lacks = |(kind, ours): (String, Value)| {
        let served = schema_of(&document, &kind)?;
        let missing = missing(&ours, served);
        Some((kind, missing))
    };
    Ok(ours().filter_map(lacks).collect())
}

/// Returns our kinds, each with its schema.
fn ours() -> impl Iterator<Item = (String, Value)> {
    backstay_api::crds().into_iter().filter_map(|crd| {
        let version = crd.spec.versions.into_iter().find(|v| v.name == backstay_api::VERSION)?;
        let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
        Some((crd.spec.names.kind, schema))
    })
}

/// Returns the schema of a kind in the OpenAPI document of its group and version.
fn schema_of<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let is_of = |schema: &&Value| {
        schema["x-kubernetes-group-version-kind"]
            .as_array()
            .is_some_and(|all| all.iter().any(|of| of["group"] == backstay_api::GROUP && of["kind"] == kind))
    };
    document["components"]["schemas"].as_object()?.values().find(is_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(kind: &str, schema: &Value) -> Value {
        let mut schema = schema.clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": "backups.cozystack.io", "version": "v1alpha1", "kind": kind}]);
        json!({"components": {"schemas": {"io.cozystack.backups.v1alpha1.Some": {"type": "object"}, "x": schema}}})
    }

    #[test]
    fn our_own_schemas_lack_nothing() {
        for (kind, schema) in ours() {
            let document = document(&kind, &schema);
            assert_eq!(missing(&schema, schema_of(&document, &kind).unwrap()).len(), 0, "{kind}");
        }
        assert_eq!(ours().count(), 5);
    }

    #[test]
    fn the_crds_of_the_go_implementation_lack_the_record_of_a_run_and_the_pins_of_a_backup() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/compat");
        let lacks = |wanted: &str| {
            let (kind, ours) = ours().find(|(kind, _)| kind == wanted).unwrap();
            let file = format!("{folder}/backups.cozystack.io_{}s.yaml", kind.to_lowercase());
            let crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            let found = missing(&ours, &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(lacks("BackupJob"), "status.observedGeneration status.run status.waitingSince");
        assert_eq!(lacks("RestoreJob"), "status.observedGeneration status.run status.waitingSince");
        for pin in ["status.component", "status.strategyRevision", "status.privateData"] {
            assert!(lacks("Backup").contains(pin));
        }
        assert!(lacks("Plan").contains("status.lastSlot"));
    }
}
