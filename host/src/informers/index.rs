//! Indexes of the stores: the objects that have something in common are found without a look at all the others.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use kube::Resource;
use parking_lot::Mutex;

/// What objects are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By<'a> {
    /// Their uid.
    Uid(&'a str),
    /// The uid of the object that controls them.
    Controller(&'a str),
    /// The name of the BackupClass that they name and have not used yet.
    Class(&'a str),
    /// Namespace and name of the Backup that they name, as long as they have not ended.
    NamedBackup(&'a str, &'a str),
    /// The uid of the Backup that they restore.
    RestoredBackup(&'a str),
    /// That they wait for something before they begin.
    Waiting,
}

/// Tells by what an object is found.
pub type Keys<K> = fn(&K, &mut dyn FnMut(By<'_>));

/// An index of a store. The watch that fills the store keeps it.
///
/// It holds hashes of keys, so that thousands of finished runs cost little; a look-up compares the key itself.
pub struct Index<K> {
    keys: Keys<K>,
    hasher: RandomState,
    objects: Mutex<BTreeMap<Place, Arc<K>>>,
}

/// Hash of a key, then of the object's uid.
type Place = (u64, u64);

impl<K: Resource> Index<K> {
    /// An empty index.
    #[must_use]
    pub fn new(keys: Keys<K>) -> Self {
        Self { keys, hasher: RandomState::new(), objects: Mutex::default() }
    }

    /// Puts an object in the place of its earlier state.
    pub fn put(&self, before: Option<&K>, now: &Arc<K>) {
        let mut objects = self.objects.lock();
        if let Some(before) = before {
            self.places(before, |place| drop(objects.remove(&place)));
        }
        self.places(now, |place| drop(objects.insert(place, now.clone())));
    }

    /// Removes an object, which is as it was put.
    pub fn remove(&self, object: &K) {
        let mut objects = self.objects.lock();
        self.places(object, |place| drop(objects.remove(&place)));
    }

    /// Replaces everything.
    pub fn replace(&self, all: &[Arc<K>]) {
        let mut objects = BTreeMap::new();
        for object in all {
            self.places(object, |place| drop(objects.insert(place, object.clone())));
        }
        *self.objects.lock() = objects;
    }

    /// Returns the objects that are found by `key`.
    #[must_use]
    pub fn of(&self, key: By<'_>) -> Vec<Arc<K>> {
        let hash = self.hasher.hash_one(key);
        let objects = self.objects.lock();
        let found = objects.range((hash, 0)..=(hash, u64::MAX)).map(|(_, object)| object);
        found.filter(|object| self.has(object, key)).cloned().collect()
    }

    /// Returns whether an object is found by `key` that also matches.
    #[must_use]
    pub fn any(&self, key: By<'_>, matches: impl Fn(&K) -> bool) -> bool {
        let hash = self.hasher.hash_one(key);
        let objects = self.objects.lock();
        let mut found = objects.range((hash, 0)..=(hash, u64::MAX)).map(|(_, object)| object);
        found.any(|object| matches(object) && self.has(object, key))
    }

    /// Returns whether there is an object of this uid.
    #[must_use]
    pub fn has_uid(&self, uid: &str) -> bool {
        self.any(By::Uid(uid), |_| true)
    }

    fn has(&self, object: &K, key: By<'_>) -> bool {
        let mut has = false;
        (self.keys)(object, &mut |other| has |= other == key);
        has
    }

    fn places(&self, object: &K, mut each: impl FnMut(Place)) {
        let object_hash = self.hasher.hash_one(object.meta().uid.as_deref().unwrap_or_default());
        (self.keys)(object, &mut |key| each((self.hasher.hash_one(key), object_hash)));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::ObjectMeta;

    use super::*;

    /// A pod that is found by its uid, by its generate name as that of a class, and by whether it has a name.
    fn keys(pod: &Pod, each: &mut dyn FnMut(By<'_>)) {
        each(By::Uid(pod.metadata.uid.as_deref().unwrap_or_default()));
        if let Some(class) = &pod.metadata.generate_name {
            each(By::Class(class));
        }
        if pod.metadata.name.is_some() {
            each(By::Waiting);
        }
    }

    fn pod(uid: &str, class: &str, waits: bool) -> Arc<Pod> {
        let metadata = ObjectMeta {
            uid: Some(uid.to_owned()),
            generate_name: Some(class.to_owned()),
            name: waits.then(|| "n".to_owned()),
            ..ObjectMeta::default()
        };
        Arc::new(Pod { metadata, ..Pod::default() })
    }

    fn uids(index: &Index<Pod>, key: By<'_>) -> Vec<String> {
        let mut uids: Vec<_> = index.of(key).iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        uids.sort();
        uids
    }

    #[test]
    fn objects_are_found_by_what_they_are_now_and_not_by_what_they_were() {
        let index = Index::new(keys);
        let (a, b) = (pod("a", "daily", true), pod("b", "daily", false));
        index.put(None, &a);
        index.put(None, &b);
        assert_eq!(uids(&index, By::Class("daily")), ["a", "b"]);
        assert_eq!(uids(&index, By::Waiting), ["a"]);
        let weekly = pod("a", "weekly", false);
        index.put(Some(&a), &weekly);
        assert_eq!(uids(&index, By::Class("daily")), ["b"]);
        assert_eq!(uids(&index, By::Class("weekly")), ["a"]);
        assert_eq!(uids(&index, By::Waiting), [""; 0]);
        assert!(index.any(By::Uid("a"), |pod| pod.metadata.generate_name.as_deref() == Some("weekly")));
        assert!(!index.any(By::Uid("a"), |pod| pod.metadata.name.is_some()));
        index.remove(&weekly);
        assert!(!index.has_uid("a") && index.has_uid("b"));
    }

    #[test]
    fn a_new_list_replaces_everything() {
        let index = Index::new(keys);
        index.put(None, &pod("a", "daily", true));
        index.replace(&[pod("b", "weekly", true)]);
        assert_eq!(uids(&index, By::Waiting), ["b"]);
        assert!(!index.has_uid("a"));
        index.remove(&pod("b", "weekly", true));
        assert!(index.objects.lock().is_empty(), "nothing of an object stays");
    }
}
