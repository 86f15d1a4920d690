//! Types and reasons of conditions.
//!
//! A reason is one word for a condition, an Event and the label of a metric. All reasons of the controller are here, and
//! a test checks them against the pattern that the API server enforces (docs/rules.md F1). Strategies have their own.

/// Types of conditions.
pub mod types {
    /// The run has succeeded, the Backup can be restored, the Plan's schedule is valid.
    pub const READY: &str = "Ready";
    /// The controller is working on the object, or waiting for something (kstatus).
    pub const RECONCILING: &str = "Reconciling";
    /// The run has failed, and nothing more will happen by itself (kstatus).
    pub const STALLED: &str = "Stalled";
    /// On a Plan: the schedule cannot be read.
    pub const ERROR: &str = "Error";
    /// On a RestoreJob: whether the strategy used is the one of the time of the backup.
    pub const STRATEGY_PINNED: &str = "StrategyPinned";
    /// On a Backup: whether the strategy reported where the data is.
    pub const ARTIFACT_REPORTED: &str = "ArtifactReported";
    /// On a Backup, once something was missing that a restore needs: whether that is there.
    pub const RESTORABLE: &str = "Restorable";

    /// On a run: whether it is slowed because it spends more than its budget.
    pub const THROTTLED: &str = "Throttled";

    /// Every type above.
    pub const ALL: &[&str] =
        &[READY, RECONCILING, STALLED, ERROR, STRATEGY_PINNED, ARTIFACT_REPORTED, RESTORABLE, THROTTLED];
}

/// Declares the reasons together with the list of all, so that the list is complete.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $word:literal;)+) => {
        /// Reasons of conditions, Events and metrics.
        pub mod reasons {
            $($(#[$doc])+ pub const $name: &str = $word;)+

            /// Every reason above.
            pub const ALL: &[&str] = &[$($name),+];
        }
    };
}

reasons! {
    // ---- how a run goes on and ends ----------------------------------------------------------------------------
    /// The run has been seen and not begun.
    PENDING = "Pending";
    /// The run has begun.
    RUNNING = "Running";
    /// The object is being deleted.
    DELETING = "Deleting";
    /// The backup has succeeded and its Backup is recorded.
    BACKUP_COMPLETED = "BackupCompleted";
    /// The backup has failed.
    BACKUP_FAILED = "BackupFailed";
    /// The restore has succeeded.
    RESTORE_COMPLETED = "RestoreCompleted";
    /// The restore has failed.
    RESTORE_FAILED = "RestoreFailed";
    /// The run took longer than it may.
    RUN_DEADLINE_EXCEEDED = "RunDeadlineExceeded";
    /// The run was cancelled, and its strategy did not finish undoing what it had begun in time.
    UNDO_DEADLINE_EXCEEDED = "UndoDeadlineExceeded";
    /// The controller itself failed while it worked on the run.
    INTERNAL_ERROR = "InternalError";
    /// Something the run waited for did not appear in time.
    WAIT_DEADLINE_EXCEEDED = "WaitDeadlineExceeded";

    /// Another tool restored the run, which may have run before; it is held until somebody says that it may run.
    RESTORED_RUN = "RestoredRun";
    /// The run has begun, and the record of its inputs is gone from its status.
    RUN_RECORD_LOST = "RunRecordLost";
    /// The installed CRDs are not the controller's: the API server drops fields without which nothing may begin.
    CRDS_OUTDATED = "CRDsOutdated";
    /// Somebody else has written the status of the run: two controllers serve it.
    OTHER_WRITER = "OtherWriter";

    // ---- waits of a run ----------------------------------------------------------------------------------------
    /// The BackupClass does not exist.
    BACKUP_CLASS_NOT_FOUND = "BackupClassNotFound";
    /// No entry of the BackupClass is for this kind of application.
    NO_MATCHING_STRATEGY = "NoMatchingStrategy";
    /// The strategy does not exist yet.
    STRATEGY_NOT_READY = "StrategyNotReady";
    /// The strategy does not exist.
    STRATEGY_NOT_FOUND = "StrategyNotFound";
    /// No installed component serves this kind of strategy, or none restores this Backup.
    COMPONENT_MISSING = "ComponentMissing";
    /// The application does not exist, or its kind is not served.
    APPLICATION_NOT_FOUND = "ApplicationNotFound";
    /// The strategy cannot back up this kind of application, or the Backup is of another one.
    APPLICATION_MISMATCH = "ApplicationMismatch";
    /// A reference holds what is not the name of an object.
    INVALID_REFERENCE = "InvalidReference";
    /// The platform's credentials have not been projected yet.
    CREDENTIALS_PROJECTION_PENDING = "CredentialsProjectionPending";
    /// The Secret with the platform's credentials does not exist.
    SOURCE_SECRET_MISSING = "SourceSecretMissing";
    /// The Secret with the platform's credentials lacks a key, or does not parse.
    SOURCE_SECRET_MALFORMED = "SourceSecretMalformed";
    /// A Secret of the projected one's name exists and is not the controller's.
    TARGET_SECRET_NOT_OWNED = "TargetSecretNotOwned";
    /// The API server did not answer as hoped.
    API_ERROR = "APIError";
    /// The API server refuses or does not answer; the call is tried again.
    WAITING_FOR_API = "WaitingForAPI";
    /// Another run holds the lock on the application.
    TARGET_BUSY = "TargetBusy";

    // ---- the strategy ------------------------------------------------------------------------------------------
    /// The reference to the strategy names no group, so that no controller knows the run as its own.
    NO_STRATEGY_GROUP = "NoStrategyGroup";
    /// The strategy's spec, parameters or options are refused by its component.
    INVALID_STRATEGY = "InvalidStrategy";
    /// The strategy is accepted by its component.
    STRATEGY_VALID = "StrategyValid";
    /// A template of the strategy cannot be rendered.
    TEMPLATE_ERROR = "TemplateError";
    /// A template of the strategy printed something that looks like a mistake, such as `<no value>`.
    TEMPLATE_WARNING = "TemplateWarning";
    /// The pod that the strategy rendered has settings that pods of strategies may not have.
    POD_POLICY_VIOLATION = "PodPolicyViolation";
    /// The restore uses the strategy as it was when the backup was made.
    STRATEGY_PINNED = "StrategyPinned";
    /// The Backup does not say which strategy made it; the current one is used.
    NO_SNAPSHOT = "NoSnapshot";
    /// The Secret with the private data of the Backup does not exist.
    PRIVATE_DATA_MISSING = "PrivateDataMissing";
    /// A Secret of a run was altered, or belongs to another run.
    CHECKPOINT_CORRUPT = "CheckpointCorrupt";
    /// The pinned revision of the strategy was altered or does not exist.
    STRATEGY_SNAPSHOT_CORRUPT = "StrategySnapshotCorrupt";

    // ---- the component -----------------------------------------------------------------------------------------
    /// The component trapped.
    STRATEGY_TRAPPED = "StrategyTrapped";
    /// The component used more instructions than it may.
    STRATEGY_OUT_OF_FUEL = "StrategyOutOfFuel";
    /// The component ran longer than it may.
    STRATEGY_TIMED_OUT = "StrategyTimedOut";
    /// The component used more memory than it may.
    STRATEGY_OUT_OF_MEMORY = "StrategyOutOfMemory";
    /// The component used more stack than it may.
    STRATEGY_STACK_EXHAUSTED = "StrategyStackExhausted";
    /// The component returned more than it may.
    STRATEGY_OUTPUT_TOO_LARGE = "StrategyOutputTooLarge";
    /// A field of the run, or of an object that it uses, is larger than it may be.
    INPUT_TOO_LARGE = "InputTooLarge";
    /// The arguments of a call are larger than they may be.
    STRATEGY_INPUT_TOO_LARGE = "StrategyInputTooLarge";
    /// The run spends more than its budget of a minute; it is slowed, and has failed if it did so for too long.
    STRATEGY_EXCEEDS_BUDGET = "StrategyExceedsBudget";
    /// The component's answer breaks a rule of the contract.
    STRATEGY_BAD_ANSWER = "StrategyBadAnswer";
    /// The component asked for an access that it does not declare.
    STRATEGY_UNDECLARED_ACCESS = "StrategyUndeclaredAccess";
    /// The component cannot be loaded.
    STRATEGY_UNLOADABLE = "StrategyUnloadable";
    /// The schema of a strategy kind refers to a type that the host does not know.
    UNKNOWN_SCHEMA_REFERENCE = "UnknownSchemaReference";
    /// The API server would refuse the schema of a strategy kind.
    SCHEMA_NOT_STRUCTURAL = "SchemaNotStructural";

    // ---- the Job -----------------------------------------------------------------------------------------------
    /// The API server refuses the Job.
    INVALID_JOB = "InvalidJob";
    /// A Job of the run's name exists and is not the controller's.
    JOB_NAME_CONFLICT = "JobNameConflict";
    /// The Job of an earlier run of the same name is still going away.
    PREVIOUS_JOB_TERMINATING = "PreviousJobTerminating";
    /// The Job on record no longer exists, and its result is not known.
    JOB_LOST = "JobLost";
    /// The Job failed.
    JOB_FAILED = "JobFailed";

    // ---- the Backup --------------------------------------------------------------------------------------------
    /// The strategy reported where the data is.
    ARTIFACT_REPORTED = "ArtifactReported";
    /// The strategy did not report where the data is.
    ARTIFACT_NOT_REPORTED = "ArtifactNotReported";
    /// The strategy's report about the data is refused.
    INVALID_ARTIFACT = "InvalidArtifact";
    /// The strategy must report where the data is, and did not.
    NO_ARTIFACT_EVIDENCE = "NoArtifactEvidence";
    /// Data was written, but the Backup could not be.
    ARTIFACT_NOT_RECORDED = "ArtifactNotRecorded";
    /// The Backup to be restored does not exist.
    BACKUP_NOT_FOUND = "BackupNotFound";
    /// The Backup to be restored is not ready.
    BACKUP_NOT_READY = "BackupNotReady";
    /// The Backup to be restored has failed.
    BACKUP_FAILED_PHASE = "BackupFailedPhase";
    /// The Backup has no phase; it is restored all the same.
    BACKUP_PHASE_UNKNOWN = "BackupPhaseUnknown";
    /// A Backup of the run's name exists and is another run's; this run's Backup gets another name.
    BACKUP_NAME_TAKEN = "BackupNameTaken";
    /// The Backup is complete.
    BACKUP_READY = "BackupReady";
    /// The Backup came back without its status, which was rebuilt from its annotation.
    STATUS_REBUILT = "StatusRebuilt";
    /// Cleanup after a Backup has succeeded.
    CLEANUP_COMPLETED = "CleanupCompleted";
    /// Cleanup after a Backup or run has failed.
    CLEANUP_FAILED = "CleanupFailed";

    // ---- the Plan ----------------------------------------------------------------------------------------------
    /// The schedule or its time zone cannot be read, or never comes.
    INVALID_CRON = "InvalidCron";
    /// The schedule is valid.
    SCHEDULE_VALID = "ScheduleValid";
    /// The Plan is paused.
    SUSPENDED = "Suspended";
    /// The slot fired in time.
    ON_TIME = "OnTime";
    /// The slot fired late, within the starting deadline.
    LATE = "Late";
    /// The slot was noticed after the starting deadline, or a later one fired in its place.
    TOO_LATE = "TooLate";
    /// A BackupJob of the slot's name exists and is not this Plan's.
    NAME_TAKEN = "NameTaken";

    /// Many strategy revisions seem unused at once, and most of them are kept for now.
    COLLECTION_HELD_BACK = "CollectionHeldBack";
    /// The object does not decode, though the API server took it.
    UNREADABLE_OBJECT = "UnreadableObject";

    // ---- final answers of the API server -----------------------------------------------------------------------
    /// The API server refuses the object (400, 422).
    INVALID_OBJECT = "InvalidObject";
    /// An admission webhook or policy refuses the object (403 by a webhook).
    ADMISSION_DENIED = "AdmissionDenied";
    /// The object is too large (413).
    OBJECT_TOO_LARGE = "ObjectTooLarge";
    /// The API server does not serve the operation (405).
    METHOD_NOT_ALLOWED = "MethodNotAllowed";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Matches `REASON_PATTERN` by hand: `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`.
    fn matches_reason_pattern(word: &str) -> bool {
        let letter_digit = |c: char| c.is_ascii_alphanumeric() || c == '_';
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.ends_with(letter_digit)
            && word.chars().all(|c| letter_digit(c) || matches!(c, ',' | ':'))
    }

    #[test]
    fn f1_every_reason_matches_the_pattern_that_the_api_server_enforces() {
        for reason in reasons::ALL {
            assert!(matches_reason_pattern(reason), "{reason:?} would lose its status write");
            assert!(reason.len() <= 64, "{reason}: reasons are also metric labels");
        }
    }

    #[test]
    fn f1_the_reasons_of_the_reference_would_not_match() {
        for reason in ["Failed to parse cron spec", "Cron spec is valid", "", "1st", "Ends:"] {
            assert!(!matches_reason_pattern(reason), "{reason:?}");
        }
        assert_eq!(crate::schema::field::REASON_PATTERN, "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$");
    }

    #[test]
    fn no_reason_is_declared_twice() {
        let distinct: BTreeSet<_> = reasons::ALL.iter().collect();
        assert_eq!(distinct.len(), reasons::ALL.len());
    }

    #[test]
    fn every_type_is_one_word_within_the_bound() {
        for kind in types::ALL {
            assert!(kind.len() <= 316 && kind.chars().all(|c| c.is_ascii_alphanumeric()), "{kind:?}");
        }
    }
}
