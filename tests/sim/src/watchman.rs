//! Listens to what the controllers log: what they say of themselves that must never happen.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// What must never be logged: that a reconcile panicked, and that what a process remembers was not what is. Watches in a play
/// lose no event without a list after it, so nothing else explains that.
const NEVER: [&str; 2] = ["panicked", "memory of the process differed"];

/// A listener, and what it heard.
#[derive(Clone, Default)]
pub(crate) struct Watchman(Arc<Mutex<Vec<String>>>);

impl Watchman {
    /// Returns what should not have been logged.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?} ")
        } else {
            write!(self.0, "{}={value:?} ", field.name())
        };
    }
}

impl<S: Subscriber> Layer<S> for Watchman {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        if NEVER.iter().any(|never| text.0.contains(never)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("logged: {}", text.0));
        }
    }
}
