//! What is in the volumes of a pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::{Objects, data, field, referenced, resource};
use crate::client::{items, number, text};

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Its content.
    pub(super) bytes: Vec<u8>,
    /// Its permissions.
    pub(super) mode: u32,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// An empty folder that lives as long as the pod.
    Empty,
    /// Files that cannot be written, by their path.
    Files(BTreeMap<String, File>),
    /// The folder of this claim.
    Claim {
        /// The claim's uid.
        uid: String,
        /// Whether nothing may be written.
        read_only: bool,
    },
}

/// Returns the volumes of a pod by their names.
///
/// # Errors
/// The kubelet's words for what is not there yet, or what the local node cannot tell.
pub(super) fn volumes(pod: &Value, objects: &Objects) -> Result<BTreeMap<String, Volume>, String> {
    let mut all = BTreeMap::new();
    for volume in items(pod, "/spec/volumes") {
        let name = text(volume, "/name");
        let volume = one(pod, volume, objects)
            .map_err(|why| format!("MountVolume.SetUp failed for volume \"{name}\" : {why}"))?;
        all.insert(name.to_owned(), volume);
    }
    Ok(all)
}

fn one(pod: &Value, volume: &Value, objects: &Objects) -> Result<Volume, String> {
    if let Some(claim) = volume.get("persistentVolumeClaim") {
        let name = text(claim, "/claimName");
        let found = objects.get(&("persistentvolumeclaims".to_owned(), name.to_owned()));
        let found = found.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found"))?;
        if text(found, "/status/phase") != "Bound" {
            return Err(format!("persistentvolumeclaim \"{name}\" is not bound"));
        }
        let read_only = claim["readOnly"].as_bool().unwrap_or_default();
        return Ok(Volume::Claim { uid: text(found, "/metadata/uid").to_owned(), read_only });
    }
    let mut files = BTreeMap::new();
    if let Some(projected) = volume.get("projected") {
        let mode = mode(projected, "/defaultMode").unwrap_or(0o644);
        for source in items(projected, "/sources") {
            source_files(pod, source, mode, objects, &mut files)?;
        }
        return Ok(Volume::Files(files));
    }
    for kind in ["secret", "configMap", "downwardAPI"] {
        if let Some(source) = volume.get(kind) {
            let mode = mode(source, "/defaultMode").unwrap_or(0o644);
            source_files(pod, volume, mode, objects, &mut files)?;
            return Ok(Volume::Files(files));
        }
    }
    Ok(Volume::Empty)
}

fn mode(value: &Value, pointer: &str) -> Option<u32> {
    u32::try_from(number(value, pointer)?).ok()
}

fn source_files(
    pod: &Value,
    source: &Value,
    usual: u32,
    objects: &Objects,
    files: &mut BTreeMap<String, File>,
) -> Result<(), String> {
    for (resource, kind) in [("secrets", "secret"), ("configmaps", "configMap")] {
        if let Some(reference) = source.get(kind)
            && let Some(object) = referenced(resource, reference, objects)?
        {
            let word = if resource == "secrets" { "secret" } else { "config" };
            keys(reference, data(resource, object), word, usual, files)?;
        }
    }
    for item in items(source, "/downwardAPI/items") {
        let content = match item.get("fieldRef") {
            Some(reference) => field(pod, text(reference, "/fieldPath"))?,
            None => resource(
                container(pod, text(item, "/resourceFieldRef/containerName")),
                &item["resourceFieldRef"],
            )?,
        };
        let mode = mode(item, "/mode").unwrap_or(usual);
        files.insert(path(text(item, "/path"))?, File { bytes: content.into_bytes(), mode });
    }
    if let Some(token) = source.get("serviceAccountToken") {
        let key = ("tokens".to_owned(), text(token, "/audience").to_owned());
        let object = objects.get(&key).ok_or("the API server gives no token of the pod's ServiceAccount")?;
        let bytes = text(object, "/status/token").as_bytes().to_vec();
        files.insert(path(text(token, "/path"))?, File { bytes, mode: 0o600 });
    }
    Ok(())
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let all = items(pod, "/spec/containers").iter().chain(items(pod, "/spec/initContainers"));
    all.into_iter().find(|container| text(container, "/name") == name).unwrap_or(&Value::Null)
}

/// Puts the keys of a Secret or ConfigMap into files: those that are named, or all.
fn keys(
    reference: &Value,
    mut data: BTreeMap<String, Vec<u8>>,
    word: &str,
    usual: u32,
    files: &mut BTreeMap<String, File>,
) -> Result<(), String> {
    let named = items(reference, "/items");
    if named.is_empty() {
        files.extend(data.into_iter().map(|(key, bytes)| (key, File { bytes, mode: usual })));
        return Ok(());
    }
    for item in named {
        let key = text(item, "/key");
        match data.remove(key) {
            Some(bytes) => {
                let mode = mode(item, "/mode").unwrap_or(usual);
                files.insert(path(text(item, "/path"))?, File { bytes, mode });
            }
            None if reference["optional"] == true => {}
            None => return Err(format!("references non-existent {word} key: {key}")),
        }
    }
    Ok(())
}

/// Returns a path that stays within its volume.
fn path(path: &str) -> Result<String, String> {
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!("invalid path \"{path}\""));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(text: &str, mode: u32) -> File {
        File { bytes: text.as_bytes().to_vec(), mode }
    }

    fn of(volume: Value) -> Result<Volume, String> {
        let objects = Objects::from([
            (("secrets".to_owned(), "s".to_owned()), json!({"data": {"a": "MQ==", "b": "Mg=="}})),
            (("configmaps".to_owned(), "c".to_owned()), json!({"data": {"c": "3"}})),
            (
                ("persistentvolumeclaims".to_owned(), "data".to_owned()),
                json!({"metadata": {"uid": "u"}, "status": {"phase": "Bound"}}),
            ),
        ]);
        let pod = json!({"metadata": {"name": "p"}, "spec": {"volumes": [volume]}});
        volumes(&pod, &objects).map(|volumes| volumes.into_values().next().expect("one volume"))
    }

    #[test]
    fn a_secret_is_a_folder_of_its_keys_or_of_those_that_are_named() {
        let all = of(json!({"name": "v", "secret": {"secretName": "s", "defaultMode": 0o400}}));
        let files = [("a".to_owned(), file("1", 0o400)), ("b".to_owned(), file("2", 0o400))];
        assert_eq!(all, Ok(Volume::Files(files.into())));
        let named = json!({"name": "v", "secret": {"secretName": "s",
            "items": [{"key": "b", "path": "deep/b.txt", "mode": 0o600}]}});
        assert_eq!(of(named), Ok(Volume::Files([("deep/b.txt".to_owned(), file("2", 0o600))].into())));
    }

    #[test]
    fn several_sources_are_one_folder() {
        let volume = json!({"name": "v", "projected": {"defaultMode": 0o440, "sources": [
            {"secret": {"name": "s", "items": [{"key": "a", "path": "a"}]}}, {"configMap": {"name": "c"}},
            {"configMap": {"name": "absent", "optional": true}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}});
        let files = [("a", "1"), ("c", "3"), ("name", "p")].map(|(k, v)| (k.to_owned(), file(v, 0o440)));
        assert_eq!(of(volume), Ok(Volume::Files(files.into())));
    }

    #[test]
    fn a_claim_is_a_folder_and_an_absent_object_is_named() {
        let claim = json!({"name": "v", "persistentVolumeClaim": {"claimName": "data"}});
        assert_eq!(of(claim), Ok(Volume::Claim { uid: "u".to_owned(), read_only: false }));
        assert_eq!(
            of(json!({"name": "v", "secret": {"secretName": "none"}})),
            Err("MountVolume.SetUp failed for volume \"v\" : secret \"none\" not found".to_owned())
        );
        assert!(
            of(json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "a", "path": "../x"}]}}))
                .is_err()
        );
    }
}
