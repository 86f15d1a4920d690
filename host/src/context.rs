//! The parts of the controller that reconciles share.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{JobRecord, TypedRef, phase};
use backstay_core::application_locks::{Claim, Target};
use backstay_core::contract::{GroupKind, Mode};
use backstay_core::job::end;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::components::Components;
use crate::informers::stores::Stores;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::settings::Settings;
use crate::state::State;
use crate::state::application_locks::claim;
use crate::state::kept_fields::KeptFields;
use crate::state::notices::Notices;
use crate::state::queues::{Kind, Request};
use crate::state::run::Run;

/// The parts of the controller. There is one in a process.
pub struct Context {
    /// Access to the API server.
    pub cluster: Cluster,
    /// The components.
    pub components: Components,
    /// Watched objects.
    pub stores: Stores,
    /// Data of runs in the controller's namespace.
    pub records: Records,
    /// What the process remembers.
    pub state: State,
    /// Fields of our kinds that the API server does not keep.
    pub kept_fields: KeptFields,
    /// Events on runs.
    pub notices: Notices,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Settings.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
}

impl Context {
    /// Reports an object that does not decode: in the log, in an Event on the object, and in a metric.
    pub fn report_unreadable(&self, about: ObjectReference, error: &str) {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let (kind, namespace, name) = (part(&about.kind), part(&about.namespace), part(&about.name));
        tracing::warn!(kind, namespace, name, error, "object does not decode and is left alone, correct it");
        self.metrics.unreadable(&kind, &namespace);
        let note = format!(
            "this object cannot be read and is left alone: {error}; correct it, or delete it and create it anew"
        );
        self.cluster.events.warning(about, reasons::UNREADABLE_OBJECT, &note);
    }

    /// Forgets the failures of a run that has ended or is being deleted, and ends its turn.
    pub fn finished(&self, run: &Run) {
        self.state.runs.ended(&run.uid);
        // No event follows if the watch was faster than the answer to the last write.
        match run.shown(&self.stores) {
            Some(shown) if shown.is_finished() => {
                self.state.runs.caught_up(&run.uid, &shown.resource_version);
            }
            None if run.mode != Mode::Cleanup => self.state.runs.forget(&run.uid),
            _ => {}
        }
        self.end_turn(run);
    }

    /// Forgets a run whose object no longer exists, as the API server says, and ends its turn. The watch may lag behind: until
    /// it no longer shows the run either, nothing more is done for it.
    pub fn gone(&self, run_uid: &str) {
        self.forget(run_uid);
        self.state.runs.gone(run_uid);
        // The watch forgets what it shows no longer, and may have done so already.
        if !self.stores.has_run(run_uid) {
            self.state.runs.forget(run_uid);
        }
    }

    /// Forgets a run that the watch shows no longer, because its object is gone or it has ended, and ends its turn. One that is
    /// being reconciled is forgotten after that: it may have just ended. One that had begun, and that this process does not know
    /// to have ended, is read: its end may have been written by a call whose answer was lost.
    pub fn left(&self, kind: Kind, object: &impl Resource, begun: bool) {
        let run_uid = object.meta().uid.as_deref().unwrap_or_default();
        if self.state.reconciling.has(run_uid) {
            return;
        }
        if begun && !self.state.runs.has_ended(run_uid) {
            self.look_at_end(Request::new(kind, object), run_uid);
        }
        self.forget(run_uid);
    }

    /// Has a run read that has ended and holds something still, or may have; the watches do not show it.
    pub fn look_at_end(&self, request: Request, run_uid: &str) {
        self.state.ends.add(request.kind.clone(), request.key.clone(), run_uid);
        self.state.queues.add(request);
    }

    /// Forgets a run or a Plan whose object no longer exists, as the watch says, and ends the turn of the run.
    pub fn forget(&self, run_uid: &str) {
        self.state.runs.forget(run_uid);
        self.state.open_slots.forget(run_uid);
        // What is done at the end of a run needs what is known of its steps.
        if !self.state.ends.has_uid(run_uid) {
            self.state.step_caches.forget(run_uid);
        }
        self.state.watch_pool.forget(run_uid);
        self.stores.evidence.forget(run_uid);
        self.drain(run_uid);
        self.release_lock(run_uid);
    }

    /// Ends the turn of a run that does nothing more: at once if nothing of it can run, else when nothing can.
    pub fn end_turn(&self, run: &Run) {
        if !self.has_stopped(run) {
            self.drain(&run.uid);
        }
        self.release_lock(&run.uid);
    }

    /// Keeps the lock that a run holds until none of its pods can run.
    pub fn drain(&self, run_uid: &str) {
        if let Some(namespace) = self.state.locks.held_in(run_uid) {
            self.state.draining.add(run_uid, &namespace);
        }
    }

    /// Returns whether it is certain, without a look, that no pod of an ended run can run.
    #[must_use]
    pub fn has_stopped(&self, run: &Run) -> bool {
        let Some(record) = run.status.run.as_deref() else { return true };
        if self.stores.unfinished.has(run.namespace(), &run.uid) || self.state.draining.is_suspect(&run.uid) {
            return false;
        }
        let has_ended = |record: &JobRecord| {
            let job = self.stores.job(run.namespace(), &record.name);
            job.is_some_and(|job| job.metadata.uid.as_deref() == Some(&record.uid) && end(&job).is_some())
        };
        run.status.phase.as_deref() == Some(phase::SUCCEEDED)
            || record.job.as_ref().is_some_and(has_ended)
            || self.state.step_caches.has_pods(&run.uid) == Some(false)
    }

    /// Acquires the lock on a target for a run that is about to begin, or its place in the queue for it.
    ///
    /// # Errors
    /// The claim of the run to wait for.
    pub fn try_lock(&self, run: &Run, target: &Target, strategy: &GroupKind) -> Result<(), Box<Claim>> {
        // A clean-up that failed begins anew once its earlier pods have stopped.
        if self.state.draining.contains(&run.uid) {
            return Err(Box::new(claim(run, strategy)));
        }
        let (acquired, free) = self.state.locks.try_acquire(run, target, strategy);
        self.let_go(free);
        acquired
    }

    /// Restores the lock of a run that has begun.
    pub fn restore_lock(&self, run: &Run) {
        self.let_go(self.state.locks.restore(run));
    }

    /// Gives the lock to a run that has begun, unless another run holds it.
    ///
    /// # Errors
    /// The claim of the run to wait for.
    pub fn resume_lock(&self, run: &Run) -> Result<(), Box<Claim>> {
        let (resumed, free) = self.state.locks.resume(run);
        self.let_go(free);
        resumed
    }

    /// Restores the place of a run that waited for the lock on `application` before this process started.
    pub fn enqueue_for_lock(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) {
        self.let_go(self.state.locks.enqueue(run, application, strategy));
    }

    /// Notes that a run needs no place in a queue, and enqueues the runs that waited until that was known.
    pub fn needs_no_place(&self, run_uid: &str) {
        self.let_go(self.state.locks.placed(run_uid));
    }

    /// Releases the lock of a run on its application, or its place in the queue for it, and enqueues the runs that may go
    /// now. The lock of a run whose pods may still run is kept.
    pub fn release_lock(&self, run_uid: &str) {
        if !self.state.draining.contains(run_uid) {
            self.let_go(self.state.locks.release(run_uid));
        }
    }

    /// Returns what of an ended run may still run, for the first of the runs that wait for it, and for the run itself.
    #[must_use]
    pub fn left_of_ended(&self, ended_uid: &str, waiting_uid: &str) -> Option<String> {
        let is_first = || self.state.locks.first_behind(ended_uid).is_some_and(|c| c.run_uid == waiting_uid);
        let left = self.state.draining.waits_for(ended_uid)?;
        (ended_uid == waiting_uid || is_first()).then_some(left)
    }

    /// Enqueues the first of the runs that wait for a run: it has something new to say.
    pub fn tell_first_behind(&self, run_uid: &str) {
        self.let_go(self.state.locks.first_behind(run_uid).into_iter().collect());
    }

    fn let_go(&self, free: Vec<Claim>) {
        free.iter().for_each(|claim| self.state.queues.add(Request::free(claim)));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kube::Client;

    use super::*;
    use crate::cluster::discovery::Discovery;
    use crate::cluster::events::events;
    use crate::cluster::impersonation::Impersonation;
    use crate::components::Calls;
    use crate::components::registry::Registry;
    use crate::controller::Surroundings;

    /// The parts of a controller without components, which has just started.
    pub(crate) fn empty(client: Client) -> Arc<Context> {
        let (settings, metrics) = (Settings::default(), Arc::new(Metrics::default()));
        let records = Records::new(&client, &settings.namespace, None, Surroundings::this_machine().writer);
        let (events, _) = events(client.clone());
        let impersonation = Arc::new(Impersonation::new(client.clone(), &settings.namespace));
        Arc::new(Context {
            notices: Notices::new(events.clone(), records.credentials.clone()),
            components: Components::new(
                Registry::default(),
                settings.concurrency,
                Calls::OnThreads,
                metrics.clone(),
            ),
            stores: Stores::new(&Registry::default()).0,
            state: State::empty(client.clone()),
            cluster: Cluster { client, discovery: Discovery::default(), impersonation, events },
            kept_fields: KeptFields::new(metrics.clone()),
            records,
            metrics,
            settings,
            clock: Clock::start(),
        })
    }
}
