//! Finds a small part of a plan that is still broken.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::base::Base;
use crate::plan::{Kept, Part};
use crate::play::{Verdict, play};

/// How many plays it may take.
const MOST: usize = 400;

/// How long it may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Leaves out parts of a broken plan as long as it stays broken, for a minute at most; returns the verdict on what is left.
#[must_use]
pub fn shrink(base: &Base, broken: Verdict) -> (Verdict, Kept) {
    let (mut best, mut kept) = (broken.clone(), Kept::Only(broken.parts.clone()));
    let (mut plays, begun) = (0, Instant::now());
    let mut size = (broken.parts.len() / 2).max(1);
    loop {
        let mut smaller = false;
        let parts: Vec<Part> = best.parts.iter().copied().collect();
        for chunk in parts.chunks(size) {
            if plays >= MOST || begun.elapsed() >= LONGEST {
                return (best, kept);
            }
            let left: BTreeSet<Part> =
                best.parts.iter().copied().filter(|part| !chunk.contains(part)).collect();
            if left.len() == best.parts.len() {
                continue;
            }
            plays += 1;
            let without = Kept::Only(left);
            let verdict = play(base, best.seed, &without, false, None);
            if !verdict.broken.is_empty() {
                (best, kept, smaller) = (verdict, without, true);
            }
        }
        if size == 1 && !smaller {
            return (best, kept);
        }
        size = (size / 2).max(1);
    }
}
