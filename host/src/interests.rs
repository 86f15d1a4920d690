//! What waiting runs want to be woken by: watches on exactly what they named, shared between runs, and ended when no run
//! needs them any more. They also answer reads that may be served from a cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backstay_core::contract::ObjectRef;
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector};
use kube::{Api, Client, ResourceExt};
use tokio::task::AbortHandle;

use crate::api_error::chain;
use crate::context::Context;

/// Which objects are watched, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    /// The component that may see them.
    pub component: String,
    /// Their kind.
    pub resource: ApiResource,
    /// Their namespace; none: cluster-wide.
    pub namespace: Option<String>,
    /// Which of them.
    pub which: Which,
}

/// See [`Interest::which`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one of this name.
    Named(String),
    /// Those that match this label selector.
    Labelled(String),
}

/// What a run has read: resource versions by name.
pub type Versions = BTreeMap<String, String>;

/// The watches of this process.
#[derive(Default)]
pub struct Interests(Mutex<HashMap<Interest, Watch>>);

struct Watch {
    store: Store<DynamicObject>,
    task: AbortHandle,
    waiting: HashMap<String, Waiting>,
    /// The store has been filled, and the watch goes on.
    live: bool,
}

struct Waiting {
    run: ObjectRef,
    /// What the run had read when it began to wait; none if it had not read these.
    read: Option<Versions>,
}

/// What [`Interests::wait`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Every watch goes on: events will tell of changes.
    pub healthy: bool,
    /// Something differs already from what the run had read.
    pub changed: bool,
}

impl Interests {
    fn watches(&self) -> MutexGuard<'_, HashMap<Interest, Watch>> {
        // A panic while this lock was held leaves at worst a watch that nobody waits for.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run waits for these, in the place of what it waited for before.
    pub fn wait(
        &self,
        run: &ObjectRef,
        run_uid: &str,
        wanted: Vec<(Interest, Option<Versions>)>,
        ctx: &Arc<Context>,
    ) -> Outlook {
        let mut outlook = Outlook { healthy: true, changed: false };
        let mut watches = self.watches();
        for (interest, watch) in watches.iter_mut() {
            if !wanted.iter().any(|(w, _)| w == interest) {
                watch.waiting.remove(run_uid);
            }
        }
        for (interest, read) in wanted {
            let watch = watches.entry(interest.clone()).or_insert_with(|| begin(interest, ctx));
            outlook.healthy &= watch.live;
            outlook.changed |= watch.live && read.as_ref().is_some_and(|read| differs(&watch.store, read));
            watch.waiting.insert(run_uid.to_owned(), Waiting { run: run.clone(), read });
        }
        drop_unused(&mut watches);
        outlook
    }

    /// A run waits for nothing any more.
    pub fn forget(&self, run_uid: &str) {
        let mut watches = self.watches();
        for watch in watches.values_mut() {
            watch.waiting.remove(run_uid);
        }
        drop_unused(&mut watches);
    }

    /// What a watch that goes on shows; none if there is no such watch.
    #[must_use]
    pub fn shown(&self, interest: &Interest) -> Option<Vec<Arc<DynamicObject>>> {
        self.watches().get(interest).filter(|watch| watch.live).map(|watch| watch.store.state())
    }

    /// How many watches there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The watch shows something: wakes whoever waits for it and has not read just that.
    fn told(&self, interest: &Interest, object: Option<(&DynamicObject, bool)>, ctx: &Context) {
        let mut watches = self.watches();
        let Some(watch) = watches.get_mut(interest) else { return };
        watch.live = true;
        for waiting in watch.waiting.values() {
            let news = match (object, &waiting.read) {
                (Some((object, gone)), Some(read)) => {
                    let known = read.get(&object.name_any());
                    if gone { known.is_some() } else { known != object.resource_version().as_ref() }
                }
                (Some(_), None) => true,
                (None, Some(read)) => differs(&watch.store, read),
                (None, None) => false,
            };
            if news {
                let run = &waiting.run;
                ctx.queues.told(&run.kind, run.namespace.as_deref().unwrap_or_default(), &run.name);
            }
        }
    }

    fn interrupted(&self, interest: &Interest) {
        if let Some(watch) = self.watches().get_mut(interest) {
            watch.live = false;
        }
    }
}

fn drop_unused(watches: &mut HashMap<Interest, Watch>) {
    watches.retain(|_, watch| {
        let used = !watch.waiting.is_empty();
        if !used {
            watch.task.abort();
        }
        used
    });
}

/// Whether a store shows something newer than what was read. A store that is merely behind does not.
fn differs(store: &Store<DynamicObject>, read: &Versions) -> bool {
    let state = store.state();
    let newer = |object: &DynamicObject| {
        let shown = object.resource_version().unwrap_or_default();
        read.get(&object.name_any()).is_none_or(|known| *known != shown && !is_older(&shown, known))
    };
    state.iter().any(|object| newer(object))
        || read.keys().any(|name| !state.iter().any(|object| object.name_any() == *name))
}

/// Whether a resource version is older than another. They are numbers that grow, by what Kubernetes says of its own
/// storage; where they are not, nothing is older than anything.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    matches!((version.parse::<u64>(), than.parse::<u64>()), (Ok(a), Ok(b)) if a < b)
}

fn begin(interest: Interest, ctx: &Arc<Context>) -> Watch {
    let writer = Writer::new(interest.resource.clone());
    let store = writer.as_reader();
    let client = ctx.accounts.of(&interest.component);
    let task = tokio::spawn(follow(interest, client, writer, ctx.clone())).abort_handle();
    Watch { store, task, waiting: HashMap::new(), live: false }
}

async fn follow(interest: Interest, client: Client, writer: Writer<DynamicObject>, ctx: Arc<Context>) {
    let api: Api<DynamicObject> = match &interest.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &interest.resource),
        None => Api::all_with(client, &interest.resource),
    };
    let config = match &interest.which {
        Which::Named(name) => Config::default().fields(&format!("metadata.name={name}")),
        Which::Labelled(labels) => Config::default().labels(labels),
    };
    let stream = watcher(api, config).default_backoff().modify(|object| {
        object.metadata.managed_fields = None;
    });
    let stream = reflector(writer, stream);
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Apply(object)) => ctx.interests.told(&interest, Some((&object, false)), &ctx),
            Ok(Event::Delete(object)) => ctx.interests.told(&interest, Some((&object, true)), &ctx),
            Ok(Event::InitDone) => ctx.interests.told(&interest, None, &ctx),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => {
                ctx.interests.interrupted(&interest);
                tracing::warn!(component = %interest.component, resource = %interest.resource.plural, error = %chain(&error),
                    "watch of a waiting run interrupted, will go on");
            }
        }
    }
}
