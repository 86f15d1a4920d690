//! The budget of a run: one that spends more is slowed, says so, and fails if it goes on like that.

use std::time::Duration;

use backstay_api::conditions::{reasons, types};
use backstay_core::run_budget::{BudgetLimits, Verdict};
use backstay_core::run_report::in_words;
use jiff::{SignedDuration, Timestamp};

use crate::run::not_done::NotDone;
use crate::state::run::Run;
use crate::state::step_cache::StepCache;

/// The shortest pause of a run that is slowed: it then has enough to go some way.
const PAUSE: Duration = Duration::from_secs(5);

/// Checks that a run may go on, and has its status say whether it is slowed.
///
/// # Errors
/// The run goes on later, or has failed.
pub(crate) fn check(
    run: &mut Run,
    cache: &mut StepCache,
    limits: BudgetLimits,
    now: Timestamp,
) -> Result<(), NotDone> {
    let spending = cache.spending(limits);
    let patience = SignedDuration::try_from(limits.patience).unwrap_or(SignedDuration::MAX);
    match spending.verdict() {
        Verdict::Within => {
            if !spending.is_over() && run.status.conditions.iter().any(|c| c.type_ == types::THROTTLED) {
                run.status.throttled(None, now);
            }
            Ok(())
        }
        Verdict::Slowed(spent, pause) => {
            let message = format!(
                "{}, so its steps are slowed; it fails if that lasts for {}",
                spending.text(spent),
                in_words(patience)
            );
            run.status.throttled(Some(&message), now);
            Err(NotDone::Slowed(pause.max(PAUSE)))
        }
        Verdict::Exceeded(spent) => {
            let message = format!(
                "{}, and has done so for {}; report it to the component's author",
                spending.text(spent),
                in_words(patience)
            );
            Err(NotDone::failed(reasons::STRATEGY_EXCEEDS_BUDGET, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Mode;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::state::run::tests::{begun, stored_run};

    fn limits(patience: Duration) -> BudgetLimits {
        BudgetLimits { writes: 10, patience, ..BudgetLimits::default() }
    }

    fn throttled(run: &Run) -> Option<&str> {
        run.status.conditions.iter().find(|c| c.type_ == "Throttled").map(|c| c.reason.as_str())
    }

    #[tokio::test]
    async fn t6_a_run_over_its_budget_is_slowed_and_says_so_until_it_has_recovered() {
        let (server, mut cache) = (StandIn::default(), StepCache::default());
        let mut run = stored_run(Mode::Backup, begun(100), &server);
        let limits = limits(Duration::from_hours(1));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(check(&mut run, &mut cache, limits, now), Ok(()));
        assert_eq!(throttled(&run), None);
        cache.spending(limits).wrote(11);
        let slowed = check(&mut run, &mut cache, limits, now);
        assert!(matches!(slowed, Err(NotDone::Slowed(pause)) if pause >= PAUSE), "{slowed:?}");
        assert_eq!(throttled(&run), Some("StrategyExceedsBudget"));
        cache.spending = None;
        assert_eq!(check(&mut run, &mut cache, limits, now), Ok(()));
        assert_eq!(throttled(&run), None, "its budget is whole again");
    }

    #[tokio::test]
    async fn t6_a_run_that_stays_over_its_budget_fails() {
        let (server, mut cache) = (StandIn::default(), StepCache::default());
        let mut run = stored_run(Mode::Backup, begun(100), &server);
        cache.spending(limits(Duration::ZERO)).wrote(11);
        let failed = check(&mut run, &mut cache, limits(Duration::ZERO), Timestamp::UNIX_EPOCH);
        let Err(NotDone::Failed { reason, message }) = failed else { panic!("{failed:?}") };
        assert_eq!(reason, "StrategyExceedsBudget");
        assert!(message.contains("10 writes of the API server a minute"), "{message}");
    }
}
