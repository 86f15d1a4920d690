//! The hostile tenant: a user with the documented rights and no others.

use futures::{StreamExt, stream};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::input::{Input, NAMESPACE, OTHER, Request, UID};
use super::neighbour;
use super::schema::APPLICATION_COUNT;
use crate::{controller, node};

/// Name of the user.
const USER: &str = "mallory";
/// Inputs that are sent at once.
const AT_ONCE: usize = 2;
/// The simulated node.
pub(super) const NODE: &str = "hostile";

/// What came of an input.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// The API server took every request.
    Admitted,
    /// The API server refused a request: code, and the beginning of its message.
    Refused(u16, String),
    /// No answer.
    Failed(String),
}

/// Makes the namespaces, the tenants' rights, the applications, and a class whose pods end at once.
pub(super) async fn set_up(client: &Client) {
    let mut objects = Vec::new();
    for namespace in [NAMESPACE, OTHER, neighbour::NAMESPACE] {
        objects.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    }
    for namespace in [NAMESPACE, OTHER] {
        let subjects = json!([{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": USER}]);
        let binding = |name: &str, kind: &str, role: &str| {
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace}, "subjects": subjects,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}})
        };
        objects.push(binding("tenant-admin", "ClusterRole", "admin"));
        objects.push(binding("tenant", "Role", "tenant"));
        // What a platform gives beside the role admin: its applications, and the deletion of Backups.
        objects.push(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "tenant", "namespace": namespace}, "rules": [
                {"apiGroups": ["apps.cozystack.io"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["backups.cozystack.io"], "resources": ["backups"], "verbs": ["delete", "deletecollection"]}]}));
    }
    let application = |namespace: &str, name: &str| {
        json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"size": "10Gi"}})
    };
    objects.push(application(neighbour::NAMESPACE, "cache"));
    for name in
        (0..APPLICATION_COUNT).map(|i| format!("app-{i}")).chain(["held".to_owned(), "good".to_owned()])
    {
        objects.push(application(NAMESPACE, &name));
    }
    for (name, selector) in [
        ("hostile", json!({"kubernetes.io/hostname": NODE})),
        ("stuck", json!({"nobody.example.org/has": "this"})),
    ] {
        objects.push(json!({"apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {
                "metadata": {"annotations": {node::MESSAGE: r#"{"artifact":{"uri":"s3://store/dump","sizeBytes":4096}}"#}},
                "spec": {"restartPolicy": "Never", "nodeSelector": selector,
                    "tolerations": [{"key": node::TAINT, "operator": "Exists"}],
                    "containers": [{"name": "main", "image": "localhost/backstay-tools:1"}]}}}}));
        objects.push(json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass", "metadata": {"name": name},
            "spec": {"strategies": [{"application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
                "strategyRef": {"apiGroup": "strategy.backups.cozystack.io", "kind": "Job", "name": name}}]}}));
    }
    for object in objects {
        controller::apply(client, &object.to_string()).await;
    }
}

/// Returns a client of the tenant.
pub(super) async fn client() -> Result<Client, String> {
    let mut config = Config::infer().await.map_err(|e| e.to_string())?;
    config.auth_info.impersonate = Some(USER.to_owned());
    config.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
    Client::try_from(config).map_err(|e| e.to_string())
}

/// Sends inputs, several at once, until the deadline.
pub(super) async fn send(client: &Client, inputs: &[Input], deadline: Instant) -> Vec<Sent> {
    let sent = stream::iter(inputs).map(|input| async move {
        let all = async { input_sent(client, input).await };
        tokio::time::timeout_at(deadline, all)
            .await
            .unwrap_or_else(|_| Sent::Failed("not sent in time".to_owned()))
    });
    sent.buffered(AT_ONCE).collect().await
}

/// Asks what the API server says to the first request of each input, which is not done.
pub(super) async fn dry_run(client: &Client, inputs: &[Input], deadline: Instant) -> Vec<Sent> {
    let tried: Vec<Input> = inputs
        .iter()
        .cloned()
        .map(|mut input| {
            input.requests.truncate(1);
            input.requests.iter_mut().for_each(|request| request.path.push_str("?dryRun=All"));
            input
        })
        .collect();
    send(client, &tried, deadline).await
}

async fn input_sent(client: &Client, input: &Input) -> Sent {
    let mut uid = String::new();
    for request in &input.requests {
        match answer(client, request, &uid).await {
            Ok(answer) if uid.is_empty() => uid = answer,
            Ok(_) => {}
            Err(kube::Error::Api(status)) => {
                return Sent::Refused(status.code, status.message.chars().take(300).collect());
            }
            Err(error) => return Sent::Failed(error.to_string().chars().take(300).collect()),
        }
    }
    Sent::Admitted
}

/// The part of an answer that is used. The rest can be too deep for a value.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    uid: String,
}

async fn answer(client: &Client, request: &Request, uid: &str) -> Result<String, kube::Error> {
    let body = if uid.is_empty() { request.body.clone() } else { request.body.replace(UID, uid) };
    let built = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header(http::header::CONTENT_TYPE, request.content)
        .body(body.into_bytes())
        .map_err(kube::Error::HttpError)?;
    let text = client.request_text(built.map(Vec::from)).await?;
    Ok(serde_json::from_str::<Answer>(&text).map(|a| a.metadata.uid).unwrap_or_default())
}
