//! The controller's key: a Secret of its namespace, made once. By it the controller recognises what it has made.

use backstay_core::job::ProofKey;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use tokio::sync::OnceCell;

use super::checkpoints::RecordsError;
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::cluster::write::{Created, create_or_get, post_params};

/// Name of the Secret.
pub const NAME: &str = "backstay-proof-key";
/// Key of the Secret's only entry.
const ENTRY: &str = "key";
/// Type of the Secret.
const TYPE: &str = "backstay.dev/proof-key";

/// The key, which is read once.
pub struct StoredKey {
    api: Api<Secret>,
    namespace: String,
    known: OnceCell<ProofKey>,
}

impl StoredKey {
    /// The key in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            known: OnceCell::new(),
        }
    }

    /// Returns the key, which the first caller reads or makes; others wait for it.
    ///
    /// # Errors
    /// The API server's, or something else has the Secret's name. The next caller tries again.
    pub async fn get(&self) -> Result<ProofKey, RecordsError> {
        self.known.get_or_try_init(|| self.stored()).await.cloned()
    }

    async fn stored(&self) -> Result<ProofKey, RecordsError> {
        let title = || format!("Secret \"{}/{NAME}\"", self.namespace);
        let found = self.api.get_opt(NAME).await;
        let found = found.map_err(|e| ApiError::new(format!("reading {}", title()), e))?;
        let secret = match found {
            Some(secret) => secret,
            None => {
                let made = secret(&self.namespace, &random()?);
                let created =
                    create_or_get(self.api.create(&post_params(), &made), || self.api.get_opt(NAME)).await;
                match created.map_err(|e| ApiError::new(format!("creating {}", title()), e))? {
                    Created::New(secret) | Created::Existing(secret) => secret,
                }
            }
        };
        read(&secret).ok_or_else(|| RecordsError::NotARecord(title()))
    }
}

fn random() -> Result<ProofKey, ApiError> {
    let mut bytes = [0; 32];
    let failed = |error: getrandom::Error| kube::Error::Service(Box::new(std::io::Error::from(error)));
    getrandom::fill(&mut bytes).map_err(|e| ApiError::new("making the controller's key", failed(e)))?;
    Ok(ProofKey::new(bytes))
}

fn secret(namespace: &str, key: &ProofKey) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.to_owned()),
        immutable: Some(true),
        data: Some([(ENTRY.to_owned(), ByteString(key.bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

fn read(secret: &Secret) -> Option<ProofKey> {
    let bytes = &secret.data.as_ref()?.get(ENTRY)?.0;
    Some(ProofKey::new(bytes.as_slice().try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};

    const SECRET: &str = "/api/v1/namespaces/backstay-system/secrets/backstay-proof-key";

    /// A key that is known without a call.
    pub(crate) fn known(server: &StandIn) -> StoredKey {
        StoredKey { known: OnceCell::new_with(Some(ProofKey::new([7; 32]))), ..stored(server) }
    }

    fn stored(server: &StandIn) -> StoredKey {
        StoredKey::new(server.client(), "backstay-system")
    }

    #[tokio::test]
    async fn the_key_is_made_once_and_is_the_same_after_a_restart() {
        let server = StandIn::default();
        let first = stored(&server);
        let key = first.get().await.unwrap();
        assert_eq!(first.get().await.unwrap(), key);
        assert_eq!(server.calls(), ["GET secrets/backstay-proof-key", "POST secrets"]);
        assert_eq!(stored(&server).get().await.unwrap(), key);
        server.remove(SECRET);
        assert_ne!(stored(&server).get().await.unwrap(), key, "another one is made");
    }

    #[tokio::test]
    async fn of_two_first_callers_one_makes_the_key() {
        let server = StandIn::default();
        let key = stored(&server);
        let (one, other) = tokio::join!(key.get(), key.get());
        assert_eq!(one.unwrap(), other.unwrap());
        assert_eq!(server.calls(), ["GET secrets/backstay-proof-key", "POST secrets"]);
    }

    #[tokio::test]
    async fn a_key_whose_creation_was_not_answered_is_the_one_that_is_stored() {
        let server = StandIn::default();
        server.fault(1, Fault::AnswerLost);
        let key = stored(&server);
        assert!(matches!(key.get().await, Err(RecordsError::Api(_))));
        let read = key.get().await.unwrap();
        assert_eq!(stored(&server).get().await.unwrap(), read);
    }

    #[tokio::test]
    async fn something_else_of_the_name_is_not_taken_for_the_key() {
        let server = StandIn::default();
        server.put(SECRET, json!({"metadata": {"name": NAME}, "data": {"key": "c2hvcnQ="}}));
        let error = stored(&server).get().await.unwrap_err();
        let says = "Secret \"backstay-system/backstay-proof-key\" exists and is not a record of the controller; remove it";
        assert_eq!(error.to_string(), says);
    }
}
