//! Whether a target can be restored. Every problem that would appear only after the deletion of its database is
//! checked here.

use backstay_sdk::step::{Found, ListQuery, Look, Query, Selection, Stop};
use backstay_sdk::{Backup, Failure, NamespacedName, Value};

use super::gate::Proof;
use crate::cluster::{self, Cluster, deleting, text};
use crate::names::{Names, metadata};
use crate::options::{Options, Target};
use crate::rendered::{self, Archive};
use crate::run::Run;
use crate::snapshot::Snapshot;
use crate::time::Instant;

/// The inputs of a plan.
#[derive(Debug)]
pub(crate) struct Fitness<'a> {
    pub(crate) options: Options,
    pub(crate) application: &'a Value,
    pub(crate) archive: Archive,
    pub(crate) snapshot: Snapshot,
    /// The server name of the backup in the archive.
    pub(crate) server: &'a str,
    pub(crate) destination: &'a str,
    pub(crate) endpoint: &'a str,
    /// The point in time to recover to; `None` is the end of the archive.
    pub(crate) target: Option<Instant>,
    /// Whether the archive holds the whole backup.
    pub(crate) proof: Proof,
    /// The Cluster of the target, if it exists.
    pub(crate) cluster: Option<Cluster<'a>>,
    /// Whether the target is the backed up application.
    pub(crate) in_place: bool,
    /// Whether the users' passwords are those of the backup.
    pub(crate) passwords: bool,
}

impl<'a> Fitness<'a> {
    /// Whether the operator's Backup alone shows that the archive holds the whole backup.
    ///
    /// # Errors
    /// A question, or a wait for an object that cannot be read.
    pub(crate) fn is_whole(run: &Run<'a>, look: &Look<'a>) -> Result<bool, Stop> {
        let Some(backup) = &run.request.backup else { return Ok(false) };
        let Some(name) = backup.metadata.get(metadata::BACKUP_NAME).filter(|name| !name.is_empty()) else {
            return Ok(false);
        };
        let operators = look.live(&run.names.backup(name))?.object();
        Ok(operators.is_some() && Proof::of(backup, operators, None, None, false) == Proof::Whole)
    }

    /// Examines backup and target.
    ///
    /// # Errors
    /// A question, or the failure that names the problem of the target or the backup.
    pub(crate) fn examine(run: &Run<'a>, look: &Look<'a>) -> Result<Self, Stop> {
        let request = run.request;
        let backup = request.backup.as_ref();
        let backup =
            backup.ok_or_else(|| Failure::new("BackupMissing", "the Backup of the restore is gone"))?;
        let options = Options::read(request.options.as_ref())?;
        let server = needed(backup, metadata::SERVER_NAME)?;
        let destination = needed(backup, metadata::DESTINATION_PATH)?;
        let endpoint = backup.metadata.get(metadata::ENDPOINT_URL).map_or("", String::as_str);
        let (snapshot, passwords) = Snapshot::read(backup)?;
        let source = Names::named(&run.names.namespace, &backup.application_name);

        let operators = backup.metadata.get(metadata::BACKUP_NAME).filter(|n| !n.is_empty());
        let operators = operators.map(|name| run.names.backup(name));
        let questions = [&request.application, &source.store(), &run.names.release()];
        let questions = questions.into_iter().chain(&operators).map(Query::live);
        let further = [Query::Get(cluster::live(run.names)), Query::List(volumes(run.names))];
        look.all(questions.chain(further))?;

        let application = application(run, look)?;
        let parameters =
            if backup.component_version.is_some() { &request.parameters } else { &snapshot.parameters };
        let archive = rendered::archive(request, application, parameters)?;
        secrets(run.names, look, &archive)?;
        if application["spec"]["backup"]["useSystemBucket"] == true && !options.leave_system_bucket {
            return Err(refused(
                "SystemBucket",
                format!(
                    "Postgres {} is on the system's bucket (spec.backup.useSystemBucket), from which its chart cannot \
                     recover; set options.leaveSystemBucket: true to take it off that bucket for good",
                    request.application.name
                ),
            ));
        }
        let store = match look.live(&source.store())? {
            Found::Object(store) => Some(store).filter(|s| crate::archiving::is_at(s, destination)),
            Found::Missing => None,
            Found::NotServed => {
                let message = "the API server does not know the kind ObjectStore of barmancloud.cnpg.io; \
                               install the Barman Cloud plugin";
                return Err(refused("PluginMissing", message));
            }
        };
        let cluster = match look.get(cluster::live(run.names))? {
            Found::Object(cluster) => Some(Cluster(cluster)),
            Found::Missing => None,
            Found::NotServed => {
                let message = "the API server does not know the kind Cluster of postgresql.cnpg.io; install CloudNativePG";
                return Err(refused("OperatorMissing", message));
            }
        };
        let found = look.list(volumes(run.names))?.is_some_and(|l| !l.items.is_empty());
        let would_be_missed = cluster.is_some() || found;
        if would_be_missed
            && !options.allow_missing_release
            && look.live(&run.names.release())?.object().is_none()
        {
            return Err(refused(
                "ReleaseMissing",
                format!(
                    "there is no HelmRelease {0}, so that nobody would make Cluster {0} anew once it is deleted; deploy \
                     the application, or set options.allowMissingRelease: true if you make it yourself",
                    run.names.cluster
                ),
            ));
        }
        let operators = match &operators {
            Some(object) => look.live(object)?.object(),
            None => None,
        };
        let first = store.and_then(|s| first_recoverable(s, server));
        let stopped = stopped_at(backup, operators);
        let target = target(&options, stopped, backup)?;
        let proof = Proof::of(backup, operators, first, target.or(stopped), options.allow_missing_backup);
        // A lost backup is the better reason to fail.
        if !matches!(proof, Proof::Lost(_)) {
            reachable(&options, target, first, stopped, server)?;
        }
        version_and_size(backup, operators, application, cluster, &snapshot)?;
        let snapshot = match passwords {
            true => snapshot,
            false => snapshot.with_passwords_of(&application["spec"]["users"]),
        };
        let in_place = backup.application_name == request.application.name;
        Ok(Self {
            options,
            application,
            archive,
            snapshot,
            server,
            destination,
            endpoint,
            target,
            proof,
            cluster,
            in_place,
            passwords,
        })
    }
}

/// Asks for the volumes of a Cluster.
pub(crate) fn volumes(names: &Names) -> ListQuery {
    ListQuery {
        objects: volume_selection(names),
        live: true,
        fields: vec!["/metadata".to_owned()],
        limit: 200,
    }
}

/// Selects the volumes of a Cluster.
pub(crate) fn volume_selection(names: &Names) -> Selection {
    Selection {
        api_version: "v1".to_owned(),
        kind: "PersistentVolumeClaim".to_owned(),
        namespace: Some(names.namespace.clone()),
        labels: names.selector(),
    }
}

/// Returns the target, which must exist.
fn application<'a>(run: &Run<'a>, look: &Look<'a>) -> Result<&'a Value, Stop> {
    let name = &run.request.application.name;
    match look.live(&run.request.application)?.object() {
        None => Err(refused(
            "TargetMissing",
            format!("Postgres {name} does not exist; deploy it first, then restore to it"),
        )),
        Some(application) if deleting(application) => Err(refused(
            "TargetDeleting",
            format!("Postgres {name} is being deleted; restore to another one"),
        )),
        Some(application) => Ok(application),
    }
}

/// Checks that the Secrets of the archive exist and have the named keys, without which nothing can be recovered.
fn secrets(names: &Names, look: &Look<'_>, archive: &Archive) -> Result<(), Stop> {
    let Some(keys) = &archive.credentials else {
        return Err(refused(
            "CredentialsMissing",
            "the strategy names no Secret with access keys (spec.template.barmanObjectStore.s3Credentials), without \
             which the chart does not render a recovery",
        ));
    };
    let mut needed = vec![(names.secret(&keys.name), vec![&keys.id_key, &keys.secret_key])];
    needed.extend(archive.ca.as_ref().map(|ca| (names.secret(&ca.name), vec![&ca.key])));
    look.all(needed.iter().map(|(secret, _)| Query::SecretKeys(secret.clone())))?;
    for (secret, wanted) in needed {
        let NamespacedName { namespace, name } = &secret;
        let Some(found) = look.secret_keys(secret.clone())? else {
            let message = format!(
                "Secret {namespace}/{name} of the archive does not exist; create it with the strategy's keys"
            );
            return Err(refused("SecretMissing", message));
        };
        if let Some(missing) = wanted.into_iter().find(|key| !found.contains(key)) {
            let message = format!("Secret {namespace}/{name} of the archive has no key {missing}; add it");
            return Err(refused("SecretKeyMissing", message));
        }
    }
    Ok(())
}

/// Returns the point in time to recover to.
fn target(options: &Options, stopped: Option<Instant>, backup: &Backup) -> Result<Option<Instant>, Stop> {
    match (options.target, stopped) {
        (Target::Latest, _) => Ok(None),
        (Target::Time(time), _) => Ok(Some(time)),
        // The operator cuts the time to seconds, and PostgreSQL would stop before the end of the backup.
        (Target::Backup, Some(stopped)) => Ok(Some(stopped.not_before_its_second())),
        (Target::Backup, None) => Err(refused(
            "BackupEndUnknown",
            format!(
                "when Backup {} ended is not known, so neither is its state; set options.recoveryTime, or \
                 options.recoveryTarget: latest for the end of the archive",
                backup.name
            ),
        )),
    }
}

/// Returns the end of the backup as it was recorded, or as the operator's Backup says.
fn stopped_at(backup: &Backup, operators: Option<&Value>) -> Option<Instant> {
    let recorded = backup.metadata.get(metadata::STOPPED_AT).and_then(|t| t.parse().ok());
    recorded.or_else(|| text(operators?, "/status/stoppedAt").parse().ok())
}

/// Returns the earliest time that the archive can recover, if the plugin reports it.
fn first_recoverable(store: &Value, server: &str) -> Option<Instant> {
    store["status"]["serverRecoveryWindow"][server]["firstRecoverabilityPoint"].as_str()?.parse().ok()
}

/// Checks that nothing rules out the recovery of the target: the recovery window that the plugin reports, which no
/// option overrides, or else the end of the backup.
fn reachable(
    options: &Options,
    target: Option<Instant>,
    first: Option<Instant>,
    stopped: Option<Instant>,
    server: &str,
) -> Result<(), Stop> {
    let Some(target) = target else { return Ok(()) };
    let asked = matches!(options.target, Target::Time(_));
    let cause = match (first, stopped) {
        (Some(first), _) if target < first => {
            let what = if asked { "options.recoveryTime" } else { "the end of the backup," };
            let advice = if asked { "take a later one" } else { "restore another Backup" };
            format!(
                "{what} {target} is before the first time that the archive of {server} can recover, {first}; {advice}"
            )
        }
        (None, Some(stopped)) if asked && target < stopped && !options.allow_missing_backup => format!(
            "options.recoveryTime {target} is before the end of the backup, {stopped}, and nothing shows that the \
             archive of {server} holds an earlier one; take a later time, or an earlier Backup; if you know that it \
             does, set options.allowMissingBackup: true"
        ),
        _ => return Ok(()),
    };
    Err(refused("RecoveryTargetTooEarly", cause))
}

/// Checks that the target runs the PostgreSQL version of the backup and has enough space.
fn version_and_size(
    backup: &Backup,
    operators: Option<&Value>,
    application: &Value,
    cluster: Option<Cluster<'_>>,
    snapshot: &Snapshot,
) -> Result<(), Stop> {
    let recorded = backup.metadata.get(metadata::MAJOR_VERSION).and_then(|v| v.parse().ok());
    let of_backup = recorded.or_else(|| operators?.pointer("/status/majorVersion")?.as_u64());
    let said = application["spec"]["version"].as_str().and_then(major);
    let of_target = said.or_else(|| cluster?.major_version());
    if let (Some(of_backup), Some(of_target)) = (of_backup, of_target)
        && of_backup != of_target
    {
        return Err(refused(
            "VersionMismatch",
            format!(
                "the backup is of PostgreSQL {of_backup} and the target runs {of_target}; set spec.version of the \
                 target to that of the backup"
            ),
        ));
    }
    let sizes = (snapshot.size.as_deref(), application["spec"]["size"].as_str());
    if let (Some(of_backup), Some(of_target)) = sizes
        && let (Some(needed), Some(there)) = (bytes(of_backup), bytes(of_target))
        && there < needed
    {
        return Err(refused(
            "VolumeTooSmall",
            format!(
                "a volume of the target has {of_target} and the one backed up had {of_backup}; raise spec.size of \
                 the target"
            ),
        ));
    }
    Ok(())
}

/// Returns the major version: 17 for `v17`, `17.2` and `17`.
fn major(version: &str) -> Option<u64> {
    let digits = version.trim_start_matches('v');
    digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}

/// Parses a Kubernetes quantity in whole bytes. `None` for other forms.
fn bytes(quantity: &str) -> Option<u128> {
    let split = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(split);
    let factor: u128 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        _ => return None,
    };
    let (whole, tenths) = match number.split_once('.') {
        None => (number.parse::<u128>().ok()?, 0),
        // One digit is enough for sizes of volumes.
        Some((whole, fraction)) => (whole.parse::<u128>().ok()?, fraction.get(..1)?.parse::<u128>().ok()?),
    };
    Some(whole.checked_mul(factor)? + tenths * factor / 10)
}

fn needed<'a>(backup: &'a Backup, key: &str) -> Result<&'a str, Failure> {
    let value = backup.metadata.get(key).filter(|v| !v.is_empty());
    value.map(String::as_str).ok_or_else(|| {
        let message = format!(
            "spec.driverMetadata of Backup {} has no {key}; it is no backup of this strategy",
            backup.name
        );
        Failure::new("BackupUnusable", message)
    })
}

fn refused(reason: &str, message: impl Into<String>) -> Stop {
    Failure::new(reason, format!("{}; nothing has been deleted", message.into())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_sizes_are_read_as_they_are_written() {
        for (version, number) in [("v17", Some(17)), ("17.2", Some(17)), ("16", Some(16)), ("latest", None)] {
            assert_eq!(major(version), number, "{version}");
        }
        for (size, number) in [
            ("10Gi", Some(10 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("5G", Some(5_000_000_000)),
            ("x", None),
            ("1Xi", None),
        ] {
            assert_eq!(bytes(size), number, "{size}");
        }
    }

    #[test]
    fn a_target_that_the_archive_cannot_recover_is_refused() {
        let at = Instant::from_seconds;
        let options =
            |target, allow_missing_backup| Options { target, allow_missing_backup, ..Options::default() };
        let is = |options: &Options, target, first, stopped| {
            reachable(options, Some(target), first, stopped, "s").is_ok()
        };
        let (backup, consent) = (options(Target::Backup, false), options(Target::Backup, true));
        assert!(is(&backup, at(20), Some(at(20)), Some(at(19))));
        assert!(!is(&backup, at(20), Some(at(21)), Some(at(19))), "the window is past the backup");
        assert!(!is(&consent, at(20), Some(at(21)), Some(at(19))), "consent does not outweigh what is known");
        let (early, known) = (options(Target::Time(at(10)), false), options(Target::Time(at(10)), true));
        assert!(is(&early, at(10), Some(at(5)), Some(at(19))), "there is an older base backup");
        assert!(!is(&early, at(10), None, Some(at(19))), "nothing shows an older base backup");
        assert!(is(&known, at(10), None, Some(at(19))));
        assert!(is(&early, at(10), None, None) && is(&early, at(19), None, Some(at(19))));
    }
}
