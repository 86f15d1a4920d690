//! The store: all objects under one revision, and the log of their changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::text::Text;
use crate::access;

/// Of what kind stored objects are: their group and the plural of the kind.
pub(crate) type Family = (String, String);

/// Where an object is within its family: its namespace, which may be empty, and its name.
pub(crate) type Key = (String, String);

/// The form of an object of a built-in kind that lacks, as it is stored, a default that it has when it is read.
pub(crate) const WITHOUT_DEFAULTS: u64 = u64::MAX;

/// A stored object.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The object, with its resourceVersion.
    pub(crate) value: Arc<Value>,
    /// Under which form of its schema it was written: see `Custom::shape`.
    pub(crate) shape: u64,
    /// Its JSON.
    pub(crate) text: Text,
}

impl Stored {
    pub(crate) fn new(value: Arc<Value>, shape: u64) -> Self {
        Self { value, shape, text: Text::default() }
    }
}

/// A change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) family: Family,
    pub(crate) key: Key,
    pub(crate) before: Option<Stored>,
    pub(crate) after: Option<Stored>,
}

/// The revision asked for is not in the log any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOld;

/// All objects.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    revision: u64,
    /// The oldest revision whose state can still be told.
    floor: u64,
    /// Forks share the objects of a family until one of them changes it.
    families: BTreeMap<Family, Arc<BTreeMap<Key, Stored>>>,
    latest: BTreeMap<Family, u64>,
    /// How often something of RBAC was written, or taken back.
    rights: u64,
    log: VecDeque<Arc<Change>>,
    /// About how many bytes the objects in the log have.
    weight: usize,
    keep: usize,
}

/// About how many bytes of objects the log may have, if it is not to keep everything.
const HEAVIEST: usize = 64 << 20;

impl Store {
    /// Returns an empty store that keeps this many changes.
    pub(crate) fn new(keep: usize) -> Self {
        // A client may ask for version 1 as one that is surely too old.
        Self {
            revision: 100,
            floor: 100,
            families: BTreeMap::new(),
            latest: BTreeMap::new(),
            rights: 0,
            log: VecDeque::new(),
            weight: 0,
            keep,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The revision of the last change of this family; 0 if there was none.
    pub(crate) fn latest(&self, family: &Family) -> u64 {
        self.latest.get(family).copied().unwrap_or(0)
    }

    /// A number that is another one after each change of an object of RBAC, also of one that is taken back.
    pub(crate) fn rights(&self) -> u64 {
        self.rights
    }

    pub(crate) fn get(&self, family: &Family, key: &Key) -> Option<&Stored> {
        self.families.get(family)?.get(key)
    }

    /// The objects of a family in the order of namespace and name.
    pub(crate) fn family(&self, family: &Family) -> impl Iterator<Item = (&Key, &Stored)> {
        self.families.get(family).into_iter().flat_map(|objects| objects.iter())
    }

    /// All families that hold something.
    pub(crate) fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.iter().filter(|(_, objects)| !objects.is_empty()).map(|(family, _)| family)
    }

    /// The objects of a family as they were at a revision.
    pub(crate) fn at(&self, family: &Family, revision: u64) -> Result<BTreeMap<Key, Stored>, TooOld> {
        if revision < self.floor {
            return Err(TooOld);
        }
        let mut objects = self.families.get(family).map(|all| BTreeMap::clone(all)).unwrap_or_default();
        for change in self.log.iter().rev().take_while(|change| change.revision > revision) {
            if &change.family == family {
                match &change.before {
                    Some(before) => objects.insert(change.key.clone(), before.clone()),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok(objects)
    }

    /// The changes after a revision.
    pub(crate) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, TooOld> {
        if revision < self.floor {
            return Err(TooOld);
        }
        let first = self.log.partition_point(|change| change.revision <= revision);
        Ok(self.log.range(first..).map(|change| &**change))
    }

    /// The last revision before this one at which something of a family changed, as far as the log goes.
    pub(crate) fn changed_before(&self, revision: u64, family: &Family) -> Option<u64> {
        let end = self.log.partition_point(|change| change.revision < revision);
        self.log.range(..end).rev().find(|change| &change.family == family).map(|change| change.revision)
    }

    /// The families that have changed since a revision; `None` if that is not known any more.
    pub(crate) fn changed_since(&self, revision: u64) -> Option<BTreeSet<Family>> {
        Some(self.since(revision).ok()?.map(|change| change.family.clone()).collect())
    }

    /// Stores an object, or removes it, under the next revision; returns what is stored.
    pub(crate) fn commit(
        &mut self,
        family: &Family,
        key: Key,
        after: Option<(Value, u64)>,
    ) -> Option<Stored> {
        self.revision += 1;
        let after = after.map(|(mut value, shape)| {
            if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("resourceVersion".into(), self.revision.to_string().into());
            }
            Stored::new(Arc::new(value), shape)
        });
        self.change(family, key, after.clone());
        after
    }

    /// Changes an object under the revision reached.
    fn change(&mut self, family: &Family, key: Key, after: Option<Stored>) {
        let objects = self.objects(family);
        let before = match &after {
            Some(stored) => objects.insert(key.clone(), stored.clone()),
            None => objects.remove(&key),
        };
        self.latest.insert(family.clone(), self.revision);
        let change = Change { revision: self.revision, family: family.clone(), key, before, after };
        self.weight = self.weight.saturating_add(weight(&change));
        self.log.push_back(Arc::new(change));
        while self.is_full() {
            self.forget();
        }
    }

    /// Begins at a revision: what was before is not known.
    pub(crate) fn begin_at(&mut self, revision: u64) {
        (self.revision, self.floor) = (revision, revision);
    }

    /// Goes on to a later revision at which nothing changes.
    pub(crate) fn reach(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// Puts an object where it has been since before the beginning.
    pub(crate) fn seed(&mut self, family: &Family, key: Key, stored: Stored) {
        self.objects(family).insert(key, stored);
    }

    /// The objects of a family, to be changed.
    fn objects(&mut self, family: &Family) -> &mut BTreeMap<Key, Stored> {
        self.rights += u64::from(family.0 == access::RBAC);
        Arc::make_mut(self.families.entry(family.clone()).or_default())
    }

    /// Stores an object as it is, or removes it, under this revision.
    pub(crate) fn place(&mut self, family: &Family, key: Key, revision: u64, after: Option<Stored>) {
        self.reach(revision);
        self.change(family, key, after);
    }

    /// Takes back all changes after a revision, and returns them in their order.
    pub(crate) fn undo(&mut self, revision: u64) -> Vec<Change> {
        let mut undone = Vec::new();
        while let Some(change) = self.log.pop_back_if(|change| change.revision > revision) {
            let objects = self.objects(&change.family);
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), before.clone()),
                None => objects.remove(&change.key),
            };
            if let Some(latest) = self.latest.get_mut(&change.family) {
                *latest = revision.min(*latest);
            }
            self.weight = self.weight.saturating_sub(weight(&change));
            undone.push(Arc::unwrap_or_clone(change));
        }
        self.revision = revision;
        undone.reverse();
        undone
    }

    /// Keeps this many changes from now on.
    pub(crate) fn keep(&mut self, keep: usize) {
        self.keep = keep;
        while self.is_full() {
            self.forget();
        }
    }

    /// Forgets all changes: older versions are too old from now on.
    pub(crate) fn compact(&mut self) {
        self.log.clear();
        self.weight = 0;
        self.floor = self.revision;
    }

    /// Whether the log is to forget: it has too many changes, or several that are too heavy together.
    fn is_full(&self) -> bool {
        let heavy = self.weight > HEAVIEST && self.keep < usize::MAX && self.log.len() > 1;
        self.log.len() > self.keep || heavy
    }

    fn forget(&mut self) {
        if let Some(change) = self.log.pop_front() {
            self.floor = change.revision;
            self.weight = self.weight.saturating_sub(weight(&change));
        }
    }
}

/// What a change adds to the log: the object after it, for the one before is that of an earlier change.
fn weight(change: &Change) -> usize {
    100 + change.after.as_ref().map_or(0, |stored| bytes(&stored.value))
}

/// About how many bytes of memory a value takes.
fn bytes(value: &Value) -> usize {
    const EACH: usize = size_of::<Value>();
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| EACH + key.len() + bytes(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn family() -> Family {
        (String::new(), "secrets".into())
    }

    fn put(store: &mut Store, name: &str) -> u64 {
        let value = json!({"metadata": {"name": name}});
        store.commit(&family(), ("a".into(), name.into()), Some((value, 0)));
        store.revision()
    }

    #[test]
    fn the_state_at_an_older_revision_has_what_was_deleted_since_and_not_what_was_made() {
        let mut store = Store::new(10);
        let first = put(&mut store, "one");
        put(&mut store, "two");
        store.commit(&family(), ("a".into(), "one".into()), None);
        let names = |objects: BTreeMap<Key, Stored>| objects.into_keys().map(|key| key.1).collect::<Vec<_>>();
        assert_eq!(store.at(&family(), first).map(names), Ok(vec!["one".into()]));
        assert_eq!(store.at(&family(), store.revision()).map(names), Ok(vec!["two".into()]));
    }

    #[test]
    fn heavy_changes_are_forgotten_before_there_are_too_many() {
        let mut store = Store::new(1000);
        let first = put(&mut store, "small");
        for _ in 0..200 {
            let value = json!({"metadata": {"name": "large"}, "data": "x".repeat(1 << 20)});
            store.commit(&family(), ("a".into(), "large".into()), Some((value, 0)));
        }
        assert!((50..64).contains(&store.log.len()), "{}", store.log.len());
        assert_eq!(store.since(first).err(), Some(TooOld));
        for number in 0..100 {
            put(&mut store, &number.to_string());
        }
        assert!(store.weight <= HEAVIEST && store.log.len() > 100, "{} {}", store.weight, store.log.len());
        store.compact();
        assert_eq!(store.weight, 0);
        let mut all = Store::new(usize::MAX);
        let first = put(&mut all, "small");
        let value = json!({"metadata": {"name": "large"}, "data": "x".repeat(HEAVIEST)});
        all.commit(&family(), ("a".into(), "large".into()), Some((value, 0)));
        assert_eq!(all.since(first).map(Iterator::count), Ok(1));
    }

    #[test]
    fn what_is_undone_was_never_there() {
        let mut store = Store::new(10);
        let first = put(&mut store, "one");
        put(&mut store, "two");
        store.commit(&family(), ("a".into(), "one".into()), None);
        let undone: Vec<String> = store.undo(first).into_iter().map(|change| change.key.1).collect();
        assert_eq!(undone, ["two", "one"]);
        let names: Vec<&str> = store.family(&family()).map(|(key, _)| key.1.as_str()).collect();
        assert_eq!((names, store.revision()), (vec!["one"], first));
        assert_eq!(put(&mut store, "three"), first + 1);
    }

    #[test]
    fn rights_are_of_another_state_after_a_change_and_after_it_is_undone() {
        let mut store = Store::new(10);
        let family = (access::RBAC.to_owned(), "roles".to_owned());
        let mut states = vec![store.rights()];
        for undone in [false, true, false] {
            let before = store.revision();
            store.commit(&family, ("a".into(), "b".into()), Some((json!({"metadata": {"name": "b"}}), 0)));
            states.push(store.rights());
            if undone {
                store.undo(before);
                states.push(store.rights());
            }
            put(&mut store, "other");
            assert_eq!(states.last(), Some(&store.rights()));
        }
        assert!(states.is_sorted_by(|one, next| one < next), "{states:?}");
    }

    #[test]
    fn what_is_forgotten_is_too_old() {
        let mut store = Store::new(1);
        let first = put(&mut store, "one");
        put(&mut store, "two");
        put(&mut store, "three");
        assert_eq!(store.at(&family(), first).err(), Some(TooOld));
        assert_eq!(store.since(store.revision() - 1).map(Iterator::count), Ok(1));
    }
}
