//! What a run has spent of its budget, by the clock of this process.

use std::time::Duration;

use backstay_core::run_budget::{BudgetLimits, RunBudget, Spent, Verdict};
use tokio::time::Instant;

/// The budget of a run. A process that has just started gives each run a whole one.
#[derive(Debug)]
pub struct Spending {
    since: Instant,
    budget: RunBudget,
}

impl Spending {
    /// The budget of a run that has spent nothing.
    #[must_use]
    pub fn new(limits: BudgetLimits) -> Self {
        Self { since: Instant::now(), budget: RunBudget::new(limits) }
    }

    /// Counts the time of a call of the component.
    pub fn called(&mut self, time: Duration) {
        self.budget.called(time, self.since.elapsed());
    }

    /// Counts writes of the API server.
    pub fn wrote(&mut self, writes: usize) {
        self.budget.wrote(writes, self.since.elapsed());
    }

    /// Counts the write of a checkpoint.
    pub fn wrote_checkpoint(&mut self, bytes: usize) {
        self.budget.wrote_checkpoint(bytes, self.since.elapsed());
    }

    /// Decides whether the run may go on.
    pub fn verdict(&mut self) -> Verdict {
        self.budget.verdict(self.since.elapsed())
    }

    /// Returns whether the run is over its budget.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.budget.is_over()
    }

    /// Returns what the run has spent too much of, for its status.
    #[must_use]
    pub fn text(&self, spent: Spent) -> String {
        self.budget.text(spent)
    }
}
