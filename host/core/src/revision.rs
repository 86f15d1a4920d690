//! The immutable revision of a strategy that a run and its Backup pin (docs/rules.md R9).
//!
//! A revision is the strategy's spec and the parameters in a `ControllerRevision` of the controller's namespace, where
//! tenants cannot write. Its name has kind, name and content hash, so all runs of an unchanged strategy share one.

use backstay_api::names;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contract::{GroupKind, Json, Pairs};

/// The content of a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Kind of the strategy.
    pub kind: GroupKind,
    /// Name of the strategy object.
    pub name: String,
    /// `.spec` of the strategy object.
    pub spec: Json,
    /// Parameters of the BackupClass entry.
    pub parameters: Pairs,
}

/// Why a revision cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The object holds no strategy revision.
    #[error("ControllerRevision {name:?} does not hold a strategy revision")]
    Malformed {
        /// Name of the object.
        name: String,
    },
    /// The content does not match the name.
    #[error("ControllerRevision {name:?} was altered: its content hashes to {actual:?}")]
    Corrupt {
        /// Name of the object.
        name: String,
        /// The name that matches the content.
        actual: String,
    },
}

/// Label of the controller's revisions.
pub const LABEL: &str = "backstay.dev/strategy-revision";

impl Revision {
    /// Returns the SHA-256 of the content in canonical JSON (sorted keys), in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        // serde_json keeps object keys sorted; the struct's own order is fixed. Serialising plain data cannot fail.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(&canonical).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Returns `<kind>-<name>-<first 32 hex of the digest>`, shortened to the longest object name.
    #[must_use]
    pub fn object_name(&self) -> String {
        let stem = format!("{}-{}", self.kind.kind.to_lowercase(), self.name);
        let digest: String = self.digest().chars().take(32).collect();
        names::bounded(&stem, &format!("-{digest}"), names::NAME_LIMIT)
    }

    /// Returns the object that stores the revision.
    #[must_use]
    pub fn to_object(&self, namespace: &str) -> ControllerRevision {
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(self.object_name()),
                namespace: Some(namespace.to_owned()),
                labels: Some([(LABEL.to_owned(), "true".to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some(RawExtension(serde_json::to_value(self).unwrap_or_default())),
            revision: 1,
        }
    }

    /// Reads a revision and checks that its content matches its name.
    ///
    /// # Errors
    /// The object holds no revision, or somebody altered it.
    pub fn from_object(object: &ControllerRevision) -> Result<Self, RevisionError> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let data = object.data.as_ref().map(|d| d.0.clone()).unwrap_or_default();
        let revision: Self = match serde_json::from_value(data) {
            Ok(revision) => revision,
            Err(_) => return Err(RevisionError::Malformed { name }),
        };
        let actual = revision.object_name();
        if actual == name { Ok(revision) } else { Err(RevisionError::Corrupt { name, actual }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn revision() -> Revision {
        Revision {
            kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() },
            name: "dump".into(),
            spec: json!({"b": 1, "a": {"z": [1.5, "x"], "y": null}}),
            parameters: [("k".to_owned(), "v".to_owned())].into(),
        }
    }

    #[test]
    fn r9_equal_content_has_an_equal_name_whatever_the_order_of_keys() {
        let mut other = revision();
        other.spec = serde_json::from_str(r#"{"a": {"y": null, "z": [1.5, "x"]}, "b": 1}"#).unwrap();
        assert_eq!(other.object_name(), revision().object_name());
        assert!(revision().object_name().starts_with("job-dump-"));
    }

    #[test]
    fn r9_parameters_and_spec_change_the_name() {
        let mut other = revision();
        other.parameters.insert("k".into(), "w".into());
        assert_ne!(other.object_name(), revision().object_name());
        let mut other = revision();
        other.spec["b"] = json!(2);
        assert_ne!(other.object_name(), revision().object_name());
    }

    #[test]
    fn r9_a_revision_survives_the_round_trip_and_an_altered_one_is_refused() {
        let object = revision().to_object("backstay-system");
        assert_eq!(Revision::from_object(&object), Ok(revision()));
        let mut altered = object.clone();
        altered.data.as_mut().unwrap().0["spec"]["b"] = json!(9);
        assert!(matches!(Revision::from_object(&altered), Err(RevisionError::Corrupt { .. })));
        let mut empty = object;
        empty.data = None;
        assert!(matches!(Revision::from_object(&empty), Err(RevisionError::Malformed { .. })));
    }

    #[test]
    fn r9_a_long_strategy_name_still_gives_a_valid_object_name() {
        let long = Revision { name: "n".repeat(253), ..revision() };
        assert!(long.object_name().len() <= 253);
    }
}
