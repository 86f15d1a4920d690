//! Fixtures: objects in YAML as a user writes them, and the host's requests made from them.

use backstay_core::contract::{
    Artifact, Backup, Container, GroupKind, Json, Mode, ObjectRef, Pairs, Pod, PodResult, Request,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The time of every run in a test, in seconds since the epoch: 2026-01-02T03:04:05Z.
pub const NOW: i64 = 1_767_323_045;
/// The group of an application reference that names none.
const DEFAULT_APPLICATION_GROUP: &str = "apps.cozystack.io";

/// Parses a YAML document.
///
/// # Panics
/// The text is no YAML, or no `T`; the message names the fixture and the place in it.
#[track_caller]
pub(crate) fn yaml<T: DeserializeOwned>(what: &str, text: &str) -> T {
    match serde_saphyr::from_str(text) {
        Ok(value) => value,
        Err(e) => panic!("the {what} fixture is not valid: {e}\n{text}"),
    }
}

/// Parses YAML documents, without the empty ones.
#[track_caller]
pub(crate) fn documents(what: &str, text: &str) -> Vec<Json> {
    match serde_saphyr::from_multiple::<Json>(text) {
        Ok(objects) => objects.into_iter().filter(|o| !o.is_null()).collect(),
        Err(e) => panic!("the {what} fixture is not valid: {e}\n{text}"),
    }
}

/// Parses a strategy object, and returns its kind and spec.
#[track_caller]
pub(crate) fn strategy(text: &str) -> (GroupKind, Json) {
    let object: Object = yaml("strategy", text);
    (group_kind(&object.api_version, &object.kind), object.spec)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    #[serde(default)]
    spec: Json,
}

fn group_kind(api_version: &str, kind: &str) -> GroupKind {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    GroupKind { group: group.to_owned(), kind: kind.to_owned() }
}

/// Returns the reference to an object.
#[track_caller]
pub(crate) fn reference(what: &str, object: &Json) -> ObjectRef {
    let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).map(str::to_owned);
    let need = |pointer: &str| text(pointer).unwrap_or_else(|| panic!("the {what} fixture has no {pointer}"));
    ObjectRef {
        api_version: need("/apiVersion"),
        kind: need("/kind"),
        namespace: text("/metadata/namespace"),
        name: need("/metadata/name"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackupObject {
    metadata: BackupMeta,
    spec: BackupSpec,
    #[serde(default)]
    status: BackupStatus,
}

#[derive(Deserialize)]
struct BackupMeta {
    name: String,
    uid: Option<String>,
    #[serde(default)]
    labels: Pairs,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackupSpec {
    application_ref: TypedRef,
    taken_at: Option<jiff::Timestamp>,
    #[serde(default)]
    driver_metadata: Pairs,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedRef {
    api_group: Option<String>,
    kind: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackupStatus {
    artifact: Option<Artifact>,
    underlying_resources: Option<Json>,
    component: Option<ComponentRef>,
}

#[derive(Deserialize)]
struct ComponentRef {
    version: String,
}

/// Parses a Backup object, as the host puts it into a request.
#[track_caller]
pub(crate) fn backup(text: &str) -> Backup {
    let object: BackupObject = yaml("Backup", text);
    let group = object.spec.application_ref.api_group.filter(|g| !g.is_empty());
    Backup {
        uid: object.metadata.uid.unwrap_or_else(|| format!("uid-of-{}", object.metadata.name)),
        name: object.metadata.name,
        run_uid: object.metadata.labels.get("backstay.dev/run-uid").cloned(),
        component_version: object.status.component.map(|c| c.version),
        application: GroupKind {
            group: group.unwrap_or_else(|| DEFAULT_APPLICATION_GROUP.to_owned()),
            kind: object.spec.application_ref.kind,
        },
        application_name: object.spec.application_ref.name,
        taken_at: object.spec.taken_at.map_or(NOW - 3600, jiff::Timestamp::as_second),
        metadata: object.spec.driver_metadata,
        artifact: object.status.artifact,
        underlying_resources: object.status.underlying_resources,
        private_data: None,
    }
}

/// Returns the parameters that a Backup holds for this kind of strategy: its metadata under the host's prefix.
pub(crate) fn parameters(backup: &Backup, kind: &GroupKind) -> Pairs {
    let prefix = format!("{}.{}/parameter/", kind.kind.to_lowercase(), kind.group);
    let named = |(key, value): (&String, &String)| {
        let key = key.strip_prefix(&prefix).filter(|k| !k.is_empty())?;
        Some((key.to_owned(), value.clone()))
    };
    backup.metadata.iter().filter_map(named).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ended {
    succeeded: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    pods: Vec<EndedPod>,
    data: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndedPod {
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    started_at: Option<jiff::Timestamp>,
    finished_at: Option<jiff::Timestamp>,
    #[serde(default)]
    containers: Vec<EndedContainer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndedContainer {
    name: String,
    exit_code: Option<i32>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    log: String,
}

/// Parses the result of a Job: the contract's `pod-result` in YAML.
#[track_caller]
pub(crate) fn ended(text: &str) -> PodResult {
    let ended: Ended = yaml("pod result", text);
    PodResult {
        succeeded: ended.succeeded,
        reason: ended.reason,
        message: ended.message,
        pods: ended.pods.into_iter().map(pod).collect(),
        data: ended.data,
    }
}

fn pod(pod: EndedPod) -> Pod {
    let containers = pod.containers.into_iter().map(|c| Container {
        name: c.name,
        exit_code: c.exit_code,
        reason: c.reason,
        message: c.message,
        log: c.log,
    });
    Pod {
        name: pod.name,
        reason: pod.reason,
        message: pod.message,
        started_at: pod.started_at.map(jiff::Timestamp::as_second),
        finished_at: pod.finished_at.map(jiff::Timestamp::as_second),
        containers: containers.collect(),
    }
}

/// Makes a request with defaults for everything but its mode.
pub(crate) fn request(mode: Mode) -> Request {
    let (api_version, kind, name) = match mode {
        Mode::Backup => ("backups.cozystack.io/v1alpha1", "BackupJob", "nightly"),
        Mode::Restore => ("backups.cozystack.io/v1alpha1", "RestoreJob", "restore"),
        Mode::Cleanup => ("backups.cozystack.io/v1alpha1", "Backup", "nightly"),
    };
    let object = |api_version: &str, kind: &str, name: &str| ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some("default".to_owned()),
        name: name.to_owned(),
    };
    Request {
        mode,
        run: object(api_version, kind, name),
        run_uid: "0d5f7a0e-0000-4000-8000-000000000001".to_owned(),
        started_at: NOW,
        deadline: NOW + 3600,
        now: NOW,
        strategy_kind: GroupKind::default(),
        strategy: None,
        parameters: Pairs::new(),
        options: None,
        application: object("v1", "ConfigMap", "app"),
        backup: None,
        namespaces: Pairs::new(),
        inherited: None,
        cancelled: None,
    }
}
