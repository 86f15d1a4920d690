//! Data that the controller keeps outside of the runs' own objects: checkpoints, strategy revisions, and projected
//! credentials.

pub mod checkpoints;
pub mod credentials;
pub mod pins;
pub mod proof_key;
pub mod revisions;
pub mod unused;

use std::sync::Arc;

use backstay_core::credentials::Projection;
use kube::Client;

use checkpoints::Checkpoints;
use credentials::ProjectedCredentials;
use proof_key::StoredKey;
use revisions::Revisions;

/// The records.
pub struct Records {
    /// Checkpoints and private data.
    pub checkpoints: Checkpoints,
    /// Strategy revisions.
    pub revisions: Revisions,
    /// Credentials of the platform's object store.
    pub credentials: Arc<ProjectedCredentials>,
    /// The key by which the controller recognises what it has made.
    pub key: StoredKey,
}

impl Records {
    /// The records in the controller's `namespace`; credentials are projected by `projection`. `writer` tells this controller from
    /// others.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, projection: Option<Projection>, writer: String) -> Self {
        Self {
            checkpoints: Checkpoints::new(client.clone(), namespace, writer),
            revisions: Revisions::new(client.clone(), namespace),
            credentials: Arc::new(ProjectedCredentials::new(client.clone(), namespace, projection)),
            key: StoredKey::new(client.clone(), namespace),
        }
    }
}
