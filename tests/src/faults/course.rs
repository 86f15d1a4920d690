//! The course of a scenario from its cue to its end.

use std::time::Duration;

use backstay_api::{Backup, BackupJob, Plan, RestoreJob};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::await_condition;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use super::ledger::is_terminal;
use super::plan::Scenario;
use super::stage::{Stage, TURNS, object};

/// The progress of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The run has not begun.
    Before,
    /// The run has begun and not ended.
    Midway,
    /// The run has ended.
    Over,
}

impl Stage {
    /// Plays the others' part of the scenario until its end; the error describes the state instead. With `stated`, a Backup
    /// that stays with a reason counts as an end. May be cancelled and called again.
    pub(super) async fn ends(&self, stated: bool, within: Duration) -> Result<(), String> {
        match self.scenario {
            Scenario::Backup | Scenario::Failed => {
                self.until("nightly", |j| j.is_some_and(backed_up), within).await
            }
            Scenario::Steps => {
                self.until("nightly", |j| j.is_some_and(|j| waits(j) || backed_up(j)), within).await?;
                let raised = Patch::Merge(json!({"data": {"ready": "yes"}}));
                let raised = self.api::<ConfigMap>().patch("flag", &PatchParams::default(), &raised).await;
                raised.map_err(|e| format!("the flag cannot be raised: {e}"))?;
                self.until("nightly", |j| j.is_some_and(backed_up), within).await
            }
            Scenario::Undo => {
                self.until("nightly", |j| j.is_none_or(|j| waits(j) || backed_up(j)), within).await?;
                match self.api::<BackupJob>().delete("nightly", &DeleteParams::background()).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    deleted => drop(deleted.map_err(|e| format!("the run cannot be deleted: {e}"))?),
                }
                self.until("nightly", |job: Option<&BackupJob>| job.is_none(), within).await
            }
            Scenario::Turns => self.turns_end(within).await,
            Scenario::Restore => self.until("back", |j| j.is_some_and(restored), within).await,
            Scenario::Inherited => {
                self.until("back", |j| j.is_some_and(restored), within).await?;
                let next =
                    object(json!({"metadata": {"name": "again"}, "spec": {"backupRef": {"name": "older"}}}));
                match self.api::<RestoreJob>().create(&PostParams::default(), &next).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                    made => drop(made.map_err(|e| format!("the next restore cannot be made: {e}"))?),
                }
                self.until("again", |j| j.is_some_and(restored), within).await
            }
            Scenario::Deletion | Scenario::Private => {
                let done = move |backup: Option<&Backup>| {
                    backup.is_none_or(|b| {
                        let mut conditions = b.status.iter().flat_map(|s| &s.conditions);
                        stated && conditions.any(|c| c.type_ == "Ready" && c.reason == "CleanupFailed")
                    })
                };
                self.until("nightly", done, within).await
            }
            Scenario::Plan => {
                let done = |plan: Option<&Plan>| plan.is_some_and(|p| recorded_slots(p) >= 2);
                self.until("hourly", done, within).await
            }
        }
    }

    /// Deletes each of the runs that take turns once it has begun, until both are gone.
    async fn turns_end(&self, within: Duration) -> Result<(), String> {
        let deadline = Instant::now() + within;
        let mut every = tokio::time::interval(Duration::from_millis(100));
        let mut told = String::new();
        loop {
            every.tick().await;
            if Instant::now() >= deadline {
                return Err(format!("after {within:?} there are still: {told}"));
            }
            // The API server may be asked again.
            let Ok(runs) = self.turns().await else { continue };
            if runs.is_empty() {
                return Ok(());
            }
            told = runs.iter().map(|run| json!([run.name_any(), run.status]).to_string()).collect();
            let begun: Vec<_> =
                runs.iter().filter(|run| waits(run) && run.metadata.deletion_timestamp.is_none()).collect();
            if begun.len() > 1 {
                return Err(format!("both runs act on the application: {told}"));
            }
            for run in begun {
                let params = DeleteParams::background();
                let _ = self.api::<BackupJob>().delete(&run.name_any(), &params).await;
            }
        }
    }

    /// Returns the runs that take turns, as far as they are there.
    async fn turns(&self) -> Result<Vec<BackupJob>, kube::Error> {
        let mut runs = self.api::<BackupJob>().list(&ListParams::default()).await?.items;
        runs.retain(|run| TURNS.contains(&run.name_any().as_str()));
        Ok(runs)
    }

    /// Returns the progress.
    ///
    /// # Errors
    /// The API server does not answer.
    pub(super) async fn progress(&self) -> Result<Progress, kube::Error> {
        let (begun, over) = match self.scenario {
            Scenario::Backup | Scenario::Failed | Scenario::Steps | Scenario::Undo => {
                let job = self.api::<BackupJob>().get_opt("nightly").await?;
                let status = job.as_ref().and_then(|j| j.status.as_ref());
                (status.is_some_and(|s| s.run.is_some()), job.as_ref().is_none_or(backed_up))
            }
            Scenario::Turns => {
                let runs = self.turns().await?;
                let begun = |run: &BackupJob| run.status.as_ref().is_some_and(|s| s.run.is_some());
                (runs.len() < TURNS.len() || runs.iter().any(begun), runs.is_empty())
            }
            Scenario::Restore | Scenario::Inherited => {
                let last = if self.scenario == Scenario::Restore { "back" } else { "again" };
                let job = self.api::<RestoreJob>().get_opt("back").await?;
                let begun = job.and_then(|j| j.status).is_some_and(|s| s.run.is_some());
                (begun, self.api::<RestoreJob>().get_opt(last).await?.as_ref().is_some_and(restored))
            }
            Scenario::Deletion | Scenario::Private => {
                let backup = self.api::<Backup>().get_opt("nightly").await?;
                let over = backup.is_none();
                (backup.and_then(|b| b.status).is_some_and(|s| s.run.is_some()), over)
            }
            Scenario::Plan => {
                let plan = self.api::<Plan>().get_opt("hourly").await?;
                let recorded = plan.as_ref().map_or(0, recorded_slots);
                (recorded > 0, recorded >= 2)
            }
        };
        Ok(match (begun, over) {
            (_, true) => Progress::Over,
            (true, false) => Progress::Midway,
            (false, false) => Progress::Before,
        })
    }

    async fn until<K>(
        &self,
        name: &str,
        done: impl Fn(Option<&K>) -> bool + Send + Sync + 'static,
        within: Duration,
    ) -> Result<(), String>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize
            + Send
            + Sync
            + 'static,
    {
        let done = std::sync::Arc::new(done);
        // A connection that the API server closes is no end.
        let wait = async {
            loop {
                let done = done.clone();
                let wait = await_condition(self.api::<K>(), name, move |found: Option<&K>| done(found));
                match wait.await {
                    Ok(_) => return,
                    Err(error) => {
                        tracing::info!(%error, name, "its end could not be watched, is tried again")
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        match tokio::time::timeout(within, wait).await {
            Ok(()) => Ok(()),
            Err(_) => {
                let found = self.api::<K>().get_opt(name).await;
                let found = found.map(|f| serde_json::to_value(f).unwrap_or_default());
                Err(format!("no end after {within:?}: {} {name} is {found:?}", K::kind(&())))
            }
        }
    }

    /// Waits until no Job of the namespace is in progress.
    pub(super) async fn jobs_ended(&self, within: Duration) {
        let over = |job: &Job| backstay_core::job::end(job).is_some();
        let all = async {
            for job in self.api::<Job>().list(&Default::default()).await.map(|l| l.items).unwrap_or_default()
            {
                let done = move |found: Option<&Job>| found.is_none_or(over);
                let _ = await_condition(self.api::<Job>(), &job.name_any(), done).await;
            }
        };
        let _ = tokio::time::timeout(within, all).await;
    }
}

fn backed_up(job: &BackupJob) -> bool {
    is_terminal(job.status.as_ref().and_then(|s| s.phase.as_deref()))
}

fn restored(job: &RestoreJob) -> bool {
    is_terminal(job.status.as_ref().and_then(|s| s.phase.as_deref()))
}

/// Returns whether the program of a run waits for others.
fn waits(job: &BackupJob) -> bool {
    let conditions = job.status.iter().flat_map(|s| &s.conditions);
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.reason == "ToldToWait")
}

/// Counts the slots of a Plan that have fired or are recorded as missed.
fn recorded_slots(plan: &Plan) -> i64 {
    let counts = plan.status.as_ref().and_then(|s| s.counts);
    counts.map_or(0, |c| c.fired + c.missed)
}
