//! What a template sees.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Artifact, GroupKind, Mode, NamespacedName, Request};

/// The data of a render. A key whose value is `None` is absent, and what is asked of it is missing.
///
/// Made once for a run: `started_at` and everything else here stay what they were when it began, so that a preview and
/// the run render the same bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// `.Application`: the live object, on restore that of the target.
    pub application: Option<Value>,
    /// `.Release.Name`, the name of the application, on restore of the target, and `.Release.Namespace`, the run's.
    pub release: Option<NamespacedName>,
    /// `.Mode`: `backup`, `restore` or `cleanup`.
    pub mode: Option<Mode>,
    /// `.Parameters`: those of the backup class, on restore those of the backup. Always there.
    pub parameters: BTreeMap<String, String>,
    /// `.Backup`: absent when a backup is made.
    pub backup: Option<BackupRef>,
    /// Texts of the strategy's own, each at the top under its key, such as `.Archive`. They do not hide the keys above.
    pub own: BTreeMap<String, String>,
    /// When the run began, in seconds since 1970-01-01T00:00:00Z: the only clock that templates have.
    pub started_at: i64,
}

/// The backup that is restored or cleaned up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRef {
    /// `.Backup.Name` and `.Backup.Namespace`.
    pub name: NamespacedName,
    /// `.Backup.ApplicationRef.APIGroup`, empty where the backup names none, and `.Backup.ApplicationRef.Kind`: those of
    /// the application that the backup is of.
    pub application: GroupKind,
    /// `.Backup.ApplicationRef.Name`: the name of that application, which need not be the one it is restored to.
    pub application_name: String,
    /// `.Backup.Artifact.URI`, `.Backup.Artifact.SizeBytes` and `.Backup.Artifact.Checksum`: what the backup reported of
    /// its data; absent if it reported nothing. Beyond what the Go implementation has.
    pub artifact: Option<Artifact>,
    /// `.Backup.Metadata`: what the backup noted in `spec.driverMetadata`. Beyond what the Go implementation has.
    pub metadata: BTreeMap<String, String>,
}

impl BackupRef {
    /// `.Backup.Artifact`, with the facts that are known.
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

impl Context {
    /// The context of a pod strategy's run, with all keys that there are.
    #[must_use]
    pub fn of<S>(request: &Request<S>, application: Option<&Value>) -> Self {
        let namespace = request.run.namespace.clone().unwrap_or_default();
        let named = |name: &str| NamespacedName { namespace: namespace.clone(), name: name.to_owned() };
        Self {
            application: application.cloned(),
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
            started_at: request.started_at,
        }
    }
}
