//! Which objects nothing uses: garbage collection deletes only what was unused at two looks a day apart, and little at a time.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// How long an object has to be unused before it is deleted.
pub const UNUSED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// As many may be deleted in one pass, however few there are.
const FEW: usize = 10;

/// Since when objects are unused, by name. A restart forgets it: what is unused then stays for another day.
#[derive(Default)]
pub struct Unused(Mutex<HashMap<String, Timestamp>>);

impl Unused {
    /// Notes what is unused now, and returns what has been unused for long.
    pub fn look(&self, unused: &BTreeSet<String>, now: Timestamp) -> Vec<String> {
        let mut since = self.0.lock();
        since.retain(|name, _| unused.contains(name));
        let long = |name: &&String| {
            let since = *since.entry((*name).clone()).or_insert(now);
            now.duration_since(since) >= UNUSED_FOR
        };
        unused.iter().filter(long).cloned().collect()
    }

    /// An object is asked for: it is used, or will be.
    pub fn asked_for(&self, name: &str) {
        self.0.lock().remove(name);
    }

    /// Returns whether nobody has asked for an object since it was noted as unused.
    #[must_use]
    pub fn is_unused(&self, name: &str) -> bool {
        self.0.lock().contains_key(name)
    }
}

/// Returns how many objects of `all` may be deleted in one pass: a tenth, or a few. If more than that seem unused at once, the
/// reason may be what was looked at.
#[must_use]
pub fn at_most(all: usize) -> usize {
    FEW.max(all / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).expect("a time")
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_was_unused_at_looks_a_day_apart_is_unused() {
        let unused = Unused::default();
        assert!(unused.look(&names(&["a", "b"]), hour(0)).is_empty());
        assert!(unused.look(&names(&["a", "b"]), hour(23)).is_empty());
        assert_eq!(unused.look(&names(&["a", "b", "c"]), hour(24)), ["a", "b"]);
        assert!(unused.look(&names(&["b"]), hour(25)).len() == 1);
        assert_eq!(unused.look(&names(&["a", "b"]), hour(26)), ["b"], "a was used in between");
        unused.asked_for("b");
        assert!(!unused.is_unused("b"));
        assert!(unused.look(&names(&["b"]), hour(50)).is_empty());
    }

    #[test]
    fn a_tenth_goes_in_one_pass_and_small_numbers_go_whole() {
        assert_eq!([0, 10, 100, 101, 999, 1000].map(at_most), [10, 10, 10, 10, 99, 100]);
    }
}
