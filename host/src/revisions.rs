//! Strategy revisions in the cluster: kept once, read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use backstay_api::conditions::reasons;
use backstay_core::retry::Class;
use backstay_core::revision::Revision;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::api_error::{ApiError, class};
use crate::run::Halt;

/// Revisions that this process has kept or read, by name. Their content cannot change without changing the name.
#[derive(Default)]
pub struct Revisions(Mutex<HashMap<String, Arc<Revision>>>);

impl Revisions {
    fn known(&self, name: &str) -> Option<Revision> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).map(|r| r.as_ref().clone())
    }

    fn remember(&self, name: &str, revision: &Revision) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), Arc::new(revision.clone()));
    }

    /// Makes sure that the revision is in the cluster; returns its name. Equal content is kept once.
    ///
    /// # Errors
    /// The API server's.
    pub async fn keep(&self, client: &Client, namespace: &str, revision: &Revision) -> Result<String, ApiError> {
        let name = revision.object_name();
        if self.known(&name).is_some() {
            return Ok(name);
        }
        let api = Api::<ControllerRevision>::namespaced(client.clone(), namespace);
        match api.create(&PostParams::default(), &revision.to_object(namespace)).await {
            Ok(_) => {}
            Err(error) if class(&error) == Class::AlreadyExists => {}
            Err(error) => {
                let doing = format!("keeping strategy revision \"{namespace}/{name}\"");
                return Err(ApiError::new(doing, error));
            }
        }
        self.remember(&name, revision);
        Ok(name)
    }

    /// Reads a revision back and checks that it is what its name says.
    ///
    /// # Errors
    /// A failure of the run if it is gone or was altered; else the API server's.
    pub async fn read(&self, client: &Client, namespace: &str, name: &str) -> Result<Revision, Halt> {
        if let Some(revision) = self.known(name) {
            return Ok(revision);
        }
        let api = Api::<ControllerRevision>::namespaced(client.clone(), namespace);
        let found = api
            .get_opt(name)
            .await
            .map_err(|e| ApiError::new(format!("reading strategy revision \"{namespace}/{name}\""), e))?;
        let corrupt = |message: String| Halt::Fail { reason: reasons::STRATEGY_SNAPSHOT_CORRUPT.to_owned(), message };
        let Some(object) = found else {
            return Err(corrupt(format!(
                "the strategy that was kept is gone: ControllerRevision \"{namespace}/{name}\" not found; restore it from a backup of the cluster"
            )));
        };
        let revision = Revision::from_object(&object).map_err(|e| corrupt(e.to_string()))?;
        self.remember(name, &revision);
        Ok(revision)
    }
}
