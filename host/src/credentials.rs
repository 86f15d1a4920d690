//! The platform's credentials in the namespaces of runs that need them, and in those that always have them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::credentials::{Credentials, CredentialsError, Projection};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;

use crate::api_error::{ApiError, chain};
use crate::context::Context;
use crate::manager;
use crate::run::Halt;

/// How often the namespaces that always have the Secret are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// What was projected last: so that none of it is shown to tenants.
#[derive(Default)]
pub struct Projected(Mutex<Option<Credentials>>);

impl Projected {
    /// The credentials that pods may have got, if any were projected.
    #[must_use]
    pub fn last(&self) -> Option<Credentials> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why credentials are not projected.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// What the Secrets hold.
    #[error(transparent)]
    Content(#[from] CredentialsError),
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl ProjectionError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Content(error) => error.reason(),
            Self::Api(_) => reasons::API_ERROR,
        }
    }
}

/// Makes sure that a run's namespace has the credentials, before anything is made that needs them.
///
/// # Errors
/// A wait while the source is not there or the API server does not answer; a failure where only a person can help.
pub async fn ensure(namespace: &str, ctx: &Context) -> Result<(), Halt> {
    let Some(projection) = &ctx.settings.credentials else { return Ok(()) };
    match project(namespace, projection, ctx).await {
        Ok(()) => Ok(()),
        Err(ProjectionError::Content(error)) if !error.is_transient() => Err(Halt::Fail {
            reason: error.reason().to_owned(),
            message: format!("failed to project backup credentials: {error}"),
        }),
        Err(error) => Err(Halt::Wait {
            reason: reasons::CREDENTIALS_PROJECTION_PENDING,
            message: match &error {
                ProjectionError::Content(error) => error.to_string(),
                ProjectionError::Api(error) => error.told(),
            },
            bounded: true,
            give_up: None,
        }),
    }
}

fn secrets(namespace: &str, ctx: &Context) -> Api<Secret> {
    Api::namespaced(ctx.client.clone(), namespace)
}

/// What the source holds now; remembered, so that it is not shown.
async fn source(projection: &Projection, ctx: &Context) -> Result<Credentials, ProjectionError> {
    let (from, name) = (&projection.source_namespace, &projection.source_name);
    let source = secrets(from, ctx).get_opt(name).await;
    let source = source.map_err(|e| ApiError::new(format!("reading Secret \"{from}/{name}\""), e))?;
    let missing = || CredentialsError::SourceMissing { namespace: from.clone(), name: name.clone() };
    let credentials = Credentials::read(&source.ok_or_else(missing)?, projection)?;
    *ctx.projected.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials.clone());
    Ok(credentials)
}

async fn project(namespace: &str, projection: &Projection, ctx: &Context) -> Result<(), ProjectionError> {
    let credentials = source(projection, ctx).await?;
    let (api, target) = (secrets(namespace, ctx), &projection.target);
    let title = format!("Secret \"{namespace}/{target}\"");
    let there = api.get_opt(target).await.map_err(|e| ApiError::new(format!("reading {title}"), e))?;
    let Some(wanted) = credentials.target(there.as_ref(), namespace, projection)? else { return Ok(()) };
    let params = PostParams { field_manager: Some(manager::NAME.to_owned()), ..PostParams::default() };
    // What was read has its resource version: one that somebody changes meanwhile is not overwritten.
    let written = match there {
        Some(_) => api.replace(target, &params, &wanted).await,
        None => api.create(&params, &wanted).await,
    };
    written.map_err(|e| ApiError::new(format!("writing {title}"), e))?;
    tracing::info!(namespace, secret = %target, "credentials projected");
    Ok(())
}

/// Keeps the Secret in the namespaces that always have it, and in mind what it holds.
pub async fn keep(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    let mut every = tokio::time::interval(EVERY);
    futures::pin_mut!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            _ = every.tick() => {}
        }
        let Some(projection) = &ctx.settings.credentials else { continue };
        if projection.namespaces.is_empty()
            && let Err(error) = source(projection, &ctx).await
        {
            tracing::info!(reason = error.reason(), error = %chain(&error), "credentials cannot be projected now");
        }
        for namespace in &projection.namespaces {
            let projected = project(namespace, projection, &ctx).await;
            let reason = projected.as_ref().err().map(ProjectionError::reason);
            ctx.metrics.projected(namespace, reason);
            if let Err(error) = projected {
                tracing::info!(%namespace, reason, error = %chain(&error), "credentials not projected, will try again");
            }
        }
    }
}
