//! The steps of a resource strategy: their view of the cluster, and their decisions.
//!
//! [`View::get`] and similar methods read like calls. Without an answer they return a [`Stop`], which `?` passes to
//! the host; the host reads, and calls `step` again with the answer.

mod action;
mod look;
mod object;
mod query;

pub use crate::checkpoint::Checkpoint;
pub use action::{Action, ActionResult, Apply, Create, Delete, Patch, Propagation, RunPod, WriteError};
pub use look::{Found, Look};
pub use object::Object;
pub use query::{Answer, Content, GetQuery, ListQuery, LogQuery, ObjectList, Query, ReadError, Selection};

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::object::{Condition, Event, NamespacedName, ObjectRef};
use crate::pod::PodResult;
use crate::request::Outcome;

/// The view of a step: the state of the run, and the answers of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// `None` in the first call.
    pub checkpoint: Option<Checkpoint>,
    /// When the run entered its stage.
    pub stage_since: i64,
    /// The answers in this wake since the last act.
    pub answers: Vec<Answer>,
    /// The results of the last act, in order. Empty after a restart of the host.
    pub results: Vec<ActionResult>,
}

impl View {
    /// Returns the stage of the checkpoint, `""` in the first call.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.checkpoint.as_ref().map_or("", |c| &c.stage)
    }

    /// Returns the answer to `query`.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn ask(&self, query: Query) -> Result<&Result<Content, ReadError>, Stop> {
        match self.answers.iter().find(|a| a.query == query) {
            Some(answer) => Ok(&answer.value),
            None => Err(Stop::Ask(vec![query])),
        }
    }

    /// Returns the object from the host's cache, or the reason why there is none.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn get(&self, object: &ObjectRef) -> Result<Result<&Value, &ReadError>, Stop> {
        self.get_with(GetQuery { object: object.clone(), live: false, fields: Vec::new() })
    }

    /// Returns the object as the API server has it now, or the reason why there is none. A purge requires such a read.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn get_live(&self, object: &ObjectRef) -> Result<Result<&Value, &ReadError>, Stop> {
        self.get_with(GetQuery { object: object.clone(), live: true, fields: Vec::new() })
    }

    /// Returns the object of `query`.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn get_with(&self, query: GetQuery) -> Result<Result<&Value, &ReadError>, Stop> {
        match self.ask(Query::Get(query))? {
            Ok(Content::Object(object)) => Ok(Ok(object.value())),
            Ok(other) => Err(Stop::mismatch("get", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// Returns the objects of `query`.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn list(&self, query: ListQuery) -> Result<Result<&ObjectList, &ReadError>, Stop> {
        match self.ask(Query::List(query))? {
            Ok(Content::Objects(objects)) => Ok(Ok(objects)),
            Ok(other) => Err(Stop::mismatch("list", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// Returns the tail of a log.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn log(&self, query: LogQuery) -> Result<Result<&str, &ReadError>, Stop> {
        match self.ask(Query::Log(query))? {
            Ok(Content::Log(text)) => Ok(Ok(text)),
            Ok(other) => Err(Stop::mismatch("log", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// Returns the names of the data keys of a Secret.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn secret_keys(&self, secret: NamespacedName) -> Result<Result<&[String], &ReadError>, Stop> {
        match self.ask(Query::SecretKeys(secret))? {
            Ok(Content::SecretKeys(keys)) => Ok(Ok(keys)),
            Ok(other) => Err(Stop::mismatch("secret-keys", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// Returns the result of a pod run of this run; `None` while it runs.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked in this wake.
    pub fn pod(&self, name: &str) -> Result<Result<Option<&PodResult>, &ReadError>, Stop> {
        match self.ask(Query::Pod(name.to_owned()))? {
            Ok(Content::Pod(result)) => Ok(Ok(result.as_ref())),
            Ok(other) => Err(Stop::mismatch("pod", other)),
            Err(e) => Ok(Err(e)),
        }
    }
}

/// The early end of a step; `?` converts a [`Failure`] or a [`Wait`].
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Read these, and call `step` again at once.
    Ask(Vec<Query>),
    /// Wait for an obstacle to pass, and call `step` again later.
    Wait(Wait),
    /// Fail the run.
    Fail(Failure),
}

impl Stop {
    fn mismatch(asked: &str, got: &Content) -> Self {
        Self::Fail(Failure::new("HostBrokeContract", format!("the answer to {asked} is a {}", got.name())))
    }
}

impl From<Wait> for Stop {
    fn from(wait: Wait) -> Self {
        Self::Wait(wait)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

/// The answer of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The new checkpoint; `None` keeps the old one.
    pub checkpoint: Option<Checkpoint>,
    /// Conditions of the run, at most 16.
    pub conditions: Vec<Condition>,
    /// Events on the run, at most 16.
    pub events: Vec<Event>,
    /// The next thing to do.
    pub decision: Decision,
}

impl Step {
    /// A step with this decision only.
    #[must_use]
    pub fn new(decision: Decision) -> Self {
        Self { checkpoint: None, conditions: Vec::new(), events: Vec::new(), decision }
    }

    /// Do these actions in order, and call `step` again at once.
    #[must_use]
    pub fn act(actions: Vec<Action>) -> Self {
        Self::new(Decision::Act(actions))
    }

    /// Call `step` again later.
    #[must_use]
    pub fn wait(wait: Wait) -> Self {
        Self::new(Decision::Wait(wait))
    }

    /// End the run successfully, with an outcome exactly in mode backup.
    #[must_use]
    pub fn done(outcome: Option<Outcome>) -> Self {
        Self::new(Decision::Done(outcome))
    }

    /// Adds a checkpoint with `data`. The host writes it before it carries out the decision.
    ///
    /// # Panics
    /// `data` has no JSON form (a map whose keys are no strings).
    #[must_use]
    pub fn remember<T: Serialize>(mut self, stage: &str, data: &T) -> Self {
        let data = serde_json::to_value(data).expect("a checkpoint's data is a JSON value");
        self.checkpoint = Some(Checkpoint { stage: stage.to_owned(), data });
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn with_condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Adds an Event.
    #[must_use]
    pub fn with_event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

impl From<Stop> for Step {
    fn from(stop: Stop) -> Self {
        Self::new(match stop {
            Stop::Ask(queries) => Decision::Observe(queries),
            Stop::Wait(wait) => Decision::Wait(wait),
            Stop::Fail(failure) => Decision::Fail(failure),
        })
    }
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read, and call `step` again at once; at most 8 times in a row.
    Observe(Vec<Query>),
    /// Do these actions in order until one fails, and call `step` again at once; at most 16 times in a wake.
    Act(Vec<Action>),
    /// Call `step` again later.
    Wait(Wait),
    /// End the run successfully, with an outcome exactly in mode backup.
    Done(Option<Outcome>),
    /// Fail the run.
    Fail(Failure),
}

/// The condition for the next call of `step`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Reason of `Ready=False`.
    pub reason: String,
    /// Message of `Ready=False`.
    pub message: String,
    /// Call `step` when one of these changes, at most 16.
    pub watch: Vec<Watch>,
    /// Call `step` after this many seconds at the latest, 1 or more.
    pub recheck_after: u32,
    /// A time later than now, after which the strategy decides differently.
    pub deadline: i64,
}

/// An object or objects to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// An object.
    Object(ObjectRef),
    /// A selection.
    Objects(Selection),
    /// A pod run, by name.
    Pod(String),
}
