//! The admission policies of `deploy/admission`, in one namespace, against a tenant to whom RBAC grants nearly everything.

use std::time::Duration;

use backstay_api::admission::{Controller, Policy, REPAIR, policies};
use backstay_api::{Backup, BackupJob};
use backstay_tests::World;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Limit of a wait.
const TIMEOUT: Duration = Duration::from_secs(30);
const OURS: &str = "/apis/backups.cozystack.io/v1alpha1";

/// Installs the policies for one namespace. They are removed with it.
async fn installed(w: &World) {
    let controller = Controller {
        namespace: "backstay-system".to_owned(),
        service_account: "backstay".to_owned(),
        strategy_groups: vec![backstay_api::STRATEGY_GROUP.to_owned()],
    };
    for Policy { name, objects: [mut policy, mut binding], .. } in policies(&controller) {
        let own = format!("{}-{name}", w.namespace);
        policy["metadata"]["name"] = own.clone().into();
        binding["metadata"]["name"] = own.clone().into();
        binding["spec"]["policyName"] = own.into();
        // The other tests have the cluster to themselves.
        binding["spec"]["matchResources"] =
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": w.namespace}}});
        for (plural, object) in
            [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)]
        {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}");
            send(&w.client, "POST", path, &object).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

async fn removed(w: &World) {
    for plural in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
        for Policy { name, .. } in policies(&Controller {
            namespace: String::new(),
            service_account: String::new(),
            strategy_groups: Vec::new(),
        }) {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{}-{name}", w.namespace);
            send(&w.client, "DELETE", path, &json!({})).await.expect("it can be deleted");
        }
    }
}

/// Returns a client of a user who has the role `admin` in the namespace, and these rights on our group.
async fn user(w: &World, name: &str, resources: &[&str], verbs: &[&str]) -> Client {
    let user = format!("{}-{name}", w.namespace);
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", w.namespace);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [
        {"apiGroups": ["backups.cozystack.io"], "resources": resources, "verbs": verbs},
        {"apiGroups": ["batch", "", "apps"], "resources": ["jobs/status", "pods/status"], "verbs": ["*"]}]});
    send(&w.client, "POST", format!("{rbac}/roles"), &role).await.expect("a role");
    for (binding, kind, role) in
        [(name.to_owned(), "Role", name), (format!("{name}-admin"), "ClusterRole", "admin")]
    {
        let object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": binding},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}});
        send(&w.client, "POST", format!("{rbac}/rolebindings"), &object).await.expect("a binding");
    }
    let mut config = Config::infer().await.expect("KUBECONFIG leads to a cluster");
    config.auth_info.impersonate = Some(user);
    config.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
    Client::try_from(config).expect("a client")
}

async fn send(client: &Client, method: &str, path: String, body: &Value) -> Result<String, String> {
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", content)
        .body(body.to_string().into_bytes())
        .map_err(|e| e.to_string())?;
    client.request_text(request).await.map_err(|e| e.to_string())
}

/// Sends a request until it is refused with these words: policies take a moment until they are in effect.
async fn refused_in_the_end(client: &Client, method: &str, path: &str, body: &Value, words: &str) {
    let deadline = Instant::now() + TIMEOUT;
    let mut every = tokio::time::interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        match send(client, method, format!("{path}?dryRun=All"), body).await {
            Err(refusal) if refusal.contains(words) => return,
            other => assert!(Instant::now() < deadline, "not refused with {words:?}: {other:?}"),
        }
    }
}

fn named(kind: &str, metadata: Value, spec: Value) -> Value {
    json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn pod_spec() -> Value {
    json!({"restartPolicy": "Never", "nodeSelector": {"nobody.example.org/has": "this"},
        "containers": [{"name": "main", "image": "localhost/backstay-tools:1"}]})
}

/// Everything that a tenant may be granted, and none of the controller's.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
const RESOURCES: [&str; 8] = [
    "backups",
    "backups/status",
    "backupjobs",
    "backupjobs/status",
    "restorejobs",
    "restorejobs/status",
    "plans",
    "plans/status",
];

#[tokio::test]
async fn only_the_controller_writes_what_the_controller_believes() {
    let Some(w) = World::new("admission").await else { return };
    installed(&w).await;
    w.script("true").await;
    let tenant = user(&w, "tenant", &RESOURCES, &VERBS).await;
    let at = |api: &str, rest: &str| format!("{api}/namespaces/{}/{rest}", w.namespace);
    let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"});
    let backup = named(
        "Backup",
        json!({"name": "forged"}),
        json!({"applicationRef": application, "takenAt": "2026-01-01T00:00:00Z",
        "strategyRef": w.strategy_ref()}),
    );
    refused_in_the_end(
        &tenant,
        "POST",
        &at(OURS, "backups"),
        &backup,
        "only the controller writes the spec of a Backup",
    )
    .await;

    // What a tenant is there for: under the policies runs go their way, with the controller's Jobs and pods.
    let run = named(
        "BackupJob",
        json!({"name": "nightly", "labels": {"team": "a"}, "finalizers": ["example.org/mine"]}),
        json!({"applicationRef": application, "backupClassName": w.namespace}),
    );
    send(&tenant, "POST", at(OURS, "backupjobs"), &run).await.expect("a tenant makes runs");
    w.backup_succeeds("nightly").await;
    let restore = named(
        "RestoreJob",
        json!({"name": "back"}),
        json!({"backupRef": {"name": "nightly"}, "options": {"a": [{"b": "c"}]}}),
    );
    send(&tenant, "POST", at(OURS, "restorejobs"), &restore).await.expect("a tenant makes runs");
    assert_eq!(w.restore_ends("back").await.0, "Succeeded");
    let plan = named(
        "Plan",
        json!({"name": "weekly"}),
        json!({"applicationRef": application, "backupClassName": w.namespace,
        "schedule": {"cron": "0 0 * * 0"}}),
    );
    send(&tenant, "POST", at(OURS, "plans"), &plan).await.expect("a tenant makes Plans");
    let made: Backup = w.get_backup("nightly").await;

    let run_uid = json!({"metadata": {"labels": {"backstay.dev/run-uid": "x"}}});
    let job = |metadata: Value, labels: Value| {
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
            "spec": {"suspend": true, "template": {"metadata": {"labels": labels}, "spec": pod_spec()}}})
    };
    let ours = json!({"backstay.dev/run-uid": "x"});
    let owner = json!([{"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob", "name": "nightly", "uid": "x", "controller": true}]);
    let deep = |levels: usize| (0..levels).fold(json!(0), |inner, _| json!({"a": inner}));
    let options = |options: Value| {
        named(
            "RestoreJob",
            json!({"name": "odd"}),
            json!({"backupRef": {"name": "nightly"}, "options": options}),
        )
    };
    let many: serde_json::Map<String, Value> = (0..300).map(|i| (format!("k{i}"), json!(0))).collect();
    for (method, path, body, words) in [
        (
            "PATCH",
            at(OURS, "backups/nightly"),
            json!({"spec": {"driverMetadata": {"a": "b"}}}),
            "only the controller writes the spec of a Backup",
        ),
        (
            "PATCH",
            at(OURS, "backups/nightly/status"),
            json!({"status": {"artifact": {"uri": "s3://mine"}}}),
            "only the controller writes the status of backups",
        ),
        (
            "PATCH",
            at(OURS, "backupjobs/nightly/status"),
            json!({"status": {"phase": "Pending"}}),
            "only the controller writes the status of backupjobs",
        ),
        (
            "PATCH",
            at(OURS, "restorejobs/back/status"),
            json!({"status": {"phase": null}}),
            "only the controller writes the status of restorejobs",
        ),
        (
            "PATCH",
            at(OURS, "plans/weekly/status"),
            json!({"status": {"schedule": "x"}}),
            "only the controller writes the status of plans",
        ),
        (
            "PATCH",
            at(OURS, "backups/nightly"),
            run_uid.clone(),
            "metadata.labels: only the controller writes backstay.dev/run-uid",
        ),
        (
            "PATCH",
            at(OURS, "backups/nightly"),
            json!({"metadata": {"labels": null}}),
            "metadata.labels: only the controller writes",
        ),
        (
            "PATCH",
            at(OURS, "backups/nightly"),
            json!({"metadata": {"labels": {"backstay.dev/strategy-revision": null}}}),
            "only the controller writes backstay.dev/strategy-revision",
        ),
        (
            "PATCH",
            at(OURS, "backups/nightly"),
            json!({"metadata": {"annotations": {"backups.cozystack.io/owned-by.BackupJobName": "x"}}}),
            "metadata.annotations: only the controller writes",
        ),
        (
            "PATCH",
            at(OURS, "backupjobs/nightly"),
            run_uid,
            "metadata.labels: only the controller writes backstay.dev/run-uid",
        ),
        (
            "PATCH",
            at(OURS, "plans/weekly"),
            json!({"metadata": {"finalizers": ["backstay.dev/undo"]}}),
            "metadata.finalizers: only the controller adds and removes backstay.dev/undo",
        ),
        (
            "PATCH",
            at(OURS, "backupjobs/nightly"),
            json!({"metadata": {"finalizers": ["backups.cozystack.io/cleanup"]}}),
            "metadata.finalizers: only the controller",
        ),
        (
            "PATCH",
            at(OURS, "backupjobs/nightly"),
            json!({"spec": {"applicationRef": {"name": "other"}}}),
            "immutable",
        ),
        (
            "PATCH",
            at(OURS, "restorejobs/back"),
            json!({"spec": {"options": {"a": null, "z": [{"b": "c"}]}}}),
            "immutable",
        ),
        (
            "POST",
            at("/apis/batch/v1", "jobs"),
            job(json!({"name": "j", "labels": ours}), json!({})),
            "only the controller writes backstay.dev/run-uid on a Job",
        ),
        (
            "POST",
            at("/apis/batch/v1", "jobs"),
            // A Job without labels gets those of its template.
            job(json!({"name": "j", "labels": {"team": "a"}}), ours.clone()),
            "spec.template.metadata.labels: only the controller writes backstay.dev/run-uid",
        ),
        (
            "POST",
            at("/apis/batch/v1", "jobs"),
            job(json!({"name": "nightly-backup", "ownerReferences": owner}), json!({})),
            "metadata.ownerReferences: only the controller makes Jobs",
        ),
        (
            "POST",
            at("/api/v1", "pods"),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": ours}, "spec": pod_spec()}),
            "only the controller's Jobs have pods with backstay.dev/run-uid",
        ),
        (
            "POST",
            at(OURS, "restorejobs"),
            options(deep(17)),
            "spec.options: too many maps and lists in one another, at most 16 levels",
        ),
        (
            "POST",
            at(OURS, "restorejobs"),
            options(json!({"a": {"b": many}})),
            "spec.options: a map or list is too long, at most 256 entries",
        ),
        (
            "POST",
            at(OURS, "restorejobs"),
            options(json!({"a": [{"b": "x".repeat(5_000)}]})),
            "spec.options: a text or key is too long, at most 4096",
        ),
        (
            "POST",
            at(OURS, "restorejobs"),
            options(json!({"k".repeat(5_000): 1})),
            "spec.options: a text or key is too long, at most 4096",
        ),
    ] {
        match send(&tenant, method, format!("{path}?dryRun=All"), &body).await {
            Err(refusal) => {
                assert!(refusal.contains(words), "{method} {path}: {words:?} is not in {refusal}")
            }
            Ok(_) => panic!("{method} {path} {body} is admitted"),
        }
    }
    // Everything foreign comes and goes as before, and what is within the bounds is taken.
    let team = json!({"metadata": {"labels": {"team": "b"}, "annotations": {"a": "b"}}});
    for (method, path, body) in [
        ("PATCH", at(OURS, "backups/nightly"), team.clone()),
        ("PATCH", at(OURS, "backupjobs/nightly"), team.clone()),
        ("PATCH", at(OURS, "backupjobs/nightly"), json!({"metadata": {"finalizers": null}})),
        ("PATCH", at(OURS, "restorejobs/back"), team),
        (
            "PATCH",
            at(OURS, "plans/weekly"),
            json!({"spec": {"suspend": true}, "metadata": {"finalizers": ["example.org/mine"]}}),
        ),
        ("POST", at(OURS, "restorejobs"), options(deep(16))),
        (
            "POST",
            at("/apis/batch/v1", "jobs"),
            job(json!({"name": "j", "labels": {"team": "a"}}), json!({"team": "a"})),
        ),
    ] {
        let sent = send(&tenant, method, format!("{path}?dryRun=All"), &body).await;
        sent.unwrap_or_else(|refusal| panic!("{method} {path} {body}: {refusal}"));
    }
    pods_of_others_are_refused(&w, &tenant).await;
    repairs(&w, &made).await;
    goes(&w, &tenant).await;
    removed(&w).await;
}

/// A pod that another controller of Kubernetes makes of a tenant's template.
async fn pods_of_others_are_refused(w: &World, tenant: &Client) {
    let labels = json!({"app": "a", "backstay.dev/run-uid": "x"});
    let mut spec = pod_spec();
    spec["restartPolicy"] = "Always".into();
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "set"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": labels}, "spec": spec}}});
    let path = format!("/apis/apps/v1/namespaces/{}/replicasets", w.namespace);
    send(tenant, "POST", path, &set).await.expect("a ReplicaSet");
    w.until("set", "refused its pod", |set: &ReplicaSet| {
        let conditions = set.status.iter().flat_map(|s| s.conditions.iter().flatten());
        conditions.into_iter().any(|c| {
            c.message
                .as_deref()
                .is_some_and(|m| m.contains("only the controller's Jobs have pods with backstay.dev/run-uid"))
        })
    })
    .await;
    w.delete::<ReplicaSet>("set").await;
}

/// Who has the verb `repair` may do what the controller may.
async fn repairs(w: &World, made: &Backup) {
    let mut verbs = VERBS.to_vec();
    verbs.push(REPAIR);
    let repairer = user(w, "repairer", &RESOURCES, &verbs).await;
    let path = format!("{OURS}/namespaces/{}/backups/nightly", w.namespace);
    let spec = json!({"spec": {"driverMetadata": {"a": "b"}}, "metadata": {"labels": {"backstay.dev/run-uid": "x"}}});
    send(&repairer, "PATCH", path.clone(), &spec).await.expect("it may repair");
    let back = json!({"spec": made.spec, "metadata": {"labels": made.metadata.labels}});
    send(&repairer, "PATCH", path, &back).await.expect("it may repair");
}

/// Deletions are nobody's but the tenant's, and the garbage collector does its part.
async fn goes(w: &World, tenant: &Client) {
    let params = DeleteParams::foreground();
    let tenants: Api<BackupJob> = Api::namespaced(tenant.clone(), &w.namespace);
    let none = Patch::Merge(json!({"metadata": {"finalizers": ["foregroundDeletion"]}}));
    tenants.delete("nightly", &params).await.expect("a tenant deletes runs");
    let own = tenants.patch("nightly", &PatchParams::default(), &none).await;
    own.expect("a tenant removes its own finalizer");
    w.until_gone::<BackupJob>("nightly").await;
    let backups: Api<Backup> = Api::namespaced(tenant.clone(), &w.namespace);
    backups.delete_collection(&params, &ListParams::default()).await.expect("a tenant deletes Backups");
    w.until_gone::<Backup>("nightly").await;
}
