//! Which objects are being reconciled, by uid.

use std::collections::HashSet;

use parking_lot::Mutex;

/// The uids.
#[derive(Default)]
pub struct Reconciling(Mutex<HashSet<String>>);

impl Reconciling {
    /// Notes that an object is being reconciled, until what is returned is dropped.
    #[must_use]
    pub fn begin(&self, uid: &str) -> Begun<'_> {
        self.0.lock().insert(uid.to_owned());
        Begun { all: self, uid: uid.to_owned() }
    }

    /// Returns whether an object is being reconciled.
    #[must_use]
    pub fn has(&self, uid: &str) -> bool {
        self.0.lock().contains(uid)
    }
}

/// See [`Reconciling::begin`].
pub struct Begun<'a> {
    all: &'a Reconciling,
    uid: String,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.uid);
    }
}
