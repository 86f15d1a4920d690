//! The HelmRelease of an application, and the owner of its suspension.
//!
//! Helm must not reconcile from the deletion of a database until its volumes are gone. A restore suspends the release
//! and marks the suspension with an annotation in the same patch, so that its owner is known after any crash. Only
//! marked suspensions are ever lifted. Restores of one application never overlap, so a suspension marked by another
//! run was left by a restore that ended.

use backstay_sdk::step::{Action, Found, Patch};
use backstay_sdk::{Value, json};

use crate::cluster::{text, uid};
use crate::names::{FORCE_AT, Names, REQUESTED_AT, SUSPENDED_BY};

/// The state of a release.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State<'a> {
    /// There is no release.
    Absent,
    /// It is not suspended.
    Awake(&'a Value),
    /// A restore suspended it.
    Ours(&'a Value),
    /// Somebody else suspended it.
    Theirs(&'a Value),
}

impl<'a> State<'a> {
    pub(crate) fn of(found: Found<'a>) -> Self {
        let Some(release) = found.object() else { return Self::Absent };
        let marked = release["metadata"]["annotations"][SUSPENDED_BY].is_string();
        match (release["spec"]["suspend"] == true, marked) {
            (false, _) => Self::Awake(release),
            (true, true) => Self::Ours(release),
            (true, false) => Self::Theirs(release),
        }
    }

    /// Returns the release, if there is one.
    pub(crate) fn object(self) -> Option<&'a Value> {
        match self {
            Self::Absent => None,
            Self::Awake(release) | Self::Ours(release) | Self::Theirs(release) => Some(release),
        }
    }

    /// Describes the state in a message.
    pub(crate) fn description(self, names: &Names) -> String {
        let name = &names.cluster;
        match self {
            Self::Absent => format!("there is no HelmRelease {name}"),
            Self::Awake(_) => format!("HelmRelease {name} is awake"),
            Self::Ours(_) => format!("HelmRelease {name} is suspended by a restore"),
            Self::Theirs(_) => format!("HelmRelease {name} is suspended, and not by a restore"),
        }
    }

    /// Returns Helm's error about the present generation. Errors about an earlier one are out of date.
    pub(crate) fn trouble(self) -> Option<String> {
        /// Helm's messages can contain whole manifests.
        const LONGEST: usize = 500;
        let release = self.object()?;
        let conditions = release.pointer("/status/conditions")?.as_array()?;
        let ready = conditions.iter().find(|c| c["type"] == "Ready" && c["status"] == "False")?;
        if ready["observedGeneration"] != release["metadata"]["generation"] {
            return None;
        }
        let message = text(ready, "/message");
        Some(message[..message.floor_char_boundary(LONGEST)].to_owned()).filter(|m| !m.is_empty())
    }
}

/// Suspends a release. With `exact` only if it has not changed since it was read; otherwise by uid, because the
/// preceding write of the application has changed it.
pub(crate) fn suspend(names: &Names, release: &Value, by: Option<&str>, exact: bool) -> Action {
    let mut body = json!({"spec": {"suspend": true}});
    if let Some(run_uid) = by {
        body["metadata"] = json!({"annotations": {SUSPENDED_BY: run_uid}});
    }
    patch(names, release, body, exact)
}

/// Resumes a release that a restore suspended.
pub(crate) fn resume(names: &Names, release: &Value) -> Action {
    let body = json!({"metadata": {"annotations": {SUSPENDED_BY: null}}, "spec": {"suspend": false}});
    patch(names, release, body, true)
}

/// Makes Helm upgrade the release even without changes, once for each `token`; with `wake` also resumes it.
pub(crate) fn remake(names: &Names, release: &Value, token: &str, wake: bool) -> Action {
    let mut body = json!({"metadata": {"annotations": {REQUESTED_AT: token, FORCE_AT: token}}});
    if wake {
        body["metadata"]["annotations"][SUSPENDED_BY] = Value::Null;
        body["spec"] = json!({"suspend": false});
    }
    patch(names, release, body, true)
}

/// Whether Helm was told to upgrade with this token.
pub(crate) fn has_token(release: &Value, token: &str) -> bool {
    let annotations = &release["metadata"]["annotations"];
    annotations[REQUESTED_AT] == token && annotations[FORCE_AT] == token
}

fn patch(names: &Names, release: &Value, body: Value, exact: bool) -> Action {
    let version = text(release, "/metadata/resourceVersion");
    Action::Patch(Patch {
        object: names.release(),
        uid: Some(uid(release).to_owned()),
        resource_version: (exact && !version.is_empty()).then(|| version.to_owned()),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_without_a_mark_is_somebody_elses() {
        let release = json!({"spec": {"suspend": true}});
        assert!(matches!(State::of(Found::Object(&release)), State::Theirs(_)));
        let marked = json!({"metadata": {"annotations": {SUSPENDED_BY: "uid"}}, "spec": {"suspend": true}});
        assert!(matches!(State::of(Found::Object(&marked)), State::Ours(_)));
        let woken = json!({"metadata": {"annotations": {SUSPENDED_BY: "uid"}}, "spec": {}});
        assert!(matches!(State::of(Found::Object(&woken)), State::Awake(_)));
        assert!(matches!(State::of(Found::Missing), State::Absent));
    }
}
