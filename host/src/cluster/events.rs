//! Kubernetes Events. Runs do not wait for them: a queue holds the Events, and one task posts them one after the other.

use std::time::Duration;

use backstay_core::status::sanitize;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of an Event's note that the API server accepts.
const NOTE: usize = 1024;
/// The longest queue. Further Events are dropped.
const WAITING: usize = 4096;
/// How long a process that ends still posts queued Events.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// The queue's sending end.
#[derive(Clone)]
pub struct Events(Sender<(Event, ObjectReference)>);

/// The queue's receiving end, which posts the Events.
pub struct Poster {
    inbox: Receiver<(Event, ObjectReference)>,
    recorder: Recorder,
}

/// Returns both ends of a queue of Events, which are posted through `client` as `backstay`.
#[must_use]
pub fn events(client: Client) -> (Events, Poster) {
    let (sender, inbox) = channel(WAITING);
    let recorder = Recorder::new(client, Reporter { controller: "backstay".into(), instance: None });
    (Events(sender), Poster { inbox, recorder })
}

impl Events {
    /// Queues a normal Event.
    pub fn normal(&self, about: ObjectReference, reason: &str, note: &str) {
        self.post(EventType::Normal, about, reason, note);
    }

    /// Queues a warning: a person may have to act.
    pub fn warning(&self, about: ObjectReference, reason: &str, note: &str) {
        self.post(EventType::Warning, about, reason, note);
    }

    fn post(&self, type_: EventType, about: ObjectReference, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(sanitize(note, NOTE)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // The status holds the same, and its writes are retried.
        if self.0.try_send((event, about)).is_err() {
            tracing::debug!(reason, "event not posted: {WAITING} are waiting already");
        }
    }
}

impl Poster {
    /// Posts Events until the sending end is dropped.
    pub async fn post(&mut self) {
        while let Some((event, about)) = self.inbox.recv().await {
            self.publish(&event, &about).await;
        }
    }

    /// Posts the queued Events, for a few seconds at most.
    pub async fn finish(mut self) {
        let rest = async {
            while let Ok((event, about)) = self.inbox.try_recv() {
                self.publish(&event, &about).await;
            }
        };
        // The statuses hold what is left.
        let _ = tokio::time::timeout(LAST_EVENTS, rest).await;
    }

    async fn publish(&self, event: &Event, about: &ObjectReference) {
        if let Err(error) = self.recorder.publish(event, about).await {
            tracing::debug!(error = %super::error::chain(&error), "event not posted");
        }
    }
}
