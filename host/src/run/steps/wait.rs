//! A wait of the guest: the watches that enqueue the run, and its recheck without any event.

use std::time::Duration;

use backstay_core::contract::{ObjectRef, Selection, Wait, Watch};
use backstay_core::run_report::NotDone;
use backstay_core::steps::{ContractViolation, Reach, Verb};

use super::observe::Seen;
use super::scope::StepScope;
use crate::cluster::dynamic::access_resource;
use crate::state::step_cache::{StepCache, Written};
use crate::state::watch_pool::{Selector, Versions, WatchKey, is_older, place};

/// A watch that the run waits for, and the versions that it has read; `None` if it has read none.
type Wanted = (WatchKey, Option<Versions>);

/// The recheck of a run while every watch is live, at least.
const STRETCHED: Duration = Duration::from_secs(60);
/// The recheck of a run if an object changed before the run began to wait for it.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Begins the watches, and returns the wait of the run.
///
/// # Errors
/// The guest waits for an object that its component may not watch.
pub(crate) fn wait(
    wait: Wait,
    scope: &StepScope<'_>,
    cache: &StepCache,
    seen: &Seen,
) -> Result<NotDone, ContractViolation> {
    let mut wanted = Vec::with_capacity(wait.watch.len());
    let mut unwatched = wait.watch.is_empty();
    let mut net = Duration::MAX;
    for watch in &wait.watch {
        match watch {
            // The controller watches the Jobs of all runs; the net under that watch is that of pod strategies.
            Watch::Pod(_) => net = scope.recheck,
            Watch::Object(object) => match of_object(object, scope, cache, seen)? {
                Some(watch) => wanted.push(watch),
                None => unwatched = true,
            },
            Watch::Objects(selection) => wanted.push(of_selection(selection, scope, seen)?),
        }
    }
    let state = scope.watch_pool.wait_for(&scope.run.object, &scope.run.uid, wanted);
    let asked = Duration::from_secs(u64::from(wait.recheck_after));
    let recheck = match (state.changed, state.live && !unwatched) {
        (true, _) => AT_ONCE,
        (false, true) => asked.max(STRETCHED.min(scope.recheck)),
        (false, false) => asked,
    };
    let left = u64::try_from(wait.deadline - scope.request.now).unwrap_or(0);
    Ok(NotDone::StrategyWaits {
        reason: wait.reason,
        message: wait.message,
        recheck: recheck.min(net).min(Duration::from_secs(left)),
    })
}

/// Returns the watch of an object; `None` for an application whose kind the component does not watch, since the controller
/// only reads it.
fn of_object(
    object: &ObjectRef,
    scope: &StepScope<'_>,
    cache: &StepCache,
    seen: &Seen,
) -> Result<Option<Wanted>, ContractViolation> {
    let namespace = object.namespace.as_deref();
    let reach = match scope.grants.reach(Verb::Watch, &object.api_version, &object.kind, namespace) {
        Ok(reach) => reach,
        Err(_) if scope.grants.is_application(object) => return Ok(None),
        Err(violation) => return Err(violation),
    };
    let read = last_seen(object, cache, seen).map(|version| {
        version.into_version().into_iter().map(|v| (place(namespace, &object.name), v)).collect()
    });
    Ok(Some((key(&reach, namespace, Selector::Name(object.name.clone()), scope), read)))
}

fn of_selection(
    selection: &Selection,
    scope: &StepScope<'_>,
    seen: &Seen,
) -> Result<Wanted, ContractViolation> {
    let namespace = selection.namespace.as_deref();
    let reach = scope.grants.reach(Verb::Watch, &selection.api_version, &selection.kind, namespace)?;
    let read = seen.lists.iter().find(|(read, _)| read == selection).map(|(_, versions)| versions.clone());
    Ok((key(&reach, namespace, Selector::Labels(selection.labels.clone()), scope), read))
}

fn key(reach: &Reach<'_>, namespace: Option<&str>, selector: Selector, scope: &StepScope<'_>) -> WatchKey {
    WatchKey {
        component: scope.component().to_owned(),
        resource: access_resource(reach.access()),
        namespace: namespace.map(str::to_owned),
        selector,
    }
}

/// What the guest has seen of an object.
enum LastSeen {
    /// The object did not exist.
    Missing,
    /// The object had this resource version.
    At(String),
}

impl LastSeen {
    fn into_version(self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::At(version) => Some(version),
        }
    }
}

/// Returns what the guest saw of an object last, by a read, in a list, or as the result of its own write.
fn last_seen(object: &ObjectRef, cache: &StepCache, seen: &Seen) -> Option<LastSeen> {
    let of_kind = |s: &Selection| {
        let here = s.namespace.is_none() || s.namespace == object.namespace;
        s.api_version == object.api_version && s.kind == object.kind && here
    };
    let key = place(object.namespace.as_deref(), &object.name);
    let listed = || seen.lists.iter().find_map(|(s, items)| items.get(&key).filter(|_| of_kind(s)));
    let read = match seen.objects.get(object) {
        Some(Some(version)) => Some(LastSeen::At(version.clone())),
        Some(None) => Some(LastSeen::Missing),
        None => listed().cloned().map(LastSeen::At),
    };
    match (read, cache.written.get(object)) {
        // The read was before the write.
        (Some(LastSeen::At(read)), Some(Written::At(written))) if is_older(&read, written) => {
            Some(LastSeen::At(written.clone()))
        }
        (None, Some(Written::At(written))) => Some(LastSeen::At(written.clone())),
        (read, _) => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> ObjectRef {
        ObjectRef {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("a".into()),
            name: name.into(),
        }
    }

    /// The version of `c` that the guest has seen last; `None` for a missing object.
    fn seen_last(seen: &Seen, written: Option<Written>) -> Option<Option<String>> {
        let written = written.map(|written| (object("c"), written));
        let cache = StepCache { written: written.into_iter().collect(), ..StepCache::default() };
        last_seen(&object("c"), &cache, seen).map(LastSeen::into_version)
    }

    /// The guest has read `c` at this version, in a list or alone.
    fn read(version: &str, listed: bool) -> Seen {
        let mut seen = Seen::new(false);
        if listed {
            let selection = Selection {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                namespace: Some("a".into()),
                labels: String::new(),
            };
            seen.lists.push((selection, [("a/c".to_owned(), version.to_owned())].into()));
        } else {
            seen.objects.insert(object("c"), Some(version.to_owned()));
        }
        seen
    }

    #[test]
    fn a_guest_has_seen_the_newer_of_what_it_read_and_what_it_wrote() {
        let at = |version: &str| Some(Some(version.to_owned()));
        for listed in [true, false] {
            let seen = read("7", listed);
            assert_eq!(seen_last(&seen, None), at("7"));
            assert_eq!(
                seen_last(&seen, Some(Written::At("9".into()))),
                at("9"),
                "the read was before the write"
            );
            assert_eq!(seen_last(&seen, Some(Written::At("5".into()))), at("7"));
            assert_eq!(seen_last(&seen, Some(Written::Unknown)), at("7"));
        }
        assert_eq!(seen_last(&Seen::new(false), Some(Written::At("9".into()))), at("9"));
        assert_eq!(seen_last(&Seen::new(false), Some(Written::Unknown)), None);
    }

    #[test]
    fn a_missing_object_has_been_seen_and_an_object_of_another_list_has_not() {
        let mut seen = Seen::new(false);
        seen.objects.insert(object("c"), None);
        assert_eq!(seen_last(&seen, None), Some(None));
        let mut elsewhere = read("7", true);
        elsewhere.lists[0].0.namespace = Some("b".into());
        assert_eq!(seen_last(&elsewhere, None), None);
        // Of two objects of one name in a list of all namespaces, each has a version of its own.
        let mut both = read("7", true);
        both.lists[0].0.namespace = None;
        both.lists[0].1.insert("b/c".to_owned(), "9".to_owned());
        assert_eq!(seen_last(&both, None), Some(Some("7".to_owned())));
    }
}
