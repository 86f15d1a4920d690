//! How long the calls of one wake are tried again, all in all. A wake may ask hundreds of questions; where the API server
//! does not answer, each of them would otherwise have its own minute, and the run would not be looked at meanwhile.

use std::cell::Cell;
use std::time::Duration;

/// How long the calls of a wake are tried again, together. After that each is made once.
const WAKE: Duration = Duration::from_mins(2);

tokio::task_local! {
    static LEFT: Cell<Duration>;
}

/// Gives a wake its patience.
pub(super) async fn limited<F: Future>(wake: F) -> F::Output {
    LEFT.scope(Cell::new(WAKE), wake).await
}

/// For how long a call that begins now may be tried again; `longest` where that is less than what is left.
pub(super) fn left(longest: Duration) -> Duration {
    LEFT.try_with(Cell::get).unwrap_or(longest).min(longest)
}

/// So long a call has been tried again.
pub(super) fn spend(time: Duration) {
    // Outside of a wake there is nothing to be spared.
    let _ = LEFT.try_with(|left| left.set(left.get().saturating_sub(time)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_calls_of_a_wake_share_their_patience_and_those_of_another_have_their_own() {
        let minute = Duration::from_mins(1);
        limited(async {
            spend(Duration::from_secs(90));
            assert_eq!(left(minute), Duration::from_secs(30));
            spend(minute);
            assert_eq!(left(minute), Duration::ZERO);
        })
        .await;
        limited(async { assert_eq!(left(minute), minute) }).await;
    }
}
