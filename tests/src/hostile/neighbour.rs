//! Another tenant, who backs up once and again, and measures how long the controller takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backstay_api::BackupJob;
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

/// The neighbour's namespace.
pub(super) const NAMESPACE: &str = "alice";
/// How long one backup may take before it counts as lost.
const LOST: Duration = Duration::from_secs(20);

/// When each object first was in a state.
type Times = Arc<Mutex<HashMap<String, Instant>>>;

/// The neighbour.
pub(super) struct Neighbour {
    client: Client,
    jobs: Times,
    complete: Times,
    succeeded: Times,
    made: usize,
    /// The slowest answer to the creation of a run: what the API server itself takes for one call.
    pub slowest_call: Duration,
}

impl Neighbour {
    pub(super) fn new(client: Client) -> Self {
        let neighbour = Self {
            client: client.clone(),
            jobs: Times::default(),
            complete: Times::default(),
            succeeded: Times::default(),
            made: 0,
            slowest_call: Duration::ZERO,
        };
        note::<Job>(client.clone(), Arc::clone(&neighbour.jobs), |_| true);
        note::<Job>(client.clone(), Arc::clone(&neighbour.complete), |job| {
            backstay_core::job::end(job).is_some()
        });
        note::<BackupJob>(client, Arc::clone(&neighbour.succeeded), |job| {
            job.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"))
        });
        neighbour
    }

    /// Backs up once; returns the time that the controller took: from the creation to the Job, and from the Job's end to
    /// the run's.
    pub(super) async fn backs_up(&mut self) -> Result<Duration, String> {
        self.made += 1;
        let name = format!("backup-{}", self.made);
        let run = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob", "metadata": {"name": name}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"}, "backupClassName": "hostile"}});
        let run: BackupJob = serde_json::from_value(run).map_err(|e| e.to_string())?;
        let created = Instant::now();
        let api: Api<BackupJob> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.create(&PostParams::default(), &run).await.map_err(|e| format!("the neighbour's {name}: {e}"))?;
        self.slowest_call = self.slowest_call.max(created.elapsed());
        let mut every = tokio::time::interval(Duration::from_millis(5));
        loop {
            every.tick().await;
            if let Some(took) = self.took(&name, created) {
                return Ok(took);
            }
            if created.elapsed() > LOST {
                return Err(format!("the neighbour's {name} has not succeeded after {} s", LOST.as_secs()));
            }
        }
    }

    fn took(&self, name: &str, created: Instant) -> Option<Duration> {
        let at = |times: &Times, name: &str| {
            times.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
        };
        let job = format!("{name}-backup");
        let (begun, complete) = (at(&self.jobs, &job)?, at(&self.complete, &job)?);
        let succeeded = at(&self.succeeded, name)?;
        Some(begun.saturating_duration_since(created) + succeeded.saturating_duration_since(complete))
    }
}

/// Notes when each object of the neighbour's namespace first satisfies a condition.
fn note<K>(client: Client, times: Times, wanted: impl Fn(&K) -> bool + Send + 'static)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    tokio::spawn(async move {
        let api: Api<K> = Api::namespaced(client, NAMESPACE);
        let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        futures::pin_mut!(objects);
        loop {
            match objects.try_next().await {
                Ok(Some(object)) if wanted(&object) => {
                    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                    times.entry(object.name_any()).or_insert_with(Instant::now);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => {}
            }
        }
    });
}
