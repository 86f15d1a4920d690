//! The name of an archive, which is the only link from a Backup to its data.

use backstay_sdk::prelude::*;
use backstay_sdk::run::Backup;

/// The key under which a Backup records its archive, in `spec.driverMetadata`.
pub(crate) const RECORDED: &str = "altinity.strategy.backups.cozystack.io/archive";
/// Bytes of the application's name, and of the run's name, in the name of an archive. The uid makes it unique.
const NAME_BYTES: usize = 63;
/// Maximum bytes of a folder's name.
const ARCHIVE_BYTES: usize = 255;

/// Returns the archive of a backup run. All pods of the run get the same name, so that a second pod finds what the
/// first one began; no other run gets it. It starts like the names that scripts of the Go implementation look for.
pub(crate) fn of_run<S>(request: &Request<S>) -> String {
    let (application, run) = (begin(&request.application.name), begin(&request.run.name));
    format!("clickhouse-{application}-{run}-{}", request.run_uid)
}

fn begin(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

/// Returns the archive that a Backup records, if it records one.
///
/// # Errors
/// `InvalidBackup`: the recorded name cannot be an archive. Users who may write Backups can write this name, and
/// templates put it into scripts and paths.
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

/// Whether a name can be an archive: it must mean the same in a path, a URL and a shell.
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
