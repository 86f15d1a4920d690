//! A stand-in of the API server for unit tests: objects in memory, and the requests that were sent for them.
//!
//! It answers creates, reads, lists, replaces, merge patches and deletes as the API server does. Any other request fails the
//! test.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use backstay_core::steps::merge_patch;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::service_fn;

/// What goes wrong with a call.
pub(crate) enum Fault {
    /// The API server does nothing, and answers this code and reason.
    Answer(u16, &'static str),
    /// The API server carries the call out, and its answer is lost.
    AnswerLost,
    /// Another client stores an object at a path just before the call.
    Overtaken(String, Value),
}

/// A request that was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    /// Method and path; of a path in a namespace, the part behind the namespace.
    pub(crate) call: String,
    /// The body; `null` without one.
    pub(crate) body: Value,
}

/// The stand-in. It fails the test on drop if it was sent a request that it does not model.
#[derive(Default)]
pub(crate) struct StandIn(Arc<Mutex<Server>>);

#[derive(Default)]
struct Server {
    /// By the path of their requests.
    objects: BTreeMap<String, Value>,
    /// The last resource version.
    version: u64,
    sent: Vec<Sent>,
    calls: usize,
    /// By the number of the call.
    faults: BTreeMap<usize, Fault>,
    unmodelled: Vec<String>,
    /// Fields of a status that the CRD lacks.
    pruned: &'static [&'static str],
    /// The most objects that a page of a list has, whatever is asked for.
    largest_page: Option<usize>,
}

/// Code and reason of a refused call.
type Refusal = (u16, &'static str);

const NOT_FOUND: Refusal = (404, "NotFound");
const CONFLICT: Refusal = (409, "Conflict");
const UNMODELLED: Refusal = (501, "NotModelled");

impl StandIn {
    /// Returns a client of this API server.
    pub(crate) fn client(&self) -> Client {
        let server = self.0.clone();
        let answer = move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
                let (code, answer) = server.lock().call(&head, body)?;
                let answer = Body::from(serde_json::to_vec(&answer)?);
                Ok::<_, Box<dyn Error + Send + Sync>>(Response::builder().status(code).body(answer)?)
            }
        };
        Client::new(service_fn(answer), "default")
    }

    /// Stores an object at the path of its requests, as another client would. It gets a resource version, and a uid if it has
    /// none.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().store(path, object);
    }

    /// Drops these fields of each status that is written, as the API server does whose CRD lacks them.
    pub(crate) fn prune(&self, fields: &'static [&'static str]) {
        self.0.lock().pruned = fields;
    }

    /// Returns the object at a path, if there is one.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().objects.get(path).cloned()
    }

    /// Has the pages of lists hold at most so many objects.
    pub(crate) fn pages_of(&self, objects: usize) {
        self.0.lock().largest_page = Some(objects);
    }

    /// Deletes the object at a path, as another client would.
    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().objects.remove(path);
    }

    /// Returns the requests that were sent since the last call of this method.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().sent)
    }

    /// Returns [`Self::sent`] without the bodies.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.call).collect()
    }

    /// Has a call go wrong: the next one is number 0, the one after it number 1.
    pub(crate) fn fault(&self, number: usize, fault: Fault) {
        let mut server = self.0.lock();
        let number = server.calls + number;
        server.faults.insert(number, fault);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let unmodelled = &self.0.lock().unmodelled;
        if !std::thread::panicking() {
            assert!(unmodelled.is_empty(), "requests that the stand-in does not model: {unmodelled:?}");
        }
    }
}

impl Server {
    fn call(&mut self, head: &Parts, body: Value) -> Result<(u16, Value), &'static str> {
        let path = head.uri.path();
        let in_namespace = path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
        let call = format!("{} {}", head.method, in_namespace.map_or(path, |(_, rest)| rest));
        self.sent.push(Sent { call, body: body.clone() });
        self.calls += 1;
        let fault = self.faults.remove(&(self.calls - 1));
        let answer = match fault {
            Some(Fault::Answer(code, reason)) => Err((code, reason)),
            Some(Fault::AnswerLost) => {
                let _ = self.answer(head, body);
                return Err("connection reset");
            }
            Some(Fault::Overtaken(path, object)) => {
                self.store(&path, object);
                self.answer(head, body)
            }
            None => self.answer(head, body),
        };
        if answer == Err(UNMODELLED) {
            self.unmodelled.push(format!("{} {}", head.method, head.uri));
        }
        Ok(match answer {
            Ok(object) => (if head.method == Method::POST { 201 } else { 200 }, object),
            Err((code, reason)) => {
                let details = json!({"name": path.rsplit('/').next()});
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                    "reason": reason, "message": format!("answer {reason}"), "details": details});
                (code, status)
            }
        })
    }

    fn answer(&mut self, head: &Parts, body: Value) -> Result<Value, Refusal> {
        let path = head.uri.path();
        let (mut labels, mut limit, mut after) = (None, usize::MAX, String::new());
        for parameter in head.uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            match parameter.split_once('=') {
                Some(("labelSelector", selector)) if !selector.contains("%28") => {
                    labels = Some(decoded(selector));
                }
                Some(("fieldManager" | "fieldValidation", _)) => {}
                // Its CRDs declare no field.
                Some(("fieldSelector", _)) => return Err((400, "BadRequest")),
                Some(("limit", number)) => limit = number.parse().map_err(|_| UNMODELLED)?,
                Some(("continue", token)) => after = decoded(token),
                _ => return Err(UNMODELLED),
            }
        }
        if head.method == Method::GET
            && let Some(found) = self.objects.get(path)
        {
            return Ok(found.clone());
        }
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let version = if parts[0] == "api" { 2 } else { 3 };
        let place = version + if parts.get(version) == Some(&"namespaces") { 3 } else { 1 };
        match (head.method.as_str(), parts.get(place..).unwrap_or(&["", "", ""])) {
            ("GET", [_]) => Err(NOT_FOUND),
            ("GET", []) => {
                let of_metadata = head.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
                let only_metadata = of_metadata.is_some_and(|a| a.contains("PartialObjectMetadata"));
                let page = limit.min(self.largest_page.unwrap_or(usize::MAX));
                Ok(self.list(path, labels.as_deref().unwrap_or_default(), only_metadata, (&after, page)))
            }
            // A group that is not served.
            ("GET", _) if parts.len() <= version => Err(NOT_FOUND),
            ("POST", []) => self.create(path, body),
            ("PUT", [_]) => {
                let there = self.checked(path, &body["metadata"])?;
                let mut object = body;
                for kept in ["uid", "creationTimestamp"] {
                    object["metadata"][kept] = there["metadata"][kept].clone();
                }
                Ok(self.store(path, object))
            }
            ("PATCH", [_, rest @ ..]) => {
                let merge =
                    head.headers.get(CONTENT_TYPE).is_some_and(|t| t == "application/merge-patch+json");
                // A subresource is written by its own path only.
                if !merge || body.get("status").is_some() != (rest == ["status"]) || rest.len() > 1 {
                    return Err(UNMODELLED);
                }
                let path = path.strip_suffix("/status").unwrap_or(path);
                let mut object = self.checked(path, &body["metadata"])?;
                merge_patch(&mut object, &body);
                if let Some(status) = object["status"].as_object_mut() {
                    status.retain(|field, _| !self.pruned.contains(&field.as_str()));
                }
                Ok(self.store(path, object))
            }
            ("DELETE", [_]) => {
                let there = self.checked(path, &body["preconditions"])?;
                if there["metadata"]["finalizers"].is_array() {
                    let mut there = there;
                    there["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                    return Ok(self.store(path, there));
                }
                self.objects.remove(path);
                Ok(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
            }
            _ => Err(UNMODELLED),
        }
    }

    fn create(&mut self, path: &str, mut object: Value) -> Result<Value, Refusal> {
        let Some(name) = object["metadata"]["name"].as_str() else { return Err(UNMODELLED) };
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            return Err((409, "AlreadyExists"));
        }
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        Ok(self.store(&path, object))
    }

    /// Returns the object at a path if it has the uid and the resource version that are asked for.
    fn checked(&self, path: &str, preconditions: &Value) -> Result<Value, Refusal> {
        let there = self.objects.get(path).ok_or(NOT_FOUND)?;
        let differs = |field: &&str| {
            preconditions[*field].is_string() && preconditions[*field] != there["metadata"][*field]
        };
        if ["uid", "resourceVersion"].iter().any(differs) { Err(CONFLICT) } else { Ok(there.clone()) }
    }

    /// Stores an object at a new resource version, or leaves an equal one as it is.
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        let before = self.objects.get(path);
        if let Some(before) = before {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        }
        if before != Some(&object) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        if !object["metadata"]["uid"].is_string() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    /// Lists the objects behind the path `after`, at most `page`.
    fn list(
        &self,
        collection: &str,
        selector: &str,
        only_metadata: bool,
        (after, page): (&str, usize),
    ) -> Value {
        let selected = |object: &Value| {
            selector.split(',').filter(|term| !term.is_empty()).all(|term| {
                let labels = &object["metadata"]["labels"];
                term.split_once('=').map_or_else(|| labels.get(term).is_some(), |(k, v)| labels[k] == v)
            })
        };
        // Of one namespace, or of all.
        let of_all = |place: &str| {
            let (root, rest) = place.split_once("/namespaces/").unwrap_or((place, ""));
            rest.split_once('/').is_some_and(|(_, kind)| format!("{root}/{kind}") == collection)
        };
        let here =
            |path: &str| path.rsplit_once('/').is_some_and(|(place, _)| place == collection || of_all(place));
        let behind = |path: &str| path > after;
        let found =
            self.objects.iter().filter(|(path, object)| here(path) && behind(path) && selected(object));
        let shown = |object: &Value| {
            if only_metadata { json!({"metadata": object["metadata"]}) } else { object.clone() }
        };
        let mut found = found.peekable();
        let (mut items, mut next) = (Vec::new(), "");
        while let Some((path, object)) = found.next() {
            items.push(shown(object));
            if items.len() == page && found.peek().is_some() {
                next = path;
                break;
            }
        }
        json!({"kind": "List", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": self.version.to_string(), "continue": next}})
    }
}

/// Returns a parameter without its percent encoding.
fn decoded(parameter: &str) -> String {
    let mut parts = parameter.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (code, rest) = part.split_at(2);
        let character = u8::from_str_radix(code, 16).expect("a percent code");
        text + &char::from(character).to_string() + rest
    })
}

#[tokio::test]
#[should_panic(
    expected = "requests that the stand-in does not model: [\"GET /api/v1/namespaces/a/secrets?&limit=1&resourceVersion=7&resourceVersionMatch=Exact\"]"
)]
async fn a_request_that_is_not_modelled_fails_its_test() {
    let server = StandIn::default();
    let secrets = kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(server.client(), "a");
    let exactly = kube::api::VersionMatch::Exact;
    let of_version = kube::api::ListParams::default().limit(1).at("7").matching(exactly);
    let _ = secrets.list(&of_version).await;
}
