//! Helm: a release whose values changed is upgraded, unless it is suspended.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::render::{Settings, render};
use super::{dynamic, helm_release};

/// How long after a failed upgrade the next one is tried, as on the platform.
const RETRY: Duration = Duration::from_secs(10);
/// Key of the manifests in the release's record.
const MANIFESTS: &str = "manifests";

/// Why an upgrade failed; shown in the release's status.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Helm upgrade failed: execution error: {0}")]
    Render(String),
    #[error("Helm upgrade failed: cannot patch {object}: {source}")]
    Apply { object: String, source: kube::Error },
    #[error("the release's record cannot be kept: {0}")]
    Record(#[from] kube::Error),
}

struct Helm {
    client: Client,
    settings: Settings,
}

/// Reconciles all releases, for as long as it is polled.
pub async fn run(client: Client, settings: Settings) {
    let releases: Api<DynamicObject> = Api::all_with(client.clone(), &helm_release());
    Controller::new_with(releases, watcher::Config::default(), helm_release())
        .run(reconcile, |_, _, _| Action::requeue(RETRY), Arc::new(Helm { client, settings }))
        .for_each(async |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "a release was not worked on");
            }
        })
        .await;
}

async fn reconcile(release: Arc<DynamicObject>, helm: Arc<Helm>) -> Result<Action, kube::Error> {
    let name = release.name_any();
    let namespace = release.namespace().unwrap_or_default();
    let spec = &release.data["spec"];
    let suspended = spec["suspend"].as_bool().unwrap_or_default();
    let forced = forced(&release);
    let idle = forced.is_none() && release.data["status"]["values"] == spec["values"];
    if suspended || idle || release.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let result = upgrade(&helm, &namespace, &name, &spec["values"]).await;
    let (status, reason, message, next) = match &result {
        Ok(objects) => ("True", "UpgradeSucceeded", format!("{objects} objects"), Action::await_change()),
        Err(error) => ("False", "UpgradeFailed", error.to_string(), Action::requeue(RETRY)),
    };
    tracing::info!(%namespace, %name, reason, message, "upgrade");
    let mut written = json!({"observedGeneration": release.metadata.generation, "conditions": [{"type": "Ready",
        "status": status, "reason": reason, "message": message, "lastTransitionTime": jiff::Timestamp::now().to_string()}]});
    if result.is_ok() {
        written["values"] = spec["values"].clone();
        if let Some(token) = forced {
            written["lastHandledForceAt"] = token.into();
        }
    }
    let api: Api<DynamicObject> = Api::namespaced_with(helm.client.clone(), &namespace, &helm_release());
    // The applied values replace the earlier ones instead of being merged into them.
    let patch = json!([{"op": "add", "path": "/status", "value": merged(&release.data["status"], &written)}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).map_err(kube::Error::SerdeError)?);
    match api.patch_status(&name, &PatchParams::default(), &patch).await {
        Ok(_) => Ok(next),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

/// Returns the token of a requested upgrade; each token requests one.
fn forced(release: &DynamicObject) -> Option<&str> {
    let token = release.annotations().get("reconcile.fluxcd.io/forceAt")?;
    let asked = release.annotations().get("reconcile.fluxcd.io/requestedAt") == Some(token);
    (asked && release.data["status"]["lastHandledForceAt"] != token.as_str()).then_some(token)
}

/// Returns `status` with these fields replaced.
fn merged(status: &Value, fields: &Value) -> Value {
    let mut all = status.as_object().cloned().unwrap_or_default();
    all.extend(fields.as_object().cloned().unwrap_or_default());
    all.into()
}

/// Renders the values and applies the objects. Returns their number.
async fn upgrade(helm: &Helm, namespace: &str, name: &str, values: &Value) -> Result<usize, Error> {
    let new = render(name, &helm.settings, values).map_err(Error::Render)?;
    let secrets: Api<Secret> = Api::namespaced(helm.client.clone(), namespace);
    let record = format!("sh.helm.release.v1.{name}");
    let old: Vec<Value> = secrets
        .get_opt(&record)
        .await?
        .and_then(|secret| serde_json::from_slice(&secret.data?.get(MANIFESTS)?.0).ok())
        .unwrap_or_default();
    for object in &new {
        let before = old.iter().find(|old| identity(old) == identity(object));
        apply(helm, namespace, before, object)
            .await
            .map_err(|source| Error::Apply { object: identity(object), source })?;
    }
    for object in old.iter().filter(|old| new.iter().all(|new| identity(new) != identity(old))) {
        remove(helm, namespace, object)
            .await
            .map_err(|source| Error::Apply { object: identity(object), source })?;
    }
    let data = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": record}, "stringData": {MANIFESTS: Value::from(new.clone()).to_string()}});
    secrets.patch(&record, &PatchParams::apply("helm").force(), &Patch::Apply(data)).await?;
    Ok(new.len())
}

/// Creates an object, or patches an existing one with the changes of the rendering.
async fn apply(
    helm: &Helm,
    namespace: &str,
    before: Option<&Value>,
    object: &Value,
) -> Result<(), kube::Error> {
    let (api, name) = place(helm, namespace, object);
    if api.get_opt(&name).await?.is_none() {
        let mut new: DynamicObject =
            serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        new.labels_mut().insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
        return api.create(&PostParams::default(), &new).await.map(drop);
    }
    let patch = difference(before.unwrap_or(&Value::Null), object);
    if patch == json!({}) {
        return Ok(());
    }
    api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

async fn remove(helm: &Helm, namespace: &str, object: &Value) -> Result<(), kube::Error> {
    let (api, name) = place(helm, namespace, object);
    match api.delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

fn place(helm: &Helm, namespace: &str, object: &Value) -> (Api<DynamicObject>, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api = dynamic(&helm.client, &text(&object["apiVersion"]), &text(&object["kind"]), namespace);
    (api, text(&object["metadata"]["name"]))
}

fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Returns the JSON merge patch (RFC 7386) that turns `old` into `new`.
fn difference(old: &Value, new: &Value) -> Value {
    let (Value::Object(new), empty) = (new, Map::new()) else { return new.clone() };
    let old = old.as_object().unwrap_or(&empty);
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            before => {
                patch.insert(key.clone(), difference(before.unwrap_or(&Value::Null), value));
            }
        }
    }
    patch.extend(old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
    patch.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_forced_once_for_each_token() {
        let release = |requested: &str, handled: &str| -> DynamicObject {
            serde_json::from_value(json!({"metadata": {"annotations": {"reconcile.fluxcd.io/forceAt": "a",
                "reconcile.fluxcd.io/requestedAt": requested}}, "status": {"lastHandledForceAt": handled}}))
            .unwrap()
        };
        assert_eq!(forced(&release("a", "before")), Some("a"));
        assert_eq!(forced(&release("a", "a")), None);
        assert_eq!(forced(&release("b", "before")), None, "a request for a look is not one for an upgrade");
    }

    #[test]
    fn a_patch_holds_only_what_the_rendering_changed() {
        let old =
            json!({"spec": {"instances": 1, "plugins": ["a"], "storage": {"size": "1Gi", "class": "c"}}});
        let new = json!({"spec": {"instances": 2, "storage": {"size": "1Gi"}}});
        assert_eq!(
            difference(&old, &new),
            json!({"spec": {"instances": 2, "plugins": null, "storage": {"class": null}}})
        );
        assert_eq!(difference(&new, &new), json!({}));
    }
}
