//! The resource guest in a loop like the host's, over a cluster in memory: from the first wake to the end, with crashes
//! and faults.

use std::cell::Cell;

use backstay_testing::contract::{Action, CancelCause, ObjectRef, Outcome, Query, ReadError, WriteError};
use backstay_testing::{Broken, Built, Drive, Moment, Trouble, Turn, World};
use serde_json::json;

const STRATEGY: &str = "
apiVersion: test.backstay.dev/v1
kind: Copy
spec: {copier: mill, timeoutSeconds: 300}
";
const APPLICATION: &str = "
apiVersion: apps.example.org/v1
kind: Web
metadata: {name: web, namespace: tenant-a}
";

fn driven(copier: &Built) -> Drive<'_> {
    copier.backup().strategy(STRATEGY).application(APPLICATION).world(World::new())
}

fn copy() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some("tenant-a".into()),
        name: "nightly-copy".into(),
    }
}

/// Makes every requested copy ready.
fn grind(world: &mut World) {
    world.edit(&copy(), |copy| copy["data"]["ready"] = json!("true"));
}

fn done(turn: Turn) -> Outcome {
    match turn {
        Turn::Done(Some(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

fn failed(turn: Turn) -> String {
    match turn {
        Turn::Failed(failure) => failure.reason,
        other => panic!("{other:?}"),
    }
}

fn copies(world: &World) -> usize {
    world.all("v1", "ConfigMap").count()
}

#[test]
fn a_copy_is_asked_for_once_and_waited_for() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier);
    assert!(matches!(run.wake(), Turn::Waits(wait) if wait.reason == "Copying"));
    assert!(matches!(run.wake(), Turn::Waits(_)));
    let asked = run.world.get(&copy()).unwrap();
    assert_eq!(asked["metadata"]["labels"][backstay_testing::RUN_UID_LABEL], run.request().run_uid);
    grind(&mut run.world);
    let outcome = done(run.wake());
    assert_eq!(outcome.metadata["test.backstay.dev/copy"], "nightly-copy");
    assert_eq!(run.events().len(), 1);
    assert_eq!(run.backup(&outcome).run_uid.as_deref(), Some(run.request().run_uid.as_str()));
}

#[test]
fn whatever_moment_the_host_crashes_at_there_is_one_copy() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    for crash in [Trouble::CrashBefore, Trouble::CrashAfter] {
        for moment in 0..2 {
            let seen = Cell::new(0);
            let mut run = driven(&copier).disturb(|_, at| {
                if matches!(at, Moment::Read(_)) {
                    return Trouble::None;
                }
                seen.set(seen.get() + 1);
                if seen.get() == moment + 1 { crash.clone() } else { Trouble::None }
            });
            assert_eq!(run.wake(), Turn::Crashed, "{:#?}", run.journal());
            done(run.run(grind));
            assert_eq!(copies(&run.world), 1, "{:#?}", run.journal());
        }
    }
}

#[test]
fn a_create_that_was_done_but_not_answered_is_not_done_twice() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut lost = Some(Trouble::WriteFailsAfter(WriteError::Unavailable("cut".into())));
    let mut run = driven(&copier).disturb(move |_, at| match at {
        Moment::Write(Action::Create(_)) => lost.take().unwrap_or(Trouble::None),
        _ => Trouble::None,
    });
    done(run.run(grind));
    assert_eq!(copies(&run.world), 1);
}

#[test]
fn a_cache_is_not_behind_what_the_run_wrote() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier).disturb(|_, at| match at {
        Moment::Read(Query::Get(get)) if !get.live => Trouble::Stale(3),
        _ => Trouble::None,
    });
    assert!(matches!(run.wake(), Turn::Waits(wait) if wait.reason == "Copying"), "{:#?}", run.journal());
    grind(&mut run.world);
    assert!(matches!(run.wake(), Turn::Waits(_)), "behind what others write");
}

#[test]
fn a_name_that_somebody_has_is_left_alone() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier);
    run.world.add("{apiVersion: v1, kind: ConfigMap, metadata: {name: nightly-copy, namespace: tenant-a}}");
    let before = run.world.get(&copy());
    assert_eq!(failed(run.wake()), "CopyNameTaken");
    assert_eq!(run.world.get(&copy()), before);
}

#[test]
fn a_copy_that_does_not_come_ends_the_run_at_its_limit() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier);
    assert_eq!(failed(run.run(|_| {})), "CopyTimedOut");
    assert_eq!(run.world.now() - run.request().started_at, 300);
}

#[test]
fn a_deleted_run_takes_its_copy_back() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier);
    run.wake();
    run.cancel(CancelCause::Deleted);
    assert_eq!(failed(run.wake()), "Cancelled");
    assert_eq!(copies(&run.world), 0);
    assert_eq!(run.left(), None);
}

#[test]
fn a_read_that_is_not_granted_ends_the_run_with_its_object() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut run = driven(&copier).disturb(|_, at| match at {
        Moment::Read(_) => Trouble::ReadFails(ReadError::Forbidden("configmaps".into())),
        _ => Trouble::None,
    });
    assert_eq!(failed(run.wake()), "Unreadable");
}

#[test]
fn what_is_not_declared_is_not_done() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let mut undeclared = copier.descriptor().clone();
    undeclared.access[0].verbs.create = false;
    let case = copier.backup().strategy(STRATEGY).application(APPLICATION);
    let mut world = World::new();
    world.add(APPLICATION);
    let step = |request: &_, view: &_| Ok(copier.component().step(request, view).unwrap().value);
    let mut run = Drive::new(&undeclared, case.request().clone(), world, Box::new(step));
    let Err(Broken(rule)) = run.try_wake() else { panic!("{:#?}", run.journal()) };
    assert!(rule.contains("create of ConfigMap") && rule.contains("declare it"), "{rule}");
    assert_eq!(copies(&run.world), 0);
}
