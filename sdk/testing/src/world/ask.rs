//! Requests to the API server, answered within the call, and their refusals as a strategy sees them.

use backstay_core::contract::{Json, WriteError};
use backstay_core::retry::{ApiFault, Class, classify};
use bytes::Bytes;
use devcluster::api::ApiServer;
use futures::FutureExt as _;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower::Service as _;

use super::{Key, World};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// How a write is sent.
#[derive(Clone, Copy)]
pub(super) enum How {
    Create,
    Merge,
    Apply { force: bool },
    Delete,
}

impl World {
    /// Sends a write of the object at `key`. Returns the body of the answer, if it is asked for.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn ask(
        &self,
        how: How,
        key: &Key,
        body: &Json,
        manager: &str,
        dry: bool,
    ) -> Result<Bytes, WriteError> {
        let Some(served) = self.server.served(&key.api_version, &key.kind) else {
            return Err(WriteError::NotServed);
        };
        let all = served.path(&key.namespace);
        let dry = if dry { "&dryRun=All" } else { "" };
        let (method, content, path) = match how {
            How::Create => (Method::POST, JSON, format!("{all}?fieldManager={manager}{dry}")),
            How::Merge => (Method::PATCH, MERGE, format!("{all}/{}?fieldManager={manager}{dry}", key.name)),
            How::Apply { force } => (
                Method::PATCH,
                APPLY,
                format!("{all}/{}?fieldManager={manager}&force={force}{dry}", key.name),
            ),
            How::Delete => (Method::DELETE, JSON, format!("{all}/{}", key.name)),
        };
        let (code, answer) = send(&self.server, method, &path, content, body);
        if code.is_success() { Ok(answer) } else { Err(refusal(code, &answer)) }
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn delete(&self, key: &Key, options: &Json) -> Result<(), WriteError> {
        self.ask(How::Delete, key, options, "", false).map(drop)
    }

    /// Makes a kind without a schema.
    pub(super) fn make_kind(&self, key: &Key) {
        let (group, version) = key.api_version.split_once('/').unwrap_or(("", &key.api_version));
        let singular = key.kind.to_lowercase();
        let plural = format!("{singular}s");
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": key.kind, "plural": plural, "singular": singular,
                    "listKind": format!("{}List", key.kind)},
                "versions": [{"name": version, "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let (code, answer) = send(&self.server, Method::POST, path, JSON, &definition);
        if !code.is_success() {
            panic!(
                "kind {} of {} cannot be made: {}",
                key.kind,
                key.api_version,
                String::from_utf8_lossy(&answer)
            );
        }
    }
}

fn send(server: &ApiServer, method: Method, path: &str, content: &str, body: &Json) -> (StatusCode, Bytes) {
    let body = Full::new(Bytes::from(body.to_string()));
    let request = Request::builder().method(method).uri(path).header("content-type", content).body(body);
    let Ok(request) = request else { panic!("{path} is no path of an object") };
    // The server answers within the call what is no watch and names no version of the future.
    let answered = server.clone().call(request).now_or_never();
    let Some(Ok(response)) = answered else { panic!("the server did not answer {path}") };
    let code = response.status();
    let body = response.into_body().collect().now_or_never();
    let Some(Ok(body)) = body else { panic!("the answer to {path} did not come whole") };
    (code, body.to_bytes())
}

/// Returns a refusal as the host tells it to a strategy.
fn refusal(code: StatusCode, body: &[u8]) -> WriteError {
    let status: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    let (reason, message) = (text("reason"), text("message"));
    let fault = ApiFault { code: Some(code.as_u16()), reason: &reason, message: &message, retry_after: None };
    match classify(&fault) {
        Class::NotFound => WriteError::NotFound,
        Class::Conflict | Class::AlreadyExists => WriteError::Conflict(message),
        Class::Refused => WriteError::Invalid(message),
        Class::RetryVisible => WriteError::Forbidden(message),
        Class::Retry { .. } => WriteError::Unavailable(message),
    }
}
