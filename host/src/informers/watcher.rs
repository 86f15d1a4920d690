//! Follows the objects of one kind: fills their store, and hands on their changes.
//!
//! A watch that was interrupted for long lists its objects again. Changes of a relist are handed on once the store has the
//! whole list, because a consumer looks into the store. Objects that the store had, and that the list does not have, were
//! deleted during the interruption: no event tells of them.

use std::hash::Hash;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};

use super::interruptions::Interruptions;
use super::shelf::Shelf;
use crate::cluster::error::chain;
use crate::cluster::partial::Invalid;

/// So many objects of a pass over everything are looked at before others get the thread.
const AT_ONCE: usize = 256;

/// A change of an object, made in its store already.
#[derive(Debug)]
pub enum Change<'a, K> {
    /// The object was created or updated, or a relist shows it.
    Applied {
        /// The object.
        object: &'a K,
        /// The store did not have the object, or more than its status differs from what the store had.
        moved: bool,
    },
    /// The object was deleted, or is kept no longer: a run that has ended. This is the last version that was kept.
    Deleted(&'a K),
}

impl<'a, K> Change<'a, K> {
    /// Returns the object.
    #[must_use]
    pub fn object(&self) -> &'a K {
        match self {
            Self::Applied { object, .. } | Self::Deleted(object) => object,
        }
    }
}

/// Fills a shelf from the events of a watch, and hands on each change. Ends with the stream.
///
/// `decode` returns what is kept of an object. An object that does not decode is handed to `invalid`; the last version of it that
/// did is kept until the object is deleted.
pub async fn follow<O, S: Shelf>(
    resource: &S::Of,
    events: impl Stream<Item = watcher::Result<Event<O>>> + Send,
    shelf: S,
    decode: impl Fn(O) -> Result<S::Object, Box<Invalid>>,
    mut invalid: impl FnMut(&Invalid),
    mut changed: impl FnMut(Change<'_, S::Object>),
) where
    S::Of: Clone + Eq + Hash,
{
    let mut informer = Informer { resource, shelf };
    let mut interruptions = Interruptions::default();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        if interruptions.went_on(&event) {
            tracing::info!(resource = %S::Object::plural(resource), "watch goes on");
        }
        match event {
            Ok(Event::Apply(object)) => match decode(object) {
                Ok(object) => informer.apply(object, &mut changed),
                Err(undecoded) => invalid(&undecoded),
            },
            Ok(Event::Delete(object)) => informer.delete(decode(object), &mut changed),
            Ok(Event::Init) => informer.shelf.list_begins(),
            Ok(Event::InitApply(object)) => {
                let decoded = decode(object);
                if let Err(undecoded) = &decoded {
                    invalid(undecoded);
                }
                informer.list(decoded);
            }
            Ok(Event::InitDone) => informer.listed(&mut changed).await,
            Err(error) => {
                let cause = chain(&error);
                let (pause, told) = interruptions.failed(&cause);
                if told {
                    tracing::warn!(
                        resource = %S::Object::plural(resource),
                        error = %cause,
                        "watch interrupted, is tried again at growing intervals; a missing CRD is installed with: backstay crds | kubectl apply --server-side -f -"
                    );
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}

struct Informer<'a, S: Shelf> {
    resource: &'a S::Of,
    shelf: S,
}

impl<S: Shelf> Informer<'_, S>
where
    S::Of: Clone + Eq + Hash,
{
    fn apply(&mut self, object: S::Object, changed: &mut impl FnMut(Change<'_, S::Object>)) {
        let reference = ObjectRef::from_obj_with(&object, self.resource.clone());
        if !self.shelf.keeps(&object) {
            if let Some(before) = self.shelf.get(&reference) {
                self.shelf.remove(&before);
                changed(Change::Deleted(&before));
            }
            return;
        }
        let before = self.shelf.put(object);
        if let Some(object) = self.shelf.get(&reference) {
            let moved = moved(before.as_deref(), &object);
            changed(Change::Applied { object: &object, moved });
        }
    }

    fn delete(
        &mut self,
        object: Result<S::Object, Box<Invalid>>,
        changed: &mut impl FnMut(Change<'_, S::Object>),
    ) {
        let Some(object) = self.last_decoded(object) else { return };
        self.shelf.remove(&object);
        changed(Change::Deleted(&object));
    }

    /// Takes an object of a relist.
    fn list(&mut self, object: Result<S::Object, Box<Invalid>>) {
        if let Some(object) = self.last_decoded(object).filter(|object| self.shelf.keeps(object)) {
            self.shelf.listed(object);
        }
    }

    /// Ends a relist: has the shelf take the list, and hands on deletions, then all objects of the list. An object that was
    /// created anew under its old name is both.
    async fn listed(&mut self, changed: &mut impl FnMut(Change<'_, S::Object>)) {
        let before = self.shelf.list_ends();
        for (number, object) in self.shelf.gone(&before).enumerate() {
            let_others_go(number).await;
            changed(Change::Deleted(&object));
        }
        for (number, (before, object)) in self.shelf.replaced(&before).enumerate() {
            let_others_go(number).await;
            changed(Change::Applied { object: &object, moved: moved(before.as_deref(), &object) });
        }
    }

    /// Returns an object, or the last version of it that decoded: an object is shown for as long as it exists.
    fn last_decoded(&self, object: Result<S::Object, Box<Invalid>>) -> Option<S::Object>
    where
        S::Object: Clone,
    {
        let invalid = match object {
            Ok(object) => return Some(object),
            Err(invalid) => invalid.metadata,
        };
        let mut reference = ObjectRef::new_with(&invalid.name?, self.resource.clone());
        reference.namespace = invalid.namespace;
        let kept = self.shelf.get(&reference)?;
        (kept.meta().uid == invalid.uid).then(|| S::Object::clone(&kept))
    }
}

/// Gives the thread to others after every so many steps of a pass over everything.
pub async fn let_others_go(step: usize) {
    if step % AT_ONCE == AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// Returns whether more than the status of an object changed. The generation counts changes of the spec.
fn moved<K: Resource>(before: Option<&K>, now: &K) -> bool {
    let relevant = |meta: &ObjectMeta| (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some());
    before.is_none_or(|before| relevant(before.meta()) != relevant(now.meta()))
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::{Pod, PodStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::ResourceExt;
    use kube::runtime::reflector::store;

    use super::super::shelf::StoreShelf;
    use super::*;

    type Decoded = Result<Pod, Box<Invalid>>;

    /// A pod of this name, uid and generation.
    fn pod(name: &str, uid: &str, generation: i64) -> Decoded {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("n".to_owned()),
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            ..ObjectMeta::default()
        };
        Ok(Pod { metadata, ..Pod::default() })
    }

    fn undecodable(name: &str, uid: &str) -> Decoded {
        let metadata = pod(name, uid, 1).expect("it decodes").metadata;
        Err(Box::new(Invalid { metadata, error: "spec: wrong".to_owned() }))
    }

    /// A list, in pages: the pages of a list come as one sequence of events.
    fn list(pages: &[&[Decoded]]) -> Vec<Event<Decoded>> {
        let objects = pages.iter().flat_map(|page| page.iter().cloned()).map(Event::InitApply);
        std::iter::once(Event::Init).chain(objects).chain([Event::InitDone]).collect()
    }

    /// What was handed on, as `+` (moved), `=` (not moved), `-` (deleted) or `!` (invalid) with name and uid, and whether
    /// the store agreed with it at that moment; and what the store has in the end.
    struct Followed {
        changes: Vec<String>,
        store: Vec<String>,
    }

    async fn followed(events: impl IntoIterator<Item = Vec<Event<Decoded>>>) -> Followed {
        let (reader, writer) = store();
        let changes = parking_lot::Mutex::new(Vec::new());
        let events: Vec<_> = events.into_iter().flatten().map(Ok).collect();
        let invalid =
            |i: &Invalid| changes.lock().push(format!("!{}", i.metadata.name.as_deref().unwrap_or_default()));
        let changed = |change: Change<'_, Pod>| {
            let object = change.object();
            let shown = reader.get(&ObjectRef::from_obj(object)).is_some_and(|pod| pod.uid() == object.uid());
            let (sign, agrees) = match change {
                Change::Applied { moved: true, .. } => ('+', shown),
                Change::Applied { moved: false, .. } => ('=', shown),
                Change::Deleted(_) => ('-', !shown),
            };
            let disagrees = if agrees { "" } else { ", but not in the store" };
            changes.lock().push(format!(
                "{sign}{} {}{disagrees}",
                object.name_any(),
                object.uid().unwrap_or_default()
            ));
        };
        let shelf = StoreShelf::new((), writer, None).of_those(|pod| pod.labels().get("ended").is_none());
        follow(&(), stream::iter(events), shelf, |decoded| decoded, invalid, changed).await;
        let mut store: Vec<String> = reader
            .state()
            .iter()
            .map(|pod| format!("{} {}", pod.name_any(), pod.uid().unwrap_or_default()))
            .collect();
        store.sort();
        Followed { changes: changes.into_inner(), store }
    }

    /// The changes in an order that does not depend on the store's.
    fn sorted(mut changes: Vec<String>) -> Vec<String> {
        changes.sort();
        changes
    }

    #[tokio::test]
    async fn the_first_list_hands_on_each_object() {
        let seen = followed([list(&[&[pod("a", "1", 1), pod("b", "2", 1)]])]).await;
        assert_eq!(sorted(seen.changes), ["+a 1", "+b 2"]);
        assert_eq!(seen.store, ["a 1", "b 2"]);
    }

    #[tokio::test]
    async fn events_after_a_list_are_handed_on_as_they_come() {
        let seen = followed([
            list(&[&[pod("a", "1", 1)]]),
            vec![
                Event::Apply(pod("b", "2", 1)),
                Event::Apply(pod("b", "2", 2)),
                Event::Apply(pod("b", "2", 2)),
                Event::Delete(pod("a", "1", 1)),
            ],
        ])
        .await;
        assert_eq!(seen.changes, ["+a 1", "+b 2", "+b 2", "=b 2", "-a 1"]);
        assert_eq!(seen.store, ["b 2"]);
    }

    #[tokio::test]
    async fn a_relist_hands_on_what_was_added_changed_and_deleted_meanwhile() {
        let seen = followed([
            list(&[&[pod("same", "1", 1), pod("changed", "2", 1), pod("deleted", "3", 1)]]),
            list(&[&[pod("same", "1", 1), pod("changed", "2", 2), pod("added", "4", 1)]]),
        ])
        .await;
        assert_eq!(seen.changes[3], "-deleted 3", "{:?}", seen.changes);
        assert_eq!(sorted(seen.changes[4..].to_vec()), ["+added 4", "+changed 2", "=same 1"]);
        assert_eq!(seen.store, ["added 4", "changed 2", "same 1"]);
    }

    #[tokio::test]
    async fn an_object_that_was_created_anew_under_its_name_is_a_deletion_and_then_an_addition() {
        let seen = followed([list(&[&[pod("a", "old", 1)]]), list(&[&[pod("a", "new", 1)]])]).await;
        assert_eq!(seen.changes, ["+a old", "-a old", "+a new"]);
        assert_eq!(seen.store, ["a new"]);
    }

    #[tokio::test]
    async fn an_object_of_the_first_of_two_pages_is_handed_on_once_the_store_has_it() {
        let seen = followed([list(&[&[pod("a", "1", 1)], &[pod("b", "2", 1)]])]).await;
        assert_eq!(sorted(seen.changes), ["+a 1", "+b 2"]);
    }

    #[tokio::test]
    async fn half_a_list_deletes_and_adds_nothing() {
        let interrupted = vec![Event::Init, Event::InitApply(pod("c", "3", 1))];
        let seen = followed([
            list(&[&[pod("a", "1", 1), pod("b", "2", 1)]]),
            interrupted,
            list(&[&[pod("a", "1", 1), pod("b", "2", 1)]]),
        ])
        .await;
        assert_eq!(sorted(seen.changes), ["+a 1", "+b 2", "=a 1", "=b 2"]);
        assert_eq!(seen.store, ["a 1", "b 2"]);
    }

    #[tokio::test]
    async fn an_object_that_never_decoded_is_reported_and_left_out() {
        let seen = followed([
            list(&[&[undecodable("x", "1"), pod("a", "2", 1)]]),
            vec![Event::Apply(undecodable("y", "3")), Event::Delete(undecodable("y", "3"))],
        ])
        .await;
        assert_eq!(seen.changes, ["!x", "+a 2", "!y"]);
        assert_eq!(seen.store, ["a 2"]);
    }

    #[tokio::test]
    async fn an_object_that_no_longer_decodes_stays_as_it_was_until_it_is_deleted() {
        let seen = followed([
            list(&[&[pod("a", "1", 1)]]),
            vec![Event::Apply(undecodable("a", "1"))],
            list(&[&[undecodable("a", "1")]]),
        ])
        .await;
        assert_eq!(seen.changes, ["+a 1", "!a", "!a", "=a 1"]);
        assert_eq!(seen.store, ["a 1"]);

        let deleted =
            followed([list(&[&[pod("a", "1", 1)]]), vec![Event::Delete(undecodable("a", "1"))]]).await;
        assert_eq!(deleted.changes, ["+a 1", "-a 1"]);
        assert_eq!(deleted.store, [""; 0]);
    }

    #[tokio::test]
    async fn an_undecodable_object_under_the_name_of_another_does_not_keep_that_one_alive() {
        let seen = followed([list(&[&[pod("a", "1", 1)]]), list(&[&[undecodable("a", "2")]])]).await;
        assert_eq!(seen.changes, ["+a 1", "!a", "-a 1"]);
        assert_eq!(seen.store, [""; 0]);
    }

    #[tokio::test]
    async fn a_change_of_the_status_alone_is_not_moved_and_the_begin_of_a_deletion_is() {
        let mut running = pod("a", "1", 1).expect("it decodes");
        running.status = Some(PodStatus::default());
        let mut deleting = running.clone();
        deleting.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        let seen = followed([
            list(&[&[pod("a", "1", 1)]]),
            vec![Event::Apply(Ok(running)), Event::Apply(Ok(deleting))],
        ])
        .await;
        assert_eq!(seen.changes, ["+a 1", "=a 1", "+a 1"]);
    }

    #[tokio::test]
    async fn an_object_that_is_kept_no_longer_is_as_one_that_is_deleted() {
        let ended = |name: &str, uid: &str| {
            let mut pod = pod(name, uid, 1).expect("it decodes");
            pod.labels_mut().insert("ended".to_owned(), String::new());
            Ok(pod)
        };
        let seen = followed([
            list(&[&[pod("a", "1", 1), pod("b", "2", 1), pod("c", "3", 1), ended("d", "4")]]),
            vec![
                Event::Apply(ended("a", "1")),
                Event::Apply(ended("a", "1")),
                Event::Delete(ended("a", "1")),
            ],
            list(&[&[ended("b", "2"), pod("c", "3", 1)]]),
            vec![Event::Apply(pod("b", "2", 1))],
        ])
        .await;
        assert_eq!(sorted(seen.changes[..3].to_vec()), ["+a 1", "+b 2", "+c 3"], "d is not shown");
        assert_eq!(seen.changes[3..], ["-a 1", "-a 1", "-b 2", "=c 3", "+b 2"]);
        assert_eq!(seen.store, ["b 2", "c 3"], "one that goes on after all is kept again");
    }
}
