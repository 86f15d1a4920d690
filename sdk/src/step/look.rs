//! A view with the usual answers to errors: a stage waits for what may pass, up to a deadline.
//!
//! ```
//! use backstay_sdk::step::{Found, Look, Query, Stop, View};
//! use backstay_sdk::{ObjectRef, Value};
//!
//! fn ready(view: &View, now: i64, copy: &ObjectRef, source: &ObjectRef) -> Result<bool, Stop> {
//!     let look = Look::new(view, now, now + 600);
//!     look.settled()?; // did the last actions succeed?
//!     look.all([Query::get(copy), Query::live(source)])?; // both in one round
//!     Ok(matches!(look.object(copy)?, Found::Object(_)) && matches!(look.live(source)?, Found::Object(_)))
//! }
//! ```

use serde_json::Value;

use super::{
    ActionResult, Content, GetQuery, ListQuery, ObjectList, Query, ReadError, Stop, View, Wait, Watch,
    WriteError,
};
use crate::failure::Failure;
use crate::object::{NamespacedName, ObjectRef};

/// Seconds until the next try: after a lost race, and after any other error.
const RACE_SECONDS: u32 = 2;
const BLOCKED_SECONDS: u32 = 30;

/// An object, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'a> {
    /// The object.
    Object(&'a Value),
    /// The object does not exist.
    Missing,
    /// The API server does not know the kind.
    NotServed,
}

impl<'a> Found<'a> {
    /// Returns the object, if there is one.
    #[must_use]
    pub fn object(self) -> Option<&'a Value> {
        match self {
            Self::Object(object) => Some(object),
            Self::Missing | Self::NotServed => None,
        }
    }
}

/// A [`View`] with a deadline. Until the deadline a stage waits while an object is forbidden or out of reach, with a
/// message about it; from the deadline on the run fails instead.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    view: &'a View,
    now: i64,
    deadline: i64,
    patient: bool,
}

impl<'a> Look<'a> {
    /// Looks at `view` at the time `now`.
    #[must_use]
    pub fn new(view: &'a View, now: i64, deadline: i64) -> Self {
        Self { view, now, deadline, patient: false }
    }

    /// Makes a look for a stage that must not give up early: it repeats refused writes and reads of objects that are
    /// too large until the deadline.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { patient: true, ..self }
    }

    /// Returns when waiting ends.
    #[must_use]
    pub fn deadline(&self) -> i64 {
        self.deadline
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn late(&self) -> bool {
        self.now >= self.deadline
    }

    /// Asks all queries in one round, unless they are answered. A wake has 8 rounds between two acts, so a stage asks
    /// all its questions at once.
    ///
    /// # Errors
    /// [`Stop::Ask`] with the queries that were not asked in this wake.
    pub fn all(&self, queries: impl IntoIterator<Item = Query>) -> Result<(), Stop> {
        let known = |query: &Query| {
            let written = || matches!(query, Query::Get(get) if self.written(get).is_some());
            self.view.answers.iter().any(|answer| answer.query == *query) || written()
        };
        let unasked: Vec<Query> = queries.into_iter().filter(|query| !known(query)).collect();
        if unasked.is_empty() { Ok(()) } else { Err(Stop::Ask(unasked)) }
    }

    /// Returns the object from the host's cache. An object that the last act has written is known as the API server returned it,
    /// and not asked for.
    ///
    /// # Errors
    /// [`Stop::Ask`] if it was not asked for in this wake; a wait or a failure if it cannot be read.
    pub fn object(&self, object: &ObjectRef) -> Result<Found<'a>, Stop> {
        self.get(GetQuery { object: object.clone(), live: false, fields: Vec::new() })
    }

    /// Returns the object as the API server has it now. A purge requires such a read.
    ///
    /// # Errors
    /// As [`Look::object`].
    pub fn live(&self, object: &ObjectRef) -> Result<Found<'a>, Stop> {
        self.get(GetQuery { object: object.clone(), live: true, fields: Vec::new() })
    }

    /// Returns the object of `query`.
    ///
    /// # Errors
    /// As [`Look::object`].
    pub fn get(&self, query: GetQuery) -> Result<Found<'a>, Stop> {
        let (object, written) = (query.object.clone(), self.written(&query));
        let answer = match (self.view.get_with(query), written) {
            (Err(Stop::Ask(_)), Some(written)) => return Ok(Found::Object(written)),
            (answer, _) => answer?,
        };
        match answer {
            Ok(found) => Ok(Found::Object(found)),
            Err(ReadError::NotFound) => Ok(Found::Missing),
            Err(ReadError::NotServed) => Ok(Found::NotServed),
            Err(e) => Err(self.unreadable(&named(&object.kind, &object.name), e)),
        }
    }

    /// Returns the objects of `query`; `None` if the API server does not know the kind.
    ///
    /// # Errors
    /// As [`Look::object`].
    pub fn list(&self, query: ListQuery) -> Result<Option<&'a ObjectList>, Stop> {
        let what = format!("the list of {}s {}", query.objects.kind, query.objects.labels);
        match self.view.list(query)? {
            Ok(list) => Ok(Some(list)),
            Err(ReadError::NotFound | ReadError::NotServed) => Ok(None),
            Err(e) => Err(self.unreadable(&what, e)),
        }
    }

    /// Returns the names of the data keys of a Secret; `None` if the Secret does not exist.
    ///
    /// # Errors
    /// As [`Look::object`].
    pub fn secret_keys(&self, secret: NamespacedName) -> Result<Option<&'a [String]>, Stop> {
        let what = named("Secret", &secret.name);
        match self.view.ask(Query::SecretKeys(secret))? {
            Ok(Content::SecretKeys(keys)) => Ok(Some(keys)),
            Ok(other) => Err(Stop::mismatch("secret-keys", other)),
            Err(ReadError::NotFound | ReadError::NotServed) => Ok(None),
            Err(e) => Err(self.unreadable(&what, e)),
        }
    }

    /// Checks the results of the last act. A missing object is no error here: the stage finds that out itself.
    ///
    /// # Errors
    /// A wait after a lost race, an unavailable API server or a missing grant; a failure after a refused write.
    pub fn settled(&self) -> Result<(), Stop> {
        let wrong = self.view.results.iter().find_map(|result| match &result.value {
            Ok(_) | Err(WriteError::NotFound | WriteError::NotTried) => None,
            Err(e) => Some((result, e)),
        });
        wrong.map_or(Ok(()), |(result, error)| Err(self.unwritten(result, error)))
    }

    /// Returns the object of a query that the last act has written, unless the query asks for a live read. An answer is newer.
    fn written(&self, query: &GetQuery) -> Option<&'a Value> {
        /// The host reduces what does not fit into a call to these.
        const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];
        if query.live {
            return None;
        }
        let result = self.view.results.iter().rfind(|result| result.object == query.object)?;
        let object = result.value.as_ref().ok()?.as_ref()?;
        let whole = object.as_object()?.keys().any(|key| !IDENTITY.contains(&key.as_str()));
        Some(object).filter(|_| whole)
    }

    /// Whether an action of the last act was on this object.
    #[must_use]
    pub fn has_just_written(&self, object: &ObjectRef) -> bool {
        self.view.results.iter().any(|r| r.object == *object)
    }

    /// Returns the wait with the deadline of this look, or the failure once the deadline has passed.
    #[must_use]
    pub fn wait_or(&self, wait: Wait, failure: impl FnOnce() -> Failure) -> Stop {
        if self.late() { Stop::Fail(failure()) } else { Stop::Wait(Wait { deadline: self.deadline, ..wait }) }
    }

    fn unreadable(&self, what: &str, error: &ReadError) -> Stop {
        match error {
            ReadError::Forbidden(cause) => self.blocked(
                "AccessForbidden",
                format!("{what} may not be read: {cause}; grant it to the component's service account"),
                BLOCKED_SECONDS,
                Vec::new(),
            ),
            ReadError::Unavailable(cause) => self.blocked(
                "Unavailable",
                format!("{what} cannot be read: {cause}"),
                BLOCKED_SECONDS,
                Vec::new(),
            ),
            ReadError::TooLarge => {
                let message = format!("{what} is larger than a component may read; make it smaller");
                match self.patient {
                    true => self.blocked("TooLarge", message, BLOCKED_SECONDS, Vec::new()),
                    false => Failure::new("TooLarge", message).into(),
                }
            }
            ReadError::NotFound | ReadError::NotServed => {
                Failure::new("NotFound", format!("{what} does not exist")).into()
            }
        }
    }

    fn unwritten(&self, result: &ActionResult, error: &WriteError) -> Stop {
        let what = named(&result.object.kind, &result.object.name);
        let watch = vec![Watch::Object(result.object.clone())];
        let refused = |reason: &str, message: String| match self.patient {
            true => self.blocked(reason, message, BLOCKED_SECONDS, watch.clone()),
            false => Failure::new(reason, message).into(),
        };
        match error {
            WriteError::Conflict(cause) => self.blocked(
                "Conflict",
                format!("{what} has changed since it was read, and is read again: {cause}"),
                RACE_SECONDS,
                Vec::new(),
            ),
            WriteError::Unavailable(cause) => self.blocked(
                "Unavailable",
                format!("{what} could not be written: {cause}"),
                BLOCKED_SECONDS,
                Vec::new(),
            ),
            WriteError::Forbidden(cause) => self.blocked(
                "AccessForbidden",
                format!("{what} may not be written: {cause}; grant it to the component's service account"),
                BLOCKED_SECONDS,
                Vec::new(),
            ),
            WriteError::Invalid(cause) => refused("Refused", format!("{what} was refused: {cause}")),
            WriteError::NotServed => refused(
                "KindNotServed",
                format!("{what} cannot be written: the API server does not know the kind; install its CRD"),
            ),
            WriteError::AlreadyExists(_) => {
                refused("NameTaken", format!("{what} exists and is not of this run; delete or rename it"))
            }
            WriteError::NotFound | WriteError::NotTried => {
                refused("NotFound", format!("{what} does not exist"))
            }
        }
    }

    fn blocked(&self, reason: &str, message: String, recheck_after: u32, watch: Vec<Watch>) -> Stop {
        let wait = Wait {
            reason: reason.to_owned(),
            message: message.clone(),
            watch,
            recheck_after,
            deadline: self.deadline,
        };
        self.wait_or(wait, || Failure::new(reason, message))
    }
}

fn named(kind: &str, name: &str) -> String {
    format!("{kind} {name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::step::Answer;

    fn object() -> ObjectRef {
        ObjectRef::namespaced("v1", "ConfigMap", "ns", "copy")
    }

    fn view(answer: Option<Result<Content, ReadError>>, result: Option<WriteError>) -> View {
        let answers = answer.map(|value| Answer { query: Query::get(&object()), value });
        let results = result.map(|e| ActionResult { object: object(), value: Err(e) });
        View {
            checkpoint: None,
            stage_since: 0,
            answers: answers.into_iter().collect(),
            results: results.into_iter().collect(),
        }
    }

    #[test]
    fn what_has_been_asked_is_not_asked_again() {
        let view = view(Some(Ok(Content::Object(json!({}).into()))), None);
        let look = Look::new(&view, 0, 10);
        let unasked = Query::live(&object());
        assert_eq!(look.all([Query::get(&object())]), Ok(()));
        assert_eq!(look.all([Query::get(&object()), unasked.clone()]), Err(Stop::Ask(vec![unasked])));
    }

    #[test]
    fn what_was_just_written_is_asked_for_only_live() {
        let mut view = view(None, None);
        let written =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy"}, "data": {}});
        view.results = vec![ActionResult { object: object(), value: Ok(Some(written.clone())) }];
        let look = Look::new(&view, 0, 10);
        assert_eq!(look.object(&object()), Ok(Found::Object(&written)));
        assert_eq!(look.all([Query::get(&object())]), Ok(()));
        assert_eq!(look.live(&object()), Err(Stop::Ask(vec![Query::live(&object())])));

        let newer = json!({"metadata": {"name": "copy"}, "data": {"a": "b"}});
        view.answers =
            vec![Answer { query: Query::get(&object()), value: Ok(Content::Object(newer.clone().into())) }];
        assert_eq!(Look::new(&view, 0, 10).object(&object()), Ok(Found::Object(&newer)));

        view.answers.clear();
        let identity = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy"}});
        view.results[0].value = Ok(Some(identity));
        let cut = Look::new(&view, 0, 10).object(&object());
        assert_eq!(cut, Err(Stop::Ask(vec![Query::get(&object())])), "it did not fit into the call");
    }

    #[test]
    fn what_is_not_there_is_an_answer() {
        let view = view(Some(Err(ReadError::NotFound)), None);
        assert_eq!(Look::new(&view, 0, 10).object(&object()), Ok(Found::Missing));
    }

    #[test]
    fn a_missing_grant_is_waited_for_and_named_and_ends_the_run_at_the_deadline() {
        let view = view(Some(Err(ReadError::Forbidden("no".to_owned()))), None);
        let Err(Stop::Wait(wait)) = Look::new(&view, 9, 10).object(&object()) else { panic!() };
        assert_eq!((wait.reason.as_str(), wait.deadline), ("AccessForbidden", 10));
        assert!(wait.message.contains("ConfigMap copy may not be read: no"), "{}", wait.message);
        let Err(Stop::Fail(failure)) = Look::new(&view, 10, 10).object(&object()) else { panic!() };
        assert_eq!(failure.reason, "AccessForbidden");
    }

    #[test]
    fn a_lost_race_is_looked_at_again_soon() {
        let view = view(None, Some(WriteError::Conflict("version".to_owned())));
        let Err(Stop::Wait(wait)) = Look::new(&view, 0, 10).settled() else { panic!() };
        assert_eq!((wait.reason.as_str(), wait.recheck_after), ("Conflict", RACE_SECONDS));
    }

    #[test]
    fn a_refusal_ends_the_run_unless_the_stage_is_patient() {
        let view = view(None, Some(WriteError::Invalid("schema".to_owned())));
        let Err(Stop::Fail(failure)) = Look::new(&view, 0, 10).settled() else { panic!() };
        assert_eq!(failure.reason, "Refused");
        let Err(Stop::Wait(wait)) = Look::new(&view, 0, 10).patient().settled() else { panic!() };
        assert_eq!(wait.reason, "Refused");
    }

    #[test]
    fn what_is_too_large_ends_the_run_unless_the_stage_is_patient() {
        let view = view(Some(Err(ReadError::TooLarge)), None);
        let Err(Stop::Fail(failure)) = Look::new(&view, 0, 10).object(&object()) else { panic!() };
        assert_eq!(failure.reason, "TooLarge");
        let Err(Stop::Wait(wait)) = Look::new(&view, 0, 10).patient().object(&object()) else { panic!() };
        assert_eq!((wait.reason.as_str(), wait.deadline), ("TooLarge", 10));
    }

    #[test]
    fn what_was_gone_already_and_what_was_not_tried_are_nothing_wrong() {
        for error in [WriteError::NotFound, WriteError::NotTried] {
            assert_eq!(Look::new(&view(None, Some(error)), 0, 10).settled(), Ok(()));
        }
    }
}
