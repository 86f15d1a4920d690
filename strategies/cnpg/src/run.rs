//! A run as its stages see it, and the result of a stage.

use backstay_sdk::Request;
use backstay_sdk::step::{Action, Look, Step, Stop, View, Wait, Watch};

use crate::memory::Memory;
use crate::names::Names;
use crate::options::Options;
use crate::spec::CnpgSpec;
use crate::stage::Stage;

/// Seconds that a backup may prepare before the operator is asked for it.
const PREPARE_SECONDS: i64 = 30 * 60;
/// Seconds until a wait is checked without a change. Its objects are watched too; this catches missed changes.
pub(crate) const RECHECK_SECONDS: u32 = 30;

/// The inputs of a stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) request: &'a Request<CnpgSpec>,
    pub(crate) view: &'a View,
    pub(crate) names: &'a Names,
}

/// The result of a stage.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
pub(crate) enum Next {
    /// Go to this stage in the same step.
    Stage(Stage),
    /// End the step: act, wait, or end the run.
    Step(Step),
}

impl<'a> Run<'a> {
    /// Returns a look with the deadline of the stage. Stages after a possible delete retry every error until then.
    pub(crate) fn look(&self, memory: &Memory) -> Look<'a> {
        let plan = memory.data.plan.as_ref();
        let request = self.request;
        let own = match memory.stage {
            Stage::Check | Stage::Attach | Stage::Request => request.started_at + PREPARE_SECONDS,
            // The gate has its own deadline; this one is for objects that cannot be read.
            Stage::Fit | Stage::Gate => {
                let options = Options::read(request.options.as_ref()).unwrap_or_default();
                let since = self.view.stage_since.max(request.started_at);
                since + options.restore_timeout + options.archive_timeout
            }
            Stage::Suspend | Stage::Patch => plan.map_or(request.deadline, |p| p.limit),
            Stage::Delete | Stage::Volumes | Stage::Drain => {
                plan.map_or(request.deadline, |p| p.drain_limit.unwrap_or(p.limit))
            }
            Stage::Archive => memory.data.archive_until.unwrap_or(request.deadline),
            // A release left suspended is worse than a run that takes long to report its failure.
            Stage::Undo | Stage::Poll | Stage::Resume | Stage::Recover | Stage::Clean => request.deadline,
        };
        let deadline =
            if request.cancelled.is_some() { self.hard_deadline() } else { own.min(self.hard_deadline()) };
        let look = Look::new(self.view, request.now, deadline);
        let insists = memory.stage.may_have_deleted() || memory.stage == Stage::Undo;
        if insists { look.patient() } else { look }
    }

    /// Returns when the host ends or cancels the run by itself.
    pub(crate) fn hard_deadline(&self) -> i64 {
        self.request.cancelled.as_ref().map_or(self.request.deadline, |c| c.deadline)
    }

    /// Makes a wait until `deadline`, or until the run's own deadline.
    pub(crate) fn wait(
        &self,
        reason: &str,
        message: impl Into<String>,
        watch: Vec<Watch>,
        recheck_after: u32,
        deadline: i64,
    ) -> Wait {
        Wait {
            reason: reason.to_owned(),
            message: message.into(),
            watch,
            recheck_after,
            deadline: deadline.min(self.hard_deadline()).max(self.request.now + 1),
        }
    }
}

/// Ends the step with a wait.
pub(crate) fn wait(wait: Wait) -> Result<Next, Stop> {
    Ok(Next::Step(Step::wait(wait)))
}

/// Ends the step with actions.
pub(crate) fn act(actions: Vec<Action>) -> Result<Next, Stop> {
    Ok(Next::Step(Step::act(actions)))
}
