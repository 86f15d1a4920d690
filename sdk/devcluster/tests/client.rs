//! kube's client and its watcher over the API server, in simulated time.

use devcluster::api::{ApiServer, Options};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher::{Config, Event, watcher};

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
