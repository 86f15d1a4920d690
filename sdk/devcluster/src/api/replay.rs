//! What another API server did, again: its state is told, and each request is asked at the revision at which it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::body::Body;
use super::definitions;
use super::meta;
use super::request::Request;
use super::service::{ApiServer, Credentials, Options};
use super::state::State;
use super::store::{Family, Key, Stored};
use crate::access::User;

/// A server for replaying what another one was asked. It begins empty, and nothing happens in it by itself:
/// objects come as the other server had them, with its resource versions, and what a request does is taken back once it is known.
///
/// It is for one task: between a request and its undoing nobody else may use it.
#[derive(Clone, Debug)]
pub struct Replay {
    server: ApiServer,
    now: Arc<AtomicI64>,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The revision that it made.
    pub revision: u64,
    /// The group of the object's kind.
    pub group: String,
    /// The plural of the object's kind.
    pub plural: String,
    /// The namespace of the object, or empty.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The object after it; none if it is gone.
    pub object: Option<Arc<Value>>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Asked {
    /// The answer. A watch goes on as long as its body is read.
    pub response: Response<Body>,
    /// What the request changed, and has been taken back.
    pub changes: Vec<Change>,
}

impl Replay {
    /// Returns a server without any object, at this revision. Who sends no token is the administrator.
    #[must_use]
    pub fn new(revision: u64, seed: u64) -> Self {
        let now = Arc::new(AtomicI64::new(0));
        let shown = Arc::clone(&now);
        let clock = move || Timestamp::from_microsecond(shown.load(Ordering::Relaxed)).unwrap_or_default();
        let mut state = State::empty(seed, usize::MAX);
        state.store.begin_at(revision);
        let options =
            Options { clock: Box::new(clock), credentials: Credentials::default(), ..Options::default() };
        Self { server: ApiServer::holding(state, options), now }
    }

    /// Sets the clock.
    pub fn set_clock(&self, time: Timestamp) {
        self.now.store(time.as_microsecond(), Ordering::Relaxed);
    }

    /// Knows a bearer token of this user; with `account`, of the ServiceAccount of that namespace and name, while it is there.
    pub fn know(&self, token: &str, user: User, account: Option<(&str, &str)>) {
        let tokens = &mut self.server.state().tokens;
        match account {
            Some((namespace, name)) => tokens.add_account(token, user, namespace, name),
            None => tokens.add(token, user),
        }
    }

    /// Puts an object that was there at the beginning, as it was. Definitions come before their objects.
    pub fn seed(&self, group: &str, plural: &str, object: Value) {
        let (family, key) = place(group, plural, &object);
        let mut state = self.server.state();
        if family == definitions::family() {
            definitions::recorded(&mut state, &key.1, Some(&object));
        }
        let stored = stored(object);
        state.store.seed(&family, key, stored);
    }

    /// Goes on to a revision at which nothing changes that is known.
    pub fn reach(&self, revision: u64) {
        self.server.state().store.reach(revision);
    }

    /// Makes a change of the other server: the object as it was after it, or, if it is `gone`, as it was last.
    pub fn change(&self, group: &str, plural: &str, revision: u64, object: Value, gone: bool) {
        let (family, key) = place(group, plural, &object);
        let mut state = self.server.state();
        if family == definitions::family() {
            definitions::recorded(&mut state, &key.1, (!gone).then_some(&object));
        }
        let after = (!gone).then(|| stored(object));
        state.store.place(&family, key, revision, after);
        drop(state);
        self.server.wake(None);
    }

    /// Asks, and takes back what that changes.
    #[must_use]
    pub fn ask(&self, request: http::Request<Bytes>) -> Asked {
        let (parts, body) = request.into_parts();
        let request = Request::new(&parts, body);
        let (revision, offers) = {
            let state = self.server.state();
            (state.store.revision(), state.offers())
        };
        let answer = self.server.answer(&request, false).or_else(|_| self.server.answer(&request, true));
        let response = answer.unwrap_or_else(|_| Response::new(Body::whole("")));
        let mut state = self.server.state();
        let undone = state.store.undo(revision);
        if !undone.is_empty() {
            state.set_offers(offers);
        }
        let changes = undone.into_iter().map(|change| Change {
            revision: change.revision,
            group: change.family.0,
            plural: change.family.1,
            namespace: change.key.0,
            name: change.key.1,
            object: change.after.map(|stored| stored.value),
        });
        Asked { response, changes: changes.collect() }
    }
}

fn place(group: &str, plural: &str, object: &Value) -> (Family, Key) {
    let text = |field: &str| meta::text(object, field).to_owned();
    ((group.to_owned(), plural.to_owned()), (text("namespace"), text("name")))
}

fn stored(object: Value) -> Stored {
    // When the other server began to serve a schema is not known, so custom objects are brought into form when they are read.
    Stored::new(Arc::new(object), 0)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    fn request(method: &str, path: &str, body: &Value) -> http::Request<Bytes> {
        let request = http::Request::builder().method(method).uri(path);
        request.body(Bytes::from(body.to_string())).expect("a request")
    }

    async fn answer(asked: Asked) -> (u16, Value) {
        let code = asked.response.status().as_u16();
        let body = asked.response.into_body().collect().await.expect("a body").to_bytes();
        (code, serde_json::from_slice(&body).expect("JSON"))
    }

    fn with_namespace() -> Replay {
        let replay = Replay::new(500, 1);
        let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "a",
            "resourceVersion": "300", "uid": "of-another-server"}, "status": {"phase": "Active"}});
        replay.seed("", "namespaces", namespace);
        replay
    }

    #[tokio::test]
    async fn a_request_is_answered_with_the_next_revision_and_leaves_nothing() {
        let replay = with_namespace();
        replay.reach(611);
        let path = "/api/v1/namespaces/a/configmaps";
        let asked = replay.ask(request("POST", path, &json!({"metadata": {"name": "b"}})));
        let [change] = asked.changes.as_slice() else { panic!("one change: {:?}", asked.changes) };
        assert_eq!((change.revision, change.plural.as_str(), change.name.as_str()), (612, "configmaps", "b"));
        assert_eq!(answer(asked).await.1["metadata"]["resourceVersion"], "612");
        let (code, _) = answer(replay.ask(request("GET", &format!("{path}/b"), &Value::Null))).await;
        assert_eq!(code, 404);
    }

    #[tokio::test]
    async fn changes_of_the_other_server_are_there_as_they_were() {
        let replay = with_namespace();
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "b", "namespace": "a",
            "uid": "of-another-server", "resourceVersion": "700"}});
        replay.change("", "configmaps", 700, object.clone(), false);
        let path = "/api/v1/namespaces/a/configmaps/b";
        assert_eq!(answer(replay.ask(request("GET", path, &Value::Null))).await, (200, object.clone()));
        replay.change("", "configmaps", 701, object, true);
        assert_eq!(answer(replay.ask(request("GET", path, &Value::Null))).await.0, 404);
    }

    #[tokio::test]
    async fn a_watch_goes_on_over_what_comes_and_not_over_what_is_undone() {
        let replay = with_namespace();
        let path = "/api/v1/namespaces/a/configmaps";
        let watch =
            replay.ask(request("GET", &format!("{path}?watch=true&resourceVersion=500"), &Value::Null));
        let mut watch = watch.response.into_body();
        let _ = replay.ask(request("POST", path, &json!({"metadata": {"name": "b"}})));
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "a",
            "resourceVersion": "501"}});
        replay.change("", "configmaps", 501, object.clone(), false);
        let line = watch.frame().await.expect("an event").expect("a frame").into_data().expect("data");
        let event: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(event, json!({"type": "ADDED", "object": object}));
    }
}
