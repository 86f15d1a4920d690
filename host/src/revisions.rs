//! Strategy revisions in the cluster: kept once, read once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use backstay_api::conditions::reasons;
use backstay_api::names;
use backstay_core::backup::REVISION_LABEL;
use backstay_core::retry::Class;
use backstay_core::revision::{self, Revision};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use crate::api_error::{ApiError, class};
use crate::context::Context;
use crate::run::{Halt, Run};

/// A revision younger than this is never collected.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

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

    /// Makes sure that the revision is in the cluster; returns its name. Equal content is kept once. What is there under
    /// the name already is believed only once it has been read.
    ///
    /// # Errors
    /// A failure of the run if something else has the name; else the API server's.
    pub async fn keep(&self, client: &Client, namespace: &str, revision: &Revision) -> Result<String, Halt> {
        let name = revision.object_name();
        if self.known(&name).is_some() {
            return Ok(name);
        }
        let api = Api::<ControllerRevision>::namespaced(client.clone(), namespace);
        let doing = || format!("keeping strategy revision \"{namespace}/{name}\"");
        match api.create(&PostParams::default(), &revision.to_object(namespace)).await {
            Ok(_) => {}
            Err(error) if class(&error) != Class::AlreadyExists => {
                return Err(ApiError::new(doing(), error).into());
            }
            Err(error) => match api.get_opt(&name).await.map_err(|e| ApiError::new(doing(), e))? {
                Some(found) => {
                    Revision::from_object(&found).map_err(|e| corrupt(format!("{e}; delete it")))?;
                }
                // It went away in between: look again.
                None => return Err(ApiError::new(doing(), error).into()),
            },
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
        let Some(object) = found else {
            return Err(corrupt(format!(
                "the strategy that was kept is gone: ControllerRevision \"{namespace}/{name}\" not found; restore another Backup, or put it back from a backup of the cluster"
            )));
        };
        let revision = Revision::from_object(&object).map_err(|e| corrupt(e.to_string()))?;
        self.remember(name, &revision);
        Ok(revision)
    }

    /// Deletes the revisions that nothing names: no Backup, and no run that has begun and not ended. Young ones stay: the
    /// run that is about to name one keeps it first.
    ///
    /// # Errors
    /// The API server's.
    pub async fn collect(&self, ctx: &Context) -> Result<usize, ApiError> {
        let namespace = &ctx.settings.namespace;
        let api = Api::<ControllerRevision>::namespaced(ctx.client.clone(), namespace);
        let params = ListParams::default().labels(revision::LABEL);
        let kept = api.list(&params).await.map_err(|e| ApiError::new("listing strategy revisions", e))?;
        let used = in_use(ctx);
        let mut collected = 0;
        for object in kept.items {
            let name = object.name_any();
            let made = object.metadata.creation_timestamp.as_ref().map_or(ctx.clock.now(), |t| t.0);
            let young = ctx.clock.now().duration_since(made) < YOUNG;
            // Labels hold a bounded name: both forms are looked for.
            if young || used.contains(&name) || used.contains(&names::label_value(&name)) {
                continue;
            }
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            let exactly = Preconditions { uid: object.metadata.uid.clone(), resource_version: None };
            let params = DeleteParams { preconditions: Some(exactly), ..DeleteParams::default() };
            match api.delete(&name, &params).await {
                Ok(_) => collected += 1,
                Err(error) if matches!(class(&error), Class::NotFound | Class::Conflict) => {}
                Err(error) => {
                    return Err(ApiError::new(format!("deleting strategy revision {name:?}"), error));
                }
            }
        }
        Ok(collected)
    }
}

fn corrupt(message: String) -> Halt {
    Halt::Fail { reason: reasons::STRATEGY_SNAPSHOT_CORRUPT.to_owned(), message }
}

fn in_use(ctx: &Context) -> BTreeSet<String> {
    let of_backups =
        ctx.caches.backups.state().into_iter().filter_map(|b| b.labels().get(REVISION_LABEL).cloned());
    let of_backup_jobs =
        ctx.caches.backup_jobs.state().into_iter().filter_map(|j| revision_of(&Run::from(j.as_ref())));
    let of_restore_jobs =
        ctx.caches.restore_jobs.state().into_iter().filter_map(|j| revision_of(&Run::from(j.as_ref())));
    of_backups.chain(of_backup_jobs).chain(of_restore_jobs).collect()
}

fn revision_of(run: &Run) -> Option<String> {
    if run.status.is_terminal() {
        return None;
    }
    run.status.run.as_ref()?.strategy_revision.clone()
}
