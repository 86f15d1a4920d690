//! A run as its stages see it, and what a stage comes to.

use backstay_sdk::Request;
use backstay_sdk::step::{Action, Look, Step, Stop, View, Wait, Watch};

use crate::memory::Memory;
use crate::names::Names;
use crate::options::Options;
use crate::spec::CnpgSpec;
use crate::stage::Stage;

/// How long a backup waits for what it needs before it can ask for one.
const PREPARE_SECONDS: i64 = 30 * 60;
/// What is waited for is watched too; this is the net under it.
pub(crate) const RECHECK_SECONDS: u32 = 30;

/// What a stage sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) request: &'a Request<CnpgSpec>,
    pub(crate) view: &'a View,
    pub(crate) names: &'a Names,
}

/// What a stage comes to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
pub(crate) enum Turn {
    /// There is nothing more to do in it.
    Go(Stage),
    /// The host is to act, to wait, or to end the run.
    End(Step),
}

impl<'a> Run<'a> {
    /// A look with the deadline of the stage. What may have deleted data tries until then, whatever comes.
    pub(crate) fn look(&self, memory: &Memory) -> Look<'a> {
        let plan = memory.data.plan.as_ref();
        let request = self.request;
        let own = match memory.stage {
            Stage::Check | Stage::Attach | Stage::Request => request.started_at + PREPARE_SECONDS,
            // How long the gate may be closed is counted there; this is for what cannot be read.
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
            // A release that is left asleep is worse than a run that takes long to say that it has failed.
            Stage::Undo | Stage::Poll | Stage::Resume | Stage::Recover | Stage::Clean => request.deadline,
        };
        let deadline = if request.cancelled.is_some() { self.last() } else { own.min(self.last()) };
        let look = Look::new(self.view, request.now, deadline);
        let insists = memory.stage.may_have_deleted() || memory.stage == Stage::Undo;
        if insists { look.patient() } else { look }
    }

    /// When the host ends the run without asking, or cancels it.
    pub(crate) fn last(&self) -> i64 {
        self.request.cancelled.as_ref().map_or(self.request.deadline, |c| c.deadline)
    }

    /// A wait until `deadline`, or until the run's.
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
            deadline: deadline.min(self.last()).max(self.request.now + 1),
        }
    }
}

/// The wait as the end of a step.
pub(crate) fn wait(wait: Wait) -> Result<Turn, Stop> {
    Ok(Turn::End(Step::wait(wait)))
}

/// The actions as the end of a step.
pub(crate) fn act(actions: Vec<Action>) -> Result<Turn, Stop> {
    Ok(Turn::End(Step::act(actions)))
}
