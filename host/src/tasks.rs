//! Tasks that belong together.

use std::panic::resume_unwind;

use tokio::task::JoinSet;

/// Waits until all have ended. A panic of one is a panic here; where the wait is given up, so are the tasks.
pub async fn all(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            resume_unwind(panic);
        }
    }
}
