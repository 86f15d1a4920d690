//! The real program, killed with SIGKILL at one moment after the other, and started again each time.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::compare::Snapshot;
use super::course::Progress;
use super::judge::Judge;
use super::plan::Scenario;
use super::play::{TO_THE_END, Theatre};
use super::stage::Stage;
use crate::controller;

/// Ends that are judged at once.
const AT_ONCE: usize = 24;

/// The program; dropping it is a SIGKILL.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill, and its end shows in what is not done.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What came of killing the program.
#[derive(Debug, Default)]
pub struct Struck {
    /// What is wrong at the end, a line each.
    pub wrong: Vec<String>,
    /// How many runs had not begun when it was killed.
    pub before: usize,
    /// How many had begun and not ended.
    pub midway: usize,
    /// How many had ended.
    pub over: usize,
    /// How long the program takes when it is left alone.
    pub undisturbed: Duration,
}

impl Theatre {
    fn program(&self) -> Program {
        // Beside the folder of this test.
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

    /// One of each scenario, with its cue given.
    async fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for scenario in Scenario::ALL {
            let (client, namespace) = (self.client.clone(), self.namespace());
            stages.push(Stage::set(client, &namespace, controller::NAMESPACE, scenario, &self.pins).await);
        }
        for stage in &stages {
            stage.cue().await;
        }
        stages
    }

    /// As often as `moments` says: all scenarios are given their cue, the program is started and killed, each time a little
    /// later, from the start to beyond the end of a run that is left alone. What it left is the next one's; the last one
    /// is left alone.
    ///
    /// # Panics
    /// When the program cannot be started, or the undisturbed run is wrong.
    pub async fn kill_at(&self, moments: u32) -> Struck {
        let (undisturbed, length) = self.undisturbed().await;
        let mut struck = Struck { undisturbed: length, ..Struck::default() };
        let mut all = Vec::new();
        for nth in 1..=moments {
            let stages = self.stages().await;
            let moment = length * nth / (moments - 1).max(1);
            let program = self.program();
            let at = Instant::now() + moment;
            // What others do in a scenario goes on meanwhile.
            let going = join_all(stages.iter().map(|stage| stage.ends(false, TO_THE_END)));
            let _ = tokio::time::timeout_at(at, going).await;
            tokio::time::sleep_until(at).await;
            drop(program);
            for stage in stages {
                match stage.progress().await.expect("what is there can be read") {
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

    /// What the program leaves when it is left alone, and how long it takes from its start.
    async fn undisturbed(&self) -> (Vec<(Scenario, Snapshot)>, Duration) {
        let stages = self.stages().await;
        let began = Instant::now();
        let program = self.program();
        let ends = join_all(stages.iter().map(|stage| stage.ends(false, TO_THE_END))).await;
        let length = began.elapsed();
        let mut left = Vec::new();
        for (stage, end) in stages.iter().zip(ends) {
            let mut broken = Vec::new();
            broken.extend(end.err());
            left.push((stage.scenario, self.comes_to_rest(stage, &Judge::Absolute, &mut broken).await));
            assert!(broken.is_empty(), "{} is wrong without any trouble: {broken:?}", stage.scenario.word());
        }
        drop(program);
        (left, length)
    }

    async fn comes_to_rest(&self, stage: &Stage, judge: &Judge<'_>, broken: &mut Vec<String>) -> Snapshot {
        let snapshot = self.rest(stage, judge, || self.census.changed(&stage.namespace), broken).await;
        broken.extend(stage.touched(&super::plan::Trouble::None).await);
        snapshot
    }
}
