//! The life of a controller that a test can end at any moment.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The life of one process of a controller.
#[derive(Debug, Default)]
pub struct Life {
    over: AtomicBool,
    ended: Notify,
}

impl Life {
    /// Kills the controller: from now on nothing passes.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ended.notify_waiters();
    }

    /// Returns whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits until it is over.
    pub async fn ended(&self) {
        let ended = self.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }
}
