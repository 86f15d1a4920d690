//! Recognises a run that another tool restored: a request that may have been done once, and that comes back without its status.

use backstay_api::{annotations, labels};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Returns the value of [`annotations::BEGUN`] for the run of this object.
#[must_use]
pub fn begun_mark(name: &str, uid: &str) -> String {
    format!("{name}/{uid}")
}

/// An object that is this much younger than its mark came back from somewhere. Clocks differ by less.
const CAME_BACK: SignedDuration = SignedDuration::from_hours(1);

/// Returns the value of [`annotations::MADE_AT`] for an object that is created now.
#[must_use]
pub fn made_mark(name: &str, now: Timestamp) -> String {
    format!("{name}/{}", now.as_second())
}

/// Returns when the controller made an object, if the object is younger: another tool restored it.
#[must_use]
pub fn made_earlier(metadata: &ObjectMeta) -> Option<Timestamp> {
    let (name, at) = metadata.annotations.as_ref()?.get(annotations::MADE_AT)?.split_once('/')?;
    let at = Timestamp::from_second(at.parse().ok()?).ok()?;
    let created = metadata.creation_timestamp.as_ref()?.0;
    let younger = created.duration_since(at) > CAME_BACK;
    (younger && Some(name) == metadata.name.as_deref()).then_some(at)
}

/// The marks on the object of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The run has begun as this very object.
    pub begun: bool,
    /// Why the object is held to be a restored one; `None` if nothing says so, or if somebody wants it to run.
    pub restored: Option<String>,
}

impl Marks {
    /// Reads the marks of an object.
    ///
    /// Three marks are sure. Velero labels each object that it restores. Every other tool that keeps annotations brings back
    /// [`annotations::BEGUN`] with the uid that the object had in its earlier life, and [`annotations::MADE_AT`] with its
    /// time. A copy under another name is a new request: people copy manifests from the cluster.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        let (name, uid) = (metadata.name.as_deref().unwrap_or_default(), metadata.uid.as_deref());
        let uid = uid.unwrap_or_default();
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key));
        let mark = annotation(annotations::BEGUN);
        let begun = mark.is_some_and(|mark| *mark == begun_mark(name, uid));
        if begun || annotation(annotations::RUN_AGAIN).is_some_and(|wanted| wanted == uid) {
            return Self { begun, restored: None };
        }
        let velero = metadata.labels.as_ref().and_then(|all| all.get(labels::VELERO_RESTORE));
        let restored = match (velero, mark.and_then(|mark| mark.split_once('/'))) {
            (Some(restore), _) => Some(format!("the restore {restore:?} of Velero made this object")),
            (None, Some((of, earlier))) if of == name => {
                Some(format!("it has begun once already, as the object with uid {earlier}"))
            }
            (None, _) => {
                made_earlier(metadata).map(|at| format!("a Plan made it at {at}, and this object is younger"))
            }
        };
        Self { begun, restored }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn marks(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Marks {
        let map = |pairs: &[(&str, &str)]| -> Option<BTreeMap<String, String>> {
            Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        Marks::of(&ObjectMeta {
            name: Some("nightly".into()),
            uid: Some("uid-2".into()),
            labels: map(labels),
            annotations: map(annotations),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn a_run_that_a_plan_made_long_before_its_object_is_a_restored_one() {
        let at = |seconds: i64, name: &str| {
            let created = backstay_api::Time(Timestamp::from_second(1_767_225_600).unwrap());
            let mark = made_mark(name, Timestamp::from_second(1_767_225_600 - seconds).unwrap());
            let metadata = ObjectMeta {
                name: Some("nightly-1".into()),
                uid: Some("uid-2".into()),
                creation_timestamp: Some(created),
                annotations: Some([(annotations::MADE_AT.to_owned(), mark)].into()),
                ..ObjectMeta::default()
            };
            Marks::of(&metadata).restored
        };
        let why = "a Plan made it at 2025-12-31T22:59:59Z, and this object is younger";
        assert_eq!(at(3601, "nightly-1").as_deref(), Some(why));
        assert_eq!(at(3600, "nightly-1"), None, "clocks differ");
        assert_eq!(at(-3601, "nightly-1"), None);
        assert_eq!(at(3601, "nightly-2"), None, "a copy under another name");
    }

    const VELERO: (&str, &str) = (labels::VELERO_RESTORE, "cluster-1");

    #[test]
    fn a_run_that_velero_restored_is_known_by_its_label() {
        let why = "the restore \"cluster-1\" of Velero made this object";
        assert_eq!(marks(&[VELERO], &[]).restored.as_deref(), Some(why));
    }

    #[test]
    fn a_run_that_any_other_tool_restored_is_known_by_the_uid_of_its_earlier_life() {
        let marks = marks(&[], &[(annotations::BEGUN, "nightly/uid-1")]);
        assert!(!marks.begun);
        assert_eq!(
            marks.restored.as_deref(),
            Some("it has begun once already, as the object with uid uid-1")
        );
    }

    #[test]
    fn a_run_that_has_begun_as_this_object_is_not_held_whatever_is_labelled_later() {
        let begun = Marks { begun: true, restored: None };
        assert_eq!(marks(&[], &[(annotations::BEGUN, "nightly/uid-2")]), begun);
        assert_eq!(marks(&[VELERO], &[(annotations::BEGUN, "nightly/uid-2")]), begun);
    }

    #[test]
    fn a_new_run_and_a_copy_under_another_name_are_not_held() {
        for annotations in
            [&[][..], &[(annotations::BEGUN, "weekly/uid-1")], &[(annotations::BEGUN, "nonsense")]]
        {
            assert_eq!(marks(&[("velero.io/backup-name", "cluster")], annotations), Marks::default());
        }
    }

    #[test]
    fn a_permission_counts_for_this_object_and_not_for_the_next_one_that_is_restored() {
        let earlier = (annotations::BEGUN, "nightly/uid-1");
        assert_eq!(marks(&[VELERO], &[earlier, (annotations::RUN_AGAIN, "uid-2")]), Marks::default());
        assert!(marks(&[VELERO], &[earlier, (annotations::RUN_AGAIN, "uid-1")]).restored.is_some());
        assert!(marks(&[VELERO], &[earlier, (annotations::RUN_AGAIN, "true")]).restored.is_some());
    }
}
