//! The host's loop around a resource strategy, over a [`World`]: the steps within a wake, and the wakes of a run.
//!
//! It implements the host's side of `strategy.wit`, and checks the component's side: declared accesses, fields and
//! guards, deletes of own objects only, purges only after a live read, and bounds. Locks on applications, names and
//! the publishing of Backups are out of its scope.

mod rules;
mod trouble;

use std::collections::BTreeMap;

use backstay_core::contract::{
    Action, ActionResult, Answer, Backup, CancelCause, Cancellation, Checkpoint, Condition, Content,
    Descriptor, Event, Failure, GroupKind, Inherited, Json, ObjectRef, Outcome, PodResult, Query, ReadError,
    Request, StepResult, View, Wait, WriteError,
};
use backstay_core::pod_policy::{self, UNBOUNDED};
use backstay_core::steps::{Allowed, Effect, Next, Pins, Wake};

use crate::fixture;
use crate::world::{Key, World};
pub use rules::Broken;
use rules::{Rules, named, pods_allowed, seen_live};
pub use trouble::{Moment, Trouble};

/// Seconds that a cancelled run has to undo its work.
const GRACE: i64 = 600;

/// One call of `step`: of the component, or of a function in this process.
pub type StepFn<'a> = Box<dyn FnMut(&Request, &View) -> Result<StepResult, String> + 'a>;

/// Decides at each moment of a wake what goes wrong, and may change the world as others would.
type Disturb<'a> = Box<dyn FnMut(&mut World, Moment<'_>) -> Trouble + 'a>;

/// One run of a resource strategy in a [`World`]. [`crate::Case::world`] begins it, [`Drive::wake`] runs one wake, and
/// [`Drive::run`] runs it to its end. [`Drive::conditions`] and similar methods show its state, `world` its effects.
pub struct Drive<'a> {
    /// The cluster. Between wakes a test changes it as operators and users would.
    pub world: World,
    descriptor: &'a Descriptor,
    request: Request,
    pins: Pins,
    step: StepFn<'a>,
    disturb: Disturb<'a>,
    checkpoint: Option<Checkpoint>,
    stage_since: i64,
    conditions: BTreeMap<String, Condition>,
    events: Vec<Event>,
    journal: Vec<String>,
    pods: BTreeMap<String, Option<PodResult>>,
    /// By kind, the oldest revision of cached reads: that of the run's own latest write, or of an earlier answer.
    oldest_reads: BTreeMap<(String, String), u64>,
    calls: u64,
    skew: i64,
    ended: bool,
}

/// The end of a wake.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// The run waits.
    Waits(Wait),
    /// The run succeeded.
    Done(Option<Outcome>),
    /// The run failed.
    Failed(Failure),
    /// The host crashed, as [`Drive::disturb`] decided.
    Crashed,
}

impl<'a> Drive<'a> {
    /// Makes a run that calls `step`. For a component use [`crate::Case::world`].
    #[must_use]
    pub fn new(descriptor: &'a Descriptor, mut request: Request, world: World, step: StepFn<'a>) -> Self {
        request.started_at = world.now();
        request.deadline = world.now() + i64::from(descriptor.longest_run);
        Self {
            stage_since: world.now(),
            world,
            descriptor,
            pins: Pins::of(&request),
            request,
            step,
            disturb: Box::new(|_, _| Trouble::None),
            checkpoint: None,
            conditions: BTreeMap::new(),
            events: Vec::new(),
            journal: Vec::new(),
            pods: BTreeMap::new(),
            oldest_reads: BTreeMap::new(),
            calls: 0,
            skew: 0,
            ended: false,
        }
    }

    /// Sets the source of troubles. It is asked at every moment of a wake at which something can go wrong or change.
    #[must_use]
    pub fn disturb(mut self, disturb: impl FnMut(&mut World, Moment<'_>) -> Trouble + 'a) -> Self {
        self.disturb = Box::new(disturb);
        self
    }

    /// Sets the host's clock ahead of the cluster's by `seconds`, or behind if negative. Call it before the first
    /// wake.
    #[must_use]
    pub fn skewed(mut self, seconds: i64) -> Self {
        self.skew = seconds;
        self.request.started_at += seconds;
        self.request.deadline += seconds;
        self.stage_since += seconds;
        self
    }

    /// Returns the request of the next wake, without its time.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Cancels the run, as the host does when its object is deleted. It has ten minutes to undo its work; the host has a
    /// setting for that. A run past its deadline is cancelled automatically.
    pub fn cancel(&mut self, cause: CancelCause) {
        let deadline = self.world.now() + self.skew + GRACE;
        self.request.cancelled.get_or_insert(Cancellation { cause, deadline });
    }

    /// Removes the Backup from the request, as for a cancelled run whose Backup is gone.
    pub fn forget_backup(&mut self) {
        self.request.backup = None;
    }

    /// Ends a pod run with this result: the contract's `pod-result` in YAML.
    ///
    /// # Panics
    /// The fixture is no pod result, or there is no such pod run.
    #[track_caller]
    pub fn pod_ended(&mut self, name: &str, ended: &str) {
        match self.pods.get_mut(name) {
            Some(result) => *result = Some(fixture::ended(ended)),
            None => panic!("there is no pod run {name}; there are {:?}", self.pods.keys()),
        }
    }

    /// Runs one wake.
    ///
    /// # Panics
    /// The strategy breaks a rule of the contract; the message has the journal of the run.
    #[track_caller]
    pub fn wake(&mut self) -> Turn {
        match self.try_wake() {
            Ok(turn) => turn,
            Err(Broken(rule)) => panic!("{rule}\n{}", self.journal.join("\n")),
        }
    }

    /// Runs wakes until the run ends. After each wake, `between` acts for everybody else, and the time advances to the
    /// host's next check.
    ///
    /// # Panics
    /// As [`Drive::wake`], and if the run does not end in a thousand wakes.
    #[track_caller]
    pub fn run(&mut self, mut between: impl FnMut(&mut World)) -> Turn {
        for _ in 0..1000 {
            match self.wake() {
                Turn::Waits(wait) => {
                    between(&mut self.world);
                    let now = self.world.now() + self.skew;
                    let next = (now + i64::from(wait.recheck_after)).min(wait.deadline);
                    self.world.advance((next - now).max(1));
                }
                Turn::Crashed => {}
                ended => return ended,
            }
        }
        panic!("the run did not end in a thousand wakes\n{}", self.journal.join("\n"));
    }

    /// Runs one wake, and returns a broken rule as an error.
    ///
    /// # Errors
    /// [`Broken`]: the run ends with it.
    ///
    /// # Panics
    /// The run has ended already.
    #[track_caller]
    pub fn try_wake(&mut self) -> Result<Turn, Broken> {
        assert!(!self.ended, "the run has ended\n{}", self.journal.join("\n"));
        self.request.now = self.world.now() + self.skew;
        if self.request.now >= self.request.deadline && self.request.cancelled.is_none() {
            let grace = if self.descriptor.traits.cancel { GRACE } else { 0 };
            let deadline = self.request.now + grace;
            self.request.cancelled = Some(Cancellation { cause: CancelCause::Deadline, deadline });
        }
        let turn = match &self.request.cancelled {
            Some(cancelled) if self.request.now >= cancelled.deadline => Ok(Turn::Failed(Failure {
                reason: "DeadlineExceeded".to_owned(),
                message: "the run was out of time, and did not end when it was told to".to_owned(),
                findings: Vec::new(),
            })),
            _ => self.turn(),
        };
        self.ended = !matches!(turn, Ok(Turn::Waits(_) | Turn::Crashed));
        let time = self.world.now() + self.skew - self.request.started_at;
        self.journal.push(match &turn {
            Ok(Turn::Waits(wait)) => {
                format!("+{time}s waits {} until +{}s", wait.reason, wait.deadline - self.request.started_at)
            }
            Ok(Turn::Done(_)) => format!("+{time}s done"),
            Ok(Turn::Failed(failure)) => format!("+{time}s failed {}: {}", failure.reason, failure.message),
            Ok(Turn::Crashed) => format!("+{time}s the host crashed"),
            Err(Broken(rule)) => format!("+{time}s broke a rule: {rule}"),
        });
        turn
    }

    fn turn(&mut self) -> Result<Turn, Broken> {
        let mut wake = Wake::new(self.checkpoint.clone(), self.stage_since, self.request.now)
            .inherits(self.request.inherited.is_some());
        let mut live = BTreeMap::new();
        loop {
            self.calls += 1;
            let step = (self.step)(&self.request, &wake.view()).map_err(Broken)?;
            for effect in wake.take_step(step)? {
                let next = match effect {
                    Effect::Publish(conditions, events) => {
                        self.publish(conditions, events);
                        continue;
                    }
                    Effect::WriteCheckpoint { changed, .. } => {
                        // The fence of an unchanged checkpoint is for a second host, and there is none.
                        if changed && self.write_checkpoint(&mut wake) {
                            return Ok(Turn::Crashed);
                        }
                        continue;
                    }
                    Effect::Go(next) => next,
                };
                match next {
                    Next::Read(queries) => {
                        for query in queries {
                            let answer = self.observe(query)?;
                            seen_live(&mut live, &answer);
                            wake.answered([answer]);
                        }
                    }
                    Next::Act(actions) => match self.act(&live, actions)? {
                        Some(results) => wake.acted(results),
                        None => return Ok(Turn::Crashed),
                    },
                    Next::Wait(wait) => {
                        let rules = Rules { descriptor: self.descriptor, pins: &self.pins };
                        wait.watch.iter().try_for_each(|w| rules.watch(w))?;
                        return Ok(Turn::Waits(wait));
                    }
                    Next::Done(outcome) => return Ok(Turn::Done(outcome)),
                    Next::Fail(failure) => return Ok(Turn::Failed(failure)),
                }
            }
        }
    }

    /// Stores the checkpoint of a wake, which survives a crash. Returns whether the host crashes.
    fn write_checkpoint(&mut self, wake: &mut Wake) -> bool {
        let Some((checkpoint, since)) = wake.checkpoint() else { return false };
        let trouble = (self.disturb)(&mut self.world, Moment::Checkpoint(checkpoint));
        if trouble == Trouble::CrashBefore {
            return true;
        }
        if self.checkpoint.as_ref().map(|c| &c.stage) != Some(&checkpoint.stage) {
            self.log(format_args!("stage {}", checkpoint.stage));
        }
        self.stage_since = since;
        self.checkpoint = Some(checkpoint.clone());
        wake.written();
        trouble == Trouble::CrashAfter
    }

    fn publish(&mut self, conditions: Vec<Condition>, events: Vec<Event>) {
        for condition in conditions {
            if self.conditions.get(&condition.type_) != Some(&condition) {
                let status = condition.status.map_or("Unknown", |s| if s { "True" } else { "False" });
                self.log(format_args!("condition {}={status}/{}", condition.type_, condition.reason));
                self.conditions.insert(condition.type_.clone(), condition);
            }
        }
        self.events.extend(events);
    }

    fn observe(&mut self, query: Query) -> Result<Answer, Broken> {
        let rules = Rules { descriptor: self.descriptor, pins: &self.pins };
        let reach = rules.query(&query)?;
        let sees = |object: &Json| reach.as_ref().is_none_or(|r| r.shows(object));
        let lag = match (self.disturb)(&mut self.world, Moment::Read(&query)) {
            Trouble::ReadFails(error) => return Ok(Answer { query, value: Err(error) }),
            Trouble::Stale(changes) => changes,
            _ => 0,
        };
        let mut at = |live: bool, api_version: &str, kind: &str| {
            if live || lag == 0 {
                return None;
            }
            let floor = self.oldest_reads.entry((api_version.to_owned(), kind.to_owned())).or_default();
            Some(behind(&self.world, floor, api_version, kind, lag))
        };
        let value = match &query {
            Query::Get(get) => {
                let at = at(get.live, &get.object.api_version, &get.object.kind);
                self.world.answer_get(get, at, sees)
            }
            Query::List(list) => {
                let at = at(list.live, &list.objects.api_version, &list.objects.kind);
                self.world.answer_list(list, at, sees)
            }
            Query::Log(log) => {
                self.log(format_args!("get log {}/{}", log.pod.namespace, log.pod.name));
                self.world.answer_log(log)
            }
            Query::SecretKeys(secret) => self.world.answer_keys(secret),
            Query::Pod(name) => self.pods.get(name).cloned().map(Content::Pod).ok_or(ReadError::NotFound),
        };
        Ok(Answer { query, value })
    }

    /// Carries out the actions. Returns `None` if the host crashed among them.
    fn act(
        &mut self,
        live: &BTreeMap<Key, String>,
        actions: Vec<Action>,
    ) -> Result<Option<Vec<ActionResult>>, Broken> {
        let mut results: Vec<ActionResult> = Vec::new();
        for action in actions {
            let object = self.target(&action);
            if results.last().is_some_and(|r| r.value.is_err()) {
                results.push(ActionResult { object, value: Err(WriteError::NotTried) });
                continue;
            }
            let trouble = (self.disturb)(&mut self.world, Moment::Write(&action));
            if trouble == Trouble::CrashBefore {
                return Ok(None);
            }
            let rules = Rules { descriptor: self.descriptor, pins: &self.pins };
            let current = self.world.get(&object);
            let current = current.as_deref();
            let reach = rules.action(&action, &object, current, live)?;
            if let Action::RunPod(run) = &action {
                pods_allowed(&pod_policy::check(&run.spec.template, &UNBOUNDED))?;
            }
            let hidden = match &reach {
                None => false,
                Some((verb, reach)) => {
                    let set = match &action {
                        Action::Create(create) => Some((&create.manifest, None)),
                        Action::Apply(apply) => Some((&apply.manifest, current)),
                        Action::Patch(patch) => Some((&patch.body, current)),
                        Action::Delete(_) | Action::RunPod(_) => None,
                    };
                    match set {
                        Some((set, before)) => {
                            let after = self.world.after(&action);
                            pods_allowed(&pod_policy::judge_change(
                                &object, set, before, &after, &UNBOUNDED,
                            ))?;
                            reach.allows(*verb, set, before, &after)? == Allowed::Hidden
                        }
                        None => current.is_some_and(|current| !reach.shows(current)),
                    }
                }
            };
            let value = match &trouble {
                Trouble::WriteFails(error) => Err(error.clone()),
                _ if hidden => Err(WriteError::NotFound),
                Trouble::WriteFailsAfter(error) => {
                    let _ = self.carry_out(&action, &object);
                    Err(error.clone())
                }
                _ => self.carry_out(&action, &object),
            };
            let what = match &value {
                Ok(_) => "ok".to_owned(),
                Err(WriteError::AlreadyExists(_)) => "already exists".to_owned(),
                Err(e) => format!("{e:?}"),
            };
            self.log(format_args!("{} {}: {what}", verb(&action), named(&object)));
            if trouble == Trouble::CrashAfter {
                return Ok(None);
            }
            results.push(ActionResult { object, value });
        }
        Ok(Some(results))
    }

    fn carry_out(&mut self, action: &Action, object: &ObjectRef) -> Result<Option<Json>, WriteError> {
        let manager = self.manager();
        let before = self.world.revision();
        let value = match action {
            Action::Create(create) => self.world.do_create(create, &self.request.run_uid, &manager),
            Action::Apply(apply) => self.world.do_apply(apply, &manager),
            Action::Patch(patch) => self.world.do_patch(patch, &manager),
            Action::Delete(delete) => self.world.do_delete(delete),
            Action::RunPod(run) => {
                self.pods.entry(run.name.clone()).or_insert(None);
                Ok(None)
            }
        };
        if value.is_ok() && self.world.revision() != before {
            let kind = (object.api_version.clone(), object.kind.clone());
            self.oldest_reads.insert(kind, self.world.revision());
        }
        value
    }

    fn manager(&self) -> String {
        format!("backstay-{}", self.descriptor.name)
    }

    fn target(&self, action: &Action) -> ObjectRef {
        match action {
            Action::Create(create) => fixture::reference("manifest", &create.manifest),
            Action::Apply(apply) => fixture::reference("manifest", &apply.manifest),
            Action::Patch(patch) => patch.object.clone(),
            Action::Delete(delete) => delete.object.clone(),
            Action::RunPod(run) => ObjectRef {
                api_version: "batch/v1".to_owned(),
                kind: "Job".to_owned(),
                namespace: self.request.run.namespace.clone(),
                name: format!("{}-{}", self.request.run.name, run.name),
            },
        }
    }

    fn log(&mut self, line: std::fmt::Arguments<'_>) {
        let time = self.world.now() + self.skew - self.request.started_at;
        self.journal.push(format!("+{time}s {line}"));
    }

    /// Returns the stored checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Returns the conditions of the run, by type.
    #[must_use]
    pub fn conditions(&self) -> &BTreeMap<String, Condition> {
        &self.conditions
    }

    /// Returns the Events of the run, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the journal, one line each for actions, stages, conditions, waits and log reads.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// Returns the number of calls of `step`.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Returns the checkpoint that the run leaves to the next one on its target: that of a run that did not end by
    /// `done`, in a stage that keeps it.
    #[must_use]
    pub fn left(&self) -> Option<Inherited> {
        let checkpoint = self.checkpoint.clone()?;
        let stage =
            |s: &&backstay_core::contract::Stage| s.mode == self.request.mode && s.name == checkpoint.stage;
        self.descriptor.stages.iter().find(stage).filter(|s| s.keeps_checkpoint)?;
        Some(Inherited {
            run_uid: self.request.run_uid.clone(),
            backup_uid: self.request.backup.as_ref().map(|b| b.uid.clone()).unwrap_or_default(),
            component_version: self.descriptor.version.clone(),
            checkpoint,
        })
    }

    /// Returns the Backup that the host makes of `outcome`, for the request of a restore or cleanup.
    #[must_use]
    pub fn backup(&self, outcome: &Outcome) -> Backup {
        let request = &self.request;
        let group = request.application.api_version.split_once('/').map_or("", |(group, _)| group);
        let prefix = format!("{}.{}", request.strategy_kind.kind.to_lowercase(), request.strategy_kind.group);
        let mut metadata = outcome.metadata.clone();
        let parameters = request.parameters.iter();
        metadata.extend(parameters.map(|(key, value)| (format!("{prefix}/parameter/{key}"), value.clone())));
        Backup {
            name: request.run.name.clone(),
            uid: format!("uid-of-{}", request.run.name),
            run_uid: Some(request.run_uid.clone()),
            component_version: Some(self.descriptor.version.clone()),
            application: GroupKind { group: group.to_owned(), kind: request.application.kind.clone() },
            application_name: request.application.name.clone(),
            taken_at: outcome.taken_at.unwrap_or_else(|| self.world.now()),
            metadata,
            artifact: outcome.artifact.clone(),
            underlying_resources: outcome.underlying_resources.clone(),
            private_data: outcome.private_data.clone(),
        }
    }
}

impl std::fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drive").field("checkpoint", &self.checkpoint).field("journal", &self.journal).finish()
    }
}

/// Returns the revision of a cache that is `lag` changes behind. It never decreases.
fn behind(world: &World, floor: &mut u64, api_version: &str, kind: &str, lag: u32) -> u64 {
    let mut revision = world.revision() + 1;
    for _ in 0..=lag {
        match world.before(revision, api_version, kind) {
            Some(earlier) if earlier >= *floor => revision = earlier,
            _ => break,
        }
    }
    *floor = (*floor).max(revision.min(world.revision()));
    revision
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create(create) if create.dry_run => "dry-run create",
        Action::Create(_) => "create",
        Action::Apply(_) => "apply",
        Action::Patch(_) => "patch",
        Action::Delete(_) => "delete",
        Action::RunPod(_) => "run pod",
    }
}
