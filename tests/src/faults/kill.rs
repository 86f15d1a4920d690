//! Kills the real program with SIGKILL at one moment after another, and restarts it each time.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::compare::Snapshot;
use super::course::Progress;
use super::ground::TO_THE_END;
use super::judge::Judge;
use super::plan::Scenario;
use super::play::Harness;
use super::stage::Stage;
use crate::controller;

/// Ends that are judged at once.
const AT_ONCE: usize = 24;

/// The program; dropping it is a SIGKILL.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // If it has ended by itself, its end shows in the unfinished runs.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns when the program is killed for the nth time: a quarter of the moments is in its start, which takes the longer the more
/// objects there are, and the others are from its first work to beyond its last.
fn moment(nth: u32, moments: u32, idle: Duration, length: Duration) -> Duration {
    let early = moments / 4;
    if nth <= early {
        return idle * nth / early.max(1);
    }
    idle + length.saturating_sub(idle) * (nth - early) / (moments - early - 1).max(1)
}

/// Waits until a run of these scenarios has begun, and returns how long after `began` that was.
async fn first_work(stages: &[Stage], began: Instant) -> Duration {
    let mut every = tokio::time::interval(Duration::from_millis(50));
    loop {
        every.tick().await;
        for stage in stages {
            if stage.progress().await.is_ok_and(|progress| progress != Progress::Before) {
                return began.elapsed();
            }
        }
        if began.elapsed() > TO_THE_END {
            return began.elapsed();
        }
    }
}

/// The result of killing the program.
#[derive(Debug, Default)]
pub struct Struck {
    /// The faults at the end, one a line.
    pub wrong: Vec<String>,
    /// Number of runs that had not begun at a kill.
    pub before: usize,
    /// Number of runs that had begun and not ended at a kill.
    pub midway: usize,
    /// Number of runs that had ended at a kill.
    pub over: usize,
    /// How long the undisturbed program takes.
    pub undisturbed: Duration,
}

impl Harness {
    fn program(&self) -> Program {
        // The program is beside the folder of this test.
        let program = std::env::current_exe().expect("this test has a path");
        let program = program.parent().expect("it is in a folder").with_file_name("backstay");
        let started = Command::new(&program)
            .args([
                "run",
                "--http-bind",
                "127.0.0.1:0",
                "--recheck",
                "3s",
                "--job-ttl",
                "1h",
                "--log",
                "error,kube=off",
            ])
            .args(controller::UNGUARDED.iter().flat_map(|name| ["--allow-unguarded", name]))
            .arg("--components")
            .arg(&self.components)
            .arg("--code-cache")
            .arg(backstay_testing::target_dir().join("test-code-cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        Program(started.unwrap_or_else(|e| panic!("{} does not start: {e}", program.display())))
    }

    /// Starts one run of each scenario.
    async fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for scenario in Scenario::ALL {
            stages.push(self.ground.stage(&self.namespace(), controller::NAMESPACE, scenario).await);
        }
        for stage in &stages {
            stage.cue().await;
        }
        stages
    }

    /// Starts all scenarios and the program `moments` times, and kills the program each time a little later, from its start
    /// to beyond the end of an undisturbed run. The next program goes on with its runs; the last one is not killed.
    ///
    /// # Panics
    /// The program cannot be started, or the undisturbed run has faults.
    pub async fn kill_at(&self, moments: u32) -> Struck {
        let (undisturbed, idle, length) = self.undisturbed().await;
        let mut struck = Struck { undisturbed: length, ..Struck::default() };
        let mut all = Vec::new();
        for nth in 1..=moments {
            let stages = self.stages().await;
            let moment = moment(nth, moments, idle, length);
            let program = self.program();
            let at = Instant::now() + moment;
            // The others' part of the scenario goes on meanwhile.
            let going = join_all(stages.iter().map(|stage| stage.ends(false, TO_THE_END)));
            let _ = tokio::time::timeout_at(at, going).await;
            tokio::time::sleep_until(at).await;
            drop(program);
            for stage in stages {
                match stage.progress().await.expect("the objects can be read") {
                    Progress::Before => struck.before += 1,
                    Progress::Midway => struck.midway += 1,
                    Progress::Over => struck.over += 1,
                }
                all.push((moment, stage));
            }
        }
        let program = self.program();
        let judged = all.iter().map(|(moment, stage)| {
            let (_, snapshot) =
                undisturbed.iter().find(|(s, _)| *s == stage.scenario).expect("every scenario has one");
            async move {
                let mut broken = Vec::new();
                broken.extend(stage.ends(false, TO_THE_END).await.err());
                self.comes_to_rest(stage, &Judge::Like(snapshot), &mut broken).await;
                let about = format!("{}, killed after {} ms", stage.scenario.word(), moment.as_millis());
                broken.into_iter().map(|line| format!("{about}: {line}")).collect::<Vec<_>>()
            }
        });
        let judged: Vec<_> = stream::iter(judged).buffer_unordered(AT_ONCE).collect().await;
        drop(program);
        struck.wrong = judged.into_iter().flatten().collect();
        struck
    }

    /// Returns the end of the undisturbed program, the time from its start to its first work, and that to its end.
    async fn undisturbed(&self) -> (Vec<(Scenario, Snapshot)>, Duration, Duration) {
        let stages = self.stages().await;
        let began = Instant::now();
        let program = self.program();
        let ends = join_all(stages.iter().map(|stage| stage.ends(false, TO_THE_END)));
        let (ends, idle) = futures::join!(ends, first_work(&stages, began));
        let length = began.elapsed();
        let mut left = Vec::new();
        for (stage, end) in stages.iter().zip(ends) {
            let mut broken = Vec::new();
            broken.extend(end.err());
            left.push((stage.scenario, self.comes_to_rest(stage, &Judge::Absolute, &mut broken).await));
            assert!(broken.is_empty(), "{} is wrong without any trouble: {broken:?}", stage.scenario.word());
        }
        drop(program);
        (left, idle, length)
    }

    async fn comes_to_rest(&self, stage: &Stage, judge: &Judge<'_>, broken: &mut Vec<String>) -> Snapshot {
        let ground = &self.ground;
        let snapshot = ground.rest(stage, judge, || ground.census.changed(&stage.namespace), broken).await;
        broken.extend(stage.touched(&super::plan::Trouble::None).await);
        snapshot
    }
}
