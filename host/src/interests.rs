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
pub struct Interests(Mutex<Watches>);

/// The table of them, which starts and ends no watch itself but by the closure that it is given.
#[derive(Default)]
struct Watches {
    by_interest: HashMap<Interest, Watch>,
    /// How many have been begun.
    begun: u64,
}

struct Watch {
    /// Tells it from an earlier watch of the same, of which a last word may still come.
    number: u64,
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
    /// It has been looked at since the watch showed what the run had not read.
    told: bool,
}

/// What [`Interests::wait`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Every watch goes on: events will tell of changes.
    pub healthy: bool,
    /// Something differs already from what the run had read, or is shown and was not read.
    pub changed: bool,
}

impl Interests {
    fn watches(&self) -> MutexGuard<'_, Watches> {
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
        self.watches().wait(run, run_uid, wanted, |interest, number| {
            let writer = Writer::new(interest.resource.clone());
            let store = writer.as_reader();
            let client = ctx.accounts.of(&interest.component);
            let task = tokio::spawn(follow(interest, number, client, writer, ctx.clone()));
            (store, task.abort_handle())
        })
    }

    /// A run waits for nothing any more.
    pub fn forget(&self, run_uid: &str) {
        self.watches().forget(run_uid);
    }

    /// What a watch that goes on shows; none if there is no such watch.
    #[must_use]
    pub fn shown(&self, interest: &Interest) -> Option<Vec<Arc<DynamicObject>>> {
        let watches = self.watches();
        watches.by_interest.get(interest).filter(|watch| watch.live).map(|watch| watch.store.state())
    }

    fn told(&self, interest: &Interest, number: u64, object: Option<(&DynamicObject, bool)>, ctx: &Context) {
        for run in self.watches().told(interest, number, object) {
            ctx.queues.told(&run.kind, run.namespace.as_deref().unwrap_or_default(), &run.name);
        }
    }
}

impl Watches {
    fn wait(
        &mut self,
        run: &ObjectRef,
        run_uid: &str,
        wanted: Vec<(Interest, Option<Versions>)>,
        mut begin: impl FnMut(Interest, u64) -> (Store<DynamicObject>, AbortHandle),
    ) -> Outlook {
        let mut outlook = Outlook { healthy: true, changed: false };
        for (interest, watch) in &mut self.by_interest {
            if !wanted.iter().any(|(w, _)| w == interest) {
                watch.waiting.remove(run_uid);
            }
        }
        for (interest, read) in wanted {
            let watch = self.by_interest.entry(interest.clone()).or_insert_with(|| {
                self.begun += 1;
                let (store, task) = begin(interest, self.begun);
                Watch { number: self.begun, store, task, waiting: HashMap::new(), live: false }
            });
            let told = watch.waiting.get(run_uid).is_some_and(|before| before.told);
            let news = watch.live
                && match &read {
                    Some(read) => differs(&watch.store, read),
                    // There is nothing to compare with: the run is looked at once more, and not again and again.
                    None => !told,
                };
            outlook.healthy &= watch.live;
            outlook.changed |= news;
            let waiting = Waiting { run: run.clone(), read, told: told || news };
            watch.waiting.insert(run_uid.to_owned(), waiting);
        }
        self.drop_unused();
        outlook
    }

    fn forget(&mut self, run_uid: &str) {
        for watch in self.by_interest.values_mut() {
            watch.waiting.remove(run_uid);
        }
        self.drop_unused();
    }

    /// A watch shows something, or that it has shown all: returns whoever waits for it and has not read just that.
    fn told(
        &mut self,
        interest: &Interest,
        number: u64,
        object: Option<(&DynamicObject, bool)>,
    ) -> Vec<ObjectRef> {
        let watch = self.by_interest.get_mut(interest).filter(|watch| watch.number == number);
        let Some(watch) = watch else { return Vec::new() };
        watch.live = true;
        let mut news = Vec::new();
        for waiting in watch.waiting.values_mut() {
            let is_news = match (object, &waiting.read) {
                (Some((object, gone)), Some(read)) => {
                    let known = read.get(&object.name_any());
                    if gone { known.is_some() } else { known != object.resource_version().as_ref() }
                }
                (None, Some(read)) => differs(&watch.store, read),
                (_, None) => true,
            };
            if is_news {
                waiting.told = true;
                news.push(waiting.run.clone());
            }
        }
        news
    }

    fn interrupted(&mut self, interest: &Interest, number: u64) {
        if let Some(watch) = self.by_interest.get_mut(interest).filter(|watch| watch.number == number) {
            watch.live = false;
        }
    }

    fn drop_unused(&mut self) {
        self.by_interest.retain(|_, watch| {
            let used = !watch.waiting.is_empty();
            if !used {
                watch.task.abort();
            }
            used
        });
    }
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

async fn follow(
    interest: Interest,
    number: u64,
    client: Client,
    writer: Writer<DynamicObject>,
    ctx: Arc<Context>,
) {
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
            Ok(Event::Apply(object)) => ctx.interests.told(&interest, number, Some((&object, false)), &ctx),
            Ok(Event::Delete(object)) => ctx.interests.told(&interest, number, Some((&object, true)), &ctx),
            Ok(Event::InitDone) => ctx.interests.told(&interest, number, None, &ctx),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => {
                ctx.interests.watches().interrupted(&interest, number);
                tracing::warn!(component = %interest.component, resource = %interest.resource.plural, error = %chain(&error),
                    "watch of a waiting run interrupted, will go on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::GroupVersionKind;
    use kube::runtime::watcher::Event;

    use super::*;

    fn interest(name: &str) -> Interest {
        Interest {
            component: "c".to_owned(),
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap")),
            namespace: Some("n".to_owned()),
            which: Which::Named(name.to_owned()),
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
        fn wait(&mut self, name: &str, wanted: Vec<(Interest, Option<Versions>)>) -> Outlook {
            let begun = &mut self.begun;
            self.watches.wait(&run(name), name, wanted, |interest, _| {
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
        Some([(name.to_owned(), version.to_owned())].into())
    }

    #[tokio::test]
    async fn a_watch_is_shared_between_runs_and_ends_with_the_last_that_needs_it() {
        let mut table = Table::default();
        table.wait("a", vec![(interest("x"), read("x", "1")), (interest("y"), None)]);
        table.wait("b", vec![(interest("x"), read("x", "1"))]);
        assert_eq!(table.begun.len(), 2);
        // What the first waits for now is another thing: the second one still needs the watch.
        table.wait("a", vec![(interest("z"), None)]);
        assert_eq!(table.watches.by_interest.len(), 2);
        table.watches.forget("b");
        table.watches.forget("a");
        assert!(table.watches.by_interest.is_empty());
        for (_, task) in table.begun {
            assert!(task.await.unwrap_err().is_cancelled());
        }
    }

    #[tokio::test]
    async fn who_waits_for_what_it_has_not_read_is_looked_at_once_when_the_watch_shows_it() {
        let mut table = Table::default();
        table.wait("a", vec![(interest("x"), None)]);
        table.filled(0, &[config_map("x", "5")]);
        assert_eq!(table.watches.told(&interest("x"), 1, None), [run("a")]);
        assert_eq!(table.wait("a", vec![(interest("x"), None)]), Outlook { healthy: true, changed: false });
        // Another run finds a watch that is filled already.
        let first = table.wait("b", vec![(interest("x"), None)]);
        let again = table.wait("b", vec![(interest("x"), None)]);
        assert_eq!((first.changed, again.changed), (true, false));
        // A relist after a break may hide anything.
        table.watches.interrupted(&interest("x"), 1);
        assert_eq!(table.watches.told(&interest("x"), 1, None).len(), 2);
    }

    #[tokio::test]
    async fn who_has_read_just_that_is_not_woken() {
        let mut table = Table::default();
        table.wait("a", vec![(interest("x"), read("x", "5"))]);
        table.filled(0, &[config_map("x", "5")]);
        assert!(table.watches.told(&interest("x"), 1, None).is_empty());
        assert!(table.watches.told(&interest("x"), 1, Some((&config_map("x", "5"), false))).is_empty());
        assert_eq!(table.watches.told(&interest("x"), 1, Some((&config_map("x", "6"), false))), [run("a")]);
    }

    #[tokio::test]
    async fn the_last_word_of_a_watch_that_was_ended_is_not_taken_for_the_next_ones() {
        let mut table = Table::default();
        table.wait("a", vec![(interest("x"), None)]);
        table.watches.forget("a");
        assert!(!table.wait("a", vec![(interest("x"), None)]).healthy);
        assert!(table.watches.told(&interest("x"), 1, None).is_empty());
        assert!(!table.watches.by_interest[&interest("x")].live);
        assert_eq!(table.watches.told(&interest("x"), 2, None), [run("a")]);
        assert!(table.watches.by_interest[&interest("x")].live);
    }
}
