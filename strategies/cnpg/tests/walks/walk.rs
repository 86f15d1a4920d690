//! One walk: wakes of a run, everybody else in between, and troubles at any moment, all by chance of one seed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::rc::Rc;

use backstay_testing::contract::{
    Action, Backup, CancelCause, Inherited, Mode, ReadError, Request, WriteError,
};
use backstay_testing::{Broken, Drive, Moment, StepFn, Trouble, Turn, World, rfc3339};
use serde_json::json;

use crate::chart::{application, asleep, cluster, release};
use crate::rng::Rng;
use crate::scene::{COPY, SOURCE, Scene};
use crate::site::Site;
use crate::watch::{Asked, Watcher, source_of};

/// Wakes of one run.
const WAKES: usize = 1500;

/// What a walk did, where it went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    pub(crate) seed: u64,
    pub(crate) what: String,
    pub(crate) timeline: String,
}

/// What a walk came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walked {
    /// Stages, conditions, and reasons of waits and failures.
    pub(crate) seen: BTreeSet<String>,
    pub(crate) wakes: u64,
    pub(crate) calls: u64,
    pub(crate) troubles: u64,
    pub(crate) crashes: u64,
    pub(crate) done: bool,
    pub(crate) purged: bool,
    pub(crate) restore: bool,
}

/// What the walk, the troubles and everybody else have in common.
struct Shared {
    rng: Rng,
    site: Site,
    watcher: Watcher,
    /// Troubles left.
    budget: u32,
    /// In 1000 moments.
    rate: u64,
    troubled: bool,
    troubles: u64,
    crashes: u64,
    wrong: Option<String>,
    /// Things that people may still do.
    people: u32,
    app: &'static str,
}

impl Shared {
    /// Something may go wrong here.
    fn moment(&mut self, world: &mut World, moment: Moment<'_>) -> Trouble {
        // Others do not wait for a wake to be over.
        if self.rng.chance(4) {
            self.machines(world);
        }
        let trouble = self.trouble(moment);
        if trouble != Trouble::None && !matches!(trouble, Trouble::Stale(_)) {
            self.troubled = true;
            self.troubles += 1;
            self.crashes += u64::from(matches!(trouble, Trouble::CrashBefore | Trouble::CrashAfter));
            self.site.told.push(format!("trouble: {trouble:?} at {}", named(moment)));
        }
        match moment {
            Moment::Checkpoint(checkpoint) if trouble != Trouble::CrashBefore => {
                self.watcher.stores(&checkpoint.stage, &checkpoint.data, world.now());
            }
            Moment::Write(action) if !matches!(trouble, Trouble::CrashBefore | Trouble::WriteFails(_)) => {
                if let Err(what) = self.watcher.action(world, &self.site, action) {
                    self.wrong.get_or_insert(what);
                }
            }
            _ => {}
        }
        trouble
    }

    fn trouble(&mut self, moment: Moment<'_>) -> Trouble {
        if let Moment::Read(_) = moment
            && self.rng.chance(15)
        {
            // Caches lag all the time.
            return Trouble::Stale(1 + u32::try_from(self.rng.below(4)).unwrap_or(0));
        }
        let rate = if matches!(moment, Moment::Read(_)) { self.rate } else { self.rate * 4 };
        if self.budget == 0 || self.rng.below(1000) >= rate {
            return Trouble::None;
        }
        self.budget -= 1;
        match moment {
            Moment::Read(_) => Trouble::ReadFails(match self.rng.below(8) {
                0 => ReadError::Forbidden("not granted".into()),
                1 => {
                    self.watcher.refused = true;
                    ReadError::TooLarge
                }
                _ => ReadError::Unavailable("timed out".into()),
            }),
            Moment::Checkpoint(_) => match self.rng.below(2) {
                0 => Trouble::CrashBefore,
                _ => Trouble::CrashAfter,
            },
            Moment::Write(_) => match self.rng.below(16) {
                0..4 => Trouble::CrashBefore,
                4..8 => Trouble::CrashAfter,
                8..10 => Trouble::WriteFails(WriteError::Unavailable("timed out".into())),
                10..12 => Trouble::WriteFailsAfter(WriteError::Unavailable("timed out".into())),
                12..14 => Trouble::WriteFails(WriteError::Conflict("the object has been modified".into())),
                14 => {
                    self.watcher.refused = true;
                    Trouble::WriteFails(WriteError::Forbidden("not granted".into()))
                }
                _ => {
                    self.watcher.refused = true;
                    Trouble::WriteFails(WriteError::Invalid("refused by admission".into()))
                }
            },
        }
    }

    /// One of those who work by themselves does one thing.
    fn machines(&mut self, world: &mut World) {
        let app = if self.app == COPY && self.rng.chance(20) { SOURCE } else { self.app };
        match self.rng.below(8) {
            0 | 1 => self.site.helm(world, app),
            2..5 => self.site.operator(world, app),
            5 => self.site.backups(world, app),
            6 => self.site.volumes(world),
            _ => world.collect_garbage(),
        }
    }

    /// Somebody does something that nobody expects.
    fn person(&mut self, world: &mut World) {
        let app = self.app;
        let watcher = &mut self.watcher;
        let did = match self.rng.below(7) {
            0 => {
                watcher.meddled = true;
                watcher.held = false;
                world.edit(&release(app), |r| r["spec"]["suspend"] = json!(false));
                "resumes the release"
            }
            1 => {
                watcher.meddled = true;
                // One that sleeps already does not show that somebody else wants it to.
                watcher.held |= !asleep(world, app);
                world.edit(&release(app), |r| r["spec"]["suspend"] = json!(true));
                "suspends the release"
            }
            2 | 3 => {
                if world.get(&cluster(app)).is_none() {
                    watcher.meddled = true;
                    self.site.make_empty(world, app);
                }
                "looks for an empty Cluster to make"
            }
            4 => {
                // Which wakes the release up, whoever put it to sleep.
                watcher.meddled = true;
                watcher.held = false;
                let _ = world.patch(&application(app), &json!({"spec": {"size": "20Gi"}}));
                "asks for more space in the application"
            }
            5 => {
                self.site.retention(world);
                "has short retention"
            }
            _ => {
                watcher.meddled = true;
                world.remove(&cluster(app));
                "deletes the Cluster"
            }
        };
        self.site.told.push(format!("somebody {did}"));
    }
}

fn named(moment: Moment<'_>) -> String {
    match moment {
        Moment::Read(query) => format!("{query:?}").chars().take(120).collect(),
        Moment::Checkpoint(checkpoint) => format!("the checkpoint of {}", checkpoint.stage),
        Moment::Write(action) => match action {
            Action::Create(_) => "a create".into(),
            Action::Apply(_) => "an apply".into(),
            Action::Patch(patch) => format!("the patch of {}", patch.object.kind),
            Action::Delete(delete) => format!("the delete of {} {}", delete.object.kind, delete.object.name),
            Action::RunPod(_) => "a pod".into(),
        },
    }
}

/// A run from its first wake to its end.
struct Run<'w> {
    seed: u64,
    scene: &'w Scene,
    lines: Vec<String>,
    walked: Walked,
}

/// How a run goes.
struct How {
    asked: Asked,
    /// Somebody else has suspended the release.
    held: bool,
    disturbed: bool,
}

/// How the run ended.
struct End {
    world: World,
    site: Site,
    done: bool,
    left: Option<Inherited>,
    made: Option<Backup>,
    /// Somebody else has suspended the release.
    held: bool,
    /// Somebody changed what the run worked with.
    meddled: bool,
}

impl Run<'_> {
    fn drive(
        &mut self,
        rng: Rng,
        (world, mut site): (World, Site),
        request: Request,
        step: StepFn<'static>,
        how: How,
    ) -> Result<End, Wrong> {
        let How { asked, held, disturbed } = how;
        let mut rng = rng;
        let app = if request.mode == Mode::Restore { self.scene.app() } else { SOURCE };
        site.stuck_volumes = disturbed && rng.chance(2);
        let mut watcher = Watcher::new(self.scene, &request, &world, &site, asked);
        watcher.held = held;
        let (budget, rate) = match (disturbed, rng.below(4)) {
            (false, _) | (_, 0) => (0, 0),
            (_, 1) => (1, 40),
            (_, 2) => (3, 40),
            _ => (8, 60),
        };
        let people = if disturbed && rng.chance(20) { 1 } else { 0 };
        let cancel_at = if disturbed && rng.chance(12) { rng.below(25) } else { u64::MAX };
        let eager = !disturbed || rng.chance(50);
        let name = format!("{} {}", request.mode.as_str(), request.run_uid);
        let troubles = Rng::of(rng.below(u64::MAX));
        let shared = Rc::new(RefCell::new(Shared {
            rng: troubles,
            site,
            watcher,
            budget,
            rate,
            troubled: false,
            troubles: 0,
            crashes: 0,
            wrong: None,
            people,
            app,
        }));
        let at_moments = Rc::clone(&shared);
        let mut drive = Drive::new(crate::descriptor(), request, world, step)
            .skewed(self.scene.skew)
            .disturb(move |world, moment| at_moments.borrow_mut().moment(world, moment));
        self.lines.push(format!("--- {name}"));
        let mut told = 0;
        for wake in 0..WAKES {
            if wake as u64 == cancel_at {
                self.lines.push("the run is deleted".into());
                drive.cancel(CancelCause::Deleted);
            }
            shared.borrow_mut().troubled = false;
            let turn = drive.try_wake();
            let mut shared = shared.borrow_mut();
            self.walked.wakes += 1;
            self.lines.extend(shared.site.told.drain(..).map(|l| format!("      {l}")));
            self.lines.extend(drive.journal()[told..].iter().cloned());
            told = drive.journal().len();
            let turn = match turn {
                Ok(turn) => turn,
                Err(Broken(rule)) => {
                    return Err(self.wrong(format!("a rule of the contract is broken: {rule}")));
                }
            };
            self.walked.seen.extend(drive.checkpoint().map(|c| c.stage.clone()));
            self.walked.seen.extend(drive.conditions().keys().cloned());
            match &turn {
                Turn::Failed(failure) => {
                    self.walked.seen.insert(failure.reason.clone());
                }
                Turn::Waits(wait) => {
                    self.walked.seen.insert(wait.reason.clone());
                }
                Turn::Done(_) | Turn::Crashed => {}
            }
            if let Some(what) = shared.wrong.take() {
                return Err(self.wrong(what));
            }
            if let Err(what) = shared.watcher.turned(&drive, &shared.site, &turn, shared.troubled) {
                return Err(self.wrong(what));
            }
            let pause = match &turn {
                Turn::Waits(wait) => {
                    let now = drive.world.now() + self.scene.skew;
                    let recheck = i64::from(wait.recheck_after).min(wait.deadline - now).max(1);
                    match rng.below(20) {
                        0..8 => 1 + i64::try_from(rng.below(4)).unwrap_or(0),
                        _ if !disturbed => recheck.min(60),
                        8..19 if wake < WAKES / 2 => recheck,
                        _ => (wait.deadline - now).clamp(1, 3600),
                    }
                }
                Turn::Crashed => {
                    // Now and then nobody starts it again for so long that limits pass.
                    let longest = if rng.chance(15) { 40 * 60 } else { 30 };
                    1 + i64::try_from(rng.below(longest)).unwrap_or(0)
                }
                Turn::Done(_) | Turn::Failed(_) => {
                    self.walked.calls += drive.calls();
                    self.walked.troubles += shared.troubles;
                    self.walked.crashes += shared.crashes;
                    self.walked.purged |= !shared.watcher.deleted.is_empty();
                    let made = match &turn {
                        Turn::Done(Some(outcome)) => Some(drive.backup(outcome)),
                        _ => None,
                    };
                    let done = matches!(turn, Turn::Done(_));
                    let left = if done { None } else { drive.left() };
                    let mut site = std::mem::take(&mut shared.site);
                    site.stuck_volumes = false;
                    let (held, meddled) = (shared.watcher.held, shared.watcher.meddled);
                    return Ok(End {
                        site,
                        done,
                        left,
                        made,
                        held,
                        meddled,
                        world: std::mem::take(&mut drive.world),
                    });
                }
            };
            drive.world.advance(pause);
            // Machines are busy or slow, and always get somewhere in the end.
            let works = if eager { 2 + rng.below(6) } else { rng.below(3) };
            for _ in 0..works {
                shared.machines(&mut drive.world);
            }
            if shared.people > 0 && rng.chance(6) {
                shared.people -= 1;
                shared.person(&mut drive.world);
            }
        }
        Err(self.wrong(format!("the run did not end in {WAKES} wakes")))
    }

    fn wrong(&self, what: impl Into<String>) -> Wrong {
        let mut timeline = format!("{:?}\n", self.scene);
        for line in &self.lines {
            let _ = writeln!(timeline, "{line}");
        }
        Wrong { seed: self.seed, what: what.into(), timeline }
    }
}

/// The walk of this seed.
pub(crate) fn walk(seed: u64, step: fn() -> StepFn<'static>) -> Result<Walked, Wrong> {
    let mut rng = Rng::of(seed);
    let scene = Scene::of(&mut rng);
    let (world, site, backup) = scene.set(step);
    let mut run = Run { seed, scene: &scene, lines: Vec::new(), walked: Walked::default() };
    run.walked.restore = scene.mode == Mode::Restore;
    let uid = |n: u64| format!("aaaaaaaa-{:04x}-4000-8000-{n:012}", seed & 0xffff);
    let mut request = scene.request(scene.mode, "run-1", &uid(1), backup.clone());
    let (options, asked) = options(&scene, &world, &site, backup.as_ref());
    request.options = Some(options.clone());
    let first = Rng::of(rng.below(u64::MAX));
    let calm = rng.chance(15);
    let reachable = is_reachable(&scene, &site, backup.as_ref(), asked);
    let end = run.drive(
        first,
        (world, site),
        request,
        step(),
        How { asked, held: scene.suspended_before, disturbed: !calm },
    )?;
    run.walked.done = end.done;
    if calm && !end.done && reachable && scene.is_possible() {
        return Err(run.wrong("nothing disturbed the run, and it did not end well"));
    }
    let End { mut world, mut site, done, left, made, held, meddled } = end;
    if let (Mode::Backup, Some(_), true) = (scene.mode, &made, rng.chance(30)) {
        // A BackupJob of the same name, made anew, is a backup of its own.
        let request = scene.request(Mode::Backup, "run-1", &uid(6), None);
        let rng = Rng::of(rng.below(u64::MAX));
        run.drive(rng, (world, site), request, step(), How { asked: Asked::Backup, held, disturbed: true })?;
        return Ok(run.walked);
    }
    if let (Mode::Backup, Some(made)) = (scene.mode, made) {
        // The Backup is deleted again, and with it what the operator has of it, and nothing else.
        let before = world.all(crate::chart::CNPG, "Backup").count();
        let cleanup = scene.request(Mode::Cleanup, "run-1", &uid(3), Some(made.clone()));
        let rng = Rng::of(rng.below(u64::MAX));
        let end = run.drive(
            rng,
            (world, site),
            cleanup,
            step(),
            How { asked: Asked::Backup, held, disturbed: true },
        )?;
        let name = made.metadata.get("cnpg.io/backup-name").cloned().unwrap_or_default();
        let left = end.world.get(&crate::chart::object(crate::chart::CNPG, "Backup", &name)).is_some();
        if end.done && (left || end.world.all(crate::chart::CNPG, "Backup").count() + 1 < before) {
            return Err(run.wrong("the cleanup left the operator's Backup, or took another"));
        }
        return Ok(run.walked);
    }
    if scene.mode != Mode::Restore {
        return Ok(run.walked);
    }
    let apps: &[&str] = if scene.copy { &[SOURCE, COPY] } else { &[SOURCE] };
    // Whether retention has left what is to be restored.
    let kept = backup.as_ref().is_some_and(|b| {
        let name = b.metadata.get("cnpg.io/backup-name").map_or("", String::as_str);
        world.get(&crate::chart::object(crate::chart::CNPG, "Backup", name)).is_some()
    });
    if let Some(left) = left {
        // The next restore of this target finds what this one left behind.
        let mut request = scene.request(Mode::Restore, "run-2", &uid(2), backup.clone());
        let mut second = scene.clone();
        if rng.chance(50) {
            second.options = Scene::options(&mut rng, scene.managed, scene.without_release);
        }
        let (options, asked) = match second.options == scene.options {
            true => (options, asked),
            false => self::options(&second, &world, &site, backup.as_ref()),
        };
        let reachable = is_reachable(&scene, &site, backup.as_ref(), asked);
        request.options = Some(options);
        request.inherited = Some(left);
        let calm = rng.chance(50);
        let rng = Rng::of(rng.below(u64::MAX));
        if calm {
            site.settle(&mut world, apps);
        }
        let end = run.drive(rng, (world, site), request, step(), How { asked, held, disturbed: !calm })?;
        if calm && !end.done && !meddled && kept && reachable && second.is_possible() {
            return Err(run.wrong("nothing disturbed the second restore, and it did not end well"));
        }
        return Ok(run.walked);
    }
    if done && rng.chance(20) {
        // The same once more: the values that it writes are there already.
        site.settle(&mut world, apps);
        let mut request = scene.request(Mode::Restore, "run-5", &uid(5), backup.clone());
        request.options = Some(options.clone());
        let again = Rng::of(rng.below(u64::MAX));
        let end = run.drive(again, (world, site), request, step(), How { asked, held, disturbed: false })?;
        if !end.done && !meddled && kept && scene.is_possible() {
            return Err(run.wrong("nothing disturbed the restore that was repeated, and it did not end well"));
        }
        return Ok(run.walked);
    }
    if done && !scene.copy && rng.chance(30) {
        // What was restored can be backed up again.
        site.settle(&mut world, apps);
        let request = scene.request(Mode::Backup, "after", &uid(4), None);
        let undisturbed = Rng::of(rng.below(u64::MAX));
        let usable = world.get(&cluster(SOURCE)).is_some() && !scene.without_keys;
        let end = run.drive(
            undisturbed,
            (world, site),
            request,
            step(),
            How { asked: Asked::Backup, held, disturbed: false },
        )?;
        if usable && !end.done {
            return Err(run.wrong("after the restore no backup can be made"));
        }
    }
    Ok(run.walked)
}

/// Whether what is asked for is in the archive, or, of a source that lives on, comes into it.
fn is_reachable(scene: &Scene, site: &Site, backup: Option<&Backup>, asked: Asked) -> bool {
    let archive = backup.and_then(|b| site.archives.get(&source_of(b))).cloned().unwrap_or_default();
    match asked {
        Asked::Time(at) => at < archive.last_commit && archive.bases.iter().any(|(stop, _)| *stop <= at),
        // A copy of a source that does nothing ends in the want of a commit.
        Asked::Backup => !scene.copy || scene.busy,
        Asked::Latest => true,
    }
}

/// The options with times in them, and the moment asked for.
fn options(scene: &Scene, world: &World, site: &Site, backup: Option<&Backup>) -> (serde_json::Value, Asked) {
    let mut options = scene.options.clone();
    let Some(backup) = backup else { return (json!({}), Asked::Backup) };
    let archive = site.archives.get(&source_of(backup)).cloned().unwrap_or_default();
    let stop = archive.bases.first().map_or(0, |(stop, _)| *stop);
    let at = match options["recoveryTime"].as_str() {
        Some("in between") => Some((stop + archive.last_commit.max(stop)) / 2),
        Some(_) => Some(world.now() + 86_400),
        None => {
            options.as_object_mut().map(|o| o.remove("recoveryTime"));
            None
        }
    };
    if let Some(at) = at {
        options["recoveryTime"] = json!(rfc3339(at));
    }
    let asked = match at {
        Some(at) => Asked::Time(at),
        None if options["recoveryTarget"] == "latest" => Asked::Latest,
        None => Asked::Backup,
    };
    (options, asked)
}
