//! The HTTP server of the probes and metrics: `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::context::Context;

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A controller is ready when it does its work. With CRDs of another version it begins nothing: an administrator shall see
/// that at the Deployment.
fn readiness(filled: &AtomicBool, ctx: &Context) -> Result<(), String> {
    if !filled.load(Ordering::Relaxed) {
        return Err("the watches have not been filled yet".to_owned());
    }
    ctx.kept_fields.complaint(&[]).map_or(Ok(()), Err)
}

/// Serves the probes and metrics, if the settings have an address. Returns the task of the server, which ends only if the
/// server fails; without an address, a task that never ends.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(ctx: Arc<Context>, ready: Arc<AtomicBool>) -> Result<JoinHandle<()>, std::io::Error> {
    let Some(address) = ctx.settings.http else { return Ok(tokio::spawn(std::future::pending())) };
    let probed = ctx.clone();
    let router = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || async move {
                match readiness(&ready, &probed) {
                    Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
                    Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
                }
            }),
        )
        .route(
            "/metrics",
            get(move || async move { ([(header::CONTENT_TYPE, METRICS)], ctx.metrics.text()) }),
        );
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving probes and metrics");
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "http server failed");
        }
    }))
}
