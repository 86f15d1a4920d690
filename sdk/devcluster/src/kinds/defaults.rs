//! What the API server puts into objects of built-in kinds.

use serde_json::{Map, Value, json};

use super::decode::{base64, to_base64};
use super::types;
use super::value::{at, entries, items, items_mut, map_mut, number, on, set_default, text};
use crate::schema::{self, Schema};

/// Times that are written as null if they are not there, by the type that has them.
const NULL_TIMES: [(&str, &[&str]); 14] = [
    ("batch.v1.JobCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("core.v1.PodCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("core.v1.PersistentVolumeClaimCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("core.v1.NamespaceCondition", &["lastTransitionTime"]),
    ("core.v1.NodeCondition", &["lastHeartbeatTime", "lastTransitionTime"]),
    ("core.v1.ContainerStateTerminated", &["startedAt", "finishedAt"]),
    ("core.v1.ContainerStateRunning", &["startedAt"]),
    ("core.v1.Event", &["eventTime", "firstTimestamp", "lastTimestamp"]),
    ("core.v1.EventSeries", &["lastObservedTime"]),
    ("events.v1.Event", &["eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]),
    ("events.v1.EventSeries", &["lastObservedTime"]),
    ("apiextensions.v1.CustomResourceDefinitionCondition", &["lastTransitionTime"]),
    ("apiregistration.v1.APIServiceCondition", &["lastTransitionTime"]),
    ("meta.v1.Condition", &["lastTransitionTime"]),
];

/// Puts the defaults of a built-in kind into an object, and what Go writes although it is nothing.
///
/// The API server does it to whatever it decodes: bodies, results of patches and what it reads from its store. It does not to what
/// an apply sends, but to what it makes of that.
pub fn default(group: &str, version: &str, kind: &str, object: &mut Value) {
    match (group, kind) {
        ("batch", "Job") => job(object),
        ("", "Pod") => {
            pod(object);
            addresses(object);
        }
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "LimitRange") => limit_range(object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            if let Some(fields) = object.as_object_mut() {
                set_default(fields, "rules", Value::Null);
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => policy(object),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => policy_binding(object),
        _ => {}
    }
    if let Some(schema) = types::builtin(group, version, kind) {
        schema::default(schema, object);
        null_times(schema, object);
    }
}

/// A pod's first address is its address.
fn addresses(object: &mut Value) {
    let (one, first) = (at(object, &["status", "podIP"]), at(object, &["status", "podIPs"]).get(0));
    let first = first.map(|first| text(first, &["ip"])).unwrap_or_default();
    let Some(one) = one.as_str().filter(|one| !one.is_empty() && *one != first).map(str::to_owned) else {
        return;
    };
    if let Some(status) = map_mut(object, &["status"]) {
        status.insert("podIPs".into(), json!([{"ip": one}]));
    }
}

/// Writes times that are not there as null, where Go does.
fn null_times(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let times =
                NULL_TIMES.iter().find(|(name, _)| !schema.name.is_empty() && schema.name.ends_with(name));
            for time in times.map_or(&[][..], |(_, times)| times) {
                fields.entry(*time).or_insert(Value::Null);
            }
            for (name, value) in fields {
                if let Some(inner) = schema.field(name) {
                    null_times(inner, value);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else { return };
            items.iter_mut().for_each(|item| null_times(inner, item));
        }
        _ => {}
    }
}

fn job(object: &mut Value) {
    let labels = at(object, &["spec", "template", "metadata", "labels"]).clone();
    if labels.is_object()
        && entries(object, &["metadata", "labels"]).next().is_none()
        && let Some(metadata) = map_mut(object, &["metadata"])
    {
        metadata.insert("labels".into(), labels);
    }
    let failure_policy = at(object, &["spec", "podFailurePolicy"]).is_object();
    let Some(spec) = map_mut(object, &["spec"]) else { return };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        set_default(spec, "completions", 1);
    }
    set_default(spec, "parallelism", 1);
    let limit = if spec.contains_key("backoffLimitPerIndex") { i32::MAX } else { 6 };
    set_default(spec, "backoffLimit", limit);
    set_default(spec, "completionMode", "NonIndexed");
    set_default(spec, "suspend", false);
    set_default(spec, "podReplacementPolicy", if failure_policy { "Failed" } else { "TerminatingOrFailed" });
    set_default(spec, "manualSelector", false);
    for rule in items_mut(object, &["spec", "podFailurePolicy", "rules"]) {
        for pattern in items_mut(rule, &["onPodConditions"]) {
            if let Some(pattern) = pattern.as_object_mut() {
                set_default(pattern, "status", "True");
            }
        }
    }
    if let Some(template) = map_mut(object, &["spec"]).and_then(|spec| {
        let template = spec.entry("template").or_insert_with(|| json!({}));
        Some(template).filter(|template| template.is_object())
    }) {
        pod_spec(template);
    }
}

/// Puts the defaults of a pod's spec into what has it in its field `spec`.
fn pod_spec(parent: &mut Value) {
    let Some(spec) = map_mut(parent, &["spec"]) else { return };
    set_default(spec, "dnsPolicy", "ClusterFirst");
    set_default(spec, "restartPolicy", "Always");
    set_default(spec, "securityContext", json!({}));
    set_default(spec, "terminationGracePeriodSeconds", 30);
    set_default(spec, "schedulerName", "default-scheduler");
    if let Some(account) = spec.get("serviceAccountName").or(spec.get("serviceAccount")).cloned() {
        spec.insert("serviceAccountName".into(), account.clone());
        spec.insert("serviceAccount".into(), account);
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        items_mut(parent, &["spec", list]).iter_mut().for_each(container);
    }
    items_mut(parent, &["spec", "volumes"]).iter_mut().for_each(volume);
}

fn container(container: &mut Value) {
    let image = text(container, &["image"]).to_owned();
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if at(container, &[probe]).is_object()
            && let Some(probe) = map_mut(container, &[probe])
        {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                if probe.get(field).is_some_and(|value| *value == 0) {
                    probe.remove(field);
                }
                set_default(probe, field, value);
            }
            http_get(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if at(container, &["lifecycle", hook]).is_object()
            && let Some(hook) = map_mut(container, &["lifecycle", hook])
        {
            http_get(hook);
        }
    }
    for variable in items_mut(container, &["env"]) {
        if at(variable, &["valueFrom", "fieldRef"]).is_object()
            && let Some(reference) = map_mut(variable, &["valueFrom", "fieldRef"])
        {
            set_default(reference, "apiVersion", "v1");
        }
    }
    let Some(fields) = container.as_object_mut() else { return };
    set_default(
        fields,
        "imagePullPolicy",
        if is_latest(&image) && image.trim() == image { "Always" } else { "IfNotPresent" },
    );
    set_default(fields, "terminationMessagePath", "/dev/termination-log");
    set_default(fields, "terminationMessagePolicy", "File");
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        set_default(get, "path", "/");
        set_default(get, "scheme", "HTTP");
    }
}

/// Whether an image is the latest of its name: it has no tag, or this one.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !image.is_empty() && !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume(volume: &mut Value) {
    let Some(fields) = volume.as_object_mut() else { return };
    if fields.keys().all(|field| field == "name") {
        fields.insert("emptyDir".into(), json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = fields.get_mut(source).and_then(Value::as_object_mut) {
            set_default(source, "defaultMode", 0o644);
        }
    }
    if let Some(path) = fields.get_mut("hostPath").and_then(Value::as_object_mut) {
        set_default(path, "type", "");
    }
    for source in items_mut(volume, &["projected", "sources"]) {
        if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
            set_default(token, "expirationSeconds", 3600);
        }
        projected_items(source);
    }
    projected_items(volume);
}

fn projected_items(source: &mut Value) {
    for item in items_mut(source, &["downwardAPI", "items"]) {
        if let Some(reference) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            set_default(reference, "apiVersion", "v1");
        }
    }
}

fn pod(object: &mut Value) {
    pod_spec(object);
    let host_network = on(object, &["spec", "hostNetwork"]);
    for list in ["initContainers", "containers"] {
        for container in items_mut(object, &["spec", list]) {
            let limits: Vec<(String, Value)> = entries(container, &["resources", "limits"])
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if let Some(requests) =
                (!limits.is_empty()).then(|| map_mut(container, &["resources", "requests"])).flatten()
            {
                limits.into_iter().for_each(|(name, limit)| set_default(requests, &name, limit));
            }
            for port in items_mut(container, &["ports"]).iter_mut().filter(|_| host_network) {
                let own = at(port, &["containerPort"]).clone();
                if let Some(port) = port.as_object_mut() {
                    set_default(port, "hostPort", own);
                }
            }
        }
    }
    if let Some(spec) = map_mut(object, &["spec"]) {
        set_default(spec, "enableServiceLinks", true);
    }
}

fn secret(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    set_default(fields, "type", "Opaque");
    let Some(Value::Object(plain)) = fields.remove("stringData") else { return };
    if plain.is_empty() {
        return;
    }
    let Some(data) = map_mut(object, &["data"]) else { return };
    for (name, value) in plain {
        data.insert(name, to_base64(value.as_str().unwrap_or_default().as_bytes()).into());
    }
}

fn namespace(object: &mut Value) {
    let name = text(object, &["metadata", "name"]).to_owned();
    if !name.is_empty()
        && let Some(labels) = map_mut(object, &["metadata", "labels"])
    {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
    if let Some(status) = map_mut(object, &["status"]) {
        set_default(status, "phase", "Active");
    }
}

fn claim(object: &mut Value) {
    if let Some(spec) = map_mut(object, &["spec"]) {
        set_default(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = map_mut(object, &["status"]) {
        set_default(status, "phase", "Pending");
    }
}

fn limit_range(object: &mut Value) {
    for limit in items_mut(object, &["spec", "limits"])
        .iter_mut()
        .filter(|limit| text(limit, &["type"]) == "Container")
    {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let values: Vec<(String, Value)> =
                entries(limit, &[from]).map(|(name, value)| (name.clone(), value.clone())).collect();
            if let Some(to) = (!values.is_empty()).then(|| map_mut(limit, &[to])).flatten() {
                values.into_iter().for_each(|(name, value)| set_default(to, &name, value));
            }
        }
    }
}

fn binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if let Some(role) = map_mut(object, &["roleRef"]) {
        set_default(role, "apiGroup", GROUP);
    }
    for subject in items_mut(object, &["subjects"]) {
        let is_account = text(subject, &["kind"]) == "ServiceAccount";
        if let Some(subject) = subject.as_object_mut().filter(|_| !is_account) {
            set_default(subject, "apiGroup", GROUP);
        }
    }
}

fn policy(object: &mut Value) {
    let Some(spec) = map_mut(object, &["spec"]) else { return };
    set_default(spec, "failurePolicy", "Fail");
    if let Some(constraints) = spec.get_mut("matchConstraints") {
        matching(constraints);
    }
}

fn policy_binding(object: &mut Value) {
    if at(object, &["spec", "matchResources"]).is_object()
        && let Some(resources) = map_mut(object, &["spec"]).and_then(|spec| spec.get_mut("matchResources"))
    {
        matching(resources);
    }
}

fn matching(resources: &mut Value) {
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in items_mut(resources, &[list]) {
            if let Some(rule) = rule.as_object_mut() {
                set_default(rule, "scope", "*");
            }
        }
    }
    let Some(resources) = resources.as_object_mut() else { return };
    set_default(resources, "matchPolicy", "Equivalent");
    set_default(resources, "namespaceSelector", json!({}));
    set_default(resources, "objectSelector", json!({}));
}

/// Puts into an object what its kind makes by itself before it is checked: labels and a selector of a Job, the state of a new Pod or
/// Namespace, and what an update keeps of the object before.
///
/// The name and the uid must be set. It is not part of what a client owns.
pub fn prepare(
    group: &str,
    version: &str,
    kind: &str,
    subresource: &str,
    new: &mut Value,
    old: Option<&Value>,
) {
    match (group, kind, old) {
        ("batch", "Job", None) => {
            set(new, "status", json!({}));
            if !on(new, &["spec", "manualSelector"]) {
                selector(new);
            }
        }
        ("", "Pod", None) => {
            let class = quality(new);
            set(new, "status", json!({"phase": "Pending", "qosClass": class}));
        }
        ("", "Namespace", None) => {
            set(new, "status", json!({"phase": "Active"}));
            let mut finalizers = items(new, &["spec", "finalizers"]).to_vec();
            if !finalizers.iter().any(|name| name == "kubernetes") {
                finalizers.push("kubernetes".into());
            }
            if let Some(spec) = map_mut(new, &["spec"]) {
                spec.insert("finalizers".into(), finalizers.into());
            }
        }
        ("", "Pod", Some(old)) if subresource == "status" => {
            let owners = at(old, &["metadata", "ownerReferences"]).clone();
            if let Some(metadata) = map_mut(new, &["metadata"]) {
                metadata.insert("ownerReferences".into(), owners);
            }
            let class = at(old, &["status", "qosClass"]).clone();
            if let Some(status) = map_mut(new, &["status"]) {
                status.entry("qosClass").or_insert(class);
            }
        }
        ("", "ServiceAccount", _) => {
            for secret in items_mut(new, &["secrets"]) {
                if let Some(secret) = secret.as_object_mut() {
                    secret.retain(|field, _| field == "name");
                }
            }
        }
        ("", "PersistentVolumeClaim", None) => set(new, "status", json!({"phase": "Pending"})),
        // What is for choosing among API servers, which clusters do not have without a word.
        ("coordination.k8s.io", "Lease", _) => {
            let kept = |field: &str| old.is_some_and(|old| !at(old, &["spec", field]).is_null());
            let unknown = ["strategy", "preferredHolder"].into_iter().filter(|field| !kept(field));
            if let Some(Value::Object(spec)) = new.get_mut("spec") {
                unknown.for_each(|field| drop(spec.remove(field)));
            }
        }
        ("", "Namespace", Some(old)) if subresource.is_empty() => {
            let kept = at(old, &["spec"]).clone();
            set(new, "spec", kept);
            set(new, "status", at(old, &["status"]).clone());
        }
        // Go writes them even if they are empty; but no one owns them then.
        ("", "Event", _) => {
            if let Some(fields) = new.as_object_mut() {
                set_default(fields, "reportingComponent", "");
                set_default(fields, "reportingInstance", "");
            }
        }
        ("", "Secret", Some(old)) if text(new, &["type"]).is_empty() => {
            set(new, "type", at(old, &["type"]).clone())
        }
        _ => {}
    }
    default(group, version, kind, new);
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// Gives a Job the labels by which its pods are known.
fn selector(job: &mut Value) {
    let (name, uid) = (at(job, &["metadata", "name"]).clone(), at(job, &["metadata", "uid"]).clone());
    // Labels that the Job took over from its template are the same map in the API server.
    let own = at(job, &["metadata", "labels"]);
    let shared = own.is_object() && own == at(job, &["spec", "template", "metadata", "labels"]);
    // An object whose name is generated is a copy.
    let prefix = text(job, &["metadata", "generateName"]);
    let shared = shared && (prefix.is_empty() || !text(job, &["metadata", "name"]).starts_with(prefix));
    if let Some(labels) = map_mut(job, &["spec", "template", "metadata", "labels"]) {
        for label in ["job-name", "batch.kubernetes.io/job-name"] {
            set_default(labels, label, name.clone());
        }
        for label in ["controller-uid", "batch.kubernetes.io/controller-uid"] {
            set_default(labels, label, uid.clone());
        }
        let labels = labels.clone();
        if let Some(metadata) = map_mut(job, &["metadata"]).filter(|_| shared) {
            metadata.insert("labels".into(), labels.into());
        }
    }
    if let Some(labels) = map_mut(job, &["spec", "selector", "matchLabels"]) {
        set_default(labels, "batch.kubernetes.io/controller-uid", uid);
    }
}

/// Returns the class of service of a pod.
fn quality(pod: &Value) -> &'static str {
    let containers =
        || ["containers", "initContainers"].into_iter().flat_map(|list| items(pod, &["spec", list]));
    let counted = |container: &Value, kind: &str| {
        entries(container, &["resources", kind])
            .filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"))
            .count()
    };
    if containers().all(|container| counted(container, "requests") + counted(container, "limits") == 0) {
        return "BestEffort";
    }
    let is_fixed = |container: &Value| {
        counted(container, "limits") == 2
            && at(container, &["resources", "limits"]) == at(container, &["resources", "requests"])
    };
    if containers().all(is_fixed) { "Guaranteed" } else { "Burstable" }
}

/// Returns how many bytes the values of a Secret have.
pub(super) fn secret_size(secret: &Value) -> usize {
    entries(secret, &["data"]).filter_map(|(_, value)| Some(base64(value.as_str()?)?.len())).sum()
}

/// Whether the number at a path is there and less than zero.
pub(super) fn is_negative(value: &Value, path: &[&str]) -> bool {
    number(value, path).is_some_and(|number| number < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_gets_its_labels_and_its_pod_its_defaults() {
        let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "lab"}]}}}});
        default("batch", "v1", "Job", &mut job);
        prepare("batch", "v1", "Job", "", &mut job, None);
        let labels = json!({"batch.kubernetes.io/controller-uid": "u", "batch.kubernetes.io/job-name": "j",
            "controller-uid": "u", "job-name": "j"});
        assert_eq!(job["metadata"]["labels"], labels);
        assert_eq!(
            job["spec"],
            json!({"parallelism": 1, "completions": 1, "backoffLimit": 6,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}, "manualSelector": false,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "lab", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}],
                "restartPolicy": "Never", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
                "schedulerName": "default-scheduler"}},
            "completionMode": "NonIndexed", "suspend": true, "podReplacementPolicy": "TerminatingOrFailed"})
        );
        assert_eq!(job["status"], json!({}));
    }

    #[test]
    fn plain_texts_of_a_secret_become_data() {
        let mut secret = json!({"metadata": {"name": "s"}, "stringData": {"a": "1"}, "data": {"b": "Mg=="}});
        default("", "v1", "Secret", &mut secret);
        assert_eq!(
            secret,
            json!({"metadata": {"name": "s"}, "data": {"a": "MQ==", "b": "Mg=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn an_image_without_a_tag_is_pulled_always() {
        assert!(is_latest("lab") && is_latest("host:5000/lab") && is_latest("lab:latest"));
        assert!(!is_latest("lab:1") && !is_latest("lab@sha256:ab") && !is_latest(""));
    }
}
