//! Where the objects of a watch are kept.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::index::Index;

/// What a watch fills. Others look into it meanwhile.
pub trait Shelf: Send {
    /// What is kept.
    type Object: Resource<DynamicType = Self::Of> + Clone + Send + Sync;
    /// See [`Resource::DynamicType`].
    type Of;
    /// What was kept before a list replaced it.
    type Before: Send;

    /// Returns whether an object is kept. One that is not is as one that is not there.
    fn keeps(&self, object: &Self::Object) -> bool;

    /// Returns the object of this name.
    fn get(&self, reference: &ObjectRef<Self::Object>) -> Option<Arc<Self::Object>>;

    /// Keeps an object in the place of the one of its name, and returns that one.
    fn put(&mut self, object: Self::Object) -> Option<Arc<Self::Object>>;

    /// Removes the object of this one's name.
    fn remove(&mut self, object: &Self::Object);

    /// Begins a list. What others see does not change before it ends.
    fn list_begins(&mut self);

    /// Takes an object of the list.
    fn listed(&mut self, object: Self::Object);

    /// Replaces everything by the list, and returns what was kept before.
    fn list_ends(&mut self) -> Self::Before;

    /// Returns the objects that were kept before and are not kept now, by their uids.
    fn gone<'a>(&'a self, before: &'a Self::Before) -> impl Iterator<Item = Arc<Self::Object>> + Send + 'a;

    /// Returns the objects that are kept now, each with what was kept of it before.
    fn replaced<'a>(
        &'a self,
        before: &'a Self::Before,
    ) -> impl Iterator<Item = (Option<Arc<Self::Object>>, Arc<Self::Object>)> + Send + 'a;
}

/// A store of kube, with an index beside it that is up to date with it.
pub struct StoreShelf<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    resource: K::DynamicType,
    store: Store<K>,
    writer: Writer<K>,
    index: Option<Arc<Index<K>>>,
    keeps: fn(&K) -> bool,
}

impl<K> StoreShelf<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    /// Fills the store of `writer` and `index`, with all objects.
    #[must_use]
    pub fn new(resource: K::DynamicType, writer: Writer<K>, index: Option<Arc<Index<K>>>) -> Self {
        Self { resource, store: writer.as_reader(), writer, index, keeps: |_| true }
    }

    /// Has only those objects kept.
    #[must_use]
    pub fn of_those(self, keeps: fn(&K) -> bool) -> Self {
        Self { keeps, ..self }
    }

    fn reference(&self, object: &K) -> ObjectRef<K> {
        ObjectRef::from_obj_with(object, self.resource.clone())
    }
}

impl<K> Shelf for StoreShelf<K>
where
    K: Resource + Clone + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Send + Sync,
{
    type Object = K;
    type Of = K::DynamicType;
    type Before = HashMap<Option<String>, Arc<K>>;

    fn keeps(&self, object: &K) -> bool {
        (self.keeps)(object)
    }

    fn get(&self, reference: &ObjectRef<K>) -> Option<Arc<K>> {
        self.store.get(reference)
    }

    fn put(&mut self, object: K) -> Option<Arc<K>> {
        let reference = self.reference(&object);
        let before = self.store.get(&reference);
        self.writer.apply_watcher_event(&Event::Apply(object));
        if let (Some(index), Some(now)) = (&self.index, self.store.get(&reference)) {
            index.put(before.as_deref(), &now);
        }
        before
    }

    fn remove(&mut self, object: &K) {
        let before = self.store.get(&self.reference(object));
        if let (Some(index), Some(before)) = (&self.index, before) {
            index.remove(&before);
        }
        self.writer.apply_watcher_event(&Event::Delete(object.clone()));
    }

    fn list_begins(&mut self) {
        self.writer.apply_watcher_event(&Event::Init);
    }

    /// The writer keeps the list apart until it is complete: half a list changes nothing.
    fn listed(&mut self, object: K) {
        self.writer.apply_watcher_event(&Event::InitApply(object));
    }

    fn list_ends(&mut self) -> Self::Before {
        let before =
            self.store.state().into_iter().map(|object| (object.meta().uid.clone(), object)).collect();
        self.writer.apply_watcher_event(&Event::InitDone);
        if let Some(index) = &self.index {
            index.replace(&self.store.state());
        }
        before
    }

    fn gone<'a>(&'a self, before: &'a Self::Before) -> impl Iterator<Item = Arc<K>> + Send + 'a {
        let is_there = |object: &K| {
            self.store.get(&self.reference(object)).is_some_and(|now| now.meta().uid == object.meta().uid)
        };
        before.values().filter(move |object| !is_there(object)).cloned()
    }

    fn replaced<'a>(
        &'a self,
        before: &'a Self::Before,
    ) -> impl Iterator<Item = (Option<Arc<K>>, Arc<K>)> + Send + 'a {
        self.store.state().into_iter().map(|now| (before.get(&now.meta().uid).cloned(), now))
    }
}
