//! The name of an archive: the one thing that ties a Backup to its data.

use backstay_sdk::prelude::*;
use backstay_sdk::run::Backup;

/// Where a Backup records the archive, in `spec.driverMetadata`.
pub(crate) const RECORDED: &str = "altinity.strategy.backups.cozystack.io/archive";
/// Of the application's and of the run's name, so many bytes go into an archive's name. The uid makes it unique.
const NAME_BYTES: usize = 63;
/// The longest name of a folder.
const ARCHIVE_BYTES: usize = 255;

/// The archive of a backup run. All pods of the run are told the same name, so that a second one finds what the first
/// has begun; no other run is told it. It begins like the names that scripts of the Go implementation look for.
pub(crate) fn of_run<S>(request: &Request<S>) -> String {
    let (application, run) = (begin(&request.application.name), begin(&request.run.name));
    format!("clickhouse-{application}-{run}-{}", request.run_uid)
}

fn begin(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

/// The archive that a Backup records, if it records one.
///
/// # Errors
/// `InvalidBackup` where what is recorded can be no archive. Whoever may write Backups may write this, and templates put
/// it into scripts and paths.
pub(crate) fn of_backup(backup: &Backup) -> Result<Option<String>, Failure> {
    match backup.metadata.get(RECORDED) {
        None => Ok(None),
        Some(name) if is_archive(name) => Ok(Some(name.clone())),
        Some(name) => Err(Failure::new(
            "InvalidBackup",
            format!(
                "Backup {} records in spec.driverMetadata, under {RECORDED}, what is no archive ({name:?}): \
                 at most {ARCHIVE_BYTES} letters, digits, dots, dashes and underscores, not beginning with a dot \
                 or a dash; write the name that the sidecar lists",
                backup.name
            ),
        )),
    }
}

/// Whether this can be an archive: a name that means the same in a path, a URL and a shell.
pub(crate) fn is_archive(name: &str) -> bool {
    (1..=ARCHIVE_BYTES).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_to_a_shell_or_a_path_are_no_archives() {
        for name in ["clickhouse-a-20260102T030405Z", "a", "A_b.c-1"] {
            assert!(is_archive(name), "{name}");
        }
        let long = "a".repeat(256);
        for name in ["", "..", "-rf", "a/b", "a b", "$(id)", "a?b", "a\n", "é", &long] {
            assert!(!is_archive(name), "{name}");
        }
    }
}
