//! The databases and users of an application at its backup. A restore writes them back, because the chart would
//! otherwise drop what was recovered.
//!
//! Tenants can read a Backup, so the visible part has no passwords; the full snapshot is private.

use std::collections::BTreeMap;

use backstay_sdk::{Backup, Failure, Value, json};
use backstay_sdk::{Deserialize, Serialize, serde_json};

const API_VERSION: &str = "backups.cozystack.io/v1alpha1";
const KIND: &str = "CNPGBackupSnapshot";
/// Maximum bytes of the visible part.
const VISIBLE_BYTES: usize = 60 << 10;

type Entries = serde_json::Map<String, Value>;

/// Databases, users, parameters and the size that a restore compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct Snapshot {
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(crate) databases: Entries,
    /// Users, with their passwords unless they were read from the visible part.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(crate) users: Entries,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parameters: BTreeMap<String, String>,
    /// The size of a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<String>,
}

impl Snapshot {
    /// Takes the snapshot of an application.
    pub(crate) fn of(application: &Value, parameters: &BTreeMap<String, String>) -> Self {
        let entries = |key: &str| application["spec"][key].as_object().cloned().unwrap_or_default();
        Self {
            databases: entries("databases"),
            users: entries("users"),
            parameters: parameters.clone(),
            size: application["spec"]["size"].as_str().map(str::to_owned),
        }
    }

    /// Returns the part that tenants can read.
    pub(crate) fn visible(&self) -> Value {
        let mut seen = self.clone();
        for user in seen.users.values_mut().filter_map(Value::as_object_mut) {
            user.remove("password");
        }
        let mut value = to_json(&seen);
        if value.to_string().len() > VISIBLE_BYTES {
            value = json!({"truncated": true});
        }
        value["apiVersion"] = json!(API_VERSION);
        value["kind"] = json!(KIND);
        value
    }

    /// Returns the full snapshot, which tenants cannot read.
    pub(crate) fn private(&self) -> Value {
        to_json(self)
    }

    /// Reads the snapshot of a backup, and whether its users have their passwords.
    pub(crate) fn read(backup: &Backup) -> Result<(Self, bool), Failure> {
        let unusable = |cause: &str| {
            Failure::new(
                "SnapshotUnusable",
                format!(
                    "status.underlyingResources of Backup {} {cause}; without it a restore could drop recovered \
                     databases and users; make a new backup",
                    backup.name
                ),
            )
        };
        let visible = backup.underlying_resources.as_ref().filter(|v| !v.is_null());
        let visible = visible.ok_or_else(|| unusable("is missing"))?;
        if visible["kind"] != KIND {
            return Err(unusable(&format!("is no {KIND}")));
        }
        if let Some(private) = &backup.private_data {
            return Self::decode(private)
                .map(|s| (s, true))
                .ok_or_else(|| unusable("has no private part that decodes"));
        }
        if visible["truncated"] == true {
            return Err(unusable("is cut, and its private part is gone"));
        }
        let snapshot = Self::decode(visible).ok_or_else(|| unusable("does not decode"))?;
        let secrets = backup.component_version.is_none() || snapshot.users.is_empty();
        Ok((snapshot, secrets))
    }

    fn decode(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// Adds the passwords in `users` to the users without one.
    pub(crate) fn with_passwords_of(mut self, users: &Value) -> Self {
        for (name, user) in &mut self.users {
            let password = &users[name.as_str()]["password"];
            if let Some(user) = user.as_object_mut().filter(|u| !u.contains_key("password"))
                && password.is_string()
            {
                user.insert("password".to_owned(), password.clone());
            }
        }
        self
    }
}

fn to_json(snapshot: &Snapshot) -> Value {
    serde_json::to_value(snapshot).expect("a snapshot has string keys only, so that it has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstay_sdk::GroupKind;

    fn application() -> Value {
        json!({"spec": {
            "databases": {"shop": {"roles": {"admin": ["anna"]}, "extensions": ["hstore"]}},
            "users": {"anna": {"password": "s3cret", "replication": true}, "bob": {}},
            "size": "10Gi",
        }})
    }

    fn backup(underlying: Option<Value>, private: Option<Value>) -> Backup {
        Backup {
            name: "b1".to_owned(),
            uid: "u".to_owned(),
            run_uid: None,
            component_version: private.is_some().then(|| "0.1.0".to_owned()),
            application: GroupKind::new("apps.cozystack.io", "Postgres"),
            application_name: "orders".to_owned(),
            taken_at: 0,
            metadata: BTreeMap::new(),
            artifact: None,
            underlying_resources: underlying,
            private_data: private,
        }
    }

    #[test]
    fn a_round_trip_keeps_all_and_tenants_see_no_password() {
        let parameters = BTreeMap::from([("bucket".to_owned(), "b".to_owned())]);
        let snapshot = Snapshot::of(&application(), &parameters);
        let visible = snapshot.visible();
        assert!(!visible.to_string().contains("s3cret"), "{visible}");
        assert_eq!(visible["users"], json!({"anna": {"replication": true}, "bob": {}}));
        let read = Snapshot::read(&backup(Some(visible), Some(snapshot.private()))).unwrap();
        assert_eq!(read, (snapshot, true));
    }

    #[test]
    fn a_snapshot_of_the_go_implementation_is_read_with_its_passwords() {
        let visible = json!({"kind": KIND, "users": {"anna": {"password": "x"}}});
        let (snapshot, passwords) = Snapshot::read(&backup(Some(visible), None)).unwrap();
        assert!(passwords && snapshot.parameters.is_empty() && snapshot.databases.is_empty());
    }

    #[test]
    fn none_an_empty_one_text_and_another_kind_are_refused() {
        for underlying in
            [None, Some(json!({})), Some(json!("{}")), Some(json!({"kind": "Other"})), Some(json!(null))]
        {
            let failure = Snapshot::read(&backup(underlying.clone(), None)).unwrap_err();
            assert_eq!(failure.reason, "SnapshotUnusable", "{underlying:?}");
        }
    }

    #[test]
    fn passwords_of_today_fill_in_for_lost_ones_and_replace_none() {
        let mut snapshot = Snapshot::of(&application(), &BTreeMap::new());
        snapshot.users["bob"] = json!({});
        let filled =
            snapshot.with_passwords_of(&json!({"anna": {"password": "new"}, "bob": {"password": "bobs"}}));
        assert_eq!(filled.users["anna"]["password"], "s3cret");
        assert_eq!(filled.users["bob"]["password"], "bobs");
    }

    #[test]
    fn what_is_too_large_for_tenants_eyes_is_kept_in_private() {
        let mut snapshot = Snapshot::default();
        snapshot.databases.insert("x".repeat(VISIBLE_BYTES), json!({}));
        assert_eq!(snapshot.visible()["truncated"], true);
        let (read, _) = Snapshot::read(&backup(Some(snapshot.visible()), Some(snapshot.private()))).unwrap();
        assert_eq!(read, snapshot);
    }
}
