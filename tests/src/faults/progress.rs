//! Tells of plans while they are played.

use std::time::{Duration, Instant};

use super::ground::Played;

/// How often it says how many have been played.
const EVERY: Duration = Duration::from_secs(10);

/// The plans that have been played.
pub(super) struct Progress {
    total: usize,
    command: &'static str,
    began: Instant,
    said: Instant,
    all: Vec<Played>,
}

impl Progress {
    /// Begins with none of `total` plans; `command` replays them.
    pub(super) fn of(total: usize, command: &'static str) -> Self {
        let began = Instant::now();
        Self { total, command, began, said: began, all: Vec::with_capacity(total) }
    }

    /// Prints the faults of a plan, and now and then how many have been played. Returns whether this one has faults.
    #[allow(clippy::print_stderr)]
    pub(super) fn note(&mut self, played: Played) -> bool {
        let broken = !played.broken.is_empty();
        if broken {
            eprintln!("{}", played.report(self.command));
        }
        self.all.push(played);
        let (number, total) = (self.all.len(), self.total);
        if self.said.elapsed() >= EVERY || number == total {
            self.said = Instant::now();
            eprintln!("  {number} of {total} plans, {:.1} s", self.began.elapsed().as_secs_f64());
        }
        broken
    }

    /// Returns the plans that have been played.
    pub(super) fn played(self) -> Vec<Played> {
        self.all
    }
}
