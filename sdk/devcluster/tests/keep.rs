//! A cluster that outlives its process: what is read after a start is what was read before the end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use devcluster::api::{ApiServer, Options};
use devcluster::keep::{Keep, Trouble};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A folder of a test; gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("devcluster-keep-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }

    fn document(&self) -> PathBuf {
        self.0.join("store.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Options with a clock that stands still, so that two servers can be compared.
fn options() -> Options {
    let now = jiff::Timestamp::from_second(1_800_000_000).expect("a time");
    Options { clock: Box::new(move || now), seed: 7, ..Options::default() }
}

/// Opens a folder and starts a server with it.
fn start(folder: &Path) -> (Keep, ApiServer) {
    let keep = Keep::open(folder).expect("the folder");
    let server = keep.server(options()).expect("the server");
    (keep, server)
}

/// A request: the method, the path and the body.
type Ask = (&'static str, String, Value);

/// Sends a request as this type of answer; returns its code and its body as it is.
async fn sent(server: &ApiServer, (method, path, body): &Ask, accept: &str) -> (u16, String) {
    let content = match *method {
        "PATCH" => "application/merge-patch+json",
        "APPLY" => "application/apply-patch+yaml",
        _ => "application/json",
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = http::Request::builder()
        .method(if *method == "APPLY" { "PATCH" } else { method })
        .uri(path)
        .header("content-type", content)
        .header("accept", accept)
        .body(Full::new(bytes::Bytes::from(body)))
        .expect("a request");
    let answer = server.clone().oneshot(request).await.expect("an answer");
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (code, String::from_utf8_lossy(&body).into_owned())
}

async fn asked(server: &ApiServer, method: &'static str, path: &str, body: Value) -> (u16, Value) {
    let (code, text) = sent(server, &(method, path.to_owned(), body), "application/json").await;
    (code, serde_json::from_str(&text).unwrap_or_default())
}

fn get(path: impl Into<String>) -> Ask {
    ("GET", path.into(), Value::Null)
}

/// Everything that can be read: discovery, and each kind as objects, as metadata and as a table.
async fn all(server: &ApiServer) -> Vec<(String, u16, String)> {
    let mut roots = vec!["/api/v1".to_owned()];
    let (_, groups) = asked(server, "GET", "/apis", Value::Null).await;
    for group in groups["groups"].as_array().expect("groups") {
        for version in group["versions"].as_array().expect("versions") {
            roots.push(format!("/apis/{}", version["groupVersion"].as_str().expect("a version")));
        }
    }
    let mut read = Vec::new();
    let forms = [
        "application/json",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        "application/json;as=Table;g=meta.k8s.io;v=v1,application/json",
    ];
    for root in ["/apis".to_owned()].into_iter().chain(roots) {
        let (code, body) = sent(server, &get(root.clone()), "application/json").await;
        let listed: Value = serde_json::from_str(&body).expect("JSON");
        read.push((root.clone(), code, body));
        for resource in listed["resources"].as_array().into_iter().flatten() {
            let verbs = resource["verbs"].as_array().expect("verbs");
            let path = format!("{root}/{}", resource["name"].as_str().expect("a name"));
            for form in forms.into_iter().filter(|_| verbs.contains(&"list".into())) {
                let (code, body) = sent(server, &get(path.clone()), form).await;
                read.push((format!("{path} as {form}"), code, body));
            }
        }
    }
    read
}

/// Chance of a test: the same seed gives the same requests.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}

/// The definition of Widgets in one of its three forms: what is stored under one is read under another.
fn definition(form: u64) -> Value {
    let schema = |fields: Value| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "properties": fields}, "status": {"type": "object",
            "x-kubernetes-preserve-unknown-fields": true}}}})
    };
    let fields = match form {
        0 => json!({"size": {"type": "integer"}, "old": {"type": "string"}}),
        1 => {
            json!({"size": {"type": "integer", "default": 3}, "shade": {"type": "string", "default": "green"}})
        }
        _ => json!({"size": {"type": "integer"}, "ratio": {"type": "number", "default": 0.1}}),
    };
    let version = |name: &str, storage: bool, fields: Value| {
        json!({"name": name, "served": true, "storage": storage,
        "schema": schema(fields), "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.lab.example.com"},
        "spec": {"group": "lab.example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"]},
            "versions": [version("v1", form < 2, fields), version("v2", form >= 2, json!({"size": {"type": "integer"}}))]}})
}

/// A request that changes something, mostly.
fn any(chance: &mut Chance) -> Ask {
    let namespace = format!("/api/v1/namespaces/{}", chance.of(&["default", "a", "b"]));
    let widgets = format!("/apis/lab.example.com/v1/namespaces/{}/widgets", chance.of(&["default", "a"]));
    let name = chance.of(&["one", "two", "three"]);
    let metadata = match chance.below(4) {
        0 => json!({"generateName": "made-"}),
        1 => json!({"name": name, "finalizers": ["lab.example.com/hold"]}),
        _ => json!({"name": name, "labels": {"n": chance.below(3).to_string()}}),
    };
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    match chance.below(18) {
        0 => ("POST", definitions.into(), definition(0)),
        1 | 2 => (
            "APPLY",
            format!("{definitions}/widgets.lab.example.com?fieldManager=t&force=true"),
            definition(chance.below(3)),
        ),
        3 => ("POST", "/api/v1/namespaces".into(), json!({"metadata": {"name": chance.of(&["a", "b"])}})),
        4 | 5 => (
            "POST",
            format!("{namespace}/configmaps"),
            json!({"metadata": metadata, "data": {"k": "ü\u{1}"}}),
        ),
        6 => {
            ("POST", format!("{namespace}/secrets"), json!({"metadata": metadata, "stringData": {"k": "v"}}))
        }
        7 | 8 => (
            "POST",
            widgets,
            json!({"apiVersion": "lab.example.com/v1", "kind": "Widget", "metadata": metadata,
            "spec": {"size": chance.below(9), "old": "x", "ratio": 0.25}}),
        ),
        9 => (
            "PATCH",
            format!("{widgets}/{name}/status"),
            json!({"status": {"seen": chance.below(99), "f": 1.5e-7}}),
        ),
        10 => (
            "APPLY",
            format!("{widgets}/{name}?fieldManager=other&force=true"),
            json!({"apiVersion": "lab.example.com/v1", "kind": "Widget", "spec": {"size": 4}}),
        ),
        11 => (
            "POST",
            "/apis/batch/v1/namespaces/default/jobs".into(),
            json!({"metadata": {"name": name}, "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}),
        ),
        12 => (
            "POST",
            format!("{namespace}/events"),
            json!({"metadata": {"generateName": "e.", "namespace":
            namespace.rsplit('/').next()}, "involvedObject": {"kind": "Pod", "namespace": namespace.rsplit('/').next()},
            "reason": "Why", "type": "Normal", "source": {"component": "t"}}),
        ),
        13 => (
            "POST",
            format!("{namespace}/resourcequotas"),
            json!({"metadata": {"name": "q"},
            "spec": {"hard": {"configmaps": "3"}}}),
        ),
        14 => ("PATCH", format!("{namespace}/configmaps/{name}"), json!({"metadata": {"finalizers": null}})),
        15 => ("DELETE", format!("{namespace}/configmaps/{name}"), Value::Null),
        16 => ("DELETE", format!("{widgets}/{name}"), Value::Null),
        _ => match chance.below(8) {
            0 => ("DELETE", format!("{definitions}/widgets.lab.example.com"), Value::Null),
            // It changes nothing, but a Job that was stored without its defaults is stored with them.
            1..=3 => (
                "PATCH",
                format!("/apis/batch/v1/namespaces/default/jobs/{name}"),
                json!({"metadata": {"annotations": null}}),
            ),
            _ => ("POST", format!("{namespace}/serviceaccounts"), json!({"metadata": {"name": name}})),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_read_after_a_start_is_what_was_read_before_and_it_goes_on_the_same_way() {
    let (mut done, mut objects, mut widgets) = (0, 0, 0);
    for seed in 0..24 {
        let folder = Folder::new(&format!("equal-{seed}"));
        let (keep, server) = start(&folder.0);
        let mut chance = Chance(seed);
        for _ in 0..80 {
            let (code, _) = sent(&server, &any(&mut chance), "application/json").await;
            done += usize::from(code < 300);
        }
        objects += server.census().values().sum::<usize>();
        widgets += server.census().get(&("lab.example.com".into(), "widgets".into())).copied().unwrap_or(0);
        let before = all(&server).await;
        keep.finish(&server).expect("it is written");
        drop(keep);
        let (_keep, again) = start(&folder.0);
        assert_eq!(again.revision(), server.revision(), "seed {seed}");
        for (one, two) in before.iter().zip(all(&again).await) {
            assert_eq!(one, &two, "seed {seed}");
        }
        // The same requests get the same answers, uids and generated names among them.
        for step in 0..40 {
            let ask = any(&mut chance);
            let answers =
                [sent(&server, &ask, "application/json").await, sent(&again, &ask, "application/json").await];
            assert_eq!(answers[0], answers[1], "seed {seed}, step {step}: {ask:?}");
        }
    }
    assert!(done > 700 && objects > 1500 && widgets > 30, "{done} {objects} {widgets}");
}

#[tokio::test(start_paused = true)]
async fn what_was_before_the_start_is_too_old() {
    let folder = Folder::new("old");
    let (keep, server) = start(&folder.0);
    let maps = "/api/v1/namespaces/default/configmaps";
    let (_, first) = asked(&server, "POST", maps, json!({"metadata": {"name": "one"}})).await;
    let (_, last) = asked(&server, "POST", maps, json!({"metadata": {"name": "two"}})).await;
    let (_, page) = asked(&server, "GET", &format!("{maps}?limit=1"), Value::Null).await;
    let version =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let watch = async |server: &ApiServer, version: &str| {
        let path = format!("{maps}?watch=true&timeoutSeconds=1&resourceVersion={version}");
        sent(server, &get(path), "application/json").await.1
    };
    let told = watch(&server, &version(&first)).await;
    assert!(told.contains("\"ADDED\"") && told.contains("\"two\""), "{told}");
    keep.finish(&server).expect("it is written");
    drop(keep);
    let (_keep, again) = start(&folder.0);
    let told: Value = serde_json::from_str(&watch(&again, &version(&first)).await).expect("one event");
    assert_eq!((&told["type"], &told["object"]["code"]), (&"ERROR".into(), &410.into()), "{told}");
    let exact = format!("{maps}?resourceVersion={}&resourceVersionMatch=Exact", version(&first));
    assert_eq!(asked(&again, "GET", &exact, Value::Null).await.0, 410);
    let token = page["metadata"]["continue"].as_str().expect("a token");
    // The second page is of the version of the last change, which is still known.
    let (code, rest) = asked(&again, "GET", &format!("{maps}?limit=1&continue={token}"), Value::Null).await;
    assert_eq!((code, &rest["items"][0]["metadata"]["name"]), (200, &"two".into()));
    // From the last version on a watch goes on as if nothing had happened.
    assert_eq!(watch(&again, &version(&last)).await, "");
}

#[tokio::test]
async fn after_a_kill_what_was_reached_is_there_and_nothing_is_given_twice() {
    let folder = Folder::new("killed");
    let (keep, server) = start(&folder.0);
    let maps = "/api/v1/namespaces/default/configmaps";
    let made = json!({"metadata": {"generateName": "m-"}});
    let place = |object: &Value| {
        ["name", "uid", "resourceVersion"]
            .map(|of| object["metadata"][of].as_str().expect("a text").to_owned())
    };
    let writing = tokio::spawn({
        let (keep, server) = (keep.clone(), server.clone());
        async move { keep.run(&server).await }
    });
    let (_, reached) = asked(&server, "POST", maps, made.clone()).await;
    let account = json!({"metadata": {"name": "sa"}});
    asked(&server, "POST", "/api/v1/namespaces/default/serviceaccounts", account).await;
    let token = "/api/v1/namespaces/default/serviceaccounts/sa/token";
    let (code, token) = asked(&server, "POST", token, json!({"spec": {}})).await;
    assert_eq!(code, 201, "{token}");
    keep.reached(server.revision()).await;
    writing.abort();
    let _ = writing.await;
    let mut lost = Vec::new();
    for _ in 0..20 {
        lost.push(place(&asked(&server, "POST", maps, made.clone()).await.1));
    }
    drop(keep);
    let (_keep, again) = start(&folder.0);
    let (_, list) = asked(&again, "GET", maps, Value::Null).await;
    let there: Vec<_> = list["items"].as_array().expect("a list").iter().map(place).collect();
    assert_eq!(there, [place(&reached)]);
    for _ in 0..20 {
        let new = place(&asked(&again, "POST", maps, made.clone()).await.1);
        assert!(
            lost.iter()
                .chain([&place(&reached)])
                .all(|old| old.iter().zip(&new).all(|(old, new)| old != new))
        );
        assert!(lost.iter().all(|old| old[2].parse::<u64>().ok() < new[2].parse().ok()));
    }
    // A watch from a version that is lost does not go on as if it were known.
    let path = format!("{maps}?watch=true&timeoutSeconds=1&resourceVersion={}", lost[5][2]);
    assert!(sent(&again, &get(path), "application/json").await.1.contains("\"code\":410"));
    // The token is still its account's.
    let token = token["status"]["token"].as_str().expect("a token");
    let request =
        http::Request::get("/api/v1/namespaces/default").header("authorization", format!("Bearer {token}"));
    let answer = again.oneshot(request.body(Full::new(bytes::Bytes::new())).expect("a request")).await;
    assert_eq!(answer.expect("an answer").status(), 403, "known, and without rights");
}

#[tokio::test]
async fn an_event_goes_an_hour_after_it_was_written_last_whatever_starts_meanwhile() {
    let folder = Folder::new("events");
    let now = Arc::new(AtomicI64::new(1_800_000_000));
    let options = || {
        let now = Arc::clone(&now);
        let clock = move || jiff::Timestamp::from_second(now.load(Ordering::Relaxed)).expect("a time");
        Options { clock: Box::new(clock), ..Options::default() }
    };
    let pass = |minutes: i64| now.fetch_add(60 * minutes, Ordering::Relaxed);
    let events = "/api/v1/namespaces/default/events";
    let event = |name: &str| {
        json!({"metadata": {"name": name, "namespace": "default"}, "reason": "Why", "type": "Normal",
            "involvedObject": {"kind": "Pod", "namespace": "default"}, "source": {"component": "t"}})
    };
    let names = async |server: &ApiServer| {
        let (_, list) = asked(server, "GET", events, Value::Null).await;
        let items = list["items"].as_array().expect("a list").clone();
        items.iter().map(|item| item["metadata"]["name"].to_string().replace('"', "")).collect::<Vec<_>>()
    };
    let keep = Keep::open(&folder.0).expect("the folder");
    let server = keep.server(options()).expect("the server");
    let (_, first) = asked(&server, "POST", events, event("one")).await;
    asked(&server, "POST", events, event("two")).await;
    pass(40);
    let again = json!({"count": 2});
    assert_eq!(asked(&server, "PATCH", &format!("{events}/two"), again).await.0, 200);
    keep.finish(&server).expect("it is written");
    drop(keep);
    let keep = Keep::open(&folder.0).expect("the folder");
    let server = keep.server(options()).expect("the server");
    pass(19);
    assert_eq!(names(&server).await, ["one", "two"]);
    let version = asked(&server, "GET", events, Value::Null).await.1["metadata"]["resourceVersion"].clone();
    pass(1);
    assert_eq!(names(&server).await, ["two"]);
    let version = version.as_str().expect("a version");
    let path = format!("{events}?watch=true&timeoutSeconds=1&resourceVersion={version}");
    let told: Value =
        serde_json::from_str(&sent(&server, &get(path), "application/json").await.1).expect("one event");
    assert_eq!(
        (&told["type"], &told["object"]["metadata"]["uid"]),
        (&"DELETED".into(), &first["metadata"]["uid"])
    );
    pass(40);
    assert!(names(&server).await.is_empty());
}

#[tokio::test]
async fn the_last_word_stays_the_last() {
    let folder = Folder::new("last");
    let (keep, server) = start(&folder.0);
    keep.finish(&server).expect("it is written");
    let before = std::fs::read(folder.document()).expect("the document");
    let maps = "/api/v1/namespaces/default/configmaps";
    asked(&server, "POST", maps, json!({"metadata": {"name": "late"}})).await;
    keep.finish(&server).expect("it is not written");
    assert_eq!(std::fs::read(folder.document()).expect("the document"), before);
}

#[tokio::test]
async fn a_folder_is_one_process_and_one_users() {
    let folder = Folder::new("own");
    let (keep, _) = start(&folder.0);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.document())), (0o700, 0o600));
    let taken = Keep::open(&folder.0).expect_err("it is taken");
    assert!(
        matches!(&taken, Trouble::InUse { process, .. } if process == &std::process::id().to_string()),
        "{taken}"
    );
    drop(keep);
    drop(Keep::open(&folder.0).expect("it is free"));
    let open = |mode| {
        std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(mode)).expect("its owner");
        Keep::open(&folder.0)
    };
    let shared = open(0o750).expect_err("others may read it");
    assert!(shared.to_string().contains("chmod 700"), "{shared}");
    assert!(open(0o700).is_ok());
}

#[tokio::test]
async fn what_cannot_be_used_is_said_and_stays_as_it_is() {
    let folder = Folder::new("wrong");
    let (keep, server) = start(&folder.0);
    keep.finish(&server).expect("it is written");
    drop(keep);
    let whole = std::fs::read_to_string(folder.document()).expect("the document");
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replacen(from, to, 1)
    };
    let half = whole.get(..whole.len() / 2).expect("ASCII").to_owned();
    let cases = [
        (with("\"version\":1,", "\"version\":2,"), "has format 2, and this program knows only 1"),
        (with("devcluster-store", "other"), "it is of the format \"other\""),
        (half, "EOF while parsing"),
        (with("\"revision\"", "\"revisions\""), "unknown field `revisions`"),
        (
            with("\"name\":\"default\",\"form\"", "\"name\":\"kube-system\",\"form\""),
            "says that it is \"/default\"",
        ),
        (
            with(&format!("\"revision\":{}", server.revision()), "\"revision\":5"),
            "no resourceVersion up to 5",
        ),
        ("{}".to_owned(), "missing field `format`"),
        (String::new(), "EOF while parsing"),
    ];
    for (text, why) in cases {
        std::fs::write(folder.document(), &text).expect("it can be written");
        let trouble = Keep::open(&folder.0).and_then(|keep| keep.server(options())).expect_err(why);
        assert!(trouble.to_string().contains(why) && trouble.to_string().contains("store.json"), "{trouble}");
        assert_eq!(std::fs::read_to_string(folder.document()).expect("the document"), text);
    }
    std::fs::remove_file(folder.document()).expect("it is there");
    std::fs::write(folder.0.join("mine.txt"), "").expect("it can be written");
    let trouble = Keep::open(&folder.0).expect_err("it is somebody's");
    assert!(matches!(trouble, Trouble::NotOurs(_)), "{trouble}");
    assert!(!folder.document().exists());
    std::fs::remove_file(folder.0.join("mine.txt")).expect("it is there");
    // An earlier start that did not come to its first document is no hindrance.
    std::fs::write(folder.0.join("store.json.new"), "{\"form").expect("it can be written");
    assert!(start(&folder.0).1.revision() > 0);
}
