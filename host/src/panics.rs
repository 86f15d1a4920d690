//! Panics: faults of this program, contained where they happen.
//!
//! Whatever an object or a component makes the controller do wrong, it spoils the work on that object only.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use backstay_core::log_text::{LOG_TEXT, escaped};
use futures::FutureExt;

/// A panic that was contained. Displays its message, as a part of one log line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Panic(String);

impl Panic {
    fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(escaped(text.unwrap_or("a panic without a message"), LOG_TEXT))
    }
}

/// Runs a future to its end, and contains its panic. What the future shares with others are locks without poisoning and
/// counters; half of a change of them is what the death of a process leaves too.
///
/// # Errors
/// The future panicked.
pub async fn contained<T>(future: impl Future<Output = T>) -> Result<T, Panic> {
    AssertUnwindSafe(future).catch_unwind().await.map_err(|payload| Panic::of(payload.as_ref()))
}

/// Calls a function, and contains its panic; see [`contained`].
///
/// # Errors
/// The function panicked.
pub fn contained_call<T>(function: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| Panic::of(payload.as_ref()))
}

/// Has every panic of this process logged as one line, with its place in the source.
pub fn log() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let panic = Panic::of(info.payload());
        tracing::error!(%place, %panic, "panic, a fault of the controller: report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_message_in_one_line() {
        let error = contained(async { panic!("no such\nfield: {}", 7) }).await.unwrap_err();
        assert_eq!(error.to_string(), "no such\\nfield: 7");
        let error = contained_call(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(error.to_string(), "a panic without a message");
        assert_eq!(contained(async { 7 }).await.expect("no panic"), 7);
    }
}
