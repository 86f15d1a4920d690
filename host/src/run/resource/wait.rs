//! A wait: what wakes the run, and when it is looked at without that.

use std::time::Duration;

use backstay_core::contract::{ObjectRef, Selection, Wait, Watch};
use backstay_core::resource::Verb;

use super::api::resource;
use super::memory::{Memory, Written};
use super::observe::Seen;
use super::scene::Scene;
use crate::interests::{Interest, Versions, Which, is_older};
use crate::run::Halt;

/// To this a recheck is stretched while every watch goes on.
const STRETCHED: Duration = Duration::from_secs(60);
/// How soon a run is looked at again when what it waits for has changed before it began to wait.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Takes up the watches; returns the halt that says what the run waits for.
pub(super) fn wait(wait: Wait, scene: &Scene<'_>, memory: &Memory, seen: &Seen) -> Result<Halt, Halt> {
    let mut wanted = Vec::with_capacity(wait.watch.len());
    let mut unwatched = wait.watch.is_empty();
    let mut net = Duration::MAX;
    for watch in &wait.watch {
        match watch {
            // Jobs of runs are watched anyway; the net under that watch is that of pod strategies.
            Watch::Pod(_) => net = scene.ctx.settings.recheck,
            Watch::Object(object) => match of_object(object, scene, memory, seen)? {
                Some(interest) => wanted.push(interest),
                None => unwatched = true,
            },
            Watch::Objects(selection) => wanted.push(of_selection(selection, scene, seen)?),
        }
    }
    let outlook = scene.ctx.interests.wait(&scene.run.object, &scene.run.uid, wanted, scene.ctx);
    let asked = Duration::from_secs(u64::from(wait.recheck_after));
    let recheck = match (outlook.changed, outlook.healthy && !unwatched) {
        (true, _) => AT_ONCE,
        (false, true) => asked.max(STRETCHED.min(scene.ctx.settings.recheck)),
        (false, false) => asked,
    };
    let left = u64::try_from(wait.deadline - scene.request.now).unwrap_or(0);
    Ok(Halt::Paused {
        reason: wait.reason,
        message: wait.message,
        recheck: recheck.min(net).min(Duration::from_secs(left)),
    })
}

/// None for the application where the component does not watch its kind: the controller may read it, and no more.
fn of_object(
    object: &ObjectRef,
    scene: &Scene<'_>,
    memory: &Memory,
    seen: &Seen,
) -> Result<Option<(Interest, Option<Versions>)>, Halt> {
    let reach =
        scene.grants.reach(Verb::Watch, &object.api_version, &object.kind, object.namespace.as_deref());
    let reach = match reach {
        Ok(reach) => reach,
        Err(_) if scene.grants.is_application(object) => return Ok(None),
        Err(breach) => return Err(breach.into()),
    };
    let interest = Interest {
        component: scene.component().to_owned(),
        resource: resource(reach.access()),
        namespace: object.namespace.clone(),
        which: Which::Named(object.name.clone()),
    };
    let read = last_seen(object, memory, seen)
        .map(|version| version.into_iter().map(|version| (object.name.clone(), version)).collect());
    Ok(Some((interest, read)))
}

/// The version of an object that the guest was shown last, by a read, in a list, or as the result of its own write; `None`
/// within for one that was not there.
fn last_seen(object: &ObjectRef, memory: &Memory, seen: &Seen) -> Option<Option<String>> {
    let of_kind = |s: &Selection| {
        s.api_version == object.api_version && s.kind == object.kind && s.namespace == object.namespace
    };
    let listed = || seen.lists.iter().find_map(|(s, items)| items.get(&object.name).filter(|_| of_kind(s)));
    let read = seen.objects.get(object).cloned().or_else(|| listed().cloned().map(Some));
    match (read, memory.written.get(object)) {
        // Read before the write.
        (Some(Some(read)), Some(Written::At(written))) if is_older(&read, written) => {
            Some(Some(written.clone()))
        }
        (None, Some(Written::At(written))) => Some(Some(written.clone())),
        (read, _) => read,
    }
}

fn of_selection(
    selection: &Selection,
    scene: &Scene<'_>,
    seen: &Seen,
) -> Result<(Interest, Option<Versions>), Halt> {
    let reach = scene.grants.reach(
        Verb::Watch,
        &selection.api_version,
        &selection.kind,
        selection.namespace.as_deref(),
    )?;
    let interest = Interest {
        component: scene.component().to_owned(),
        resource: resource(reach.access()),
        namespace: selection.namespace.clone(),
        which: Which::Labelled(selection.labels.clone()),
    };
    let read = seen.lists.iter().find(|(read, _)| read == selection).map(|(_, versions)| versions.clone());
    Ok((interest, read))
}
