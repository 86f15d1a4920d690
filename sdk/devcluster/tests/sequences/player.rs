//! Plays one sequence against a server.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::canon::Canon;
use super::json::{at, parse, put, remove};
use super::server::{Content, Real, Server, TOKEN};
use super::watch::Watch;

/// The random word of a run against the server of this crate.
const RUN: &str = "rkqzvwxt";
/// The headers that are kept of each answer that has them.
const HEADERS: [&str; 5] = ["content-type", "warning", "retry-after", "allow", "location"];

/// Returns the answers of a sequence by a new server of this crate, in simulated time, with placeholders.
pub(crate) fn play(document: &Value, sequence: &Value) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let server = Server::model();
        if sequence["setup"]["alone"] != true {
            server.control();
        }
        Player::new(server, format!("{RUN}-1"), RUN.to_owned()).play(document, sequence).await
    })
}

/// Returns the answers of a sequence by a real server, in its own namespace.
pub(crate) async fn play_real(real: Real, number: usize, document: &Value, sequence: &Value) -> Vec<Value> {
    let (namespace, run) = (format!("{}-{number}", real.run), real.run.clone());
    Player::new(Server::Real(real), namespace, run).play(document, sequence).await
}

struct Player {
    server: Server,
    namespace: String,
    run: String,
    names: BTreeMap<String, String>,
    watches: BTreeMap<String, Watch>,
}

type Answered = Response<Content>;

impl Player {
    fn new(server: Server, namespace: String, run: String) -> Self {
        let names = BTreeMap::from([("ns".to_owned(), namespace.clone()), ("run".to_owned(), run.clone())]);
        Self { server, namespace, run, names, watches: BTreeMap::new() }
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &Map<String, Value>,
        body: Option<Vec<u8>>,
        bare: bool,
    ) -> Answered {
        let mut sent = BTreeMap::from([
            ("user-agent".to_owned(), json!("apiserver-play/1.0")),
            ("accept".to_owned(), json!("application/json")),
        ]);
        if !bare && matches!(self.server, Server::Model(_)) {
            sent.insert("authorization".into(), format!("Bearer {TOKEN}").into());
        }
        if body.is_some() {
            sent.insert("content-type".into(), json!("application/json"));
        }
        sent.extend(headers.iter().map(|(key, value)| (key.to_lowercase(), value.clone())));
        let mut request = Request::builder().method(method).uri(target);
        for (key, value) in &sent {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values.iter().filter_map(Value::as_str) {
                request = request.header(key, value);
            }
        }
        self.server.send(request.body(body.unwrap_or_default()).expect("a request")).await
    }

    async fn plain(&self, method: &str, target: &str, body: Option<&Value>) -> u16 {
        let body = body.map(|body| body.to_string().into_bytes());
        self.send(method, target, &Map::new(), body, false).await.status().as_u16()
    }

    async fn play(mut self, document: &Value, sequence: &Value) -> Vec<Value> {
        let namespace = self.namespace.clone();
        let setup = sequence.get("setup").cloned().unwrap_or_default();
        for name in setup["crds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            // A real server has been given them.
            let code = match self.server {
                Server::Model(_) => self.plain("POST", path, Some(&document["crds"][name])).await,
                Server::Real(_) => 201,
            };
            assert_eq!(code, 201, "{name}");
        }
        if setup["namespace"] != false {
            let body = json!({"metadata": {"name": namespace}});
            assert_eq!(self.plain("POST", "/api/v1/namespaces", Some(&body)).await, 201);
        }
        if setup["serviceaccount"] == true {
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
            for _ in 0..300 {
                if self.plain("GET", &path, None).await == 200 {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        let steps = sequence["steps"].as_array().expect("steps");
        let mut raw = Vec::new();
        for step in steps {
            raw.push(self.step(step).await);
        }
        let mut canon = Canon::new(&namespace, &self.run, &sequence["strip"]);
        for (step, answer) in steps.iter().zip(&raw) {
            canon.learn_refused(&step["body"], &answer["body"]);
            canon.learn(&answer["body"], false);
            canon.learn(&answer["events"], false);
        }
        steps.iter().zip(raw).map(|(step, answer)| kept(step, &mut canon, answer)).collect()
    }

    fn fill_text(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        self.names
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill_text(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (self.fill_text(key), self.fill(value))).collect()
            }
            other => other.clone(),
        }
    }

    async fn step(&mut self, step: &Value) -> Value {
        if let Some(seconds) = step["wait"].as_f64() {
            sleep(Duration::from_secs_f64(seconds)).await;
            return json!({});
        }
        if let Some(name) = step["read"].as_str() {
            return self.watches[name].read(step).await;
        }
        let mut target = self.fill_text(step["path"].as_str().expect("a path"));
        match self.fill(&step["query"]) {
            Value::String(query) if !query.is_empty() => target = format!("{target}?{query}"),
            Value::Object(query) if !query.is_empty() => {
                let pairs = query.iter().map(|(key, value)| (key, value.as_str().expect("a text")));
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                target = format!("{target}?{query}");
            }
            _ => {}
        }
        let headers = self.fill(&step["headers"]).as_object().cloned().unwrap_or_default();
        if let Some(name) = step["watch"].as_str() {
            return self.watch(step, name, &target, &headers).await;
        }
        let body = self.body(step);
        let end = Instant::now() + Duration::from_secs(step["within"].as_u64().unwrap_or(20));
        loop {
            let begun = Instant::now();
            let method = step["method"].as_str().expect("a method");
            let response = self.send(method, &target, &headers, body.clone(), step["bare"] == true).await;
            let (parts, content) = response.into_parts();
            let content = content.collect().await.expect("a body").to_bytes();
            let content = if method == "HEAD" { Bytes::new() } else { content };
            let answer = self.answer(step, &parts, Some(content), begun.elapsed());
            if self.fulfilled(step, &answer) || Instant::now() > end {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn body(&self, step: &Value) -> Option<Vec<u8>> {
        if let Some(raw) = step["raw"].as_str() {
            return Some(self.fill_text(raw).into_bytes());
        }
        let mut body = match step["base"].as_str() {
            Some(base) => {
                let kept = self.names.get(base).and_then(|kept| serde_json::from_str(kept).ok());
                let mut body = kept.unwrap_or_else(|| json!({}));
                for (pointer, value) in step["edit"].as_object().into_iter().flatten() {
                    put(&mut body, pointer, self.fill(value));
                }
                body
            }
            None => self.fill(step.get("body")?),
        };
        if let Some(large) = step.get("large") {
            let size = usize::try_from(large["bytes"].as_u64().expect("a size")).expect("a size");
            *body.pointer_mut(large["at"].as_str().expect("a pointer")).expect("a place") =
                "x".repeat(size).into();
        }
        Some(floats(&body.to_string()).into_bytes())
    }

    fn fulfilled(&self, step: &Value, answer: &Value) -> bool {
        let until = self.fill(&step["until"]);
        until.as_object().into_iter().flatten().all(|(pointer, want)| {
            let found = at(answer.get("body"), pointer);
            match want {
                _ if pointer == "code" => &answer["code"] == want,
                Value::Bool(want) if !found.is_some_and(Value::is_boolean) => found.is_some() == *want,
                want => found.unwrap_or(&Value::Null) == want,
            }
        })
    }

    async fn watch(&mut self, step: &Value, name: &str, target: &str, headers: &Map<String, Value>) -> Value {
        let begun = Instant::now();
        let (mut parts, body) = self.send("GET", target, headers, None, false).await.into_parts();
        let code = parts.status.as_u16();
        if code != 200 {
            self.watches.insert(name.to_owned(), Watch::refused(code));
            let content = body.collect().await.expect("a body").to_bytes();
            return self.answer(step, &parts, Some(content), begun.elapsed());
        }
        self.watches.insert(name.to_owned(), Watch::of(body));
        // What HTTP/1.1 does with a body of which nobody knows the length.
        parts.headers.insert(header::TRANSFER_ENCODING, header::HeaderValue::from_static("chunked"));
        self.answer(step, &parts, None, begun.elapsed())
    }

    fn answer(
        &mut self,
        step: &Value,
        parts: &http::response::Parts,
        body: Option<Bytes>,
        took: Duration,
    ) -> Value {
        let mut answer = json!({"code": parts.status.as_u16()});
        let more = step["headers_too"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut shown = Map::new();
        for name in HEADERS.into_iter().chain(more) {
            let values: Vec<Value> = parts
                .headers
                .get_all(name)
                .iter()
                .map(|value| if name == "etag" { "$present" } else { value.to_str().expect("a text") }.into())
                .collect();
            match values.as_slice() {
                [] => {}
                [one] if name == "content-type" && one == "application/json" => {}
                [one] => drop(shown.insert(name.to_owned(), one.clone())),
                _ => drop(shown.insert(name.to_owned(), values.into())),
            }
        }
        if !shown.is_empty() {
            answer["headers"] = shown.into();
        }
        if step["clock"] == true {
            answer["seconds"] = json!(took.as_secs_f64().round() as u64);
        }
        if let Some(body) = body {
            answer["body"] = parse(&body).unwrap_or_else(|| String::from_utf8_lossy(&body).into());
        }
        if parts.status.is_success() {
            let body = answer.get("body");
            let pairs: Vec<(String, &str)> = match &step["keep"] {
                Value::String(tag) => vec![
                    (format!("rv_{tag}"), "/metadata/resourceVersion"),
                    (format!("uid_{tag}"), "/metadata/uid"),
                    (format!("obj_{tag}"), ""),
                ],
                Value::Object(all) => all
                    .iter()
                    .map(|(name, pointer)| (name.clone(), pointer.as_str().expect("a pointer")))
                    .collect(),
                _ => Vec::new(),
            };
            for (name, pointer) in pairs {
                if let Some(kept) = at(body, pointer) {
                    let kept = kept.as_str().map_or_else(|| kept.to_string(), str::to_owned);
                    self.names.insert(name, kept);
                }
            }
        }
        for (name, pointer) in step["save"].as_object().into_iter().flatten() {
            let saved = at(answer.get("body"), pointer.as_str().expect("a pointer"));
            let saved = saved.map_or_else(
                || "None".to_owned(),
                |saved| saved.as_str().map_or_else(|| saved.to_string(), str::to_owned),
            );
            self.names.insert(name.clone(), saved);
        }
        if let Some(same) = step["same"].as_object() {
            let said = same.iter().map(|(say, pair)| {
                let found = at(answer.get("body"), pair[0].as_str().expect("a pointer"));
                (say.clone(), (found == Some(&self.fill(&pair[1]))).into())
            });
            answer["same"] = said.collect::<Map<_, _>>().into();
        }
        answer
    }
}

/// JSON with the numbers that are kept as texts.
fn floats(text: &str) -> String {
    let mut parts = text.split("\"$float:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('"').unwrap_or((part, ""));
        out.push_str(number);
        out.push_str(rest);
    }
    out
}

/// An answer with its placeholders, without what the step does not ask for.
fn kept(step: &Value, canon: &mut Canon, mut answer: Value) -> Value {
    if let (true, Some(Value::Array(events))) = (step["bookmarks"] == "last", answer.get_mut("events")) {
        let mark = |event: Option<&Value>| event.is_some_and(|event| event["type"] == "BOOKMARK");
        let all = std::mem::take(events);
        let last = all.iter().enumerate().filter(|(at, event)| !(mark(Some(event)) && mark(all.get(at + 1))));
        *events = last.map(|(_, event)| event.clone()).collect();
    }
    let mut answer = canon.put(&answer, false);
    if step["no_body"] == true {
        answer.as_object_mut().expect("an answer").remove("body");
    }
    let only: Option<Vec<&str>> =
        step["only"].as_array().map(|only| only.iter().filter_map(Value::as_str).collect());
    let cut = |body: &mut Value| {
        for pointer in step["drop"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            remove(body, pointer);
        }
        if let (Some(only), true) = (&only, body.is_object()) {
            let kept = only
                .iter()
                .map(|pointer| ((*pointer).to_owned(), body.pointer(pointer).cloned().unwrap_or_default()));
            *body = kept.collect::<Map<_, _>>().into();
        }
    };
    answer.get_mut("body").into_iter().for_each(cut);
    for event in answer.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        event.get_mut("object").into_iter().for_each(cut);
    }
    answer
}
