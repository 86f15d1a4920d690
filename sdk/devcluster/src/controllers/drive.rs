//! The loop of a controller: changes, what they make it look at, and when.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

use jiff::Timestamp;

use super::cluster::{Change, Cluster, after};
use crate::client::Refused;

/// The longest pause before something is tried again that failed, in seconds.
const LONGEST_PAUSE: i64 = 60;

/// A controller.
pub(crate) trait Controller: Send {
    /// What it looks at: the place of an object, mostly.
    type Item: Ord + Clone + Debug + Send;

    /// The cluster.
    fn cluster(&self) -> &Cluster;

    /// Notes a change, and what is to be looked at because of it.
    fn seen(&mut self, change: &Change, queue: &mut Queue<Self::Item>);

    /// Looks at something, and does what is to be done.
    ///
    /// # Errors
    /// The API server refused something; it is looked at again later.
    fn handle(
        &mut self,
        item: Self::Item,
        queue: &mut Queue<Self::Item>,
    ) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// What is to be looked at, and when.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    now: Timestamp,
    due: BTreeMap<T, Timestamp>,
    failures: BTreeMap<T, u32>,
}

impl<T: Ord + Clone> Queue<T> {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self { now, due: BTreeMap::new(), failures: BTreeMap::new() }
    }

    /// Looks at it now.
    pub(crate) fn add(&mut self, item: T) {
        self.add_at(item, self.now);
    }

    /// Looks at it in some seconds, if not earlier.
    pub(crate) fn add_in(&mut self, item: T, seconds: i64) {
        self.add_at(item, after(self.now, seconds));
    }

    /// Looks at it at this time, if not earlier.
    pub(crate) fn add_at(&mut self, item: T, at: Timestamp) {
        let due = self.due.entry(item).or_insert(at);
        *due = at.min(*due);
    }

    /// Takes what is due for longest.
    fn take(&mut self) -> Option<T> {
        let (item, due) = self.due.iter().min_by_key(|(item, due)| (**due, *item))?;
        let item = (*due <= self.now).then(|| item.clone())?;
        self.due.remove(&item);
        Some(item)
    }

    fn done(&mut self, item: &T) {
        self.failures.remove(item);
    }

    fn failed(&mut self, item: T) {
        let failures = self.failures.entry(item.clone()).or_default();
        let pause = 1_i64.checked_shl(*failures).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        *failures = failures.saturating_add(1).min(30);
        self.add_in(item, pause);
    }
}

/// Runs a controller for as long as it is polled.
pub(crate) async fn drive<C: Controller>(mut controller: C) -> Infallible {
    let server = controller.cluster().server.clone();
    let mut queue = Queue::new(controller.cluster().now());
    let mut revision = 0;
    loop {
        let changed = server.changed().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        queue.now = controller.cluster().now();
        let (changes, seen) = controller.cluster().since(revision);
        revision = seen;
        for change in &changes {
            controller.seen(change, &mut queue);
        }
        if let Some(item) = queue.take() {
            match controller.handle(item.clone(), &mut queue).await {
                Ok(()) => queue.done(&item),
                Err(refused) => {
                    tracing::debug!(?item, %refused, "a controller tries again");
                    queue.failed(item);
                }
            }
            tokio::task::yield_now().await;
            continue;
        }
        let next = queue.due.values().min().copied();
        let pause = async {
            match next.and_then(|at| at.duration_since(queue.now).try_into().ok()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = pause => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_is_taken_first_and_the_earliest_time_counts() {
        let mut queue = Queue::new(Timestamp::UNIX_EPOCH);
        queue.add_in("late", 5);
        queue.add("b");
        queue.add("a");
        queue.add_in("a", 3);
        assert_eq!((queue.take(), queue.take(), queue.take()), (Some("a"), Some("b"), None));
        queue.failed("a");
        queue.failed("a");
        queue.now = after(queue.now, 1);
        assert_eq!(queue.take(), Some("a"));
    }
}
