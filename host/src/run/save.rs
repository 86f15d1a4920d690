//! Writes of a run's own status.

use super::not_done::NotDone;
use crate::cluster::error::{ApiError, is_not_found};
use crate::state::run::Run;
use crate::state::run_cache::RunCache;

/// Why a status is not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// The run's object no longer exists.
    #[error("the run no longer exists")]
    Gone,
    /// The API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl From<SaveError> for NotDone {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Gone => Self::Gone,
            SaveError::Api(error) => error.into(),
        }
    }
}

/// Writes the status of a run if it changed, and returns whether it did. `doing` completes the sentence "… failed".
///
/// # Errors
/// See [`SaveError`]. Nothing is lost: the run in memory keeps the status that was to be written.
pub(crate) async fn save(run: &mut Run, doing: &str, runs: &RunCache) -> Result<bool, SaveError> {
    match runs.write(run).await {
        Ok(written) => Ok(written),
        Err(error) if is_not_found(&error) && runs.is_gone(run).await => Err(SaveError::Gone),
        Err(error) => Err(ApiError::new(format!("{doing} of {}", run.title()), error).into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request, Response, StatusCode};
    use backstay_api::BackupJob;
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// Saves a changed status. The API server does not find it, and answers a read of the run with this status and object.
    async fn saved(read: (StatusCode, String)) -> Result<bool, SaveError> {
        let not_found = (StatusCode::NOT_FOUND, status(404, "NotFound"));
        let answer = move |request: Request<Body>| {
            let (code, body) =
                if request.method() == Method::PATCH { not_found.clone() } else { read.clone() };
            async move { Response::builder().status(code).body(Body::from(body.into_bytes())) }
        };
        let runs = RunCache::new(Client::new(service_fn(answer), "default"));
        let job: BackupJob = serde_json::from_str(&object("uid")).expect("it decodes");
        let mut run = Run::from(&job);
        run.status.message = Some("changed".to_owned());
        save(&mut run, "writing the status", &runs).await
    }

    fn status(code: u16, reason: &str) -> String {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "m", "reason": reason})
            .to_string()
    }

    fn object(uid: &str) -> String {
        json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
            "metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": "1"},
            "spec": {"backupClassName": "c", "applicationRef": {"kind": "App", "name": "app"}}})
        .to_string()
    }

    #[tokio::test]
    async fn a_run_whose_status_and_object_are_not_found_is_gone() {
        assert!(matches!(
            saved((StatusCode::NOT_FOUND, status(404, "NotFound"))).await,
            Err(SaveError::Gone)
        ));
        // Another object has the name now.
        assert!(matches!(saved((StatusCode::OK, object("another"))).await, Err(SaveError::Gone)));
    }

    #[tokio::test]
    async fn a_run_that_exists_or_cannot_be_read_is_not_taken_for_gone() {
        assert!(matches!(saved((StatusCode::OK, object("uid"))).await, Err(SaveError::Api(_))));
        let unavailable = (StatusCode::SERVICE_UNAVAILABLE, status(503, "ServiceUnavailable"));
        assert!(matches!(saved(unavailable).await, Err(SaveError::Api(_))));
    }
}
