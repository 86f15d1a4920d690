//! Permits for instances: the pool has a fixed size, and further calls wait instead of failing.

use std::sync::{Condvar, Mutex, PoisonError};

/// Permits for concurrent calls.
pub(crate) struct Permits {
    free: Mutex<u32>,
    returned: Condvar,
}

impl Permits {
    /// Makes `count` permits, at least one.
    pub(crate) fn new(count: u32) -> Self {
        Self { free: Mutex::new(count.max(1)), returned: Condvar::new() }
    }

    /// Takes a permit, and waits until one is free. The wall-clock limit of each holder bounds the wait.
    pub(crate) fn take(&self) -> Permit<'_> {
        // A count is never half-written, so a poisoned lock holds a valid one.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Permit(self)
    }
}

/// A permit, returned when it is dropped.
pub(crate) struct Permit<'a>(&'a Permits);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}
