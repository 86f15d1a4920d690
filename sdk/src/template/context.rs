//! The data of a template.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::roots::Roots;
use crate::{Artifact, GroupKind, Mode, NamespacedName, Request};

/// The data of a render. A key whose value is `None` is absent, and a template sees its fields as missing.
///
/// A run makes its context once: `started_at` and all other values stay those of its beginning, so that a preview and
/// the run render the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context<'a> {
    /// `.Application`: the live object, on restore that of the target.
    pub application: Option<Cow<'a, Value>>,
    /// `.Release.Name`, the name of the application (on restore of the target), and `.Release.Namespace`, the run's
    /// namespace.
    pub release: Option<NamespacedName>,
    /// `.Mode`: `backup`, `restore` or `cleanup`.
    pub mode: Option<Mode>,
    /// `.Parameters`: the parameters of the backup class, on restore those of the backup. Never absent.
    pub parameters: BTreeMap<String, String>,
    /// `.Backup`: absent while a backup is made.
    pub backup: Option<BackupRef>,
    /// Strings of the strategy itself, each a key at the top such as `.Archive`. They do not hide the keys above.
    pub own: BTreeMap<String, String>,
    /// The keys that `own` may have in some run: those are no mistake where they are absent.
    pub own_keys: &'static [&'static str],
    /// When the run began, in seconds since 1970-01-01T00:00:00Z: the only clock that templates have.
    pub started_at: i64,
}

/// The backup that is restored or cleaned up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRef {
    /// `.Backup.Name` and `.Backup.Namespace`.
    pub name: NamespacedName,
    /// `.Backup.ApplicationRef.Kind` and `.Backup.ApplicationRef.APIGroup` of the backed up application. The group is
    /// empty if the backup names none.
    pub application: GroupKind,
    /// `.Backup.ApplicationRef.Name`: the name of the backed up application, which may differ from the target of a
    /// restore.
    pub application_name: String,
    /// `.Backup.Artifact.URI`, `.Backup.Artifact.SizeBytes` and `.Backup.Artifact.Checksum`, as the backup reported
    /// them; absent without a report. The Go implementation has no such keys.
    pub artifact: Option<Artifact>,
    /// `.Backup.Metadata`: the entries of `spec.driverMetadata`. The Go implementation has no such key.
    pub metadata: BTreeMap<String, String>,
}

impl BackupRef {
    /// Returns `.Backup.Artifact` with the known fields.
    pub(super) fn artifact_json(&self) -> Option<Value> {
        let artifact = self.artifact.as_ref()?;
        let mut facts = json!({ "URI": artifact.uri });
        if let Some(size) = artifact.size_bytes {
            facts["SizeBytes"] = size.into();
        }
        if let Some(checksum) = &artifact.checksum {
            facts["Checksum"] = checksum.as_str().into();
        }
        Some(facts)
    }
}

impl<'a> Context<'a> {
    /// Returns the keys that templates may name at the top.
    pub(super) fn roots(&self) -> Roots {
        Roots::new(self.own.keys().map(String::as_str).chain(self.own_keys.iter().copied()))
    }

    /// Makes the context of a pod strategy's run, with all keys.
    #[must_use]
    pub fn of<S>(request: &Request<S>, application: Option<&'a Value>) -> Self {
        let namespace = request.run.namespace.clone().unwrap_or_default();
        let named = |name: &str| NamespacedName { namespace: namespace.clone(), name: name.to_owned() };
        Self {
            application: application.map(Cow::Borrowed),
            release: Some(named(&request.application.name)),
            mode: Some(request.mode),
            parameters: request.parameters.clone(),
            backup: request.backup.as_ref().map(|backup| BackupRef {
                name: named(&backup.name),
                application: backup.application.clone(),
                application_name: backup.application_name.clone(),
                artifact: backup.artifact.clone(),
                metadata: backup.metadata.clone(),
            }),
            own: BTreeMap::new(),
            own_keys: &[],
            started_at: request.started_at,
        }
    }
}
