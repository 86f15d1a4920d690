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
