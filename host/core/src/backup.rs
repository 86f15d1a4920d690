//! Builds the Backup of a run, and reads one back.

use backstay_api::bounds::{UNDERLYING_RESOURCES_BYTES, UNDERLYING_RESOURCES_LEVELS};
use backstay_api::conditions::{reasons, types};
use backstay_api::{
    API_VERSION, Artifact, Backup, BackupSpec, BackupStatus, ComponentPin, FreeForm, LocalRef, RunRecord,
    TypedRef, annotations, finalizers, labels, names, phase,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::contract::{self, GroupKind, Outcome, Pairs};
use crate::inputs::underlying_resources;
use crate::restored_run::{made_earlier, made_mark};
use crate::status::{seconds, set_condition};

/// Longest URI of an artifact, in bytes.
const URI: usize = 2048;
/// Label with the strategy revision of a Backup: the revisions in use are found without reading statuses.
pub const REVISION_LABEL: &str = labels::STRATEGY_REVISION;

/// Longest annotation with the record of a Backup, in bytes; all annotations of an object together have 256 KiB.
const RECORDED: usize = 64 * 1024;

/// What [`annotations::RECORDED`] holds: the part of the status that a restore needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Recorded {
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<ComponentPin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy_revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underlying_resources: Option<FreeForm<UNDERLYING_RESOURCES_BYTES, UNDERLYING_RESOURCES_LEVELS>>,
}

impl Recorded {
    /// Returns the record of a new Backup as the text of its annotation. Objects of another operator are left out if they are
    /// too long for an annotation.
    fn of(made: &Made<'_>, outcome: &Outcome) -> String {
        let mut recorded = Self {
            component: made.record.component.clone(),
            strategy_revision: made.record.strategy_revision.clone(),
            private_data: made.private_data.map(str::to_owned),
            artifact: outcome.artifact.as_ref().and_then(|artifact| check(artifact).ok()),
            underlying_resources: outcome.underlying_resources.as_ref().map(FreeForm::from),
        };
        // Serialising plain data cannot fail.
        let text = |recorded: &Self| serde_json::to_string(recorded).unwrap_or_default();
        let whole = text(&recorded);
        if whole.len() <= RECORDED {
            return whole;
        }
        recorded.underlying_resources = None;
        text(&recorded)
    }

    fn on(metadata: &ObjectMeta) -> Option<Self> {
        let text = metadata.annotations.as_ref()?.get(annotations::RECORDED)?;
        serde_json::from_str(text).ok()
    }
}

/// The facts that make a Backup of an outcome.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Name of the Backup.
    pub name: &'a str,
    /// Namespace of the run.
    pub namespace: &'a str,
    /// Uid of the run.
    pub run_uid: &'a str,
    /// Plan of the BackupJob.
    pub plan: Option<&'a LocalRef>,
    /// The inputs on record since the run began.
    pub record: &'a RunRecord,
    /// When the Job ended, in seconds: `takenAt` if the outcome names no time.
    pub ended: i64,
    /// Whether the component cleans up after a deleted Backup. Without it nothing holds the Backup.
    pub cleans_up: bool,
    /// Name of the record with the private data.
    pub private_data: Option<&'a str>,
    /// When the Backup is made.
    pub now: Timestamp,
}

/// Builds the Backup without its status, which [`status_of`] builds for a second write, to the status subresource
/// (docs/rules.md R7).
#[must_use]
pub fn build(made: &Made<'_>, outcome: &Outcome) -> Backup {
    let strategy = made.record.strategy_ref.clone().unwrap_or_default();
    let mut metadata = outcome.metadata.clone();
    let prefix = labels::parameter_prefix(strategy.written_group(), &strategy.kind);
    for (key, value) in made.record.parameters.iter().flatten() {
        metadata.insert(format!("{prefix}{key}"), value.clone());
    }
    let taken_at =
        Timestamp::from_second(outcome.taken_at.unwrap_or(made.ended)).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut marks = Pairs::from([(labels::RUN_UID.to_owned(), made.run_uid.to_owned())]);
    if let Some(revision) = &made.record.strategy_revision {
        marks.insert(REVISION_LABEL.to_owned(), names::label_value(revision));
    }
    Backup {
        metadata: ObjectMeta {
            name: Some(made.name.to_owned()),
            namespace: Some(made.namespace.to_owned()),
            labels: Some(marks),
            annotations: Some(
                [
                    (annotations::RECORDED.to_owned(), Recorded::of(made, outcome)),
                    (annotations::MADE_AT.to_owned(), made_mark(made.name, made.now)),
                ]
                .into(),
            ),
            finalizers: made.cleans_up.then(|| vec![finalizers::CLEANUP.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: BackupSpec {
            application_ref: made.record.application_ref.clone(),
            plan_ref: made.plan.cloned(),
            strategy_ref: strategy,
            taken_at: seconds(taken_at),
            driver_metadata: (!metadata.is_empty()).then_some(metadata),
        },
        status: None,
    }
}

/// Builds the status of a new Backup: `Ready`, the component and revision that restore it (R9), and the reported
/// artifact if its form is valid. Without a report there is no artifact, and condition `ArtifactReported` is False (R10).
#[must_use]
pub fn status_of(
    record: &RunRecord,
    outcome: &Outcome,
    generation: Option<i64>,
    now: Timestamp,
) -> BackupStatus {
    let mut conditions = Vec::new();
    let mut set = |type_: &str, status: Option<bool>, reason: &str, message: &str| {
        set_condition(&mut conditions, generation, type_, status, reason, message, now);
    };
    set(types::READY, Some(true), reasons::BACKUP_READY, "the backup is complete and recorded");
    let artifact = match outcome.artifact.as_ref().map(check) {
        None => {
            set(
                types::ARTIFACT_REPORTED,
                Some(false),
                reasons::ARTIFACT_NOT_REPORTED,
                "the strategy did not report where the data is",
            );
            None
        }
        Some(Err(why)) => {
            set(types::ARTIFACT_REPORTED, Some(false), reasons::INVALID_ARTIFACT, &why);
            None
        }
        Some(Ok(artifact)) => {
            set(
                types::ARTIFACT_REPORTED,
                Some(true),
                reasons::ARTIFACT_REPORTED,
                "the strategy reported the artifact",
            );
            Some(artifact)
        }
    };
    for c in &outcome.conditions {
        set(&c.type_, c.status, &c.reason, &c.message);
    }
    BackupStatus {
        phase: Some(phase::READY.to_owned()),
        artifact,
        underlying_resources: outcome.underlying_resources.as_ref().map(FreeForm::from),
        conditions,
        observed_generation: generation,
        component: record.component.clone(),
        strategy_revision: record.strategy_revision.clone(),
        private_data: None,
        run: None,
    }
}

/// Checks the form of a reported artifact, since tenants and tools read it in the Backup.
fn check(artifact: &contract::Artifact) -> Result<Artifact, String> {
    let uri = &artifact.uri;
    if uri.is_empty() || uri.len() > URI || uri.chars().any(char::is_control) {
        return Err(format!(
            "the reported artifact.uri must have 1 to {URI} bytes and no control characters"
        ));
    }
    let authority = uri.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
        return Err("the reported artifact.uri holds a password: report it without credentials".to_owned());
    }
    let size_bytes = match artifact.size_bytes.map(i64::try_from) {
        None => None,
        Some(Ok(size)) => Some(size),
        Some(Err(_)) => return Err("the reported artifact.sizeBytes is over 2^63-1".to_owned()),
    };
    if let Some(checksum) = &artifact.checksum {
        let fits = checksum.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty()
                && algorithm.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && (8..=128).contains(&hex.len())
                && hex.chars().all(|c| c.is_ascii_hexdigit())
        });
        if !fits {
            return Err("the reported artifact.checksum must be of the form sha256:<hex>".to_owned());
        }
    }
    Ok(Artifact { uri: uri.clone(), size_bytes, checksum: artifact.checksum.clone() })
}

/// Returns whether an existing Backup is the one that the run with this uid is about to create (docs/rules.md R3): it has the
/// run's uid on its label, and says what the run says. The label alone proves nothing to somebody who may write Backups. The
/// time may differ where the outcome names none.
#[must_use]
pub fn made_by(existing: &Backup, built: &Backup, run_uid: &str) -> bool {
    let marks = existing.metadata.labels.as_ref();
    let spec = BackupSpec { taken_at: built.spec.taken_at.clone(), ..existing.spec.clone() };
    marks.and_then(|l| l.get(labels::RUN_UID)).is_some_and(|uid| uid == run_uid) && spec == built.spec
}

/// Returns whether the object of a Backup is younger than the Backup: another tool restored it.
#[must_use]
pub fn came_back(metadata: &ObjectMeta) -> bool {
    let restored = metadata.labels.as_ref().is_some_and(|all| all.contains_key(labels::VELERO_RESTORE));
    restored || made_earlier(metadata).is_some()
}

/// Returns a Backup with those fields of its status, from its annotation and its label, that its status lacks: tools that
/// restore objects lose the status, and CRDs of another version drop fields of it.
///
/// The phase stays as it is. The annotation and the label decide no more than the spec does, which the same people can write.
#[must_use]
pub fn completed(mut backup: Backup) -> Backup {
    let recorded = Recorded::on(&backup.metadata).unwrap_or_default();
    // A long name is shortened in the label.
    let labelled = backup.metadata.labels.as_ref().and_then(|all| all.get(REVISION_LABEL));
    let labelled = labelled.filter(|name| name.len() < names::LABEL_LIMIT).cloned();
    let mut status = backup.status.take().unwrap_or_default();
    status.component = status.component.or(recorded.component);
    status.strategy_revision = status.strategy_revision.or(recorded.strategy_revision).or(labelled);
    status.private_data = status.private_data.or(recorded.private_data);
    status.artifact = status.artifact.or(recorded.artifact);
    status.underlying_resources = status.underlying_resources.or(recorded.underlying_resources);
    backup.status = (status != BackupStatus::default()).then_some(status);
    backup
}

/// Returns the status of a Backup that came back without one; `None` if it has a status, or its annotation does not say what
/// the status was.
#[must_use]
pub fn rebuilt(backup: &Backup, now: Timestamp) -> Option<BackupStatus> {
    if backup.status.as_ref().is_some_and(|status| status.phase.is_some()) {
        return None;
    }
    Recorded::on(&backup.metadata)?;
    let mut status = completed(backup.clone()).status.unwrap_or_default();
    status.phase = Some(phase::READY.to_owned());
    status.observed_generation = backup.metadata.generation;
    set_condition(
        &mut status.conditions,
        backup.metadata.generation,
        types::READY,
        Some(true),
        reasons::STATUS_REBUILT,
        "the Backup came back without its status, which was rebuilt from its annotation; nobody has looked whether the data is still where it says",
        now,
    );
    Some(status)
}

/// Reads the parameters back from `spec.driverMetadata`: the keys with the strategy's prefix, without it. The bare prefix
/// is no parameter.
#[must_use]
pub fn parameters(backup: &Backup) -> Pairs {
    let strategy = &backup.spec.strategy_ref;
    let prefix = labels::parameter_prefix(strategy.written_group(), &strategy.kind);
    let metadata = backup.spec.driver_metadata.iter().flatten();
    metadata
        .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}

/// Converts a Backup to the contract's type. What [`inputs::backup`](crate::inputs::backup) refuses is left out.
#[must_use]
pub fn to_contract(backup: &Backup) -> contract::Backup {
    let status = backup.status.clone().unwrap_or_default();
    let marks = backup.metadata.labels.as_ref();
    contract::Backup {
        name: backup.metadata.name.clone().unwrap_or_default(),
        uid: backup.metadata.uid.clone().unwrap_or_default(),
        run_uid: status.component.as_ref().and_then(|_| marks?.get(labels::RUN_UID).cloned()),
        component_version: status.component.map(|c| c.version),
        application: GroupKind {
            group: backup.spec.application_ref.written_group().to_owned(),
            kind: backup.spec.application_ref.kind.clone(),
        },
        application_name: backup.spec.application_ref.name.clone(),
        taken_at: backup.spec.taken_at.0.as_second(),
        metadata: backup.spec.driver_metadata.clone().unwrap_or_default(),
        artifact: status.artifact.map(|a| contract::Artifact {
            uri: a.uri,
            size_bytes: a.size_bytes.and_then(|s| u64::try_from(s).ok()),
            checksum: a.checksum,
        }),
        underlying_resources: underlying_resources(backup).unwrap_or_default(),
        private_data: None,
    }
}

/// Returns the target of a restore: the Backup's application, with the parts that the RestoreJob overrides.
#[must_use]
pub fn restore_target(source: &TypedRef, target: Option<&TypedRef>) -> TypedRef {
    let Some(target) = target else { return source.clone() };
    let or_source = |own: &str, source: &str| if own.is_empty() { source.to_owned() } else { own.to_owned() };
    TypedRef {
        api_group: target.api_group.clone().or_else(|| source.api_group.clone()),
        kind: or_source(&target.kind, &source.kind),
        name: or_source(&target.name, &source.name),
    }
}

/// Returns a reference to an object of the group `backups.cozystack.io`, in the contract's type.
#[must_use]
pub fn run_ref(kind: &str, namespace: &str, name: &str) -> contract::ObjectRef {
    contract::ObjectRef {
        api_version: API_VERSION.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RunRecord {
        RunRecord {
            application_ref: TypedRef { api_group: None, kind: "Redis".into(), name: "cache".into() },
            strategy_ref: Some(TypedRef {
                api_group: Some("strategy.backups.cozystack.io".into()),
                kind: "Job".into(),
                name: "dump".into(),
            }),
            parameters: Some([("bucket".to_owned(), "b".to_owned())].into()),
            component: Some(ComponentPin {
                name: "job".into(),
                version: "0.1.0".into(),
                digest: "sha256:0".into(),
            }),
            strategy_revision: Some("job-dump-0".into()),
            ..RunRecord::default()
        }
    }

    fn made(outcome: &Outcome) -> Backup {
        made_with(outcome, false)
    }

    fn made_with(outcome: &Outcome, cleans_up: bool) -> Backup {
        let record = record();
        let made = Made {
            name: "nightly",
            namespace: "a",
            run_uid: "uid-1",
            plan: None,
            record: &record,
            ended: 1_767_225_610,
            cleans_up,
            private_data: Some("private-1"),
            now: Timestamp::from_second(1_767_225_620).unwrap(),
        };
        build(&made, outcome)
    }

    fn artifact(uri: &str, checksum: Option<&str>) -> Outcome {
        Outcome {
            artifact: Some(contract::Artifact {
                uri: uri.into(),
                size_bytes: Some(5),
                checksum: checksum.map(str::to_owned),
            }),
            ..Outcome::default()
        }
    }

    fn reported(outcome: &Outcome) -> (bool, String) {
        let status = status_of(&record(), outcome, None, Timestamp::UNIX_EPOCH);
        let condition = status.conditions.into_iter().find(|c| c.type_ == "ArtifactReported").unwrap();
        assert_eq!(status.artifact.is_some(), condition.status == "True");
        (condition.status == "True", condition.reason)
    }

    #[test]
    fn a_finalizer_holds_a_backup_only_where_something_is_to_be_cleaned_up_after_it() {
        assert_eq!(made_with(&Outcome::default(), true).metadata.finalizers.unwrap(), [finalizers::CLEANUP]);
        assert_eq!(made_with(&Outcome::default(), false).metadata.finalizers, None);
    }

    #[test]
    fn the_application_is_copied_as_written_and_the_time_is_the_jobs_end() {
        let backup = made(&Outcome::default());
        assert_eq!(backup.spec.application_ref.api_group, None);
        assert_eq!(backup.spec.taken_at.0.as_second(), 1_767_225_610);
    }

    #[test]
    fn parameters_go_under_the_keys_of_the_reference_and_come_back() {
        let backup = made(&Outcome {
            metadata: [("archive".to_owned(), "x".to_owned())].into(),
            ..Outcome::default()
        });
        let metadata = backup.spec.driver_metadata.as_ref().unwrap();
        assert_eq!(metadata["job.strategy.backups.cozystack.io/parameter/bucket"], "b");
        assert_eq!(metadata["archive"], "x");
        assert_eq!(parameters(&backup), [("bucket".to_owned(), "b".to_owned())].into());
    }

    #[test]
    fn a_bare_prefix_is_no_parameter() {
        let mut backup = made(&Outcome::default());
        let key = "job.strategy.backups.cozystack.io/parameter/".to_owned();
        backup.spec.driver_metadata = Some([(key, "x".to_owned())].into());
        assert_eq!(parameters(&backup), Pairs::new());
    }

    #[test]
    fn r3_the_run_is_known_by_the_uid_on_the_label() {
        let backup = made(&Outcome::default());
        assert!(made_by(&backup, &backup, "uid-1"));
        assert!(!made_by(&backup, &backup, "uid-2"));
        let mut later = backup.clone();
        later.spec.taken_at = seconds(Timestamp::UNIX_EPOCH);
        assert!(made_by(&later, &backup, "uid-1"), "a run that was cut off takes the time anew");
    }

    #[test]
    fn r3_a_backup_with_the_uid_of_the_run_that_says_something_else_is_not_the_runs() {
        let backup = made(&Outcome::default());
        let mut forged = backup.clone();
        let elsewhere = ("job.strategy.backups.cozystack.io/parameter/bucket".to_owned(), "mine".to_owned());
        forged.spec.driver_metadata = Some([elsewhere].into());
        assert!(!made_by(&forged, &backup, "uid-1"));
        let mut other = backup.clone();
        other.spec.application_ref.name = "another".to_owned();
        assert!(!made_by(&other, &backup, "uid-1"));
    }

    #[test]
    fn r7_the_status_is_not_in_the_create_body() {
        assert_eq!(made(&Outcome::default()).status, None);
    }

    fn complete() -> Outcome {
        Outcome { underlying_resources: Some(serde_json::json!({"kind": "X"})), ..artifact("s3://b/k", None) }
    }

    #[test]
    fn a_backup_that_came_back_without_its_status_gets_it_again_from_its_annotation() {
        let backup = made(&complete());
        let status = status_of(&record(), &complete(), None, Timestamp::UNIX_EPOCH);
        let again = rebuilt(&backup, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(again.phase.as_deref(), Some("Ready"));
        assert_eq!(again.conditions[0].reason, "StatusRebuilt");
        assert_eq!(again.private_data.as_deref(), Some("private-1"));
        let kept = |s: &BackupStatus| {
            (
                s.component.clone(),
                s.strategy_revision.clone(),
                s.artifact.clone(),
                s.underlying_resources.clone(),
            )
        };
        assert_eq!(kept(&again), kept(&status));
        let there = Backup { status: Some(status), ..backup };
        assert_eq!(rebuilt(&there, Timestamp::UNIX_EPOCH), None, "it has a status");
        assert_eq!(
            rebuilt(
                &Backup { metadata: ObjectMeta::default(), status: None, ..there },
                Timestamp::UNIX_EPOCH
            ),
            None
        );
    }

    #[test]
    fn pins_that_older_crds_dropped_are_found_in_the_annotation_or_the_label() {
        let mut backup = made(&complete());
        backup.status = Some(BackupStatus { phase: Some("Ready".into()), ..BackupStatus::default() });
        let status = completed(backup.clone()).status.unwrap();
        assert_eq!(status.strategy_revision.as_deref(), Some("job-dump-0"));
        assert_eq!(status.component.unwrap().digest, "sha256:0");

        backup.metadata.annotations = None;
        let status = completed(backup.clone()).status.unwrap();
        assert_eq!(
            status.strategy_revision.as_deref(),
            Some("job-dump-0"),
            "of a Backup of an older release"
        );
        assert_eq!(status.component, None);
        backup.status.as_mut().unwrap().strategy_revision = Some("own".into());
        assert_eq!(completed(backup).status.unwrap().strategy_revision.as_deref(), Some("own"));
    }

    #[test]
    fn a_backup_without_marks_and_without_a_status_stays_without() {
        let backup = Backup { metadata: ObjectMeta::default(), ..made(&Outcome::default()) };
        assert_eq!(completed(backup.clone()), backup);
    }

    #[test]
    fn a_backup_is_known_to_have_come_back_by_its_age_or_by_veleros_label() {
        let at = |second: i64| Some(seconds(Timestamp::from_second(second).unwrap()));
        let mut metadata = made(&Outcome::default()).metadata;
        metadata.creation_timestamp = at(1_767_225_621);
        assert!(!came_back(&metadata));
        metadata.creation_timestamp = at(1_767_225_620 + 3601);
        assert!(came_back(&metadata));
        metadata.annotations = None;
        assert!(!came_back(&metadata), "nothing says when it was made");
        metadata.labels.as_mut().unwrap().insert(labels::VELERO_RESTORE.into(), "cluster-1".into());
        assert!(came_back(&metadata));
    }

    #[test]
    fn the_annotation_of_a_backup_is_bounded_and_holds_no_report_that_is_withheld() {
        let large = Outcome {
            underlying_resources: Some(serde_json::json!({"kind": "x".repeat(70_000)})),
            ..artifact("s3://user:secret@host/b", None)
        };
        let backup = made(&large);
        let text = &backup.metadata.annotations.as_ref().unwrap()[annotations::RECORDED];
        assert!(text.len() < 1000 && !text.contains("secret"), "{text}");
        assert_eq!(Recorded::on(&backup.metadata).unwrap().strategy_revision.as_deref(), Some("job-dump-0"));
    }

    #[test]
    fn r9_component_and_revision_are_pinned_in_the_status() {
        let status = status_of(&record(), &Outcome::default(), Some(1), Timestamp::UNIX_EPOCH);
        assert_eq!(status.strategy_revision.as_deref(), Some("job-dump-0"));
        assert_eq!(status.component.unwrap().digest, "sha256:0");
    }

    #[test]
    fn r10_no_report_gives_no_artifact_and_says_so() {
        assert_eq!(reported(&Outcome::default()), (false, "ArtifactNotReported".into()));
    }

    #[test]
    fn r10_a_report_becomes_the_artifact() {
        let hash = format!("sha256:{}", "0".repeat(64));
        assert_eq!(reported(&artifact("s3://b/k", Some(&hash))), (true, "ArtifactReported".into()));
        assert_eq!(reported(&artifact("pvc://archive/a@b.tar", None)), (true, "ArtifactReported".into()));
    }

    #[test]
    fn r10_a_report_of_the_wrong_form_or_with_a_password_is_withheld() {
        for bad in [
            artifact("", None),
            artifact("s3://user:secret@host/b", None),
            artifact("s3://b\n/k", None),
            artifact("s3://b/k", Some("not a checksum")),
            artifact(&"x".repeat(3000), None),
        ] {
            assert_eq!(reported(&bad), (false, "InvalidArtifact".into()));
        }
    }

    #[test]
    fn a_restore_goes_to_the_source_unless_the_restore_job_says_otherwise() {
        let source = TypedRef { api_group: Some("g".into()), kind: "K".into(), name: "n".into() };
        assert_eq!(restore_target(&source, None), source);
        let copy = TypedRef { api_group: None, kind: String::new(), name: "copy".into() };
        assert_eq!(restore_target(&source, Some(&copy)), TypedRef { name: "copy".into(), ..source.clone() });
        let explicit = TypedRef { api_group: Some(String::new()), kind: "L".into(), name: "m".into() };
        assert_eq!(restore_target(&source, Some(&explicit)).group(), "apps.cozystack.io");
    }
}
