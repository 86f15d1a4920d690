//! The Backups that their watch shows.
//!
//! Backups are kept for years, so a cluster may have a hundred thousand of them, and the controller reads little of each. Here a
//! Backup is a text of some hundred bytes, which is found by its name, its uid and the run that made it. As an object of kube's
//! store it would take some 1.2 KB.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;

use backstay_api::{Backup, annotations, finalizers, labels};
use backstay_core::backup::{REVISION_LABEL, came_back};
use hashbrown::HashTable;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use slab::Slab;
use tokio::sync::watch;

use super::shelf::Shelf;

/// A Backup as it is handed out: those fields of its metadata that the controller reads.
pub type Shown = PartialObjectMeta<Backup>;

/// The Backups.
pub struct Backups {
    table: RwLock<Table>,
    filled: watch::Sender<bool>,
}

impl Default for Backups {
    fn default() -> Self {
        Self { table: RwLock::default(), filled: watch::Sender::new(false) }
    }
}

impl Backups {
    /// Returns the Backup of this name.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Shown>> {
        let table = self.table.read();
        table.of_name(namespace, name).map(|place| shown(table.text(place)).into())
    }

    /// Returns whether there is a Backup of this uid.
    #[must_use]
    pub fn has_uid(&self, uid: &str) -> bool {
        self.table.read().of_uid(uid).is_some()
    }

    /// Returns the namespace of the Backup of this uid.
    #[must_use]
    pub fn namespace_of(&self, uid: &str) -> Option<String> {
        let table = self.table.read();
        table.of_uid(uid).map(|place| read(table.text(place)).namespace.to_owned())
    }

    /// Returns whether the run of this uid made a Backup, beside the one of a uid.
    #[must_use]
    pub fn has_one_of(&self, run: &str, beside: Option<&str>) -> bool {
        let table = self.table.read();
        let run = Uid::of(run);
        let is = |place: &Place| {
            let backup = read(table.text(place.text));
            backup.run.as_ref() == Some(&run) && (beside.is_none() || beside.map(Uid::of) != Some(backup.uid))
        };
        table.runs.find(spread(table.hash(&run)), is).is_some()
    }

    /// Returns the number of Backups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.read().texts.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all Backups that are there now, each as it is when its turn comes. Others may come and go meanwhile.
    pub fn all(&self) -> impl Iterator<Item = Arc<Shown>> + Send + '_ {
        let places: Vec<_> = self.table.read().texts.iter().map(|(place, _)| place).collect();
        places
            .into_iter()
            .filter_map(|place| self.table.read().texts.get(place).map(|text| shown(text).into()))
    }

    /// Waits until the Backups have been listed once.
    pub async fn filled(&self) {
        // The sender is a part of this.
        let _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }
}

/// The other end of [`Backups`], for the watch.
pub struct BackupsShelf {
    backups: Arc<Backups>,
    listed: Table,
}

impl BackupsShelf {
    /// Fills these.
    #[must_use]
    pub fn new(backups: Arc<Backups>) -> Self {
        Self { backups, listed: Table::default() }
    }
}

impl Shelf for BackupsShelf {
    type Object = Shown;
    type Of = ();
    type Before = Table;

    fn keeps(&self, _: &Shown) -> bool {
        true
    }

    fn get(&self, reference: &ObjectRef<Shown>) -> Option<Arc<Shown>> {
        self.backups.get(reference.namespace.as_deref().unwrap_or_default(), &reference.name)
    }

    fn put(&mut self, object: Shown) -> Option<Arc<Shown>> {
        let before = self.backups.table.write().put(&object.metadata);
        before.map(|text| shown(&text).into())
    }

    fn remove(&mut self, object: &Shown) {
        self.backups.table.write().remove(&object.metadata);
    }

    fn list_begins(&mut self) {
        self.listed = Table::default();
    }

    fn listed(&mut self, object: Shown) {
        self.listed.put(&object.metadata);
    }

    fn list_ends(&mut self) -> Table {
        let listed = std::mem::take(&mut self.listed);
        let before = std::mem::replace(&mut *self.backups.table.write(), listed);
        self.backups.filled.send_replace(true);
        before
    }

    fn gone<'a>(&'a self, before: &'a Table) -> impl Iterator<Item = Arc<Shown>> + Send + 'a {
        let is_there = |text: &[u8]| self.backups.table.read().of_parsed(&read(text).uid).is_some();
        before.texts.iter().filter(move |(_, text)| !is_there(text)).map(|(_, text)| shown(text).into())
    }

    fn replaced<'a>(
        &'a self,
        before: &'a Table,
    ) -> impl Iterator<Item = (Option<Arc<Shown>>, Arc<Shown>)> + Send + 'a {
        let of = |now: &Shown| {
            let place = before.of_uid(now.metadata.uid.as_deref().unwrap_or_default())?;
            Some(shown(before.text(place)).into())
        };
        self.backups.all().map(move |now| (of(&now), now))
    }
}

/// Backups as texts, found by hashes of their names, their uids and their runs.
#[derive(Default)]
pub struct Table {
    texts: Slab<Box<[u8]>>,
    names: HashTable<Place>,
    uids: HashTable<Place>,
    runs: HashTable<Place>,
    hasher: RandomState,
}

/// Where a text is, and a part of the hash of what it is found by: a table that grows needs the hashes of all its entries at once.
#[derive(Clone, Copy)]
struct Place {
    text: u32,
    hash: u32,
}

impl Place {
    fn new(text: u32, hash: u64) -> Self {
        // The upper half is as good as the lower one.
        Self { text, hash: (hash >> 32) as u32 }
    }

    fn hash(&self) -> u64 {
        spread(u64::from(self.hash) << 32)
    }
}

/// Makes a hash of the part that is kept of one: a table looks at bits of both ends.
fn spread(hash: u64) -> u64 {
    (hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Table {
    fn hash(&self, uid: &Uid<'_>) -> u64 {
        self.hasher.hash_one(uid)
    }

    /// The text at a place that one of the tables has.
    fn text(&self, place: u32) -> &[u8] {
        self.texts.get(place as usize).map(AsRef::as_ref).unwrap_or_default()
    }

    fn of_name(&self, namespace: &str, name: &str) -> Option<u32> {
        let is = |place: &Place| {
            let backup = read(self.text(place.text));
            backup.name == name && backup.namespace == namespace
        };
        let hash = spread(self.hasher.hash_one((namespace, name)));
        self.names.find(hash, is).map(|place| place.text)
    }

    fn of_uid(&self, uid: &str) -> Option<u32> {
        self.of_parsed(&Uid::of(uid))
    }

    fn of_parsed(&self, uid: &Uid<'_>) -> Option<u32> {
        let is = |place: &Place| read(self.text(place.text)).uid == *uid;
        self.uids.find(spread(self.hash(uid)), is).map(|place| place.text)
    }

    /// Puts a Backup in the place of the one of its name, whose text is returned.
    fn put(&mut self, meta: &ObjectMeta) -> Option<Box<[u8]>> {
        let before = self.remove(meta);
        let kept = Kept::of(meta);
        let (name, uid) = (self.hasher.hash_one((kept.namespace, kept.name)), self.hash(&kept.uid));
        let run = kept.run.as_ref().map(|run| self.hash(run));
        let text = postcard::to_allocvec(&kept).unwrap_or_default().into_boxed_slice();
        // Its slots are numbered from zero, and memory ends before these numbers do.
        let place = u32::try_from(self.texts.insert(text)).unwrap_or(u32::MAX);
        let put = |table: &mut HashTable<Place>, hash: u64| {
            table.insert_unique(spread(hash), Place::new(place, hash), Place::hash);
        };
        put(&mut self.names, name);
        put(&mut self.uids, uid);
        if let Some(run) = run {
            put(&mut self.runs, run);
        }
        before
    }

    /// Removes the Backup of this one's name, and returns its text.
    fn remove(&mut self, meta: &ObjectMeta) -> Option<Box<[u8]>> {
        let place = self.of_name(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )?;
        let text = self.texts.try_remove(place as usize)?;
        let kept = read(&text);
        let hash = |key: &Uid<'_>| self.hasher.hash_one(key);
        let name = self.hasher.hash_one((kept.namespace, kept.name));
        let (uid, run) = (hash(&kept.uid), kept.run.as_ref().map(hash));
        let take = |table: &mut HashTable<Place>, hash: u64| {
            if let Ok(found) = table.find_entry(spread(hash), |other| other.text == place) {
                found.remove();
            }
        };
        take(&mut self.names, name);
        take(&mut self.uids, uid);
        if let Some(run) = run {
            take(&mut self.runs, run);
        }
        Some(text)
    }
}

/// A uid. Nearly all are UUIDs, in the form that the API server gives them; anybody may write another text into a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Uid<'a> {
    Uuid([u8; 16]),
    Other(&'a str),
}

impl<'a> Uid<'a> {
    fn of(text: &'a str) -> Self {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        match u128::from_str_radix(&digits, 16) {
            Ok(number) if uuid(number) == text => Self::Uuid(number.to_be_bytes()),
            _ => Self::Other(text),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Uuid(bytes) => uuid(u128::from_be_bytes(*bytes)),
            Self::Other(text) => (*text).to_owned(),
        }
    }
}

fn uuid(number: u128) -> String {
    let part = |from: u32, digits: u32| number >> (128 - 4 * (from + digits)) & ((1 << (4 * digits)) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(0, 8),
        part(8, 4),
        part(12, 4),
        part(16, 4),
        part(20, 12)
    )
}

/// What is kept of a Backup. Its version and its times may be anything that the API server sends.
#[derive(Default, Serialize, Deserialize)]
struct Kept<'a> {
    namespace: &'a str,
    name: &'a str,
    #[serde(borrow)]
    uid: Uid<'a>,
    #[serde(borrow)]
    run: Option<Uid<'a>>,
    revision: Option<&'a str>,
    version: Option<&'a str>,
    generation: Option<i64>,
    created: Option<i64>,
    deleted: Option<i64>,
    /// Those of the controller and of the Go implementation.
    #[serde(borrow)]
    finalizers: Vec<&'a str>,
    /// What shows that a backup of the cluster has brought it back.
    velero: Option<&'a str>,
    made: Option<&'a str>,
}

impl Default for Uid<'_> {
    fn default() -> Self {
        Self::Other("")
    }
}

impl<'a> Kept<'a> {
    fn of(meta: &'a ObjectMeta) -> Self {
        fn mark<'a>(marks: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
            marks?.get(key).map(String::as_str)
        }
        let label = |key| mark(meta.labels.as_ref(), key);
        let seconds = |time: &Option<Time>| time.as_ref().map(|time| time.0.as_second());
        let made = mark(meta.annotations.as_ref(), annotations::MADE_AT);
        let all = meta.finalizers.iter().flatten().map(String::as_str);
        Self {
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            name: meta.name.as_deref().unwrap_or_default(),
            uid: Uid::of(meta.uid.as_deref().unwrap_or_default()),
            run: label(labels::RUN_UID).map(Uid::of),
            revision: label(REVISION_LABEL),
            version: meta.resource_version.as_deref(),
            generation: meta.generation,
            created: seconds(&meta.creation_timestamp),
            deleted: seconds(&meta.deletion_timestamp),
            finalizers: all.filter(|finalizer| finalizers::is_ours(finalizer)).collect(),
            velero: label(labels::VELERO_RESTORE),
            // Each Backup has it; it is read of those that came back.
            made: made.filter(|_| came_back(meta)),
        }
    }
}

/// Reads a text that [`Table::put`] wrote.
fn read(text: &[u8]) -> Kept<'_> {
    postcard::from_bytes(text).unwrap_or_default()
}

fn shown(text: &[u8]) -> Shown {
    let kept = read(text);
    let marks = |all: [(&str, Option<String>); 3]| {
        let marks: BTreeMap<_, _> =
            all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        (!marks.is_empty()).then_some(marks)
    };
    let time = |seconds: Option<i64>| Timestamp::from_second(seconds?).ok().map(Time);
    let metadata = ObjectMeta {
        namespace: Some(kept.namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: Some(kept.name.to_owned()),
        uid: Some(kept.uid.text()).filter(|uid| !uid.is_empty()),
        labels: marks([
            (labels::RUN_UID, kept.run.as_ref().map(Uid::text)),
            (REVISION_LABEL, kept.revision.map(str::to_owned)),
            (labels::VELERO_RESTORE, kept.velero.map(str::to_owned)),
        ]),
        annotations: marks([(annotations::MADE_AT, kept.made.map(str::to_owned)), ("", None), ("", None)]),
        resource_version: kept.version.map(str::to_owned),
        generation: kept.generation,
        creation_timestamp: time(kept.created),
        deletion_timestamp: time(kept.deleted),
        finalizers: Some(kept.finalizers.into_iter().map(str::to_owned).collect::<Vec<_>>())
            .filter(|finalizers| !finalizers.is_empty()),
        ..ObjectMeta::default()
    };
    PartialObjectMeta { metadata, types: None, _phantom: PhantomData }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// Has a Backup shown.
    pub(crate) fn show(backups: &Arc<Backups>, backup: Shown) {
        BackupsShelf::new(backups.clone()).put(backup);
    }

    const UID: &str = "0b0e1d3f-7a3c-4b4e-9a55-0123456789ab";
    const RUN: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    fn backup(name: &str, uid: &str, run: &str) -> Shown {
        serde_json::from_value(
            json!({"metadata": {"namespace": "n", "name": name, "uid": uid, "generation": 3,
            "resourceVersion": "77", "creationTimestamp": "2026-07-01T00:00:00Z",
            "labels": {labels::RUN_UID: run, REVISION_LABEL: "job-a", "team": "x"},
            "annotations": {"backstay.dev/recorded": "{}"},
            "finalizers": ["foregroundDeletion", finalizers::CLEANUP]}}),
        )
        .expect("it decodes")
    }

    #[test]
    fn a_backup_is_shown_with_what_the_controller_reads_of_it_and_found_by_name_uid_and_run() {
        let backups = Arc::new(Backups::default());
        show(&backups, backup("a", UID, RUN));
        show(&backups, backup("b", "no uuid", "of no run"));
        let shown = backups.get("n", "a").expect("it is there");
        let expected = json!({"metadata": {"namespace": "n", "name": "a", "uid": UID, "generation": 3,
            "resourceVersion": "77", "creationTimestamp": "2026-07-01T00:00:00Z",
            "labels": {labels::RUN_UID: RUN, REVISION_LABEL: "job-a"}, "finalizers": [finalizers::CLEANUP]}});
        assert_eq!(serde_json::to_value(&shown.metadata).expect("JSON"), expected["metadata"]);
        for (uid, run) in [(UID, RUN), ("no uuid", "of no run")] {
            assert!(backups.has_uid(uid), "{uid}");
            assert!(backups.has_one_of(run, None), "{run}");
            assert!(backups.has_one_of(run, Some("another")), "{run}");
            assert!(!backups.has_one_of(run, Some(uid)), "{run}: there is none beside it");
        }
        assert!(!backups.has_uid(&UID.to_uppercase()), "a uid is a text, however it looks");
        assert!(backups.get("n", "c").is_none() && backups.get("m", "a").is_none());
    }

    #[test]
    fn a_backup_that_changed_is_found_by_what_it_is_now_and_one_that_is_gone_by_nothing() {
        let backups = Arc::new(Backups::default());
        let mut shelf = BackupsShelf::new(backups.clone());
        assert!(shelf.put(backup("a", UID, RUN)).is_none());
        let before = shelf.put(backup("a", "anew", "other")).expect("there was one");
        assert_eq!(before.metadata.uid.as_deref(), Some(UID));
        assert!(!backups.has_uid(UID) && !backups.has_one_of(RUN, None));
        assert!(backups.has_uid("anew") && backups.has_one_of("other", None));
        assert_eq!(backups.len(), 1);
        shelf.remove(&backup("a", "whatever", ""));
        assert!(backups.is_empty() && !backups.has_uid("anew") && !backups.has_one_of("other", None));
    }

    #[test]
    fn two_backups_of_one_run_are_both_found() {
        let backups = Arc::new(Backups::default());
        show(&backups, backup("a", "1", RUN));
        show(&backups, backup("b", "2", RUN));
        for uid in ["1", "2"] {
            assert!(backups.has_one_of(RUN, Some(uid)), "there is one beside {uid}");
        }
    }

    #[test]
    fn half_a_list_changes_nothing_and_a_whole_one_everything() {
        let backups = Arc::new(Backups::default());
        let mut shelf = BackupsShelf::new(backups.clone());
        for name in ["stays", "goes", "anew"] {
            shelf.put(backup(name, name, RUN));
        }
        shelf.list_begins();
        shelf.listed(backup("half", "half", RUN));
        assert_eq!(backups.len(), 3);
        shelf.list_begins();
        for (name, uid) in [("stays", "stays"), ("anew", "other"), ("comes", "comes")] {
            shelf.listed(backup(name, uid, RUN));
        }
        let before = shelf.list_ends();
        let uid = |backup: &Shown| backup.metadata.uid.clone().expect("a uid");
        let mut gone: Vec<_> = shelf.gone(&before).map(|backup| uid(&backup)).collect();
        gone.sort();
        assert_eq!(gone, ["anew", "goes"]);
        let mut now: Vec<_> =
            shelf.replaced(&before).map(|(before, now)| (uid(&now), before.is_some())).collect();
        now.sort();
        assert_eq!(now, [("comes".into(), false), ("other".into(), false), ("stays".into(), true)]);
    }

    #[test]
    fn what_shows_that_a_backup_came_back_stays() {
        let mut made = backup("a", UID, RUN);
        let marks = made.metadata.annotations.get_or_insert_default();
        let mark = backstay_core::restored_run::made_mark("a", Timestamp::UNIX_EPOCH);
        marks.insert(annotations::MADE_AT.to_owned(), mark.clone());
        assert!(came_back(&made.metadata), "it was made long before it was created");
        let backups = Arc::new(Backups::default());
        show(&backups, made);
        let shown = backups.get("n", "a").expect("it is there");
        assert!(came_back(&shown.metadata));
        assert_eq!(
            shown.metadata.annotations.as_ref().and_then(|all| all.get(annotations::MADE_AT)),
            Some(&mark)
        );
    }

    #[test]
    fn a_backup_takes_at_most_300_bytes() {
        let mut table = Table::default();
        for number in 0..1000u128 {
            let name = format!("nightly-of-some-application-{number:08}");
            table.put(&backup(&name, &uuid(number << 3), &uuid(number << 9)).metadata);
        }
        let texts: usize = table.texts.iter().map(|(_, text)| text.len() + 16).sum();
        let places = [&table.names, &table.uids, &table.runs]
            .map(|places| places.capacity() * (size_of::<Place>() + 1));
        let all = texts + table.texts.capacity() * size_of::<Box<[u8]>>() + places.iter().sum::<usize>();
        assert!(all / 1000 <= 300, "{} bytes each", all / 1000);
    }
}
