//! Kubernetes Events. Runs do not wait for them: a queue holds the Events, and one task posts them one after the other.
//!
//! Namespaces share the queue, and each may post only so many: a thousand runs that fail at once neither flood the API server
//! nor hold up the Events of others. What is not posted stays in the statuses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_core::allowance::Allowance;
use backstay_core::fair::FairQueue;
use backstay_core::status::sanitize;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes of an Event's note that the API server accepts.
const NOTE: usize = 1024;
/// The longest queue. Further Events are dropped.
const WAITING: usize = 4096;
/// Events that a namespace may post at once.
const BURST: u64 = 200;
/// Events that a namespace may post in a minute after that.
const A_MINUTE: u64 = 60;
/// Namespaces of which it is remembered what they have posted, before those that have posted little are forgotten.
const REMEMBERED: usize = 1000;
/// How long a process that ends still posts queued Events.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// The queue's sending end.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

/// The queue's receiving end, which posts the Events.
pub struct Poster {
    inbox: Arc<Shared>,
    recorder: Recorder,
}

struct Shared {
    since: Instant,
    queue: Mutex<Queue<(Event, ObjectReference)>>,
    queued: Notify,
}

/// The queue. Takes the time from its callers.
struct Queue<T> {
    waiting: FairQueue<String, T>,
    length: usize,
    last_number: u64,
    /// What each namespace may still post.
    left: HashMap<String, Allowance>,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { waiting: FairQueue::default(), length: 0, last_number: 0, left: HashMap::new() }
    }

    /// Adds an Event about an object of a namespace, and returns whether there is room for it.
    fn push(&mut self, namespace: &str, event: T, now: Duration) -> bool {
        if self.length >= WAITING {
            return false;
        }
        if self.left.len() >= REMEMBERED {
            self.left.retain(|_, left| !left.is_whole(now));
        }
        let left = self.left.entry(namespace.to_owned()).or_insert_with(|| Allowance::new(BURST, A_MINUTE));
        if !left.take(now) {
            return false;
        }
        self.last_number += 1;
        self.length += 1;
        self.waiting.push(namespace.to_owned(), self.last_number, event);
        true
    }

    fn pop(&mut self) -> Option<T> {
        let event = self.waiting.next(|_| true)?;
        self.length -= 1;
        Some(event)
    }
}

/// Returns both ends of a queue of Events, which are posted through `client` as `backstay`.
#[must_use]
pub fn events(client: Client) -> (Events, Poster) {
    let shared = Shared { since: Instant::now(), queue: Mutex::new(Queue::new()), queued: Notify::new() };
    let inbox = Arc::new(shared);
    let recorder = Recorder::new(client, Reporter { controller: "backstay".into(), instance: None });
    (Events(inbox.clone()), Poster { inbox, recorder })
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
        let namespace = about.namespace.clone().unwrap_or_default();
        // The status holds the same, and its writes are retried.
        if !self.0.queue.lock().push(&namespace, (event, about), self.0.since.elapsed()) {
            tracing::debug!(
                reason,
                namespace,
                "event not posted: too many wait, or its namespace posts too many"
            );
            return;
        }
        self.0.queued.notify_one();
    }
}

impl Poster {
    /// Posts Events for as long as it is polled.
    pub async fn post(&mut self) {
        loop {
            while let Some((event, about)) = self.next() {
                self.publish(&event, &about).await;
            }
            self.inbox.queued.notified().await;
        }
    }

    /// Posts the queued Events, for a few seconds at most.
    pub async fn finish(self) {
        let rest = async {
            while let Some((event, about)) = self.next() {
                self.publish(&event, &about).await;
            }
        };
        // The statuses hold what is left.
        let _ = tokio::time::timeout(LAST_EVENTS, rest).await;
    }

    fn next(&self) -> Option<(Event, ObjectReference)> {
        self.inbox.queue.lock().pop()
    }

    async fn publish(&self, event: &Event, about: &ObjectReference) {
        if let Err(error) = self.recorder.publish(event, about).await {
            tracing::debug!(error = %super::error::chain(&error), "event not posted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(queue: &mut Queue<&'static str>, events: usize) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).take(events).collect()
    }

    #[test]
    fn t14_a_namespace_posts_its_burst_at_once_and_then_so_many_a_minute() {
        let mut queue = Queue::new();
        let posted = |queue: &mut Queue<_>, seconds: u64| {
            (0..1000).filter(|_| queue.push("a", "event", Duration::from_secs(seconds))).count()
        };
        assert_eq!(posted(&mut queue, 0), 200);
        assert_eq!(posted(&mut queue, 60), 60);
        assert!(queue.push("b", "event", Duration::from_secs(60)), "another namespace has its own burst");
    }

    #[test]
    fn t14_namespaces_take_turns_and_none_fills_the_queue() {
        let mut queue = Queue::new();
        assert!((0..1000).any(|_| !queue.push("hostile", "theirs", Duration::ZERO)), "it may not post all");
        assert!(queue.push("other", "ours", Duration::ZERO));
        assert_eq!(popped(&mut queue, 3), ["theirs", "ours", "theirs"]);
    }

    #[test]
    fn namespaces_that_post_little_are_not_remembered() {
        let mut queue = Queue::new();
        for number in 0..5000_u64 {
            queue.push(&format!("n{number}"), "event", Duration::from_secs(number));
            queue.pop();
        }
        assert!(queue.left.len() <= REMEMBERED, "{}", queue.left.len());
    }
}
