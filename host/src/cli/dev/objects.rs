//! Objects that the administrator of the cluster applies and reads, in JSON.

use anyhow::{Context as _, anyhow, bail};
use backstay_core::contract::Json;
use http::Request;
use kube::Client;
use serde_json::json;

/// Where what a single run needs is made.
pub(super) const NAMESPACE: &str = "default";
/// Who applies, in `managedFields`.
const MANAGER: &str = "backstay-dev";

/// Returns a request with a JSON body.
pub(super) fn asked(method: &str, path: &str, body: Option<&Json>) -> anyhow::Result<Request<Vec<u8>>> {
    let content = if method == "PATCH" { "application/apply-patch+yaml" } else { "application/json" };
    let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    Ok(Request::builder().method(method).uri(path).header("content-type", content).body(body)?)
}

/// Sends a request and returns its answer.
pub(super) async fn ask(client: &Client, request: Request<Vec<u8>>) -> anyhow::Result<Json> {
    Ok(client.request(request).await?)
}

/// Reads an object or a list; `None` if it is not there.
pub(super) async fn read(client: &Client, path: &str) -> anyhow::Result<Option<Json>> {
    match client.request(asked("GET", path, None)?).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Applies an object, in `namespace` if its kind is namespaced and it names none.
pub(super) async fn apply(client: &Client, object: &Json, namespace: &str) -> anyhow::Result<Json> {
    let title = format!("{} {}", object["kind"], object["metadata"]["name"]);
    let path = path(client, object, namespace).await?.with_context(|| format!("{title}: no such kind"))?;
    let path = format!("{path}?fieldManager={MANAGER}&force=true");
    let answer = ask(client, asked("PATCH", &path, Some(object))?).await;
    answer.with_context(|| format!("{title} cannot be applied"))
}

/// Returns where an object is; `None` if its kind is not served.
pub(super) async fn path(client: &Client, object: &Json, namespace: &str) -> anyhow::Result<Option<String>> {
    let text = |value: &Json| value.as_str().map(ToOwned::to_owned);
    let version = text(&object["apiVersion"]).context("an object has no apiVersion")?;
    let kind = text(&object["kind"]).context("an object has no kind")?;
    let name = text(&object["metadata"]["name"]).with_context(|| format!("a {kind} has no metadata.name"))?;
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let served = read(client, &root).await?.unwrap_or_default();
    let resources = served["resources"].as_array().cloned().unwrap_or_default();
    let is = |resource: &&Json| {
        resource["kind"] == kind.as_str() && resource["name"].as_str().is_some_and(|name| !name.contains('/'))
    };
    let Some(resource) = resources.iter().find(is) else { return Ok(None) };
    let plural = resource["name"].as_str().unwrap_or_default();
    let own = text(&object["metadata"]["namespace"]);
    let place = match (resource["namespaced"] == true, own) {
        (false, _) => String::new(),
        (true, own) => format!("/namespaces/{}", own.unwrap_or_else(|| namespace.to_owned())),
    };
    Ok(Some(format!("{root}{place}/{plural}/{name}")))
}

/// Makes a kind of an object whose kind is not served, and lets the controller read it.
pub(super) async fn make_kind(client: &Client, object: &Json) -> anyhow::Result<()> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let Some((group, version)) = version.and_then(|version| version.split_once('/')) else {
        bail!("kind {} of the core group is not served", object["kind"]);
    };
    let kind = kind.ok_or_else(|| anyhow!("an object has no kind"))?;
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}");
    if read(client, &definition).await?.is_some() {
        bail!(
            "{group} has {plural}, but not {kind} of version {version}: correct the apiVersion or the kind"
        );
    }
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
    apply(client, &crd, "").await?;
    may_read(client, group, &plural).await
}

/// Lets the controller read a kind of applications.
pub(super) async fn may_read(client: &Client, group: &str, plural: &str) -> anyhow::Result<()> {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("backstay-dev-{plural}.{group}"),
            "labels": {"backstay.dev/aggregate-to-applications": "true"}},
        "rules": [{"apiGroups": [group], "resources": [plural], "verbs": ["get"]}]});
    apply(client, &role, "").await.map(|_| ())
}
