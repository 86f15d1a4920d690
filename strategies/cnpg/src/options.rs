//! `RestoreJob.spec.options`, read strictly: an option of the wrong type fails the run before anything is changed,
//! because without it the restore would recover another state.

use backstay_sdk::{Failure, Finding, Value, json};

use crate::time::Instant;

/// The maximum duration of a run, in seconds, for large databases. Administrators set less.
pub(crate) const LONGEST_RUN: u32 = 24 * 60 * 60;
/// The maximum of a limit.
const LONGEST: i64 = LONGEST_RUN as i64;

/// The options of a restore.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// The point to recover to.
    pub(crate) target: Target,
    /// Maximum duration of a restore, in seconds.
    pub(crate) restore_timeout: i64,
    /// Maximum time until the archive holds the whole backup, in seconds.
    pub(crate) archive_timeout: i64,
    /// Restore although the operator's Backup is gone and nothing shows that the archive still holds a base backup.
    pub(crate) allow_missing_backup: bool,
    /// Restore although there is no release that would create the Cluster again.
    pub(crate) allow_missing_release: bool,
    /// Take the application off the system's bucket, from which its chart cannot recover.
    pub(crate) leave_system_bucket: bool,
}

/// The point to recover to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The state of the backup.
    Backup,
    /// A point in time.
    Time(Instant),
    /// The end of the archive.
    Latest,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::Backup,
            restore_timeout: 30 * 60,
            archive_timeout: 3 * 60,
            allow_missing_backup: false,
            allow_missing_release: false,
            leave_system_bucket: false,
        }
    }
}

const RECOVERY_TIME: &str = "recoveryTime";
const RECOVERY_TARGET: &str = "recoveryTarget";
const RESTORE_TIMEOUT: &str = "restoreTimeoutSeconds";
const ARCHIVE_TIMEOUT: &str = "walArchiveTimeoutSeconds";
const ALLOW_MISSING: &str = "allowMissingBackup";
const ALLOW_NO_RELEASE: &str = "allowMissingRelease";
const LEAVE_BUCKET: &str = "leaveSystemBucket";

impl Options {
    /// Reads the options.
    pub(crate) fn read(options: Option<&Value>) -> Result<Self, Failure> {
        let (read, findings) = Self::parse(options);
        if findings.is_empty() {
            return Ok(read);
        }
        let mut message =
            String::from("the options of the restore are not valid, and nothing has been touched");
        for finding in &findings {
            message.push_str(&format!("; {}: {}", finding.at, finding.message));
        }
        Err(Failure::new("InvalidOptions", message).with_findings(findings))
    }

    /// Returns the errors in options.
    pub(crate) fn check(options: Option<&Value>) -> Vec<Finding> {
        Self::parse(options).1
    }

    fn parse(options: Option<&Value>) -> (Self, Vec<Finding>) {
        let mut read = Self::default();
        let mut findings = Vec::new();
        let entries = match options {
            None | Some(Value::Null) => return (read, findings),
            Some(Value::Object(entries)) => entries,
            Some(_) => return (read, vec![Finding::error("/options", "is no object")]),
        };
        let (mut time, mut target) = (None, None);
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            let mut wrong = |cause: String| findings.push(Finding::error(format!("/options/{key}"), cause));
            // The Go implementation ignores the case of keys, so a key in another case must not be dropped.
            let is = |name: &str| key.eq_ignore_ascii_case(name);
            if is(RECOVERY_TIME) {
                match (value.as_str(), value.as_str().and_then(|t| t.parse().ok())) {
                    (Some(""), _) => {}
                    (_, Some(instant)) => time = Some(instant),
                    _ => wrong(format!(
                        "{value} is no point in time; write it as 2026-01-31T10:15:00Z, with a fraction or another \
                         zone if needed"
                    )),
                }
            } else if is(RECOVERY_TARGET) {
                match value.as_str() {
                    Some("" | "backup") => target = Some(Target::Backup),
                    Some("latest") => target = Some(Target::Latest),
                    _ => wrong(format!("{value} is none of backup and latest")),
                }
            } else if is(RESTORE_TIMEOUT) {
                limit(value, &mut read.restore_timeout).unwrap_or_else(wrong);
            } else if is(ARCHIVE_TIMEOUT) {
                limit(value, &mut read.archive_timeout).unwrap_or_else(wrong);
            } else if is(ALLOW_MISSING) {
                flag(value, &mut read.allow_missing_backup).unwrap_or_else(wrong);
            } else if is(ALLOW_NO_RELEASE) {
                flag(value, &mut read.allow_missing_release).unwrap_or_else(wrong);
            } else if is(LEAVE_BUCKET) {
                flag(value, &mut read.leave_system_bucket).unwrap_or_else(wrong);
            }
        }
        if let (Some(_), Some(_)) = (time, target) {
            let cause = format!("says the same as {RECOVERY_TIME}; leave one of them out");
            findings.push(Finding::error(format!("/options/{RECOVERY_TARGET}"), cause));
        }
        read.target = time.map(Target::Time).or(target).unwrap_or(Target::Backup);
        (read, findings)
    }
}

/// Reads a limit in seconds. A value that is not positive keeps the default.
fn limit(value: &Value, limit: &mut i64) -> Result<(), String> {
    match value.as_i64() {
        Some(seconds) if seconds > LONGEST => {
            Err(format!("{seconds} is more than a run may take, which is {LONGEST} seconds"))
        }
        Some(seconds) => {
            if seconds > 0 {
                *limit = seconds;
            }
            Ok(())
        }
        None if value.is_u64() => {
            Err(format!("{value} is more than a run may take, which is {LONGEST} seconds"))
        }
        None => Err(format!("{value} is no whole number of seconds")),
    }
}

fn flag(value: &Value, flag: &mut bool) -> Result<(), String> {
    *flag = value.as_bool().ok_or_else(|| format!("{value} is neither true nor false"))?;
    Ok(())
}

/// Returns the JSON Schema of the options, for documentation and lint.
pub(crate) fn schema() -> Value {
    let seconds = |about: &str| json!({"type": "integer", "description": about});
    let flag = |about: &str| json!({"type": "boolean", "description": about});
    json!({
        "type": "object",
        "properties": {
            RECOVERY_TIME: {"type": "string", "description": "Recover up to this point in time, such as 2026-01-31T10:15:00Z."},
            RECOVERY_TARGET: {
                "type": "string", "enum": ["backup", "latest"],
                "description": "Without a recoveryTime: the state of the backup (the default), or the end of the archive.",
            },
            RESTORE_TIMEOUT: seconds("How long the restore may take once the archive holds the backup, 1800 by default."),
            ARCHIVE_TIMEOUT: seconds("How long the archive may take to hold all of the backup, 180 by default."),
            ALLOW_MISSING: flag("Restore although the operator's Backup object is gone, or the recovery time is before its end, and nothing shows that the archive still holds a base backup."),
            ALLOW_NO_RELEASE: flag("Restore although there is no HelmRelease that would make the deleted Cluster anew: somebody else has to."),
            LEAVE_BUCKET: flag("Set useSystemBucket of the target to false, since its chart cannot recover from the system's bucket."),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(options: Value) -> Vec<String> {
        Options::check(Some(&options)).into_iter().map(|f| f.at).collect()
    }

    #[test]
    fn none_unknown_ones_and_limits_that_are_not_positive_are_the_defaults() {
        let values = [json!(null), json!({}), json!({"color": "red"}), json!({"recoveryTime": "", "x": 1})];
        for options in values.into_iter().chain([json!({
            "restoreTimeoutSeconds": 0, "walArchiveTimeoutSeconds": -5, "recoveryTime": null,
        })]) {
            assert_eq!(Options::read(Some(&options)), Ok(Options::default()), "{options}");
        }
        assert_eq!(Options::read(None), Ok(Options::default()));
    }

    #[test]
    fn an_option_of_the_wrong_type_is_named_and_none_is_dropped() {
        assert_eq!(at(json!({"recoveryTime": "yesterday"})), ["/options/recoveryTime"]);
        assert_eq!(
            at(json!({"restoreTimeoutSeconds": "600", "recoveryTime": "2026-01-31T10:15:00Z"})),
            ["/options/restoreTimeoutSeconds"]
        );
        assert_eq!(
            at(json!({"walArchiveTimeoutSeconds": 1.5, "allowMissingBackup": "yes"})),
            ["/options/allowMissingBackup", "/options/walArchiveTimeoutSeconds"]
        );
        assert_eq!(at(json!([])), ["/options"]);
    }

    #[test]
    fn a_limit_beyond_all_bounds_is_refused_and_does_not_count_as_expired() {
        let over = LONGEST + 1;
        for value in [json!(over), json!(9_223_372_036_854_775_807_i64), json!(u64::MAX)] {
            assert_eq!(at(json!({"restoreTimeoutSeconds": value})), ["/options/restoreTimeoutSeconds"]);
        }
        assert_eq!(at(json!({"restoreTimeoutSeconds": LONGEST})), [""; 0]);
    }

    #[test]
    fn letters_of_a_key_may_be_of_either_case() {
        let options = Options::read(Some(&json!({"recoverytime": "2026-01-31T10:15:00Z"}))).unwrap();
        assert_eq!(options.target, Target::Time("2026-01-31T10:15:00Z".parse().unwrap()));
    }

    #[test]
    fn a_time_and_a_target_at_once_are_refused() {
        assert_eq!(
            at(json!({"recoveryTime": "2026-01-31T10:15:00Z", "recoveryTarget": "latest"})),
            ["/options/recoveryTarget"]
        );
    }
}
