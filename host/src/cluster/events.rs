//! Kubernetes Events: what a person should see, told without holding up the run.
//!
//! They are posted one after the other, from a queue: a thousand runs that end at once do not slow each other down by
//! what they tell.

use std::time::Duration;

use backstay_core::status::sanitize;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of an Event's note that the API server takes.
const NOTE: usize = 1024;
/// Events that wait to be posted, at most. What comes on top is left out.
const WAITING: usize = 4096;
/// How long a process that ends still posts what waits.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Takes Events. What is taken is posted by the [`Poster`].
#[derive(Clone)]
pub struct Events(Sender<(Event, ObjectReference)>);

/// Posts the Events that were taken.
pub struct Poster {
    inbox: Receiver<(Event, ObjectReference)>,
    recorder: Recorder,
}

/// A place to leave Events, and what posts them through `client`, as `backstay`.
#[must_use]
pub fn events(client: Client) -> (Events, Poster) {
    let (sender, inbox) = channel(WAITING);
    let recorder = Recorder::new(client, Reporter { controller: "backstay".into(), instance: None });
    (Events(sender), Poster { inbox, recorder })
}

impl Events {
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
            note: Some(sanitize(note, NOTE)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // An Event is a courtesy: the same is in the status, which is retried.
        if self.0.try_send((event, about)).is_err() {
            tracing::debug!(reason, "event not posted: {WAITING} are waiting already");
        }
    }
}

impl Poster {
    /// Posts what comes, for as long as it is polled.
    pub async fn post(&mut self) {
        while let Some((event, about)) = self.inbox.recv().await {
            self.publish(&event, &about).await;
        }
    }

    /// Posts what still waits, for a few seconds at most.
    pub async fn finish(mut self) {
        let rest = async {
            while let Ok((event, about)) = self.inbox.try_recv() {
                self.publish(&event, &about).await;
            }
        };
        // What is left then is in the status all the same.
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    }

    async fn publish(&self, event: &Event, about: &ObjectReference) {
        if let Err(error) = self.recorder.publish(event, about).await {
            tracing::debug!(error = %crate::cluster::error::chain(&error), "event not posted");
        }
    }
}
