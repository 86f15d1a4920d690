//! Steps of a resource strategy: what it sees, and what it wants next.
//!
//! [`View::get`] and its sisters read like calls: where the answer is not there yet they return a [`Stop`], and `?` hands
//! it up to the host, which reads and calls `step` again with the answer.

mod action;
mod look;
mod query;

pub use crate::checkpoint::Checkpoint;
pub use action::{Action, ActionResult, Apply, Create, Delete, Patch, Propagation, RunPod, WriteError};
pub use look::{Found, Look};
pub use query::{Answer, Content, GetQuery, ListQuery, LogQuery, ObjectList, Query, ReadError, Selection};

use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::object::{Condition, Event, NamespacedName, ObjectRef};
use crate::pod::PodResult;
use crate::request::Outcome;

/// What a strategy sees in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// None in the first call.
    pub checkpoint: Option<Checkpoint>,
    /// When the run entered its stage.
    pub stage_since: i64,
    /// All of this wake since the last act.
    pub answers: Vec<Answer>,
    /// Of the act just done, in order; empty after a restart of the host.
    pub results: Vec<ActionResult>,
}

impl View {
    /// The stage of the checkpoint, `""` in the first call.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.checkpoint.as_ref().map_or("", |c| &c.stage)
    }

    /// The answer to `query`.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn ask(&self, query: Query) -> Result<&Result<Content, ReadError>, Stop> {
        match self.answers.iter().find(|a| a.query == query) {
            Some(answer) => Ok(&answer.value),
            None => Err(Stop::Ask(vec![query])),
        }
    }

    /// The object, or why there is none, from the host's cache.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn get(&self, object: &ObjectRef) -> Result<Result<&Value, &ReadError>, Stop> {
        self.get_with(GetQuery { object: object.clone(), live: false, fields: Vec::new() })
    }

    /// The same, read from the API server now: needed for what leads to a purge.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn get_live(&self, object: &ObjectRef) -> Result<Result<&Value, &ReadError>, Stop> {
        self.get_with(GetQuery { object: object.clone(), live: true, fields: Vec::new() })
    }

    /// The object that `query` asks for.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn get_with(&self, query: GetQuery) -> Result<Result<&Value, &ReadError>, Stop> {
        match self.ask(Query::Get(query))? {
            Ok(Content::Object(object)) => Ok(Ok(object)),
            Ok(other) => Err(Stop::mismatch("get", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// The objects that `query` asks for.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn list(&self, query: ListQuery) -> Result<Result<&ObjectList, &ReadError>, Stop> {
        match self.ask(Query::List(query))? {
            Ok(Content::Objects(objects)) => Ok(Ok(objects)),
            Ok(other) => Err(Stop::mismatch("list", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// The tail of a log that `query` asks for.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn log(&self, query: LogQuery) -> Result<Result<&str, &ReadError>, Stop> {
        match self.ask(Query::Log(query))? {
            Ok(Content::Log(text)) => Ok(Ok(text)),
            Ok(other) => Err(Stop::mismatch("log", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// The names of the data keys of a Secret.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn secret_keys(&self, secret: NamespacedName) -> Result<Result<&[String], &ReadError>, Stop> {
        match self.ask(Query::SecretKeys(secret))? {
            Ok(Content::SecretKeys(keys)) => Ok(Ok(keys)),
            Ok(other) => Err(Stop::mismatch("secret-keys", other)),
            Err(e) => Ok(Err(e)),
        }
    }

    /// The result of a pod run of this run; none while it runs.
    ///
    /// # Errors
    /// [`Stop::Ask`] where it has not been asked in this wake.
    pub fn pod(&self, name: &str) -> Result<Result<Option<&PodResult>, &ReadError>, Stop> {
        match self.ask(Query::Pod(name.to_owned()))? {
            Ok(Content::Pod(result)) => Ok(Ok(result.as_ref())),
            Ok(other) => Err(Stop::mismatch("pod", other)),
            Err(e) => Ok(Err(e)),
        }
    }
}

/// Why a step stops early; `?` makes one of a [`Failure`].
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Read these, and call again at once.
    Ask(Vec<Query>),
    /// Something is in the way that may pass: call again later.
    Wait(Wait),
    /// End badly.
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

/// What a step wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// None: unchanged.
    pub checkpoint: Option<Checkpoint>,
    /// For the run, at most 16.
    pub conditions: Vec<Condition>,
    /// For the run, at most 16.
    pub events: Vec<Event>,
    /// What to do next.
    pub decision: Decision,
}

impl Step {
    /// A decision, and nothing beside it.
    #[must_use]
    pub fn new(decision: Decision) -> Self {
        Self { checkpoint: None, conditions: Vec::new(), events: Vec::new(), decision }
    }

    /// Do these in order, and call again at once.
    #[must_use]
    pub fn act(actions: Vec<Action>) -> Self {
        Self::new(Decision::Act(actions))
    }

    /// Call again later.
    #[must_use]
    pub fn wait(wait: Wait) -> Self {
        Self::new(Decision::Wait(wait))
    }

    /// End well; with an outcome exactly in mode backup.
    #[must_use]
    pub fn done(outcome: Option<Outcome>) -> Self {
        Self::new(Decision::Done(outcome))
    }

    /// The same, remembering `data`, written before the decision is carried out.
    ///
    /// # Panics
    /// Where `data` has no JSON form (a map whose keys are no strings).
    #[must_use]
    pub fn remember<T: Serialize>(mut self, stage: &str, data: &T) -> Self {
        let data = serde_json::to_value(data).expect("a checkpoint's data is a JSON value");
        self.checkpoint = Some(Checkpoint { stage: stage.to_owned(), data });
        self
    }

    /// The same with a condition more.
    #[must_use]
    pub fn with_condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The same with an Event more.
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

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read, and call again at once; at most 8 in a row.
    Observe(Vec<Query>),
    /// Do these in order, stop at the first that fails, and call again at once; at most 16 in a wake.
    Act(Vec<Action>),
    /// Call again later.
    Wait(Wait),
    /// End well; with an outcome exactly in mode backup.
    Done(Option<Outcome>),
    /// End badly.
    Fail(Failure),
}

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Reason of `Ready=False`.
    pub reason: String,
    /// Message of `Ready=False`.
    pub message: String,
    /// Wake when one of these changes, at most 16.
    pub watch: Vec<Watch>,
    /// Wake after this many seconds at the latest, 1 or more.
    pub recheck_after: u32,
    /// Later than now; past it the strategy decides anew.
    pub deadline: i64,
}

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// An object.
    Object(ObjectRef),
    /// A selection.
    Objects(Selection),
    /// A pod run, by name.
    Pod(String),
}
