//! The values that a restore writes into the application, and the check that they are there.
//!
//! The application's API fills in defaults: a removed key comes back with a placeholder. So a value that must be empty
//! is written as empty text.

use backstay_sdk::{Value, json, serde_json};

use crate::rendered::Archive;
use crate::snapshot::Snapshot;
use crate::time::Instant;

/// The parts of the application's spec that a restore writes.
const PARTS: [&str; 4] = ["bootstrap", "backup", "databases", "users"];
/// The maps of these that are replaced completely, so that they hold recovered entries only.
const REPLACED: [&str; 2] = ["databases", "users"];

type Entries = serde_json::Map<String, Value>;

/// The inputs of the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) server: &'a str,
    pub(crate) target: Option<Instant>,
    pub(crate) destination: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) archive: &'a Archive,
    pub(crate) snapshot: &'a Snapshot,
    /// Whether the chart archives by itself, which must stop during the recovery.
    pub(crate) stop_archiving: bool,
    /// Whether the application must leave the system's bucket.
    pub(crate) leave_bucket: bool,
}

/// Returns the present parts of the application.
pub(crate) fn parts(application: &Value) -> Value {
    PARTS
        .iter()
        .map(|part| ((*part).to_owned(), application["spec"][*part].clone()))
        .collect::<Entries>()
        .into()
}

/// Returns the parts that the restore writes.
pub(crate) fn wanted(recovery: &Recovery<'_>) -> Value {
    let mut backup = json!({
        "destinationPath": recovery.destination,
        "endpointURL": recovery.endpoint,
        // Access keys are never written in clear text.
        "s3AccessKey": "",
        "s3SecretKey": "",
        "s3CredentialsSecret": {"name": ""},
        "endpointCA": {"name": ""},
    });
    if let Some(keys) = &recovery.archive.credentials {
        backup["s3CredentialsSecret"] = json!({
            "name": keys.name, "accessKeyIDKey": keys.id_key, "secretAccessKeyKey": keys.secret_key,
        });
    }
    if let Some(ca) = &recovery.archive.ca {
        backup["endpointCA"] = json!({"name": ca.name, "key": ca.key});
    }
    if recovery.stop_archiving {
        backup["enabled"] = json!(false);
    }
    if recovery.leave_bucket {
        backup["useSystemBucket"] = json!(false);
    }
    json!({
        "bootstrap": {
            "enabled": true,
            "oldName": recovery.server,
            "serverName": recovery.server,
            "recoveryTime": recovery.target.map(|t| t.to_string()).unwrap_or_default(),
        },
        "backup": backup,
        "databases": recovery.snapshot.databases,
        "users": recovery.snapshot.users,
    })
}

/// Whether `spec` (of an application, or the values of its release) has the wanted values.
pub(crate) fn holds(spec: &Value, wanted: &Value) -> bool {
    PARTS.iter().all(|part| part_holds(part, &spec[*part], &wanted[*part]))
}

/// Whether the values of a release have the wanted recovery. A release without values passes.
pub(crate) fn release_holds(release: &Value, wanted: &Value) -> bool {
    match release.pointer("/spec/values") {
        Some(values) if values.is_object() => {
            ["bootstrap", "backup"].iter().all(|part| part_holds(part, &values[*part], &wanted[*part]))
        }
        _ => true,
    }
}

fn part_holds(part: &str, found: &Value, wanted: &Value) -> bool {
    if !REPLACED.contains(&part) {
        return covers(found, wanted);
    }
    let (empty, none) = (Entries::new(), Value::Null);
    let found = found.as_object().unwrap_or(&empty);
    let wanted = wanted.as_object().unwrap_or(&empty);
    found.keys().all(|name| wanted.contains_key(name))
        && wanted.iter().all(|(name, wanted)| covers_whole(found.get(name).unwrap_or(&none), wanted))
}

/// Whether `found` has all fields of `wanted`. Other fields are not the restore's.
fn covers(found: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(wanted) => wanted.iter().all(|(key, wanted)| covers(&found[key.as_str()], wanted)),
        wanted => found == wanted || (is_blank(found) && is_blank(wanted)),
    }
}

/// Whether `found` equals `wanted`, except for defaults.
fn covers_whole(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            found.iter().all(|(key, value)| wanted.contains_key(key) || is_blank(value))
                && wanted
                    .iter()
                    .all(|(key, value)| covers_whole(found.get(key).unwrap_or(&Value::Null), value))
        }
        (found, wanted) => found == wanted || (is_blank(found) && is_blank(wanted)),
    }
}

/// Whether a value is the default that a schema fills in.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.values().all(is_blank),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Returns the merge patch that writes the wanted values into the application.
pub(crate) fn patch(application: &Value, wanted: &Value) -> Value {
    let mut spec = Entries::new();
    for part in PARTS {
        let (found, wanted) = (&application["spec"][part], &wanted[part]);
        if part_holds(part, found, wanted) {
            continue;
        }
        let change = if REPLACED.contains(&part) { replacing(found, wanted) } else { wanted.clone() };
        spec.insert(part.to_owned(), change);
    }
    json!({"spec": spec})
}

/// Returns the merge patch that reverts the application where it still has the restore's values; `None` if there is
/// nothing to revert.
pub(crate) fn put_back(application: &Value, wanted: &Value, before: &Value) -> Option<Value> {
    let mut spec = Entries::new();
    for part in PARTS {
        let (found, wanted, before) = (&application["spec"][part], &wanted[part], &before[part]);
        let change = if REPLACED.contains(&part) {
            let ours = part_holds(part, found, wanted) && !part_holds(part, found, before);
            ours.then(|| replacing(found, before))
        } else {
            keys_put_back(found, wanted, before)
        };
        if let Some(change) = change {
            spec.insert(part.to_owned(), change);
        }
    }
    (!spec.is_empty()).then(|| json!({"spec": spec}))
}

fn keys_put_back(found: &Value, wanted: &Value, before: &Value) -> Option<Value> {
    let mut change = Entries::new();
    for (key, wanted) in wanted.as_object().into_iter().flatten() {
        let (found, before) = (&found[key.as_str()], &before[key.as_str()]);
        let ours = covers(found, wanted);
        let same = found == before || (is_blank(found) && is_blank(before));
        if ours && !same {
            change.insert(key.clone(), replacing(found, before));
        }
    }
    (!change.is_empty()).then(|| change.into())
}

/// Returns the merge patch that turns `found` into `wanted`.
fn replacing(found: &Value, wanted: &Value) -> Value {
    let (Value::Object(found), Value::Object(wanted)) = (found, wanted) else { return wanted.clone() };
    let mut change = Entries::new();
    for key in found.keys().filter(|k| !wanted.contains_key(*k)) {
        change.insert(key.clone(), Value::Null);
    }
    for (key, value) in wanted {
        change.insert(key.clone(), replacing(found.get(key).unwrap_or(&Value::Null), value));
    }
    change.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendered::Credentials;

    /// Applies a merge patch (RFC 7386).
    fn merge(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (key, value) in patch {
            if value.is_null() {
                target.as_object_mut().unwrap().remove(key);
            } else {
                merge(&mut target[key.as_str()], value);
            }
        }
    }

    fn archive() -> Archive {
        let keys =
            Credentials { name: "keys".to_owned(), id_key: "id".to_owned(), secret_key: "secret".to_owned() };
        Archive {
            server_name: None,
            destination: String::new(),
            endpoint: String::new(),
            ca: None,
            credentials: Some(keys),
            retention: None,
            wal: None,
            data: None,
        }
    }

    fn example() -> (Value, Value) {
        let application = json!({"spec": {
            "version": "v17",
            "bootstrap": {"enabled": false, "recoveryTime": "old"},
            "backup": {
                "enabled": true, "schedule": "@daily", "endpointURL": "https://old", "destinationPath": "s3://old",
                "s3AccessKey": "AKIA", "s3SecretKey": "clear", "endpointCA": {"name": "ca", "key": "k"},
            },
            "databases": {"stale": {"roles": {"admin": ["x"]}}, "shop": {"extensions": ["hstore"]}},
            "users": {"stale": {"password": "p"}, "anna": {"password": "new", "replication": false}},
        }});
        let snapshot = Snapshot {
            databases: json!({"shop": {"roles": {"admin": ["anna"]}}}).as_object().unwrap().clone(),
            users: json!({"anna": {"password": "old"}}).as_object().unwrap().clone(),
            ..Snapshot::default()
        };
        let wanted = wanted(&Recovery {
            server: "s1",
            target: Some("2026-01-31T10:15:00Z".parse().unwrap()),
            destination: "s3://b/",
            endpoint: "",
            archive: &archive(),
            snapshot: &snapshot,
            stop_archiving: true,
            leave_bucket: false,
        });
        (application, wanted)
    }

    #[test]
    fn what_is_stale_goes_what_is_foreign_stays_and_no_key_is_in_clear() {
        let (mut application, wanted) = example();
        assert!(!holds(&application["spec"], &wanted));
        let patch = patch(&application, &wanted);
        merge(&mut application, &patch);
        assert!(holds(&application["spec"], &wanted), "{application:#}");
        let spec = &application["spec"];
        assert_eq!(spec["databases"], json!({"shop": {"roles": {"admin": ["anna"]}}}));
        assert_eq!(spec["users"], json!({"anna": {"password": "old"}}));
        assert_eq!((&spec["version"], &spec["backup"]["schedule"]), (&json!("v17"), &json!("@daily")));
        assert_eq!(spec["backup"]["endpointURL"], "");
        assert_eq!(
            (&spec["backup"]["s3AccessKey"], &spec["backup"]["s3SecretKey"]),
            (&json!(""), &json!(""))
        );
        assert_eq!(spec["backup"]["s3CredentialsSecret"]["name"], "keys");
        assert_eq!(spec["backup"]["enabled"], false);
        assert_eq!(spec["bootstrap"]["recoveryTime"], "2026-01-31 10:15:00.000000+00");
    }

    #[test]
    fn defaults_that_are_filled_in_do_no_harm_and_a_stale_entry_does() {
        let (mut application, wanted) = example();
        let patch = patch(&application, &wanted);
        merge(&mut application, &patch);
        application["spec"]["users"]["anna"]["replication"] = json!(false);
        application["spec"]["databases"]["shop"]["roles"]["readonly"] = json!([]);
        assert!(holds(&application["spec"], &wanted));
        application["spec"]["databases"]["other"] = json!({});
        assert!(!holds(&application["spec"], &wanted));
    }

    #[test]
    fn what_was_written_is_put_back_and_what_somebody_else_wrote_since_is_kept() {
        let (mut application, wanted) = example();
        let original = application.clone();
        let before = parts(&application);
        let patch = patch(&application, &wanted);
        merge(&mut application, &patch);
        let mut edited = application.clone();
        let back = put_back(&application, &wanted, &before).unwrap();
        merge(&mut application, &back);
        // A field that had no value before has none or an empty one.
        assert!(
            PARTS.iter().all(|p| covers_whole(&application["spec"][*p], &original["spec"][*p])),
            "{application:#}"
        );
        assert_eq!(put_back(&application, &wanted, &before), None);
        edited["spec"]["backup"]["destinationPath"] = json!("s3://human/");
        let back = put_back(&edited, &wanted, &before).unwrap();
        assert!(back["spec"]["backup"].get("destinationPath").is_none(), "{back:#}");
    }

    #[test]
    fn the_values_of_a_release_are_compared_where_there_are_any() {
        let (_, wanted) = example();
        assert!(release_holds(&json!({"spec": {}}), &wanted));
        assert!(!release_holds(&json!({"spec": {"values": {"bootstrap": {"enabled": false}}}}), &wanted));
        assert!(release_holds(&json!({"spec": {"values": wanted}}), &wanted));
    }
}
