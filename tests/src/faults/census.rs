//! Counts, by watches, the objects of each kind that were ever created and deleted in each namespace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backstay::cluster::partial::Partial;
use backstay::records::proof_key;
use backstay_api::{Backup, BackupJob, RestoreJob};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::time::Instant;

use super::bystanders;

/// Created and deleted.
pub(super) type Count = (usize, usize);

/// Counts, without the bystanders.
#[derive(Clone, Default)]
pub(super) struct Census(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    /// By namespace and kind.
    uids: BTreeMap<(String, String), Uids>,
    /// By namespace: when an object was last created, changed or deleted.
    changed: HashMap<String, Instant>,
}

#[derive(Default)]
struct Uids {
    made: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Census {
    /// Counts, for as long as it is polled.
    pub(super) async fn take(self, client: Client) {
        tokio::join!(
            self.of::<Job>(&client),
            self.of::<Backup>(&client),
            self.of::<BackupJob>(&client),
            self.of::<RestoreJob>(&client),
            self.of::<ControllerRevision>(&client),
            self.of::<ConfigMap>(&client),
            self.of::<Secret>(&client),
        );
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn of<K>(&self, client: &Client)
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + std::fmt::Debug + 'static,
    {
        let kind = K::kind(&()).to_string();
        let stream = watcher(Api::<Partial<PartialObjectMeta<K>>>::all(client.clone()), Config::default());
        let note = |object: &Partial<PartialObjectMeta<K>>, deleted: bool| {
            // The controller's key is no record of a run: it stays.
            if object.labels().contains_key(bystanders::LABEL) || object.name_any() == proof_key::NAME {
                return;
            }
            let namespace = object.namespace().unwrap_or_default();
            let mut counted = self.counted();
            counted.changed.insert(namespace.clone(), Instant::now());
            let uids = counted.uids.entry((namespace, kind.clone())).or_default();
            let uid = object.uid().unwrap_or_default();
            if deleted {
                uids.deleted.insert(uid.clone());
            }
            uids.made.insert(uid);
        };
        stream
            .default_backoff()
            .map_err(|error| tracing::warn!(%error, "the census lost a watch"))
            .for_each(|event| {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => note(&object, false),
                    Ok(Event::Delete(object)) => note(&object, true),
                    Ok(Event::Init | Event::InitDone) | Err(()) => {}
                }
                futures::future::ready(())
            })
            .await;
    }

    /// Returns the counts of a namespace, by kind.
    pub(super) fn counts(&self, namespace: &str) -> BTreeMap<String, Count> {
        let counted = self.counted();
        let here = counted.uids.iter().filter(|((n, _), _)| n == namespace);
        here.map(|((_, kind), uids)| (kind.clone(), (uids.made.len(), uids.deleted.len()))).collect()
    }

    /// Returns when an object of a namespace was last created, changed or deleted.
    pub(super) fn changed(&self, namespace: &str) -> Option<Instant> {
        self.counted().changed.get(namespace).copied()
    }
}
