//! The stages of a run.

use backstay_sdk::{Mode, Stage as Declared};

/// A stage. `crate::machine` calls its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    // Backup.
    Check,
    Attach,
    Request,
    Poll,
    // Restore, before the first write.
    Fit,
    Gate,
    // Writes that can be undone: the suspension of the release, and the recovery in the application.
    Suspend,
    Patch,
    // Data may be gone from here on.
    Delete,
    Volumes,
    Drain,
    Resume,
    Recover,
    Archive,
    // After a failure: undo the writes.
    Undo,
    // Cleanup.
    Clean,
}

impl Stage {
    /// All stages, in their usual order.
    pub(crate) const ALL: [Self; 16] = [
        Self::Check,
        Self::Attach,
        Self::Request,
        Self::Poll,
        Self::Fit,
        Self::Gate,
        Self::Suspend,
        Self::Patch,
        Self::Delete,
        Self::Volumes,
        Self::Drain,
        Self::Resume,
        Self::Recover,
        Self::Archive,
        Self::Undo,
        Self::Clean,
    ];

    /// Returns the first stage of a run.
    pub(crate) fn first(mode: Mode) -> Self {
        match mode {
            Mode::Backup => Self::Check,
            Mode::Restore => Self::Fit,
            Mode::Cleanup => Self::Clean,
        }
    }

    /// Returns the stage of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Returns its name in checkpoints and metrics.
    pub(crate) fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether a restore may have deleted data in this stage.
    pub(crate) fn may_have_deleted(self) -> bool {
        self.row().2
    }

    /// Returns its entry in the descriptor.
    pub(crate) fn declared(self) -> Declared {
        let (mode, name, keeps_checkpoint, about) = self.row();
        Declared { mode, name: name.to_owned(), about: about.to_owned(), keeps_checkpoint }
    }

    fn row(self) -> (Mode, &'static str, bool, &'static str) {
        use Mode::{Backup, Cleanup, Restore};
        match self {
            Self::Check => (Backup, "check", false, "render the strategy, and wait for the Cluster"),
            Self::Attach => {
                (Backup, "attach", false, "attach the archive, and wait until the instances have the plugin")
            }
            Self::Request => (Backup, "request", false, "ask the operator for a backup"),
            Self::Poll => (Backup, "poll", false, "wait until the operator's backup is complete"),
            Self::Fit => (Restore, "fit", false, "see whether the target can be restored to"),
            Self::Gate => {
                (Restore, "gate", false, "wait until the archive holds all of the backup, then plan")
            }
            Self::Suspend => (Restore, "suspend", false, "suspend the HelmRelease"),
            Self::Patch => {
                (Restore, "patch", false, "write into the application what to recover, and verify it")
            }
            Self::Delete => (Restore, "delete", true, "delete the Cluster of the plan"),
            Self::Volumes => (Restore, "volumes", true, "delete its volumes"),
            Self::Drain => (Restore, "drain", true, "wait until Cluster and volumes are gone"),
            Self::Resume => (Restore, "resume", true, "resume the HelmRelease"),
            Self::Recover => (Restore, "recover", true, "wait until the recovered Cluster is healthy"),
            Self::Archive => (Restore, "archive", true, "archive again, under a new server name"),
            Self::Undo => (Restore, "undo", false, "put back what was written, and end"),
            Self::Clean => {
                (Cleanup, "clean", false, "delete the operator's backup; the archive keeps its own retention")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_found_by_its_name() {
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.name()), Some(stage));
        }
    }
}
