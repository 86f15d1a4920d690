//! As much of OpenAPI as kubectl asks for before it sends something: that writes take `fieldValidation`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::resource::{Resource, api_version};

/// The document at `/openapi/v3`: which documents there are.
pub(crate) fn root(all: &[Arc<Resource>]) -> Value {
    let mut paths = Map::new();
    for resource in all {
        let path = path(&resource.group, &resource.version);
        let url = format!("/openapi/v3/{path}");
        paths.insert(path, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The document of a version: the paths of its kinds, without schemas.
pub(crate) fn version(all: &[Arc<Resource>], group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    for resource in all.iter().filter(|one| one.group == group && one.version == version) {
        let namespace = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
        let at = format!("/{}/{namespace}{}/{{name}}", path(group, version), resource.plural);
        let parameter = json!({"name": "fieldValidation", "in": "query", "schema": {"type": "string"}});
        let kind = json!({"group": group, "version": version, "kind": resource.kind});
        paths.insert(
            at,
            json!({"patch": {"parameters": [parameter], "responses": {},
                "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": kind}}),
        );
    }
    let title = format!("devcluster {}", api_version(group, version));
    (!paths.is_empty()).then(|| {
        json!({"openapi": "3.0.0", "info": {"title": title, "version": "v1.34.4"}, "paths": paths,
            "components": {"schemas": {}}})
    })
}
