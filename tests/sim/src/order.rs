//! The order of hash maps in a play: it comes from the seed, and is the same each time.
//!
//! The maps of std take it from the random bytes of the operating system, once a thread: `entropy.c` stands in for them, and each
//! play has a thread of its own. The maps of kube's stores count through the whole process, unless they are told otherwise.

use std::cell::Cell;
use std::sync::Once;

use ahash::random_state::RandomSource;

thread_local! {
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

struct FromThread;

impl RandomSource for FromThread {
    fn gen_hasher_seed(&self) -> usize {
        NEXT.with(|next| next.replace(next.get().wrapping_add(0x9e37_79b9)))
    }
}

/// Takes the order of the maps of stores from [`of_play`], in the whole process.
///
/// # Panics
/// A map was made before.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let set = ahash::random_state::set_random_source(FromThread);
        assert!(set.is_ok(), "no map has been made before");
    });
}

/// Begins the order of this thread's maps, and the pauses of kube's watches, from a seed. The thread is new.
pub(crate) fn of_play(seed: u64) {
    fastrand::seed(seed);
    NEXT.with(|next| next.set(usize::try_from(seed).unwrap_or(0).wrapping_mul(0x9e37)));
    for _ in 0..seed % 7 {
        let _ = std::hash::RandomState::new();
    }
}
