//! Attaching an archive to a Cluster: the ObjectStore, the plugin entry, and the check that the instances run the
//! plugin.

use backstay_sdk::step::{Action, Apply, Found, ListQuery, Look, Query, Selection, Stop};
use backstay_sdk::{Deserialize, Value, json};

use crate::cluster::{Cluster, text, uid};
use crate::names::{BARMAN, CNPG, Names, PLUGIN, SIDECAR, fresh_server_name};
use crate::rendered::Archive;

/// Returns the server name under which a Cluster archives: its present one, or the one of the strategy. A recovered
/// Cluster starts a new history and must not write where an archive of its name may exist, so it gets a fresh name.
pub(crate) fn server_name(cluster: Cluster<'_>, names: &Names, archive: &Archive) -> String {
    if let Some(in_force) = cluster.server_name() {
        return in_force.to_owned();
    }
    let wanted = archive.server_name.as_deref().unwrap_or(&names.cluster);
    if cluster.recovered() { fresh_server_name(wanted, cluster.uid()) } else { wanted.to_owned() }
}

/// Returns the applies that are missing for `cluster` to archive under `server`; none if it does already. A store with
/// extra fields is applied once: fields that stay after that belong to another field manager.
///
/// # Errors
/// A question, or a wait for an object that cannot be read.
pub(crate) fn attach(
    look: &Look<'_>,
    names: &Names,
    cluster: Cluster<'_>,
    archive: &Archive,
    server: &str,
) -> Result<Vec<Action>, Stop> {
    let mut actions = Vec::new();
    let store = store(names, cluster.uid(), archive);
    let just_applied = look.has_just_written(&names.store());
    let held = |found: &Value| has(found, &store) && (just_applied || !has_more(found, &store));
    if !matches!(look.object(&names.store())?, Found::Object(found) if held(found)) {
        actions.push(Action::Apply(Apply { manifest: store, force: true }));
    }
    if let Some(plugins) = plugins(names, cluster, server) {
        let manifest = json!({
            "apiVersion": CNPG,
            "kind": "Cluster",
            "metadata": {
                "namespace": names.namespace, "name": names.cluster, "uid": cluster.uid(),
                // The list of plugins is one value: the resourceVersion makes sure that it has not changed since it
                // was read.
                "resourceVersion": text(cluster.0, "/metadata/resourceVersion"),
            },
            "spec": {"plugins": plugins},
        });
        actions.push(Action::Apply(Apply { manifest, force: true }));
    }
    Ok(actions)
}

/// Makes the ObjectStore, without empty fields.
fn store(names: &Names, cluster_uid: &str, archive: &Archive) -> Value {
    let mut configuration = json!({"destinationPath": archive.destination});
    if !archive.endpoint.is_empty() {
        configuration["endpointURL"] = json!(archive.endpoint);
    }
    if let Some(ca) = &archive.ca {
        configuration["endpointCA"] = json!({"name": ca.name, "key": ca.key});
    }
    if let Some(keys) = &archive.credentials {
        configuration["s3Credentials"] = json!({
            "accessKeyId": {"name": keys.name, "key": keys.id_key},
            "secretAccessKey": {"name": keys.name, "key": keys.secret_key},
        });
    }
    for (name, block) in [("wal", json!(archive.wal)), ("data", json!(archive.data))] {
        if block.as_object().is_some_and(|b| !b.is_empty()) {
            configuration[name] = block;
        }
    }
    let mut spec = json!({
        "configuration": configuration,
        // Some stores other than AWS refuse writes with the checksums of today's clients.
        "instanceSidecarConfiguration": {
            "env": [{"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"}],
        },
    });
    if let Some(retention) = &archive.retention {
        spec["retentionPolicy"] = json!(retention);
    }
    json!({
        "apiVersion": BARMAN,
        "kind": "ObjectStore",
        "metadata": {
            "namespace": names.namespace, "name": names.cluster,
            "ownerReferences": [{
                "apiVersion": CNPG, "kind": "Cluster", "name": names.cluster, "uid": cluster_uid, "controller": true,
            }],
        },
        "spec": spec,
    })
}

/// Whether a store has extra fields where an absent field has a meaning. Such a field is from an earlier strategy, and
/// an apply removes it, or it belongs to another field manager, and stays.
fn has_more(found: &Value, wanted: &Value) -> bool {
    ["/spec/retentionPolicy", "/spec/configuration"].iter().any(|at| {
        match (found.pointer(at), wanted.pointer(at)) {
            (Some(Value::Object(found)), Some(Value::Object(wanted))) => found.len() > wanted.len(),
            (found, wanted) => found.is_some() && wanted.is_none(),
        }
    })
}

/// Whether an object has all wanted fields.
fn has(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| has(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => wanted.iter().all(|w| found.iter().any(|f| has(f, w))),
        _ => found == wanted,
    }
}

/// Returns the plugins of the Cluster with the wanted entry; `None` if that is there already. Other entries and other
/// fields of this entry are kept.
fn plugins(names: &Names, cluster: Cluster<'_>, server: &str) -> Option<Vec<Value>> {
    let wanted = json!({
        "name": PLUGIN,
        "isWALArchiver": true,
        "parameters": {"barmanObjectName": names.cluster, "serverName": server},
    });
    let mut plugins = cluster.plugins().to_vec();
    let Some(entry) = plugins.iter_mut().find(|p| p["name"] == PLUGIN) else {
        plugins.push(wanted);
        return Some(plugins);
    };
    if has(entry, &wanted) && entry["enabled"] != false {
        return None;
    }
    if !entry["parameters"].is_object() {
        entry["parameters"] = json!({});
    }
    for (key, value) in wanted["parameters"].as_object().into_iter().flatten() {
        entry["parameters"][key.as_str()] = value.clone();
    }
    entry["isWALArchiver"] = json!(true);
    entry["enabled"] = json!(true);
    Some(plugins)
}

/// Asks for the instances of a Cluster: the statuses of their containers, which name each of them.
fn instances(names: &Names) -> ListQuery {
    let fields = [
        "/metadata/labels",
        "/metadata/deletionTimestamp",
        "/status/conditions",
        "/status/containerStatuses",
        "/status/initContainerStatuses",
    ];
    pods_with(names, &fields)
}

/// Asks for these fields of the pods of a Cluster.
pub(crate) fn pods_with(names: &Names, fields: &[&str]) -> ListQuery {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    ListQuery { objects: pods(names), live: false, fields, limit: 100 }
}

/// Selects the pods of a Cluster.
pub(crate) fn pods(names: &Names) -> Selection {
    Selection {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: Some(names.namespace.clone()),
        labels: names.selector(),
    }
}

/// Whether every instance of the Cluster is ready and runs the plugin. Without the plugin the operator fails a backup
/// for good; without a ready instance it retries only after a while.
///
/// # Errors
/// A question, or a wait for an object that cannot be read.
pub(crate) fn in_place(look: &Look<'_>, names: &Names) -> Result<bool, Stop> {
    let list = look.list(instances(names))?;
    // Few fields are needed of what is nearly all that the host tells.
    let pods = list.into_iter().flat_map(|list| &list.items).map(|pod| pod.decode::<Instance>());
    let Ok(mut instances) = pods.collect::<Result<Vec<_>, _>>() else { return Ok(false) };
    instances.retain(|pod| pod.is_instance() && !pod.is_deleted());
    Ok(!instances.is_empty() && instances.iter().all(|pod| pod.has_sidecar() && pod.is_ready()))
}

/// What is needed of a pod of a Cluster.
#[derive(Default, Deserialize)]
#[serde(default, crate = "backstay_sdk::serde")]
struct Instance {
    metadata: InstanceMetadata,
    status: InstanceStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, crate = "backstay_sdk::serde")]
struct InstanceMetadata {
    labels: Labels,
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, crate = "backstay_sdk::serde")]
struct Labels {
    #[serde(rename = "cnpg.io/podRole")]
    role: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, crate = "backstay_sdk::serde")]
struct InstanceStatus {
    conditions: Vec<PodCondition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
struct PodCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
struct ContainerStatus {
    name: String,
    started: Option<bool>,
}

impl Instance {
    /// Whether it is an instance, not a pod of a Job of the operator.
    fn is_instance(&self) -> bool {
        match self.metadata.labels.role.as_str() {
            "" => self.status.container_statuses.iter().any(|container| container.name == "postgres"),
            role => role == "instance",
        }
    }

    fn is_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it is ready. A pod without the condition counts as ready.
    fn is_ready(&self) -> bool {
        self.status.conditions.iter().all(|c| c.kind != "Ready" || c.status != "False")
    }

    /// Whether it runs the plugin.
    fn has_sidecar(&self) -> bool {
        let all = self.status.container_statuses.iter().chain(&self.status.init_container_statuses);
        let mut sidecars = all.filter(|container| container.name == SIDECAR).peekable();
        sidecars.peek().is_some() && sidecars.all(|container| container.started != Some(false))
    }
}

/// Whether the store is owned by the Cluster with this uid, and is deleted with it.
pub(crate) fn is_owned_by(store: &Value, cluster_uid: &str) -> bool {
    let owners = store.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|o| o["uid"] == cluster_uid)
}

/// Asks for the objects of an attached archive.
pub(crate) fn questions(names: &Names) -> [Query; 2] {
    [Query::Get(crate::cluster::cached(names)), Query::get(&names.store())]
}

/// Whether the store archives to `destination`.
pub(crate) fn is_at(store: &Value, destination: &str) -> bool {
    let place = |path: &str| path.trim_end_matches('/').to_owned();
    place(text(store, "/spec/configuration/destinationPath")) == place(destination) && !uid(store).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        Archive {
            server_name: None,
            destination: "s3://b/".to_owned(),
            endpoint: String::new(),
            ca: None,
            credentials: None,
            retention: None,
            wal: Some(Default::default()),
            data: None,
        }
    }

    fn names() -> Names {
        Names::named("ns", "orders")
    }

    #[test]
    fn a_store_holds_no_field_that_is_empty_and_never_a_server_name() {
        let store = store(&names(), "uid", &archive());
        assert_eq!(store["spec"]["configuration"], json!({"destinationPath": "s3://b/"}));
        assert!(store["spec"].get("retentionPolicy").is_none());
        assert_eq!(store["metadata"]["ownerReferences"][0]["uid"], "uid");
    }

    #[test]
    fn a_store_that_is_as_wanted_is_left_alone_and_one_with_a_field_more_is_not() {
        let wanted = store(&names(), "uid", &archive());
        let mut found = wanted.clone();
        found["metadata"]["resourceVersion"] = json!("7");
        found["status"] = json!({});
        assert!(has(&found, &wanted) && !has_more(&found, &wanted));
        found["spec"]["configuration"]["endpointURL"] = json!("https://other");
        assert!(has_more(&found, &wanted));
        found["spec"]["configuration"]["destinationPath"] = json!("s3://other/");
        assert!(!has(&found, &wanted));
    }

    #[test]
    fn other_plugins_and_other_parameters_are_kept() {
        let other = json!({"name": "other", "parameters": {"a": "b"}});
        let cluster = json!({"spec": {"plugins": [other, {"name": PLUGIN, "parameters": {"x": "y", "serverName": "s"}}]}});
        let plugins = plugins(&names(), Cluster(&cluster), "s").unwrap();
        assert_eq!(plugins[0], other);
        assert_eq!(
            plugins[1]["parameters"],
            json!({"x": "y", "serverName": "s", "barmanObjectName": "postgres-orders"})
        );
        let done = json!({"spec": {"plugins": plugins}});
        assert_eq!(super::plugins(&names(), Cluster(&done), "s"), None);
    }

    #[test]
    fn a_recovered_cluster_gets_a_new_name_whatever_it_was_recovered_from() {
        let recovered = |source: &str| json!({"metadata": {"uid": "u"}, "spec": {"bootstrap": {"recovery": {"source": source}}}});
        for source in ["postgres-orders", "postgres-sales"] {
            let name = server_name(Cluster(&recovered(source)), &names(), &archive());
            assert_eq!(name, fresh_server_name("postgres-orders", "u"), "recovered from {source}");
        }
        let new = json!({"metadata": {"uid": "u"}, "spec": {"bootstrap": {"initdb": {}}}});
        assert_eq!(server_name(Cluster(&new), &names(), &archive()), "postgres-orders");
    }

    #[test]
    fn an_instance_has_the_plugin_once_its_container_has_started() {
        let of = |pod: &Value| Instance::deserialize(pod).unwrap();
        let mut pod = json!({"status": {"containerStatuses": [{"name": "postgres"}]}});
        assert!(of(&pod).is_instance() && !of(&pod).has_sidecar() && !of(&pod).is_deleted());
        pod["status"]["initContainerStatuses"] =
            json!([{"name": "bootstrap"}, {"name": SIDECAR, "started": false}]);
        assert!(!of(&pod).has_sidecar());
        pod["status"]["initContainerStatuses"][1]["started"] = json!(true);
        assert!(of(&pod).has_sidecar() && of(&pod).is_ready());
        pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        assert!(!of(&pod).is_ready());
        pod["metadata"] =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "labels": {"cnpg.io/podRole": "instance"}});
        assert!(of(&pod).is_deleted() && of(&pod).is_instance());
    }
}
