//! Writes of a run's own status in the course of a run.

use super::not_done::NotDone;
use crate::cluster::error::{ApiError, is_not_found};
use crate::state::run::Run;
use crate::state::run_cache::RunCache;

/// Writes the status of a run if it changed, and returns whether it did. `doing` completes the sentence "… failed".
///
/// # Errors
/// The API server's; [`NotDone::Gone`] if the run's object no longer exists.
pub(crate) async fn save(run: &mut Run, doing: &str, runs: &RunCache) -> Result<bool, NotDone> {
    match runs.write(run).await {
        Ok(written) => Ok(written),
        Err(error) if is_not_found(&error) && runs.is_gone(run).await => Err(NotDone::Gone),
        Err(error) => Err(ApiError::new(format!("{doing} of {}", run.title()), error).into()),
    }
}
