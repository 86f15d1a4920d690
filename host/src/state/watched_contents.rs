//! The content of objects that watches of waiting runs show.
//!
//! A run waits for other versions of objects, so names and versions are all that its watch needs. Content is kept besides, as
//! far as there is room for it, since it answers the component's reads.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstay_core::contract::Json;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::core::ObjectMeta;
use kube::runtime::watcher::Event;

use crate::cluster::partial::Partial;

/// Bytes of content that all watches keep together, as JSON text.
pub(super) const ROOM: usize = 4 << 20;

/// What all watches keep together, in bytes.
#[derive(Clone, Default)]
pub(super) struct Contents(Arc<AtomicUsize>);

impl Contents {
    /// Returns the contents of a watch that begins.
    pub(super) fn of_watch(&self) -> OfWatch {
        OfWatch { all: self.0.clone(), by_name: HashMap::new() }
    }
}

/// What one watch keeps. What it has taken is free again when it ends.
pub(super) struct OfWatch {
    all: Arc<AtomicUsize>,
    by_name: HashMap<(Option<String>, String), usize>,
}

impl OfWatch {
    /// Removes from an event what there is no room for.
    pub(super) fn keep(&mut self, event: Event<Partial<DynamicObject>>) -> Event<DynamicObject> {
        match event {
            Event::Apply(object) => Event::Apply(self.object(object)),
            Event::InitApply(object) => Event::InitApply(self.object(object)),
            Event::Delete(object) => {
                let object = object.0.unwrap_or_else(|invalid| bare(invalid.metadata));
                self.free(&key(&object));
                Event::Delete(bare(object.metadata))
            }
            Event::Init => {
                self.free_all();
                Event::Init
            }
            Event::InitDone => Event::InitDone,
        }
    }

    fn object(&mut self, object: Partial<DynamicObject>) -> DynamicObject {
        let object = match object.0 {
            Ok(object) => object,
            Err(invalid) => bare(invalid.metadata),
        };
        let key = key(&object);
        self.free(&key);
        let bytes = size(&object);
        if !has_content(&object) || self.all.load(Ordering::Relaxed).saturating_add(bytes) > ROOM {
            return bare(object.metadata);
        }
        self.all.fetch_add(bytes, Ordering::Relaxed);
        self.by_name.insert(key, bytes);
        object
    }

    fn free(&mut self, key: &(Option<String>, String)) {
        if let Some(bytes) = self.by_name.remove(key) {
            self.all.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn free_all(&mut self) {
        let bytes: usize = std::mem::take(&mut self.by_name).into_values().sum();
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for OfWatch {
    fn drop(&mut self) {
        self.free_all();
    }
}

fn key(object: &DynamicObject) -> (Option<String>, String) {
    (object.namespace(), object.name_any())
}

/// Returns an object without its content.
fn bare(metadata: ObjectMeta) -> DynamicObject {
    let ObjectMeta { name, namespace, uid, resource_version, deletion_timestamp, .. } = metadata;
    let metadata =
        ObjectMeta { name, namespace, uid, resource_version, deletion_timestamp, ..ObjectMeta::default() };
    DynamicObject { types: None, metadata, data: Json::Null }
}

/// Returns whether an object has its content.
pub(super) fn has_content(object: &DynamicObject) -> bool {
    !object.data.is_null()
}

/// Returns the bytes of an object as JSON text.
fn size(object: &DynamicObject) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, object).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, bytes: usize) -> Partial<DynamicObject> {
        serde_json::from_value(
            json!({"metadata": {"name": name, "resourceVersion": "1"}, "data": "x".repeat(bytes)}),
        )
        .expect("an object")
    }

    fn kept(watch: &mut OfWatch, event: Event<Partial<DynamicObject>>) -> bool {
        match watch.keep(event) {
            Event::Apply(object) | Event::InitApply(object) => {
                assert_eq!(object.metadata.resource_version.as_deref(), Some("1"));
                has_content(&object)
            }
            _ => false,
        }
    }

    #[test]
    fn t3_watches_of_waiting_runs_keep_content_as_far_as_there_is_room_and_versions_always() {
        let contents = Contents::default();
        let (mut one, mut other) = (contents.of_watch(), contents.of_watch());
        assert!(kept(&mut one, Event::InitApply(object("a", ROOM / 2))));
        assert!(kept(&mut one, Event::Apply(object("a", ROOM / 2))), "it takes its own place");
        assert!(kept(&mut other, Event::Apply(object("b", ROOM / 4))));
        assert!(!kept(&mut other, Event::Apply(object("c", ROOM / 2))));
        kept(&mut one, Event::Delete(object("a", 0)));
        assert!(kept(&mut other, Event::Apply(object("c", ROOM / 2))));
        drop(other);
        assert!(kept(&mut one, Event::Apply(object("d", ROOM / 4 * 3))));
        kept(&mut one, Event::Init);
        assert_eq!(contents.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_object_that_does_not_decode_is_shown_without_content() {
        let contents = Contents::default();
        let invalid = serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"a","resourceVersion":"1"}},"spec":{}}}"#,
            "[".repeat(200) + &"]".repeat(200)
        ));
        assert!(!kept(&mut contents.of_watch(), Event::Apply(invalid.expect("an object"))));
    }
}
