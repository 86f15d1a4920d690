//! The steps of the CNPG strategy: those of a first wake, recorded from a run over objects in memory.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use backstay_core::contract::{Content, Json, Mode, Request, View};
use backstay_testing::{Built, Drive, Turn, World};

use crate::call::folder;
use crate::{Call, Outcome};

/// Returns the step that has most answers in the first wake of a run. Each build is told what it asks for.
pub(crate) fn longest(cnpg: &Built, mode: Mode) -> Outcome<Call> {
    let steps = first_wake(cnpg, mode)?;
    let longest = steps.into_iter().max_by_key(|(_, view)| view.answers.len());
    let (request, view) = longest.ok_or("the wake has no step")?;
    Ok(Call::Step { request: Box::new(request), view })
}

/// The bytes of JSON in a view.
pub(crate) fn told(view: &View) -> usize {
    let contents = view.answers.iter().filter_map(|answer| answer.value.as_ref().ok());
    let answers = contents.map(|content| match content {
        Content::Object(object) => object.to_string().len(),
        Content::Objects(list) => list.items.iter().map(|item| item.to_string().len()).sum(),
        _ => 0,
    });
    let checkpoint = view.checkpoint.iter().map(|checkpoint| checkpoint.data.to_string().len());
    answers.chain(checkpoint).sum()
}

/// Plays the first wake, and returns the arguments of each of its steps.
fn first_wake(cnpg: &Built, mode: Mode) -> Outcome<Vec<(Request, View)>> {
    let steps = RefCell::new(Vec::new());
    let step = |request: &Request, view: &View| {
        steps.borrow_mut().push((request.clone(), view.clone()));
        let called = cnpg.component().step(request, view);
        called.map(|called| called.value).map_err(|error| error.to_string())
    };
    let mut drive = Drive::new(cnpg.descriptor(), request(cnpg, mode)?, world(mode)?, Box::new(step));
    let turn = drive.try_wake().map_err(|broken| broken.0)?;
    drop(drive);
    match turn {
        Turn::Waits(_) => Ok(steps.into_inner()),
        other => Err(format!("the first wake of a run comes to {other:?}").into()),
    }
}

fn request(cnpg: &Built, mode: Mode) -> Outcome<Request> {
    let case = match mode {
        Mode::Backup => cnpg.backup().parameter("bucket", "depot"),
        Mode::Restore | Mode::Cleanup => cnpg.restore(&base("backup.yaml")?),
    };
    let private: Json = serde_saphyr::from_str(&base("private.yaml")?)?;
    let case = case.strategy(&base("strategy.yaml")?).application(&base("application.yaml")?);
    let with_private = |request: &mut Request| {
        if let Some(backup) = &mut request.backup {
            backup.private_data = Some(private);
        }
    };
    Ok(case.with(with_private).request().clone())
}

/// The objects of the strategy's cases, with a Cluster, a pod and a release as they are in a cluster.
fn world(mode: Mode) -> Outcome<World> {
    let mut world = World::of(&base("world.yaml")?);
    world.add(&base("application.yaml")?);
    if mode == Mode::Restore {
        world.add(&base("operators-backup.yaml")?);
    }
    world.add(&std::fs::read_to_string(folder().join("cluster.yaml"))?);
    Ok(world)
}

/// A fixture of the strategy's cases.
fn base(file: &str) -> Outcome<String> {
    let cases: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../strategies/cnpg/tests/cases/base");
    Ok(std::fs::read_to_string(cases.join(file))?)
}
