//! Kubernetes Events: what a person should see, told without holding up the run.

use backstay_core::status::shown;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

/// Bytes of an Event's note that the API server takes.
const NOTE: usize = 1024;

/// Posts Events.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// Posts through `client`, as `backstay`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter { controller: "backstay".into(), instance: None }))
    }

    /// Something went its way.
    pub fn normal(&self, about: ObjectReference, reason: &str, note: &str) {
        self.post(EventType::Normal, about, reason, note);
    }

    /// Something a person may have to act on.
    pub fn warning(&self, about: ObjectReference, reason: &str, note: &str) {
        self.post(EventType::Warning, about, reason, note);
    }

    fn post(&self, type_: EventType, about: ObjectReference, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(shown(note, NOTE)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = self.0.clone();
        tokio::spawn(async move {
            // An Event is a courtesy: the same is in the status, which is retried.
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::debug!(error = %crate::api_error::chain(&error), "event not posted");
            }
        });
    }
}
