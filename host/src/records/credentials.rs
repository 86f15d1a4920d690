//! Projection of the platform's object-store credentials into the namespaces of runs.

use backstay_api::conditions::reasons;
use backstay_core::credentials::{Credentials, CredentialsError, Projection};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;

use crate::cluster::error::ApiError;
use crate::cluster::write::post_params;

/// Why credentials are not projected.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The Secrets hold something else than expected.
    #[error(transparent)]
    Content(#[from] CredentialsError),
    /// The API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl ProjectionError {
    /// Reason of the condition, the Event and the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Content(error) => error.reason(),
            Self::Api(_) => reasons::API_ERROR,
        }
    }
}

/// The credentials and where they go.
pub struct ProjectedCredentials {
    client: Client,
    projection: Option<Projection>,
    last: Mutex<Option<Credentials>>,
}

impl ProjectedCredentials {
    /// Projects by `projection`; without one, nothing is projected.
    #[must_use]
    pub fn new(client: Client, projection: Option<Projection>) -> Self {
        Self { client, projection, last: Mutex::default() }
    }

    /// Returns the credentials that were read last, and so may be known to pods.
    #[must_use]
    pub fn last(&self) -> Option<Credentials> {
        self.last.lock().clone()
    }

    /// Returns the namespaces that always have the Secret; `None` if nothing is projected.
    #[must_use]
    pub fn namespaces(&self) -> Option<&[String]> {
        self.projection.as_ref().map(|projection| projection.namespaces.as_slice())
    }

    /// Reads the source, so that [`Self::last`] knows it.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    pub async fn refresh(&self) -> Result<(), ProjectionError> {
        match &self.projection {
            Some(projection) => self.source(projection).await.map(drop),
            None => Ok(()),
        }
    }

    /// Writes the Secret into a namespace where it is missing or differs.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    pub async fn project(&self, namespace: &str) -> Result<(), ProjectionError> {
        let Some(projection) = &self.projection else { return Ok(()) };
        let credentials = self.source(projection).await?;
        let (api, target) = (self.secrets(namespace), &projection.target);
        let title = format!("Secret \"{namespace}/{target}\"");
        let there = api.get_opt(target).await;
        let there = there.map_err(|e| ApiError::new(format!("reading {title}"), e))?;
        let Some(wanted) = credentials.target(there.as_ref(), namespace, projection)? else { return Ok(()) };
        // The replacement has the resource version that was read: a change by somebody else is a conflict.
        let written = match there {
            Some(_) => api.replace(target, &post_params(), &wanted).await,
            None => api.create(&post_params(), &wanted).await,
        };
        written.map_err(|e| ApiError::new(format!("writing {title}"), e))?;
        tracing::info!(namespace, secret = %target, "credentials projected");
        Ok(())
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn source(&self, projection: &Projection) -> Result<Credentials, ProjectionError> {
        let (from, name) = (&projection.source_namespace, &projection.source_name);
        let source = self.secrets(from).get_opt(name).await;
        let source = source.map_err(|e| ApiError::new(format!("reading Secret \"{from}/{name}\""), e))?;
        let missing = || CredentialsError::SourceMissing { namespace: from.clone(), name: name.clone() };
        let credentials = Credentials::read(&source.ok_or_else(missing)?, projection)?;
        *self.last.lock() = Some(credentials.clone());
        Ok(credentials)
    }
}
