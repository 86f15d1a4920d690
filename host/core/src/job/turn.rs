//! The turn that a Job's pods belong to, written on Job and pods: the lock of a run whose object no longer exists can be made
//! anew from it.

use backstay_api::TypedRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::contract::{GroupKind, Mode};

/// Annotation of Jobs and pods with their [`TurnNote`].
pub const TURN_ANNOTATION: &str = "backstay.dev/turn";

/// What a run acts on, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnNote {
    /// Kind of the application.
    pub application: GroupKind,
    /// Name of the application.
    pub name: String,
    /// Kind of the run's strategy.
    pub strategy: GroupKind,
    /// Mode of the run.
    pub mode: Mode,
    /// Name of the run's object.
    pub run: String,
}

impl TurnNote {
    /// Returns the note of a run.
    #[must_use]
    pub fn new(application: &TypedRef, strategy: &GroupKind, mode: Mode, run: &str) -> Self {
        Self {
            application: GroupKind::from(application),
            name: application.name.clone(),
            strategy: strategy.clone(),
            mode,
            run: run.to_owned(),
        }
    }

    /// Returns the note as JSON text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Plain data: serialising it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the note of a Job or a pod.
    #[must_use]
    pub fn of(meta: &ObjectMeta) -> Option<Self> {
        serde_json::from_str(meta.annotations.as_ref()?.get(TURN_ANNOTATION)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note() -> TurnNote {
        let application = TypedRef { api_group: None, kind: "Redis".into(), name: "cache".into() };
        let strategy = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() };
        TurnNote::new(&application, &strategy, Mode::Restore, "back")
    }

    fn annotated(text: &str) -> ObjectMeta {
        serde_json::from_value(json!({"annotations": {TURN_ANNOTATION: text}})).unwrap()
    }

    #[test]
    fn a_note_is_read_back_and_one_that_is_missing_or_altered_is_none() {
        assert_eq!(TurnNote::of(&annotated(&note().to_text())), Some(note()));
        assert_eq!(TurnNote::of(&annotated("{")), None);
        assert_eq!(TurnNote::of(&ObjectMeta::default()), None);
    }
}
