//! The application API: the write of a Postgres first writes its release.
//!
//! A validating webhook does it: the API server calls it within the write, after defaulting.

use std::net::SocketAddr;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{RELEASE_PREFIX, helm_release};
use crate::webhook;

/// Serves `/write` until the listener fails; `/ready` answers from then on.
///
/// # Errors
/// The certificate cannot be read, or the address cannot be bound.
pub async fn serve(
    client: Client,
    address: SocketAddr,
    certificate: &Path,
    key: &Path,
) -> Result<(), webhook::Trouble> {
    let router = Router::new()
        .route("/write", post(review))
        .route("/ready", get(|| async { "ready\n" }))
        .with_state(client);
    webhook::serve(TcpListener::bind(address).await?, certificate, key, router).await
}

async fn review(State(client): State<Client>, body: Bytes) -> impl IntoResponse {
    let Ok(review) = serde_json::from_slice::<Value>(&body) else {
        return (
            StatusCode::BAD_REQUEST,
            [(header::CONTENT_TYPE, "text/plain")],
            "not an AdmissionReview".to_owned(),
        );
    };
    let request = &review["request"];
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if let Err(error) = write_release(&client, &request["object"]).await {
        tracing::warn!(%error, "the release was not written");
        response["allowed"] = false.into();
        response["status"] = json!({"code": 500, "reason": "InternalError", "message": error.to_string()});
    }
    let answer =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], answer.to_string())
}

/// Returns the release with only the values of this application in its spec, which ends a suspension. The real API does
/// this in a dry run, too.
async fn write_release(client: &Client, application: &Value) -> Result<(), kube::Error> {
    let name = application["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = application["metadata"]["namespace"].as_str().unwrap_or_default();
    let spec = json!({"interval": "5m", "chartRef": {"kind": "ExternalArtifact", "name": "postgres"},
        "values": application["spec"]});
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &helm_release());
    let release = format!("{RELEASE_PREFIX}{name}");
    loop {
        let result = if let Some(mut found) = api.get_opt(&release).await? {
            found.data["spec"] = spec.clone();
            found.annotations_mut().retain(|key, _| key.starts_with("apps.cozystack.io/"));
            api.replace(&release, &PostParams::default(), &found).await
        } else {
            let mut new = DynamicObject::new(&release, &helm_release());
            new.data["spec"] = spec.clone();
            api.create(&PostParams::default(), &new).await
        };
        match result {
            Ok(_) => return Ok(()),
            // After a conflict the real API tries again itself.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {}
            Err(error) => return Err(error),
        }
    }
}
