//! Text that tenants can read: Events on runs, and messages, without the secret key of the platform's object store. Pods may
//! have got the key, and can print it.

use std::sync::Arc;

use crate::cluster::error::ApiError;
use crate::cluster::events::Events;
use crate::records::credentials::ProjectedCredentials;
use crate::state::run::Run;

/// Posts Events on runs, and redacts messages.
pub struct Notices {
    events: Events,
    credentials: Arc<ProjectedCredentials>,
}

impl Notices {
    /// Posts to `events`, without the secret key of `credentials`.
    #[must_use]
    pub fn new(events: Events, credentials: Arc<ProjectedCredentials>) -> Self {
        Self { events, credentials }
    }

    /// Returns `text` without the secret key.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.credentials.redact(&mut text);
        text
    }

    /// Waits until the keys are known that must not be shown. Callers do this before they take what a pod said.
    ///
    /// # Errors
    /// The API server's.
    pub async fn ready(&self) -> Result<(), ApiError> {
        self.credentials.ready().await
    }

    /// Posts a normal Event on a run.
    pub fn note(&self, run: &Run, reason: &str, note: &str) {
        self.events.normal(run.reference(), reason, &self.redact(note));
    }

    /// Posts a warning Event on a run.
    pub fn warn(&self, run: &Run, reason: &str, note: &str) {
        self.events.warning(run.reference(), reason, &self.redact(note));
    }
}
