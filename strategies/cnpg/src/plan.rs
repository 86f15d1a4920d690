//! The plan of a restore, stored before its first write: the uids of the objects to delete, the application's values
//! before and after, and the owner of the release's suspension. Later steps delete and undo by the plan alone.

use backstay_sdk::step::Object;
use backstay_sdk::{Deserialize, Serialize, Value};

use crate::cluster::{Cluster, deleting, name, text, uid};
use crate::rendered::Archive;
use crate::time::Instant;

/// The plan of a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Plan {
    /// Uid of the Cluster to delete; `None` if there is none.
    pub(crate) cluster: Option<String>,
    /// The volumes to delete.
    pub(crate) volumes: Vec<Volume>,
    /// The state of the release at planning.
    pub(crate) release: Release,
    /// The application's values before the restore, in the parts that it writes.
    pub(crate) before: Value,
    /// The values that the restore writes there.
    pub(crate) wanted: Value,
    /// The server in the archive to recover from.
    pub(crate) server: String,
    /// The point in time to recover to; `None` is the end of the archive.
    pub(crate) target: Option<Instant>,
    /// Whether the user asked for that point in time; otherwise it is the end of the backup.
    pub(crate) target_asked: bool,
    /// The deadline of the restore.
    pub(crate) limit: i64,
    /// The maximum duration of the restore, in seconds.
    pub(crate) timeout: i64,
    /// Whether the delete stage was entered: missing objects may be deleted ones.
    #[serde(default)]
    pub(crate) deleting: bool,
    /// Uids of the objects whose deletion was requested.
    #[serde(default)]
    pub(crate) deletes: Vec<String>,
    /// The time by which deleted objects must be gone. Each newly deleted object extends it. `None` before the first
    /// delete.
    pub(crate) drain_limit: Option<i64>,
    /// Whether the release's suspension is somebody else's and is about to be lifted by a write of the application.
    /// Without this note the release would look awake after a crash.
    #[serde(default)]
    pub(crate) theirs: bool,
    /// Whether a database was deleted and is gone: nothing can be undone from then on.
    pub(crate) purged: bool,
    /// Whether an unplanned Cluster was added to the plan, which happens once only.
    pub(crate) stray: bool,
    /// Whether this is the second plan, which recovers to the end of the archive.
    pub(crate) to_the_end: bool,
    /// Whether the users' passwords are those of the backup.
    pub(crate) passwords: bool,
    /// The archiving after the restore, if there was any before.
    pub(crate) archiving: Option<Archiving>,
}

/// A volume to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Uid of the Cluster that owns it, if one does.
    pub(crate) owner: Option<String>,
}

/// The state of a release at planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) enum Release {
    /// There is no release.
    Absent,
    /// It was awake, and must be awake again after the restore.
    Awake,
    /// A failed restore had suspended it.
    LeftAsleep,
}

/// The archiving after a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Archiving {
    /// The server name in the archive before the restore.
    pub(crate) server: String,
    /// Whether the chart managed it.
    pub(crate) by_chart: bool,
    /// The archive.
    pub(crate) archive: Archive,
}

impl Volume {
    /// Reads a PersistentVolumeClaim of the Cluster. `None` if another object owns it.
    pub(crate) fn of(volume: &Value, cluster_name: &str) -> Option<Self> {
        let owners = volume.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owner = match owners.map(Vec::as_slice) {
            None | Some([]) => None,
            Some(owners) => {
                let cluster = owners.iter().find(|o| o["kind"] == "Cluster" && o["name"] == cluster_name)?;
                Some(text(cluster, "/uid").to_owned())
            }
        };
        Some(Self { name: name(volume).to_owned(), uid: uid(volume).to_owned(), owner })
    }
}

impl Plan {
    /// Whether the plan deletes this volume: by its uid, or because the plan's Cluster owns it; never if another
    /// Cluster owns it now.
    pub(crate) fn has_volume(&self, volume: &Volume) -> bool {
        let of_cluster = volume.owner.is_some() && volume.owner == self.cluster;
        of_cluster || self.volumes.iter().any(|v| v.uid == volume.uid && v.owner == volume.owner)
    }

    /// Whether this is the Cluster to delete.
    pub(crate) fn has_cluster(&self, cluster: &Value) -> bool {
        self.cluster.as_deref().is_some_and(|planned| planned == uid(cluster))
    }

    /// Whether this restore caused this Cluster.
    pub(crate) fn has_made(&self, cluster: Cluster<'_>) -> bool {
        !self.has_cluster(cluster.0) && !cluster.deleting() && cluster.recovers(&self.server, self.target)
    }

    /// Records that a delete is about to be requested: the object must be gone in `seconds`. Repeated requests do not
    /// extend the time.
    pub(crate) fn deletes(&mut self, uid: &str, now: i64, seconds: i64) {
        if !self.deletes.iter().any(|known| known == uid) {
            self.deletes.push(uid.to_owned());
            self.drain_limit = Some(now + seconds);
        }
    }

    /// Whether no database has been touched yet: there was no Cluster, and no volume was deleted.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.purged && self.cluster.is_none() && self.deletes.is_empty()
    }

    /// Whether any object of the plan was deleted, so that the restore can only go on. Volumes are deleted after their
    /// Cluster.
    pub(crate) fn has_begun(&self, cluster: Option<&Value>, volumes: &[Object]) -> bool {
        let alive = |planned: &Volume| volumes.iter().any(|v| uid(v) == planned.uid && !deleting(v));
        match &self.cluster {
            Some(_) => !cluster.is_some_and(|c| self.has_cluster(c) && !deleting(c)),
            None => !self.volumes.iter().all(alive),
        }
    }
}
