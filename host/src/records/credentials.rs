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

#[cfg(test)]
mod tests {
    use backstay_core::retry::Class;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};

    const SOURCE: &str = "/api/v1/namespaces/platform/secrets/bucket";
    const TARGET: &str = "/api/v1/namespaces/tenant-a/secrets/backup-creds";

    fn projected(server: &StandIn) -> ProjectedCredentials {
        let projection = Projection {
            source_namespace: "platform".into(),
            source_name: "bucket".into(),
            target: "backup-creds".into(),
            endpoint: Some("s3.example.org".into()),
            ..Projection::default()
        };
        ProjectedCredentials::new(server.client(), Some(projection))
    }

    fn put_source(secret_key: &str, server: &StandIn) {
        let data = json!({"accessKey": base64("access"), "secretKey": base64(secret_key)});
        server.put(SOURCE, json!({"metadata": {"name": "bucket", "namespace": "platform"}, "data": data}));
    }

    fn base64(text: &str) -> Value {
        serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
    }

    #[tokio::test]
    async fn credentials_are_written_where_they_are_missing_or_differ_and_nowhere_else() {
        let server = StandIn::default();
        let credentials = projected(&server);
        put_source("one", &server);
        let reads = ["GET secrets/bucket", "GET secrets/backup-creds"];
        for (secret_key, write) in
            [("one", Some("POST secrets")), ("one", None), ("two", Some("PUT secrets/backup-creds"))]
        {
            put_source(secret_key, &server);
            credentials.project("tenant-a").await.unwrap();
            let expected: Vec<_> = reads.into_iter().chain(write).collect();
            assert_eq!(server.calls(), expected);
            assert_eq!(server.get(TARGET).unwrap()["data"]["secretKey"], base64(secret_key));
        }
    }

    #[tokio::test]
    async fn a_secret_that_changed_after_it_was_read_is_a_conflict() {
        let server = StandIn::default();
        let credentials = projected(&server);
        put_source("one", &server);
        credentials.project("tenant-a").await.unwrap();
        put_source("two", &server);
        let mut theirs = server.get(TARGET).unwrap();
        theirs["data"]["theirs"] = base64("x");
        server.fault(2, Fault::Overtaken(TARGET.to_owned(), theirs));
        let error = credentials.project("tenant-a").await.unwrap_err();
        assert!(matches!(error, ProjectionError::Api(ref e) if e.class() == Class::Conflict), "{error}");

        credentials.project("tenant-a").await.unwrap();
        let data = &server.get(TARGET).unwrap()["data"];
        assert_eq!((&data["theirs"], &data["secretKey"]), (&base64("x"), &base64("two")));
    }

    #[tokio::test]
    async fn a_secret_of_somebody_else_is_not_overwritten() {
        let server = StandIn::default();
        put_source("one", &server);
        server.put(TARGET, json!({"metadata": {"name": "backup-creds", "namespace": "tenant-a"}}));
        let before = server.get(TARGET);
        let error = projected(&server).project("tenant-a").await.unwrap_err();
        assert_eq!(error.reason(), "TargetSecretNotOwned");
        assert_eq!(server.get(TARGET), before);
    }

    #[tokio::test]
    async fn a_missing_source_is_named_and_an_unread_one_is_not_taken_for_missing() {
        let server = StandIn::default();
        let credentials = projected(&server);
        let missing = credentials.project("tenant-a").await.unwrap_err();
        assert_eq!(missing.to_string(), "source credentials Secret platform/bucket not found");
        server.fault(0, Fault::Answer(403, "Forbidden"));
        let unread = credentials.refresh().await.unwrap_err();
        assert_eq!(unread.reason(), "APIError");
        assert!(unread.to_string().contains("Secret \"platform/bucket\""), "{unread}");
    }

    #[tokio::test]
    async fn the_credentials_that_pods_may_know_are_those_read_last() {
        let server = StandIn::default();
        let credentials = projected(&server);
        put_source("hush", &server);
        assert!(credentials.last().is_none());
        credentials.refresh().await.unwrap();
        server.remove(SOURCE);
        assert!(credentials.refresh().await.is_err());
        let mut text = "the key is hush".to_owned();
        credentials.last().unwrap().redact(&mut text);
        assert!(!text.contains("hush"), "{text}");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_a_projection() {
        let server = StandIn::default();
        let credentials = ProjectedCredentials::new(server.client(), None);
        credentials.refresh().await.unwrap();
        credentials.project("tenant-a").await.unwrap();
        assert_eq!(server.calls(), [""; 0]);
    }
}
