//! The memory of the controller is bounded, whatever tenants write (docs/limits.md): the program against a stand-in of the API
//! server that shows the worst of each kind.
//!
//! `BACKSTAY_MEMORY_OBJECTS` is how many of each kind there are.

#![allow(clippy::print_stdout, reason = "prints the memory")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;

/// The documented bound with all of them there, and the size of the largest objects.
const BOUND: u64 = 300 << 20;
const LARGE: usize = 1_400_000;
/// The part of an idle process's memory that it may have beside that once the objects are gone, for one part.
const LEFT: u64 = 5;
const DEADLINE: Duration = Duration::from_secs(300);
/// The resource version of the deletion of the first object.
const DELETED: usize = 1_000_000;

/// The objects of a kind: the text before the name, and behind it.
struct Kind {
    path: &'static str,
    head: &'static str,
    tails: Vec<Bytes>,
    count: usize,
}

struct Server {
    kinds: Vec<Kind>,
    gone: watch::Receiver<bool>,
    /// Objects of lists that were sent.
    listed: AtomicUsize,
}

fn filled(before: &str, unit: &str, after: &str, bytes: usize) -> Bytes {
    let mut text = String::with_capacity(bytes + 200);
    text.push_str(before);
    while text.len() + after.len() + unit.len() < bytes {
        text.push_str(unit);
    }
    text.push_str(after);
    text.into()
}

/// The spec of a RestoreJob with very many levels.
fn nested() -> Bytes {
    let (open, close) = ("[".repeat(LARGE / 2), "]".repeat(LARGE / 2));
    Bytes::from(format!(r#"}},"spec":{{"backupRef":{{"name":"b"}},"options":{open}{close}}}}}"#))
}

fn labels() -> String {
    let mut labels = String::from(r#""labels":{"backstay.dev/run-uid":"u""#);
    for n in 0..40_000 {
        let _ = write!(labels, r#","x.cozystack.io/{n}":"0123456789""#);
    }
    labels + "}"
}

/// The worst of each kind that a tenant may write.
fn kinds(count: usize) -> Vec<Kind> {
    const GROUP: &str = "/apis/backups.cozystack.io/v1alpha1";
    let of = |path, head, tails: Vec<Bytes>, count| Kind { path, head, tails, count };
    let reference = |name: &str| {
        filled(
            &format!(r#"}},"spec":{{"backupClassName":"c","applicationRef":{{"kind":"K","name":"{name}"#),
            "x",
            r#""}}}"#,
            LARGE,
        )
    };
    let options =
        |bytes| filled(r#"},"spec":{"backupRef":{"name":"b"},"options":["#, r#"{"":0},"#, r#"0]}}"#, bytes);
    let marks = |rest: &str| Bytes::from(format!(",{}}}{rest}", labels()));
    vec![
        of(
            concat_path(GROUP, "backupjobs"),
            "",
            vec![
                reference(""),
                marks(r#","spec":{"backupClassName":"c","applicationRef":{"kind":"K","name":"n"}}}"#),
            ],
            count,
        ),
        of(concat_path(GROUP, "restorejobs"), "", vec![options(LARGE), options(65_000), nested()], count),
        of(
            concat_path(GROUP, "plans"),
            "",
            vec![filled(
                r#"},"spec":{"backupClassName":"c","applicationRef":{"kind":"K","name":"n"},"schedule":{"cron":""#,
                "* ",
                r#""}}}"#,
                LARGE,
            )],
            count,
        ),
        of(
            concat_path(GROUP, "backups"),
            "",
            vec![filled(r#"},"spec":{"driverMetadata":{"#, r#""a":"","#, r#""a":""}}}"#, LARGE), marks("}")],
            count,
        ),
        of(
            "/apis/batch/v1/jobs",
            "",
            vec![filled(
                r#","labels":{"backstay.dev/run-uid":"u"},"annotations":{"backstay.dev/pod-run":""#,
                "x",
                r#""}},"spec":{}}"#,
                256 << 10,
            )],
            count,
        ),
        of(
            "/api/v1/pods",
            "",
            vec![filled(
                r#","labels":{"backstay.dev/run-uid":"u"},"annotations":{"x.cozystack.io/a":""#,
                "x",
                r#""}},"status":{"phase":"Pending"}}"#,
                256 << 10,
            )],
            4 * count,
        ),
        of(concat_path(GROUP, "backupclasses"), "", Vec::new(), 0),
    ]
}

fn concat_path(group: &str, plural: &str) -> &'static str {
    // A handful of texts that live as long as the test.
    Box::leak(format!("{group}/{plural}").into_boxed_str())
}

impl Kind {
    /// The texts of an object.
    fn object(&self, number: usize, version: usize) -> [Bytes; 2] {
        let head = format!(
            r#"{{"metadata":{{"name":"o{number:05}","namespace":"n","uid":"{}{number}","resourceVersion":"{version}""#,
            self.path
        );
        [Bytes::from(head + self.head), self.tails[number % self.tails.len()].clone()]
    }
}

type Chunk = Result<Bytes, std::io::Error>;

fn streamed(chunks: impl futures::Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(chunks.map(Chunk::Ok));
    ([("content-type", "application/json")], body).into_response()
}

fn list(server: Arc<Server>, kind: usize, query: &HashMap<String, String>) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (from, limit) = (number("continue").unwrap_or(0), number("limit").unwrap_or(usize::MAX));
    let count = server.kinds[kind].count;
    let to = from.saturating_add(limit).min(count);
    let more = if to < count { format!(r#","continue":"{to}""#) } else { String::new() };
    let begin =
        format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"9"{more}}},"items":["#);
    let objects = stream::iter(from..to).flat_map(move |n| {
        server.listed.fetch_add(1, Ordering::Relaxed);
        let comma = Bytes::from_static(if n > from { b"," } else { b"" });
        let [head, tail] = server.kinds[kind].object(n, n);
        stream::iter([comma, head, tail])
    });
    streamed(
        stream::iter([Bytes::from(begin)]).chain(objects).chain(stream::iter([Bytes::from_static(b"]}")])),
    )
}

/// Shows nothing, and then that every object was deleted that was not at `version`.
fn watched(server: Arc<Server>, kind: usize, version: usize) -> Response {
    let mut gone = server.gone.clone();
    let from = (version + 1).saturating_sub(DELETED);
    let deleted = stream::once(async move {
        let _ = gone.wait_for(|gone| *gone).await;
        stream::iter(from..server.kinds[kind].count).flat_map(move |n| {
            let [head, tail] = server.kinds[kind].object(n, DELETED + n);
            stream::iter([
                Bytes::from_static(br#"{"type":"DELETED","object":"#),
                head,
                tail,
                Bytes::from_static(b"}\n"),
            ])
        })
    });
    streamed(deleted.flatten().chain(stream::pending()))
}

fn failure(code: StatusCode) -> Response {
    let status = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","code":{}}}"#,
        code.as_u16()
    );
    (code, status).into_response()
}

async fn answer(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let query: HashMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let path = request.uri().path();
    let kind = server.kinds.iter().position(|kind| kind.path == path);
    match (request.method(), kind) {
        (&Method::GET, Some(kind)) if query.contains_key("watch") => {
            let version = query.get("resourceVersion").and_then(|text| text.parse().ok());
            watched(server, kind, version.unwrap_or(0))
        }
        (&Method::GET, Some(kind)) => list(server, kind, &query),
        (&Method::PATCH, _) => r#"{"metadata":{"name":"o","resourceVersion":"100000"}}"#.into_response(),
        _ => failure(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// The program, which is killed in the end.
struct Program {
    child: Child,
    port: u16,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(name: &str, api_server: u16) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(folder.join("components")).expect("a folder");
        let config = format!(
            r#"{{apiVersion: v1, kind: Config, clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{api_server}"}}}}],
            contexts: [{{name: c, context: {{cluster: c, user: c}}}}], users: [{{name: c, user: {{}}}}], current-context: c}}"#
        );
        std::fs::write(folder.join("kubeconfig"), config).expect("it can be written");
        let port = StdListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let child = Command::new(env!("CARGO_BIN_EXE_backstay"))
            .args(["run", "--log", "off", "--components"])
            .arg(folder.join("components"))
            .args(["--http-bind", &format!("127.0.0.1:{port}")])
            .env("KUBECONFIG", folder.join("kubeconfig"))
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program starts");
        Self { child, port }
    }

    async fn is_ready(&self) -> bool {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let Ok(mut connection) = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let mut text = String::new();
        connection.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.is_ok()
            && connection.read_to_string(&mut text).await.is_ok()
            && text.starts_with("HTTP/1.1 200")
    }

    /// Returns a figure of `/proc/PID/status` in bytes.
    fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(figure)).expect("there is such a line");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the program on so many objects of each kind. Returns its memory when it is ready, the most that it had, and its
/// memory once the objects are gone.
async fn measured(count: usize) -> (u64, u64, u64) {
    let (all_gone, gone) = watch::channel(false);
    let server = Arc::new(Server { kinds: kinds(count), gone, listed: AtomicUsize::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new().fallback(answer).with_state(server.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let program = Program::start(&format!("memory-{count}"), port);
    until("the program is ready", async || program.is_ready().await).await;
    let total: usize = server.kinds.iter().map(|kind| kind.count).sum();
    // Backups are listed once more at the start, to settle their finalizers.
    let listed = server.listed.load(Ordering::Relaxed);
    assert!((total..=total + count).contains(&listed), "each object was listed once: {listed} of {total}");
    let ready = program.memory("VmRSS");
    let idle = IDLE.load(Ordering::Relaxed) as u64;
    let _ = all_gone.send(true);
    if count > 0 {
        let enough = idle + idle / LEFT;
        let (begun, patience) = (Instant::now(), Duration::from_secs(60 + count as u64 / 5));
        until("the memory is free again", async || {
            program.memory("VmRSS") <= enough || begun.elapsed() > patience
        })
        .await;
    }
    serving.abort();
    (ready, program.memory("VmHWM"), program.memory("VmRSS"))
}

/// The memory of the idle program.
static IDLE: AtomicUsize = AtomicUsize::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_memory_is_bounded_whatever_tenants_write() {
    let count = std::env::var("BACKSTAY_MEMORY_OBJECTS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let (idle, ..) = measured(0).await;
    IDLE.store(usize::try_from(idle).expect("it fits"), Ordering::Relaxed);
    let (ready, most, after) = measured(count).await;
    let mib = |bytes: u64| bytes >> 20;
    println!(
        "idle {} MiB, ready {} MiB, at most {} MiB, gone {} MiB",
        mib(idle),
        mib(ready),
        mib(most),
        mib(after)
    );
    assert!(most <= BOUND, "{} MiB, and {} MiB is the bound", mib(most), mib(BOUND));
    assert!(
        after <= idle + idle / LEFT,
        "{} MiB are left, and an idle program has {} MiB",
        mib(after),
        mib(idle)
    );
}
