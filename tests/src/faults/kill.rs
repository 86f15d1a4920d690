//! The real program, killed with SIGKILL at one moment after the other, and started again each time.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::ledger::Snapshot;
use super::plan::Scenario;
use super::play::{Judge, TO_THE_END, Theatre};
use super::stage::Stage;
use crate::controller;

/// The program; dropping it is a SIGKILL.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill, and its end shows in what is not done.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
                "--allow-unguarded",
                controller::UNGUARDED,
                "--recheck",
                "3s",
                "--job-ttl",
                "1h",
                "--log",
                "error",
            ])
            .arg("--components")
            .arg(&self.make.components)
            .arg("--code-cache")
            .arg(backstay_testing::target_dir().join("test-code-cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        Program(started.unwrap_or_else(|e| panic!("{} does not start: {e}", program.display())))
    }

    async fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for scenario in Scenario::ALL {
            let (client, namespace) = (self.client.clone(), self.namespace());
            stages.push(Stage::set(client, &namespace, controller::NAMESPACE, scenario, &self.pins).await);
        }
        stages
    }

    /// For each moment: all scenarios are given their cue, the program is started, and killed that long after. What it
    /// left is the next one's; the last one is left alone. Returns what is then wrong, and how many ends were judged.
    ///
    /// # Panics
    /// When the program cannot be started, or the undisturbed run is wrong.
    pub async fn kill_at(&self, moments: &[Duration]) -> (Vec<String>, usize) {
        let undisturbed = self.undisturbed().await;
        let mut all = Vec::new();
        for moment in moments {
            let stages = self.stages().await;
            for stage in &stages {
                stage.cue().await;
            }
            let program = self.program();
            tokio::time::sleep_until(Instant::now() + *moment).await;
            drop(program);
            all.extend(stages.into_iter().map(|stage| (*moment, stage)));
        }
        let program = self.program();
        let judged = all.iter().map(|(moment, stage)| async {
            let mut broken = Vec::new();
            broken.extend(stage.ends(false, TO_THE_END).await.err());
            let (_, snapshot) =
                undisturbed.iter().find(|(s, _)| *s == stage.scenario).expect("every scenario has one");
            self.rest(stage, &Judge::Like(snapshot), &mut broken).await;
            let about = format!("{}, killed after {} ms", stage.scenario.word(), moment.as_millis());
            broken.into_iter().map(|line| format!("{about}: {line}")).collect::<Vec<_>>()
        });
        let wrong: Vec<String> = join_all(judged).await.into_iter().flatten().collect();
        drop(program);
        (wrong, all.len())
    }

    /// What the program leaves when it is left alone.
    async fn undisturbed(&self) -> Vec<(Scenario, Snapshot)> {
        let stages = self.stages().await;
        let program = self.program();
        let mut left = Vec::new();
        for stage in &stages {
            stage.cue().await;
        }
        for stage in &stages {
            let mut broken = Vec::new();
            broken.extend(stage.ends(false, TO_THE_END).await.err());
            left.push((stage.scenario, self.rest(stage, &Judge::Absolute, &mut broken).await));
            assert!(broken.is_empty(), "{} is wrong without any trouble: {broken:?}", stage.scenario.word());
        }
        drop(program);
        left
    }
}
