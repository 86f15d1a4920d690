//! The state machine of a run: goes through stages until one ends the step with a question, actions, a wait or an end.

use backstay_sdk::step::{Action, Decision, Step, Stop, View};
use backstay_sdk::{Failure, ObjectRef, Request};

use crate::memory::{Memory, Undo};
use crate::names::Names;
use crate::run::{Next, Run};
use crate::spec::CnpgSpec;
use crate::stage::Stage;
use crate::{backup, cleanup, restore};

/// Seconds until an action without a visible effect is repeated.
const AGAIN_SECONDS: u32 = 5;

/// Returns the next step of a run.
pub(crate) fn step(request: &Request<CnpgSpec>, view: &View) -> Result<Step, Stop> {
    let names = Names::of(request);
    let run = Run { request, view, names: &names };
    let mut memory = Memory::read(request.mode, view)?;
    let mut next = run.look(&memory).settled().map(|()| Next::Stage(memory.stage));
    loop {
        match next {
            Ok(Next::Stage(stage)) => memory.stage = stage,
            Ok(Next::Step(step)) => match run.unless_repeated(&memory, step) {
                Ok(step) => return Ok(memory.keep(view, step)),
                Err(stop) => {
                    next = Err(stop);
                    continue;
                }
            },
            Err(Stop::Fail(failure)) => match run.after_failure(&mut memory, failure) {
                Ok(stage) => memory.stage = stage,
                Err(failure) => return Ok(memory.keep(view, Step::new(Decision::Fail(failure)))),
            },
            // The next call reaches this question again, and decides everything before it again.
            Err(stop @ Stop::Ask(_)) => return Err(stop),
            Err(stop @ Stop::Wait(_)) => return Ok(memory.keep(view, stop.into())),
        }
        next = run.stage(&mut memory);
    }
}

impl Run<'_> {
    /// Runs the function of the present stage.
    fn stage(&self, memory: &mut Memory) -> Result<Next, Stop> {
        match memory.stage {
            Stage::Check => backup::check(self, memory),
            Stage::Attach => backup::attach(self, memory),
            Stage::Request => backup::request(self, memory),
            Stage::Poll => backup::poll(self, memory),
            Stage::Fit => restore::fit(self, memory),
            Stage::Gate => restore::gate(self, memory),
            Stage::Suspend => restore::suspend(self, memory),
            Stage::Patch => restore::patch(self, memory),
            Stage::Delete => restore::delete(self, memory),
            Stage::Volumes => restore::volumes(self, memory),
            Stage::Drain => restore::drain(self, memory),
            Stage::Resume => restore::resume(self, memory),
            Stage::Recover => restore::recover(self, memory),
            Stage::Archive => restore::archive(self, memory),
            Stage::Undo => restore::undo(self, memory),
            Stage::Clean => cleanup::clean(self, memory),
        }
    }

    /// Returns the stage after a failure: a restore that has written something and deleted nothing undoes its writes
    /// first.
    fn after_failure(&self, memory: &mut Memory, failure: Failure) -> Result<Stage, Failure> {
        if memory.stage == Stage::Undo {
            let why = memory.data.undo.as_ref();
            return Err(match why {
                Some(undo) => Failure::new(
                    undo.reason.clone(),
                    format!(
                        "{}; what it had written could not be put back: {}",
                        undo.message, failure.message
                    ),
                ),
                None => failure,
            });
        }
        if memory.stage == Stage::Archive && memory.data.archive_trouble.is_none() {
            // The database is restored: missing archiving is reported, and does not fail the run.
            memory.data.archive_trouble = Some(failure.message);
            return Ok(Stage::Archive);
        }
        let plan = memory.data.plan.as_ref().filter(|p| !p.purged);
        let may_be_put_back = plan.is_some_and(|plan| match memory.stage {
            Stage::Suspend | Stage::Patch | Stage::Delete => true,
            Stage::Volumes | Stage::Drain => plan.is_untouched(),
            _ => false,
        });
        if !may_be_put_back {
            return Err(failure);
        }
        memory.data.undo = Some(Undo { reason: failure.reason, message: failure.message });
        Ok(Stage::Undo)
    }

    /// Returns the step, unless it repeats the last act, whose effect does not show. Then it waits until the stage's
    /// deadline, so that two writers who undo each other's changes do not keep a wake going.
    fn unless_repeated(&self, memory: &Memory, mut step: Step) -> Result<Step, Stop> {
        if let Decision::Act(actions) = &step.decision
            && let Some(object) = actions.first().and_then(object_of)
            && self.view.results.first().is_some_and(|r| r.object == object)
        {
            let message = format!(
                "{} {} does not show the last write yet, and is read again",
                object.kind, object.name
            );
            let look = self.look(memory);
            let pending = self.wait("Unsettled", message.clone(), Vec::new(), AGAIN_SECONDS, look.deadline());
            match look.wait_or(pending, || Failure::new("Unsettled", message)) {
                Stop::Wait(wait) => step.decision = Decision::Wait(wait),
                stop => return Err(stop),
            }
        }
        Ok(step)
    }
}

/// Returns the object of an action.
fn object_of(action: &Action) -> Option<ObjectRef> {
    let manifest = match action {
        Action::Patch(patch) => return Some(patch.object.clone()),
        Action::Delete(delete) => return Some(delete.object.clone()),
        Action::RunPod(_) => return None,
        Action::Create(create) => &create.manifest,
        Action::Apply(apply) => &apply.manifest,
    };
    let text = |at| crate::cluster::text(manifest, at);
    Some(ObjectRef::namespaced(
        text("/apiVersion"),
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    ))
}
