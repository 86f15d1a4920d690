//! Chance, from a seed. What happens at one place does not depend on how often chance was asked at others, so that a plan from
//! which something was left out stays the same elsewhere.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Returns the generator of one place of a plan.
pub(crate) fn at(seed: u64, place: impl Hash) -> fastrand::Rng {
    // The keys of this hasher are fixed.
    let mut hasher = DefaultHasher::new();
    (seed, place).hash(&mut hasher);
    fastrand::Rng::with_seed(hasher.finish())
}

/// Returns true once in so many times.
pub(crate) fn once_in(rng: &mut fastrand::Rng, times: u32) -> bool {
    times > 0 && rng.u32(0..times) == 0
}

/// Returns one of these.
pub(crate) fn one_of<T: Copy>(rng: &mut fastrand::Rng, of: &[T]) -> Option<T> {
    if of.is_empty() { None } else { of.get(rng.usize(0..of.len())).copied() }
}
