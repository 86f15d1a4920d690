//! kube's client and its watcher over the API server, in simulated time.

use devcluster::api::{ApiServer, Options};
use futures::TryStreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{Config, Event, watcher};
use tower::ServiceExt as _;

fn secret(name: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.into());
    secret
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_what_is_there_and_what_comes_for_a_day() {
    let server = ApiServer::new(Options::default());
    let secrets: Api<Secret> = Api::namespaced(kube::Client::new(server, "default"), "default");
    secrets.create(&PostParams::default(), &secret("a")).await.expect("a Secret");
    let mut events = Box::pin(watcher(secrets.clone(), Config::default()));
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().await.expect("an event") {
        match event {
            Event::InitDone => break,
            Event::InitApply(secret) => seen.extend(secret.metadata.name),
            _ => {}
        }
    }
    assert_eq!(seen, ["a"]);
    // Watches end and begin anew meanwhile.
    tokio::select! {
        biased;
        event = events.try_next() => panic!("nothing has changed: {event:?}"),
        () = tokio::time::sleep(std::time::Duration::from_secs(86_400)) => {}
    }
    let patch = Patch::Merge(serde_json::json!({"stringData": {"k": "v"}}));
    secrets.patch("a", &PatchParams::default(), &patch).await.expect("a patch");
    secrets.delete("a", &DeleteParams::default()).await.expect("a delete");
    let changed = events.try_next().await.expect("an event");
    assert!(matches!(&changed, Some(Event::Apply(secret)) if secret.data.is_some()), "{changed:?}");
    let gone = events.try_next().await.expect("an event");
    assert!(matches!(gone, Some(Event::Delete(_))), "{gone:?}");
}

/// Sends a request and returns the code and the body of its answer.
async fn asked<B>(server: &ApiServer, method: &str, path: &str, body: B) -> (u16, serde_json::Value)
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request =
        http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    let answer = server.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_broke_off_is_not_done() {
    let server = ApiServer::new(Options::default());
    let secrets: Api<Secret> = Api::namespaced(kube::Client::new(server.clone(), "default"), "default");
    secrets.create(&PostParams::default(), &secret("a")).await.expect("a Secret");
    let parts = [
        Ok(http_body::Frame::data(bytes::Bytes::from_static(br#"{"dryRun": "#))),
        Err(std::io::Error::other("the connection broke")),
    ];
    let broken = StreamBody::new(futures::stream::iter(parts));
    let (code, body) = asked(&server, "DELETE", "/api/v1/namespaces/default/secrets/a", broken).await;
    assert_eq!((code, &body["reason"]), (400, &"BadRequest".into()), "{body}");
    assert!(secrets.get("a").await.is_ok(), "it is still there");
}

#[tokio::test(start_paused = true)]
async fn numbers_at_their_limits_are_taken_as_the_nearest_that_make_sense() {
    let server = ApiServer::new(Options::default());
    let whole = |text: &'static str| Full::new(bytes::Bytes::from_static(text.as_bytes()));
    let pod = r#"{"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}"#;
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(asked(&server, "POST", pods, whole(pod)).await.0, 201);
    let path = format!("{pods}/p?gracePeriodSeconds=");
    assert_eq!(asked(&server, "DELETE", &format!("{path}30"), whole("")).await.0, 200);
    for grace in ["-5", "-9223372036854775808"] {
        let (code, pod) = asked(&server, "DELETE", &format!("{path}{grace}"), whole("")).await;
        assert_eq!((code, &pod["metadata"]["deletionGracePeriodSeconds"]), (200, &1.into()), "{pod}");
    }
    let watch = format!("{pods}?watch=true&timeoutSeconds=9223372036854775807");
    let request = http::Request::get(watch).body(whole("")).expect("a request");
    let answer = server.clone().oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_fork_begins_with_the_same_objects_and_goes_its_own_way() {
    let server = ApiServer::new(Options::default());
    let of = |server: &ApiServer| -> Api<Secret> {
        Api::namespaced(kube::Client::new(server.clone(), "default"), "default")
    };
    let first = of(&server).create(&PostParams::default(), &secret("a")).await.expect("a Secret");
    let forks = [7, 7, 8].map(|seed| server.fork(Options { seed, ..Options::default() }));
    let mut made = Vec::new();
    for fork in &forks {
        assert_eq!(of(fork).get("a").await.expect("it is in the fork"), first);
        made.push(
            of(fork).create(&PostParams::default(), &secret("b")).await.expect("a Secret").metadata.uid,
        );
    }
    assert!(made[0] == made[1] && made[1] != made[2], "uids come from the seed: {made:?}");
    assert!(of(&server).get("b").await.is_err(), "it is in the forks alone");
    of(&server).delete("a", &DeleteParams::default()).await.expect("it is deleted");
    assert!(of(&forks[0]).get("a").await.is_ok(), "it is deleted there alone");
}
