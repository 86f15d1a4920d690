//! Watches on exactly the objects that waiting runs named. Runs share them, and a watch ends with the last run that needs it.
//! They also answer reads of guests that may come from a cache.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use backstay_core::contract::ObjectRef;
use futures::{StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::reflector;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{Config, Event, watcher};
use tokio::task::AbortHandle;

use super::queues::{Queues, Request};
use super::watched_contents::{Contents, has_content};
use crate::cluster::dynamic;
use crate::cluster::error::chain;
use crate::cluster::impersonation::Impersonation;
use crate::cluster::pages::PAGE;
use crate::informers::interruptions::Interruptions;
use crate::panics::contained;

/// The watched objects, and the component as which they are watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchKey {
    /// The component.
    pub component: String,
    /// Their kind.
    pub resource: ApiResource,
    /// Their namespace; `None` is cluster-wide.
    pub namespace: Option<String>,
    /// By name or by labels.
    pub selector: Selector,
}

/// See [`WatchKey::selector`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The object of this name.
    Name(String),
    /// The objects that match this label selector.
    Labels(String),
}

/// Resource versions by [`place`], as a run has read them.
pub type Versions = BTreeMap<String, String>;

/// Returns the key of an object in [`Versions`]: a selection can hold objects of one name in several namespaces.
#[must_use]
pub fn place(namespace: Option<&str>, name: &str) -> String {
    format!("{}/{name}", namespace.unwrap_or_default())
}

fn place_of(object: &DynamicObject) -> String {
    place(object.metadata.namespace.as_deref(), &object.name_any())
}

/// The watches of this process.
#[derive(Clone)]
pub struct WatchPool(Arc<Pool>);

struct Pool {
    watches: Mutex<Watches>,
    impersonation: Arc<Impersonation>,
    queues: Arc<Queues>,
    contents: Contents,
}

/// The table of watches. It starts a watch only by the closure that it is given.
#[derive(Default)]
struct Watches {
    by_key: HashMap<WatchKey, Watch>,
    /// What each waiting run waits for: thousands of runs may wait, each for something else.
    by_run: HashMap<String, Vec<WatchKey>>,
    /// How many watches have been started.
    started: u64,
}

struct Watch {
    /// Tells the watch from an earlier one with the same key, whose last event may still come.
    number: u64,
    store: Store<DynamicObject>,
    task: AbortHandle,
    waiting: HashMap<String, Waiting>,
    /// The store has been filled, and the watch has not been interrupted since.
    live: bool,
}

struct Waiting {
    run: ObjectRef,
    /// The versions that the run had read when it began to wait; `None` if it had read none.
    read: Option<Versions>,
    /// The run has been enqueued since the watch showed objects that the run had not read.
    notified: bool,
}

/// The state of the watches that a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchState {
    /// Every watch is live: events will enqueue the run.
    pub live: bool,
    /// An object differs already from the version that the run had read, or was not read.
    pub changed: bool,
}

impl WatchPool {
    /// An empty pool. Its watches act as the components, and enqueue runs into `queues`.
    #[must_use]
    pub fn new(impersonation: Arc<Impersonation>, queues: Arc<Queues>) -> Self {
        Self(Arc::new(Pool {
            watches: Mutex::default(),
            impersonation,
            queues,
            contents: Contents::default(),
        }))
    }

    /// Has a run wait for these objects, and for no others, and returns the state of their watches.
    pub fn wait_for(
        &self,
        run: &ObjectRef,
        run_uid: &str,
        wanted: Vec<(WatchKey, Option<Versions>)>,
    ) -> WatchState {
        self.0.watches.lock().wait_for(run, run_uid, wanted, |key, number| {
            let writer = Writer::new(key.resource.clone());
            let store = writer.as_reader();
            let (pool, followed) = (self.clone(), key.clone());
            let task = tokio::spawn(async move {
                if let Err(panic) = contained(pool.clone().follow(key, number, writer)).await {
                    tracing::error!(component = %followed.component, resource = %followed.resource.plural, %panic,
                        "the watch of a waiting run panicked, its runs are looked at now and then; report it, this is a fault of the controller");
                    pool.0.watches.lock().interrupted(&followed, number);
                }
            });
            (store, task.abort_handle())
        })
    }

    /// Forgets a run: it waits for nothing any more.
    pub fn forget(&self, run_uid: &str) {
        self.0.watches.lock().forget(run_uid);
    }

    /// Returns the uids of the runs that wait for something.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.0.watches.lock().by_run.keys().cloned().collect()
    }

    /// Returns the objects that a live watch shows; `None` if there is no such watch, or it keeps no content of one of them.
    #[must_use]
    pub fn shown(&self, key: &WatchKey) -> Option<Vec<Arc<DynamicObject>>> {
        let watches = self.0.watches.lock();
        let shown = watches.by_key.get(key).filter(|watch| watch.live).map(|watch| watch.store.state())?;
        shown.iter().all(|object| has_content(object)).then_some(shown)
    }

    fn on_event(&self, key: &WatchKey, number: u64, object: Option<(&DynamicObject, bool)>) {
        for run in self.0.watches.lock().on_event(key, number, object) {
            if let Some(request) = Request::news(&run.kind, run.namespace.as_deref(), &run.name) {
                self.0.queues.add(request);
            }
        }
    }

    async fn follow(self, key: WatchKey, number: u64, writer: Writer<DynamicObject>) {
        let client = self.0.impersonation.client_for(&key.component);
        let api = dynamic::api(client, key.namespace.as_deref(), &key.resource);
        let config = match &key.selector {
            Selector::Name(name) => Config::default().fields(&format!("metadata.name={name}")),
            Selector::Labels(labels) => Config::default().labels(labels),
        };
        let mut contents = self.0.contents.of_watch();
        let stream = watcher(api.watched(), config.page_size(PAGE));
        let stream = stream.map_ok(move |event| contents.keep(event));
        let stream = reflector(writer, stream);
        let mut interruptions = Interruptions::default();
        futures::pin_mut!(stream);
        while let Some(event) = stream.next().await {
            interruptions.went_on(&event);
            match event {
                Ok(Event::Apply(object)) => self.on_event(&key, number, Some((&object, false))),
                Ok(Event::Delete(object)) => self.on_event(&key, number, Some((&object, true))),
                Ok(Event::InitDone) => self.on_event(&key, number, None),
                Ok(Event::Init | Event::InitApply(_)) => {}
                Err(error) => {
                    self.0.watches.lock().interrupted(&key, number);
                    let cause = chain(&error);
                    let (pause, told) = interruptions.failed(&cause);
                    if told {
                        tracing::warn!(component = %key.component, resource = %key.resource.plural, error = %cause,
                            "watch of a waiting run interrupted, will resume");
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

impl Watches {
    fn wait_for(
        &mut self,
        run: &ObjectRef,
        run_uid: &str,
        wanted: Vec<(WatchKey, Option<Versions>)>,
        mut start: impl FnMut(WatchKey, u64) -> (Store<DynamicObject>, AbortHandle),
    ) -> WatchState {
        let mut state = WatchState { live: true, changed: false };
        let keys: Vec<WatchKey> = wanted.iter().map(|(key, _)| key.clone()).collect();
        for (key, read) in wanted {
            let watch = self.by_key.entry(key.clone()).or_insert_with(|| {
                self.started += 1;
                let (store, task) = start(key, self.started);
                Watch { number: self.started, store, task, waiting: HashMap::new(), live: false }
            });
            let notified = watch.waiting.get(run_uid).is_some_and(|before| before.notified);
            let news = watch.live
                && match &read {
                    Some(read) => differs(&watch.store, read),
                    // Nothing to compare with: the run is enqueued once, and not again and again.
                    None => !notified,
                };
            state.live &= watch.live;
            state.changed |= news;
            let waiting = Waiting { run: run.clone(), read, notified: notified || news };
            watch.waiting.insert(run_uid.to_owned(), waiting);
        }
        self.leave(run_uid, &keys);
        if !keys.is_empty() {
            self.by_run.insert(run_uid.to_owned(), keys);
        }
        state
    }

    fn forget(&mut self, run_uid: &str) {
        self.leave(run_uid, &[]);
    }

    /// Has a run wait for nothing but this, and ends the watches that nobody needs any more.
    fn leave(&mut self, run_uid: &str, kept: &[WatchKey]) {
        for key in self.by_run.remove(run_uid).unwrap_or_default() {
            if kept.contains(&key) {
                continue;
            }
            let Some(watch) = self.by_key.get_mut(&key) else { continue };
            watch.waiting.remove(run_uid);
            if watch.waiting.is_empty() {
                watch.task.abort();
                self.by_key.remove(&key);
            }
        }
    }

    /// Handles an object of a watch, or with `None` the end of its list. Returns the runs that wait for it and have read
    /// another version.
    fn on_event(
        &mut self,
        key: &WatchKey,
        number: u64,
        object: Option<(&DynamicObject, bool)>,
    ) -> Vec<ObjectRef> {
        let watch = self.by_key.get_mut(key).filter(|watch| watch.number == number);
        let Some(watch) = watch else { return Vec::new() };
        watch.live = true;
        let mut news = Vec::new();
        for waiting in watch.waiting.values_mut() {
            let is_news = match (object, &waiting.read) {
                (Some((object, gone)), Some(read)) => {
                    let known = read.get(&place_of(object));
                    if gone { known.is_some() } else { known != object.resource_version().as_ref() }
                }
                (None, Some(read)) => differs(&watch.store, read),
                (_, None) => true,
            };
            if is_news {
                waiting.notified = true;
                news.push(waiting.run.clone());
            }
        }
        news
    }

    fn interrupted(&mut self, key: &WatchKey, number: u64) {
        if let Some(watch) = self.by_key.get_mut(key).filter(|watch| watch.number == number) {
            watch.live = false;
        }
    }
}

/// Returns whether a store shows a newer version than was read. A store that is merely behind does not.
fn differs(store: &Store<DynamicObject>, read: &Versions) -> bool {
    let state = store.state();
    let newer = |object: &DynamicObject| {
        let shown = object.resource_version().unwrap_or_default();
        read.get(&place_of(object)).is_none_or(|known| *known != shown && !is_older(&shown, known))
    };
    if state.iter().any(|object| newer(object)) {
        return true;
    }
    let shown: HashSet<String> = state.iter().map(|object| place_of(object)).collect();
    read.keys().any(|name| !shown.contains(name))
}

/// Returns whether a resource version is older than another. Kubernetes' own storage uses growing numbers; where they are no
/// numbers, neither is older.
#[must_use]
pub fn is_older(version: &str, than: &str) -> bool {
    matches!((version.parse::<u64>(), than.parse::<u64>()), (Ok(a), Ok(b)) if a < b)
}

#[cfg(test)]
mod tests {
    use kube::core::GroupVersionKind;
    use kube::runtime::watcher::Event;

    use super::*;

    fn interest(name: &str) -> WatchKey {
        WatchKey {
            component: "c".to_owned(),
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap")),
            namespace: Some("n".to_owned()),
            selector: Selector::Name(name.to_owned()),
        }
    }

    fn config_map(name: &str, version: &str) -> DynamicObject {
        let mut object = DynamicObject::new(name, &interest(name).resource).within("n");
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    fn run(name: &str) -> ObjectRef {
        backstay_core::backup::run_ref("BackupJob", "n", name)
    }

    /// A table whose watches follow nothing, and the writers of their stores in the order that they were begun.
    #[derive(Default)]
    struct Table {
        watches: Watches,
        begun: Vec<(Writer<DynamicObject>, tokio::task::JoinHandle<()>)>,
    }

    impl Table {
        fn wait_for(&mut self, name: &str, wanted: Vec<(WatchKey, Option<Versions>)>) -> WatchState {
            let begun = &mut self.begun;
            self.watches.wait_for(&run(name), name, wanted, |interest, _| {
                let writer = Writer::new(interest.resource);
                let store = writer.as_reader();
                let task = tokio::spawn(std::future::pending());
                let handle = task.abort_handle();
                begun.push((writer, task));
                (store, handle)
            })
        }

        fn filled(&mut self, watch: usize, objects: &[DynamicObject]) {
            let writer = &mut self.begun[watch].0;
            writer.apply_watcher_event(&Event::Init);
            for object in objects {
                writer.apply_watcher_event(&Event::InitApply(object.clone()));
            }
            writer.apply_watcher_event(&Event::InitDone);
        }
    }

    fn read(name: &str, version: &str) -> Option<Versions> {
        Some([(place(Some("n"), name), version.to_owned())].into())
    }

    #[tokio::test]
    async fn a_watch_is_shared_between_runs_and_ends_with_the_last_that_needs_it() {
        let mut table = Table::default();
        table.wait_for("a", vec![(interest("x"), read("x", "1")), (interest("y"), None)]);
        table.wait_for("b", vec![(interest("x"), read("x", "1"))]);
        assert_eq!(table.begun.len(), 2);
        // What the first waits for now is another thing: the second one still needs the watch.
        table.wait_for("a", vec![(interest("z"), None)]);
        assert_eq!(table.watches.by_key.len(), 2);
        table.watches.forget("b");
        table.watches.forget("a");
        assert!(table.watches.by_key.is_empty() && table.watches.by_run.is_empty());
        for (_, task) in table.begun {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    #[tokio::test]
    async fn who_waits_for_what_it_has_not_read_is_looked_at_once_when_the_watch_shows_it() {
        let mut table = Table::default();
        table.wait_for("a", vec![(interest("x"), None)]);
        table.filled(0, &[config_map("x", "5")]);
        assert_eq!(table.watches.on_event(&interest("x"), 1, None), [run("a")]);
        assert_eq!(
            table.wait_for("a", vec![(interest("x"), None)]),
            WatchState { live: true, changed: false }
        );
        // Another run finds a watch that is filled already.
        let first = table.wait_for("b", vec![(interest("x"), None)]);
        let again = table.wait_for("b", vec![(interest("x"), None)]);
        assert_eq!((first.changed, again.changed), (true, false));
        // A relist after a break may hide anything.
        table.watches.interrupted(&interest("x"), 1);
        assert_eq!(table.watches.on_event(&interest("x"), 1, None).len(), 2);
    }

    #[tokio::test]
    async fn who_has_read_just_that_is_not_woken() {
        let mut table = Table::default();
        table.wait_for("a", vec![(interest("x"), read("x", "5"))]);
        table.filled(0, &[config_map("x", "5")]);
        assert!(table.watches.on_event(&interest("x"), 1, None).is_empty());
        assert!(table.watches.on_event(&interest("x"), 1, Some((&config_map("x", "5"), false))).is_empty());
        assert_eq!(
            table.watches.on_event(&interest("x"), 1, Some((&config_map("x", "6"), false))),
            [run("a")]
        );
    }

    #[tokio::test]
    async fn the_last_word_of_a_watch_that_was_ended_is_not_taken_for_the_next_ones() {
        let mut table = Table::default();
        table.wait_for("a", vec![(interest("x"), None)]);
        table.watches.forget("a");
        assert!(!table.wait_for("a", vec![(interest("x"), None)]).live);
        assert!(table.watches.on_event(&interest("x"), 1, None).is_empty());
        assert!(!table.watches.by_key[&interest("x")].live);
        assert_eq!(table.watches.on_event(&interest("x"), 2, None), [run("a")]);
        assert!(table.watches.by_key[&interest("x")].live);
    }
}
