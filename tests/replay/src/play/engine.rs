//! Through a recording, revision by revision.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use devcluster::access::User;
use devcluster::api::{Asked, Body, Replay};
use futures::FutureExt as _;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::compare::differences;
use super::exchange::Exchange;
use super::names::{new_uids, renamed};
use super::recording::{Recording, text};
use super::report::Report;
use super::watches::{Open, Seen, counts};
use crate::line::{self, Answer, Who};

/// The headers of answers that are compared.
const HEADERS: [&str; 5] = ["content-type", "warning", "retry-after", "allow", "location"];
/// By how much times of the model may differ, besides the time that the real answer took: whole seconds are cut off.
const APART: i64 = 1_500_000;
/// At how many revisions a request is asked at most.
const TRIES: usize = 100;
/// The same for a write that says by its version at which revision it was done.
const TRIES_OF_WRITES: usize = 4;
/// How many revisions ago a change of a policy is recent.
const RECENT: u64 = 300;
/// The first revision after all.
const END: u64 = u64::MAX;

pub(super) struct Engine<'a> {
    recording: &'a Recording,
    report: &'a mut Report,
    replay: Replay,
    /// What is to be asked, by revision.
    queue: BTreeSet<(u64, usize)>,
    /// How often a request has been asked, and what differed least.
    tries: BTreeMap<usize, (usize, Vec<String>)>,
    open: Vec<Open>,
    tokens: BTreeMap<String, String>,
}

enum Outcome {
    Same,
    Open(Open),
    Named(String),
    Differs(Vec<String>),
}

impl<'a> Engine<'a> {
    pub(super) fn new(recording: &'a Recording, report: &'a mut Report) -> Self {
        let replay = Replay::new(recording.beginning, 0x7265_706c_6179);
        let definitions = |plural: &str| plural == "customresourcedefinitions";
        let (first, then): (Vec<_>, Vec<_>) =
            recording.state.iter().partition(|(place, _)| definitions(&place.1));
        for ((group, plural, _, _), object) in first.into_iter().chain(then) {
            replay.seed(group, plural, object.clone());
        }
        let mut engine = Self {
            recording,
            report,
            replay,
            queue: BTreeSet::new(),
            tries: BTreeMap::new(),
            open: Vec::new(),
            tokens: BTreeMap::new(),
        };
        engine.begin();
        engine
    }

    fn begin(&mut self) {
        let recording = self.recording;
        for (at, exchange) in recording.exchanges.iter().enumerate() {
            let bookmarks = exchange.events.iter().filter(|event| !counts(event)).count();
            self.report.recorded(&exchange.target.verb, bookmarks);
            if let Some(reason) = exchange.reason(recording.beginning) {
                self.report.named(reason);
            } else if let Some(first) = exchange.first().first() {
                self.queue.insert((*first, at));
            }
        }
    }

    pub(super) fn run(mut self) {
        let recording = self.recording;
        for (revision, change) in &recording.changes {
            self.ask_before(*revision);
            let object = change.object.clone();
            self.replay.change(&change.group, &change.plural, *revision, object, change.gone);
            self.look();
        }
        self.ask_before(END);
        self.look();
        for open in std::mem::take(&mut self.open) {
            let found = open.missing("the recording is over");
            self.differs(open.at, found);
        }
    }

    /// Asks what is to be asked before this change.
    fn ask_before(&mut self, next: u64) {
        while let Some((revision, at)) = self.queue.first().copied().filter(|(revision, _)| *revision < next)
        {
            self.queue.remove(&(revision, at));
            let Some(exchange) = self.recording.exchanges.get(at) else { continue };
            self.replay.reach(revision);
            match self.ask(at, exchange, revision) {
                Outcome::Same => self.report.same(&exchange.target.verb),
                Outcome::Open(open) => {
                    self.open.push(open);
                    self.look();
                }
                Outcome::Named(reason) => self.report.named(reason),
                Outcome::Differs(found) => self.again(at, exchange, (revision, next), found),
            }
        }
    }

    /// Asks at the next revision at which the answer can have been made, if there is one.
    fn again(&mut self, at: usize, exchange: &Exchange, (revision, next): (u64, u64), found: Vec<String>) {
        let tries = self.tries.entry(at).or_insert_with(|| (0, found.clone()));
        tries.0 += 1;
        if found.len() < tries.1.len() {
            tries.1 = found;
        }
        let dated =
            exchange.target.writes() && exchange.version.is_some_and(|version| version > exchange.lower);
        let most = if dated { TRIES_OF_WRITES } else { TRIES };
        let asked = tries.0;
        let first = exchange.first().into_iter().find(|first| *first > revision);
        match first.or_else(|| self.recording.next_for(&exchange.target, next, exchange.last())) {
            Some(later) if asked < most => drop(self.queue.insert((later, at))),
            _ => {
                let found = self.tries.remove(&at).map(|tries| tries.1).unwrap_or_default();
                self.differs(at, found);
            }
        }
    }

    fn differs(&mut self, at: usize, found: Vec<String>) {
        let Some(exchange) = self.recording.exchanges.get(at) else { return };
        let Exchange { request, lower, upper, .. } = exchange;
        let body = String::from_utf8_lossy(request.body.bytes()).chars().take(600).collect::<String>();
        let shown =
            format!("#{} {} {} at {lower}..{upper} {body}", request.id, request.method, request.target);
        self.report.differs(&exchange.words(), &shown, found);
    }

    /// Looks at what watches tell.
    fn look(&mut self) {
        for mut open in std::mem::take(&mut self.open) {
            match open.look() {
                Seen::Waiting => self.open.push(open),
                Seen::All => {
                    self.report.events(open.given());
                    self.report.same("watch");
                }
                Seen::Other(found) => self.differs(open.at, found),
            }
        }
    }

    fn ask(&mut self, at: usize, exchange: &Exchange, revision: u64) -> Outcome {
        let Some(answer) = &exchange.answer else { return Outcome::Named("no answer".into()) };
        if let Some(reason) = self.beyond(exchange) {
            return Outcome::Named(reason);
        }
        let middle = exchange.sent.midpoint(exchange.answered);
        self.replay.set_clock(Timestamp::from_microsecond(middle).unwrap_or_default());
        let Some(request) = self.request(exchange) else {
            return Outcome::Named("a request that is no HTTP".into());
        };
        let Asked { response, changes } = self.replay.ask(request);
        let (parts, body) = response.into_parts();
        if exchange.target.verb == "watch" && parts.status == 200 && answer.code == 200 {
            return Outcome::Open(Open::new(at, body, &exchange.events));
        }
        let apart = APART + (exchange.answered - exchange.sent);
        let got = if exchange.request.method == "HEAD" { Value::Null } else { content(body) };
        if parts.status == 501 && answer.code != 501 {
            return Outcome::Named(format!("not modelled: {}", text(&got, "/message")));
        }
        let want = recorded_content(answer);
        if let Some(reason) = self.of_policies(exchange, &want, &got) {
            return Outcome::Named(reason);
        }
        if want.get("kind").is_some_and(|kind| kind == "Table")
            && got.get("kind").is_none_or(|kind| kind != "Table")
        {
            return Outcome::Named("not modelled: tables of built-in kinds".into());
        }
        let (want, got) = (new_uids(&want, &self.recording.uids), new_uids(&got, &self.recording.uids));
        let got = renamed(&want, &got, &self.recording.uids);
        let whole =
            |code: u16, headers: Value, body: Value| json!({"code": code, "headers": headers, "body": body});
        let mut found = differences(
            &whole(answer.code, recorded_headers(answer), want),
            &whole(parts.status.as_u16(), headers(&parts.headers), got),
            apart,
        );
        found.extend(self.effects(exchange, revision, &changes, apart));
        if found.is_empty() { Outcome::Same } else { Outcome::Differs(found) }
    }

    /// Why a request cannot be compared, by the state of the cluster.
    fn beyond(&self, exchange: &Exchange) -> Option<String> {
        let version = exchange.version.filter(|version| *version > exchange.lower)?;
        let dated = exchange.done() && exchange.target.writes() && exchange.target.verb != "deletecollection";
        let unseen =
            dated && exchange.parameter("dryRun").is_none() && !self.recording.changes.contains_key(&version);
        unseen.then(|| "a write of which the recorder's watches do not tell".into())
    }

    /// Why answers differ that depend on policies of admission.
    fn of_policies(&self, exchange: &Exchange, want: &Value, got: &Value) -> Option<String> {
        let says = |answer: &Value, words: &str| text(answer, "/message").contains(words);
        if says(want, " is forbidden: violates PodSecurity ") {
            return Some("not modelled: Pod Security admission".into());
        }
        // The real server reads policies from a cache that lags.
        let denies = |answer: &Value| says(answer, "ValidatingAdmissionPolicy '");
        let recent = exchange.lower.saturating_sub(RECENT)..=exchange.upper;
        let policies = |plural: &str| plural.starts_with("validatingadmissionpolic");
        let changed = || self.recording.changes.range(recent).any(|(_, change)| policies(&change.plural));
        (denies(want) != denies(got) && changed())
            .then(|| "a policy has just changed: the real server had not seen it".into())
    }

    fn request(&mut self, exchange: &Exchange) -> Option<http::Request<Bytes>> {
        let sent = &exchange.request;
        let mut request =
            http::Request::builder().method(sent.method.as_str()).uri(without_end(&sent.target));
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        let token = self.token(&sent.who);
        request
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::copy_from_slice(sent.body.bytes()))
            .ok()
    }

    /// The token of a user in the model, who is made known to it.
    fn token(&mut self, who: &Who) -> String {
        let key = match who {
            Who::Administrator => "administrator".to_owned(),
            Who::Unknown => return "nobody's".into(),
            Who::Anonymous => "anonymous".to_owned(),
            Who::Claims(claims) => claims.to_string(),
        };
        if let Some(token) = self.tokens.get(&key) {
            return token.clone();
        }
        let token = format!("token-{}", self.tokens.len());
        match who {
            Who::Claims(claims) => {
                let (namespace, name) = account(claims);
                self.replay.know(&token, bearer(claims), Some((&namespace, &name)));
            }
            Who::Anonymous => self.replay.know(&token, User::anonymous(), None),
            _ => self.replay.know(&token, user(&self.recording.administrator), None),
        }
        self.tokens.insert(key, token.clone());
        token
    }

    /// What differs between the changes that a request made and those that are recorded.
    fn effects(
        &self,
        exchange: &Exchange,
        revision: u64,
        changes: &[devcluster::api::Change],
        apart: i64,
    ) -> Vec<String> {
        let mut found = Vec::new();
        for change in changes {
            let place =
                (change.group.clone(), change.plural.clone(), change.namespace.clone(), change.name.clone());
            let recorded = self.recording.changes.get(&change.revision).filter(|one| {
                Some(change.revision) == exchange.version && (&one.group, &one.plural) == (&place.0, &place.1)
            });
            match (recorded, &change.object) {
                (Some(recorded), Some(object)) if !recorded.gone => {
                    let got = renamed(&recorded.object, object, &self.recording.uids);
                    let differ = differences(&recorded.object, &got, apart);
                    found.extend(differ.into_iter().map(|one| format!("stored: {one}")));
                }
                (Some(_), Some(_)) => found.push("stored: recorded nothing, there is an object".into()),
                (_, None)
                    if change.name == exchange.target.name
                        && !self.recording.went(&place, revision, exchange.upper) =>
                {
                    found.push("stored: not recorded that the object went".into());
                }
                _ => {}
            }
        }
        found
    }
}

fn is_end(pair: &str) -> bool {
    pair.strip_prefix("timeoutSeconds=").is_some_and(|seconds| seconds.parse::<u32>().is_ok())
}

/// A target without the time after which a watch ends: when events are recorded is told by their order alone.
fn without_end(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_end(pair)).collect();
    format!("{path}?{}", kept.join("&"))
}

fn content(body: Body) -> Value {
    let Some(Ok(bytes)) = body.collect().now_or_never() else { return "a stream".into() };
    let bytes = bytes.to_bytes();
    if bytes.is_empty() {
        return Value::Null;
    }
    read(&bytes)
}

/// JSON, or YAML of an object, or text.
fn read(bytes: &[u8]) -> Value {
    let json = line::json(bytes);
    if !json.is_null() || bytes.trim_ascii() == b"null" {
        return json;
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let yaml: Option<Value> = serde_saphyr::from_str(&text).ok();
    yaml.filter(Value::is_object).unwrap_or_else(|| text.into())
}

fn recorded_content(answer: &Answer) -> Value {
    let bytes = answer.body.bytes();
    if bytes.is_empty() { Value::Null } else { read(bytes) }
}

fn recorded_headers(answer: &Answer) -> Value {
    let kept =
        HEADERS.into_iter().filter_map(|name| Some((name.to_owned(), json!(answer.headers.get(name)?))));
    Value::Object(kept.collect())
}

fn headers(headers: &HeaderMap) -> Value {
    let kept = HEADERS.into_iter().filter_map(|name| {
        let values: Vec<&str> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| (name.to_owned(), json!(values)))
    });
    Value::Object(kept.collect())
}

/// The user of a `userInfo`.
fn user(info: &Value) -> User {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra = info.get("extra").and_then(Value::as_object).into_iter().flatten();
    User {
        name: text(info, "/username").to_owned(),
        uid: text(info, "/uid").to_owned(),
        groups: info.get("groups").map(texts).unwrap_or_default(),
        extra: extra.map(|(key, values)| (key.clone(), texts(values))).collect(),
    }
}

/// The namespace and the name of the ServiceAccount of a token.
fn account(claims: &Value) -> (String, String) {
    let of =
        |field: &str| claims.get("kubernetes.io").map(|own| text(own, field).to_owned()).unwrap_or_default();
    (of("/namespace"), of("/serviceaccount/name"))
}

/// The user of a token of a ServiceAccount.
fn bearer(claims: &Value) -> User {
    let (namespace, name) = account(claims);
    let mut user = User::service_account(&namespace, &name);
    let own = claims.get("kubernetes.io").cloned().unwrap_or_default();
    user.uid = text(&own, "/serviceaccount/uid").to_owned();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
        }
    };
    let id = text(claims, "/jti");
    add("credential-id", &if id.is_empty() { String::new() } else { format!("JTI={id}") });
    for (key, pointer) in [
        ("pod-name", "/pod/name"),
        ("pod-uid", "/pod/uid"),
        ("node-name", "/node/name"),
        ("node-uid", "/node/uid"),
    ] {
        add(key, text(&own, pointer));
    }
    user
}
