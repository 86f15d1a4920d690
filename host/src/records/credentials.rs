//! Projection of the platform's object-store credentials into the namespaces of runs.

use backstay_api::conditions::reasons;
use backstay_core::contract::Outcome;
use backstay_core::credentials::{Credentials, CredentialsError, Projection};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use parking_lot::Mutex;

use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::cluster::write::{Created, create_or_get, post_params};

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

/// Secret of the controller's namespace with the secret keys that pods may have got.
const WITHHELD: &str = "backstay-withheld-keys";
/// Keys that are withheld: the current one and earlier ones.
const KEYS: usize = 8;

/// The credentials and where they go.
pub struct ProjectedCredentials {
    client: Client,
    namespace: String,
    projection: Option<Projection>,
    withheld: Mutex<Withheld>,
}

/// The keys that pods may have got, the newest first.
#[derive(Default)]
struct Withheld {
    keys: Vec<Credentials>,
    /// The source was read, and the keys that earlier processes knew.
    read: bool,
    /// The keys differ from those that are stored.
    unsaved: bool,
}

impl Withheld {
    fn add(&mut self, key: Credentials) {
        if self.keys.iter().all(|known| known.secret_key() != key.secret_key()) {
            self.keys.insert(0, key);
            self.keys.truncate(KEYS);
            self.unsaved = true;
        }
    }
}

impl ProjectedCredentials {
    /// Projects by `projection`; without one, nothing is projected. The controller's `namespace` has what it must remember.
    #[must_use]
    pub fn new(client: Client, namespace: &str, projection: Option<Projection>) -> Self {
        Self { client, namespace: namespace.to_owned(), projection, withheld: Mutex::default() }
    }

    /// Removes the secret keys that pods may have got from a text.
    pub fn redact(&self, text: &mut String) {
        self.withheld.lock().keys.iter().for_each(|key| key.redact(text));
    }

    /// Removes the secret keys that pods may have got from an outcome.
    pub fn withhold(&self, outcome: &mut Outcome) {
        self.withheld.lock().keys.iter().for_each(|key| key.withhold(outcome));
    }

    /// Reads what must be known before anything is shown that a pod said: the source, and the keys that earlier processes knew.
    /// Both are read once; a source that is missing or malformed holds nothing back.
    ///
    /// # Errors
    /// The API server's.
    pub async fn ready(&self) -> Result<(), ApiError> {
        let Some(projection) = &self.projection else { return Ok(()) };
        if self.withheld.lock().read {
            return Ok(());
        }
        let doing = || format!("reading Secret \"{}/{WITHHELD}\"", self.namespace);
        let saved = self.secrets(&self.namespace).get_opt(WITHHELD).await;
        let saved = saved.map_err(|e| ApiError::new(doing(), e))?;
        match self.source(projection).await {
            Err(ProjectionError::Api(error)) => return Err(error),
            Ok(_) | Err(ProjectionError::Content(_)) => {}
        }
        let mut withheld = self.withheld.lock();
        for key in saved.and_then(|saved| saved.data).into_iter().flatten() {
            let key = String::from_utf8_lossy(&key.1.0).into_owned();
            if !key.is_empty() && withheld.keys.iter().all(|known| known.secret_key() != key) {
                withheld.keys.push(Credentials::earlier(key));
            }
        }
        withheld.read = true;
        Ok(())
    }

    /// Stores the keys that must be known after a restart, if they have changed.
    ///
    /// # Errors
    /// The API server's.
    pub async fn save(&self) -> Result<(), ApiError> {
        self.ready().await?;
        let keys: Vec<Vec<u8>> = {
            let withheld = self.withheld.lock();
            if !withheld.unsaved {
                return Ok(());
            }
            withheld.keys.iter().map(|key| key.secret_key().as_bytes().to_vec()).collect()
        };
        let data = keys.iter().enumerate().map(|(n, key)| (n.to_string(), ByteString(key.clone()))).collect();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(WITHHELD.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..Secret::default()
        };
        let doing = |e| ApiError::new(format!("writing Secret \"{}/{WITHHELD}\"", self.namespace), e);
        let (api, params) = (self.secrets(&self.namespace), post_params());
        let created = create_or_get(api.create(&params, &secret), || api.get_opt(WITHHELD)).await;
        if let Created::Existing(_) = created.map_err(doing)? {
            api.replace(WITHHELD, &params, &secret).await.map_err(doing)?;
        }
        let mut withheld = self.withheld.lock();
        let same =
            withheld.keys.iter().map(|key| key.secret_key().as_bytes()).eq(keys.iter().map(Vec::as_slice));
        withheld.unsaved = !same;
        Ok(())
    }

    /// Returns the namespaces that always have the Secret; `None` if nothing is projected.
    #[must_use]
    pub fn namespaces(&self) -> Option<&[String]> {
        self.projection.as_ref().map(|projection| projection.namespaces.as_slice())
    }

    /// Reads the source, so that its key is withheld.
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
        // Pods that run know the key that is replaced.
        if let Some(key) = there.as_ref().and_then(Credentials::secret_key_of) {
            self.withheld.lock().add(Credentials::earlier(key));
        }
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
        self.withheld.lock().add(credentials.clone());
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
        ProjectedCredentials::new(server.client(), "backstay-system", Some(projection))
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

    fn shown(text: &str, credentials: &ProjectedCredentials) -> String {
        let mut text = text.to_owned();
        credentials.redact(&mut text);
        text
    }

    #[tokio::test]
    async fn r10_keys_that_pods_may_have_got_are_withheld_after_a_rotation_and_after_a_restart() {
        let server = StandIn::default();
        let credentials = projected(&server);
        put_source("hush", &server);
        credentials.ready().await.unwrap();
        credentials.save().await.unwrap();
        put_source("quiet", &server);
        credentials.refresh().await.unwrap();
        server.remove(SOURCE);
        assert!(credentials.refresh().await.is_err());
        let withheld = "a [credential withheld] b [credential withheld]";
        assert_eq!(shown("a hush b quiet", &credentials), withheld);

        // The key was rotated while no controller ran.
        put_source("third", &server);
        let restarted = projected(&server);
        restarted.ready().await.unwrap();
        assert_eq!(shown("hush third", &restarted), "[credential withheld] [credential withheld]");
        restarted.save().await.unwrap();
        server.sent();
        restarted.save().await.unwrap();
        assert_eq!(server.calls(), [""; 0], "what is stored is not stored again");
        let third = projected(&server);
        put_source("fourth", &server);
        third.ready().await.unwrap();
        let one = "[credential withheld]";
        assert_eq!(shown("hush third fourth", &third), format!("{one} {one} {one}"), "none is forgotten");
    }

    #[tokio::test]
    async fn r10_a_key_that_a_namespace_had_is_withheld_when_it_is_replaced() {
        let server = StandIn::default();
        put_source("one", &server);
        projected(&server).project("tenant-a").await.unwrap();
        put_source("two", &server);
        let credentials = projected(&server);
        credentials.project("tenant-a").await.unwrap();
        assert_eq!(shown("one two", &credentials), "[credential withheld] [credential withheld]");
    }

    #[tokio::test]
    async fn r10_nothing_that_a_pod_said_may_be_shown_until_the_source_was_read_once() {
        let server = StandIn::default();
        let credentials = projected(&server);
        for call in [0, 1] {
            server.fault(call, Fault::Answer(503, "ServiceUnavailable"));
            assert!(credentials.ready().await.is_err(), "call {call}");
        }
        credentials.ready().await.unwrap();
        server.sent();
        credentials.ready().await.unwrap();
        assert_eq!(server.calls(), [""; 0], "a source that is missing holds nothing back");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_a_projection() {
        let server = StandIn::default();
        let credentials = ProjectedCredentials::new(server.client(), "backstay-system", None);
        credentials.refresh().await.unwrap();
        credentials.project("tenant-a").await.unwrap();
        assert_eq!(server.calls(), [""; 0]);
    }
}
