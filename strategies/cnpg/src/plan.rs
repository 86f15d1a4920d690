//! What a restore means to do, written down before anything is: which objects may be deleted, by uid; what the
//! application said before, and what it is to say; whose the suspension of the release is. Nothing that a later step
//! deletes or puts back is looked up then.

use backstay_sdk::{Deserialize, Serialize, Value};

use crate::cluster::{Cluster, deleting, name, text, uid};
use crate::rendered::Archive;
use crate::time::Instant;

/// The plan of a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Plan {
    /// The Cluster to delete; none if there was none.
    pub(crate) cluster: Option<String>,
    /// Its volumes.
    pub(crate) volumes: Vec<Volume>,
    /// How the release was found.
    pub(crate) release: Release,
    /// What the application said in the parts that the restore writes to.
    pub(crate) before: Value,
    /// What it is to say there.
    pub(crate) wanted: Value,
    /// The server in the archive to recover from.
    pub(crate) server: String,
    /// Up to where; none is the end of the archive.
    pub(crate) target: Option<Instant>,
    /// Whether the user asked for that point in time; else it is that of the backup.
    pub(crate) target_asked: bool,
    /// When the restore is late.
    pub(crate) limit: i64,
    /// How long it may take.
    pub(crate) timeout: i64,
    /// Whether the stage that deletes was entered, so that what is gone may have been deleted.
    #[serde(default)]
    pub(crate) deleting: bool,
    /// Uids of what a delete was asked for.
    #[serde(default)]
    pub(crate) deletes: Vec<String>,
    /// When what was deleted has to be gone: it starts anew with each object that a delete is asked for. None before the
    /// first.
    pub(crate) drain_limit: Option<i64>,
    /// Whether the suspension of the release is somebody else's, which a write of the application is about to lift: whoever
    /// comes after a crash finds the release awake, and does not see whose it was.
    #[serde(default)]
    pub(crate) theirs: bool,
    /// Whether a database has been deleted and is gone: from then on nothing can be put back.
    pub(crate) purged: bool,
    /// Whether a Cluster that nobody planned has been added to the plan, which happens once.
    pub(crate) stray: bool,
    /// Whether this is the second plan, which recovers to the end of the archive.
    pub(crate) to_the_end: bool,
    /// Whether the users' passwords are those of the backup.
    pub(crate) passwords: bool,
    /// How to archive again, if it was archived before.
    pub(crate) archiving: Option<Archiving>,
}

/// A volume to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "backstay_sdk::serde")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Uid of the Cluster that owned it, if one did.
    pub(crate) owner: Option<String>,
}

/// How a release was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) enum Release {
    /// There is none.
    Absent,
    /// It was awake, and is to be so again.
    Awake,
    /// A restore that ended badly had suspended it.
    LeftAsleep,
}

/// How to archive again after a restore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", crate = "backstay_sdk::serde")]
pub(crate) struct Archiving {
    /// The name that the server had in the archive.
    pub(crate) server: String,
    /// Whether the chart managed it.
    pub(crate) by_chart: bool,
    /// Where.
    pub(crate) archive: Archive,
}

impl Volume {
    /// That of a PersistentVolumeClaim of the Cluster named, none of one that somebody else owns.
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
    /// Whether the plan has this volume deleted: by uid, or since the Cluster of the plan owns it. Never one that another
    /// Cluster has come to own.
    pub(crate) fn has_volume(&self, volume: &Volume) -> bool {
        let of_cluster = volume.owner.is_some() && volume.owner == self.cluster;
        of_cluster || self.volumes.iter().any(|v| v.uid == volume.uid && v.owner == volume.owner)
    }

    /// Whether this is the Cluster to delete.
    pub(crate) fn has_cluster(&self, cluster: &Value) -> bool {
        self.cluster.as_deref().is_some_and(|planned| planned == uid(cluster))
    }

    /// Whether this is the Cluster that this restore has caused, and no other.
    pub(crate) fn has_made(&self, cluster: Cluster<'_>) -> bool {
        !self.has_cluster(cluster.0) && !cluster.deleting() && cluster.recovers(&self.server, self.target)
    }

    /// A delete of this is about to be asked for: it has to be gone in `seconds` from now. To ask for the same again gives
    /// it no more time.
    pub(crate) fn deletes(&mut self, uid: &str, now: i64, seconds: i64) {
        if !self.deletes.iter().any(|known| known == uid) {
            self.deletes.push(uid.to_owned());
            self.drain_limit = Some(now + seconds);
        }
    }

    /// Whether nobody's database has been touched yet: there was no Cluster, and no volume has been deleted.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.purged && self.cluster.is_none() && self.deletes.is_empty()
    }

    /// Whether anything of the plan has been deleted: then going on is all that is left. Volumes are deleted after their
    /// Cluster.
    pub(crate) fn has_begun(&self, cluster: Option<&Value>, volumes: &[Value]) -> bool {
        let alive = |planned: &Volume| volumes.iter().any(|v| uid(v) == planned.uid && !deleting(v));
        match &self.cluster {
            Some(_) => !cluster.is_some_and(|c| self.has_cluster(c) && !deleting(c)),
            None => !self.volumes.iter().all(alive),
        }
    }
}
