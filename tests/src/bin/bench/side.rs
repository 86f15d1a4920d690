//! The sides that are compared: components in this program, or in another build of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use backstay_core::contract::Mode;
use backstay_engine::{Component, Engine, EngineConfig};
use backstay_testing::Built;

use crate::figures::Subject;
use crate::profile::Profile;
use crate::{Call, Outcome, steps};

/// The name of the render among the subjects.
pub(crate) const RENDER: &str = "render";

/// What can be measured by turns with others.
pub(crate) trait Side {
    /// Measures one round of `calls` calls of each kind.
    fn round(&mut self, calls: usize) -> Outcome<Vec<Subject>>;
}

/// Calls before those that are measured.
pub(crate) fn warm_up(calls: usize) -> usize {
    calls / 3
}

/// Components in this program.
pub(crate) struct Here {
    calls: Vec<(&'static str, Component, Call)>,
}

impl Here {
    /// Loads the components.
    pub(crate) fn load(job: &Path, cnpg: Option<&Path>) -> Outcome<Self> {
        let engine = Engine::new(EngineConfig::default())?;
        let mut calls = vec![(RENDER, engine.load_file(job)?, Call::render()?)];
        if let Some(path) = cnpg {
            let cnpg = Built::load(std::fs::read(path)?);
            for (name, mode) in [("step of a backup", Mode::Backup), ("step of a restore", Mode::Restore)] {
                calls.push((name, cnpg.component().clone(), steps::longest(&cnpg, mode)?));
            }
        }
        Ok(Self { calls })
    }

    /// Prints where the fuel of each call goes; see [`Profile`].
    #[allow(clippy::print_stdout)]
    pub(crate) fn profile(&self, every: u64) -> Outcome<()> {
        for (name, component, call) in &self.calls {
            println!("## {name}\n\n{}", Profile::of(call, component, every)?.text());
        }
        Ok(())
    }
}

impl Side for Here {
    fn round(&mut self, calls: usize) -> Outcome<Vec<Subject>> {
        let mut subjects = Vec::new();
        for (name, component, call) in &self.calls {
            let [times] = timed(calls, || Ok([call.time(component)?]))?;
            let (cost, answer) = call.answer(component)?;
            subjects.push(Subject { cost: Some(cost), answer: Some(answer), ..Subject::of(name, &times) });
            if *name == RENDER {
                let [made, ended] = timed(calls, || instance(component))?;
                subjects.push(Subject::of("an instance alone", &made));
                subjects.push(Subject::of("its end alone", &ended));
            }
        }
        Ok(subjects)
    }
}

fn instance(component: &Component) -> Outcome<[Duration; 2]> {
    let cost = component.measure_instance()?;
    Ok([cost.instantiate, cost.teardown])
}

/// Returns each of the times that `once` returns, without those of the warm-up.
fn timed<const N: usize>(
    calls: usize,
    mut once: impl FnMut() -> Outcome<[Duration; N]>,
) -> Outcome<[Vec<Duration>; N]> {
    let mut all = [const { Vec::new() }; N];
    for _ in 0..warm_up(calls) {
        once()?;
    }
    for _ in 0..calls {
        all.iter_mut().zip(once()?).for_each(|(times, time)| times.push(time));
    }
    Ok(all)
}

/// Components in this program of another build.
pub(crate) struct Peer {
    program: PathBuf,
    job: PathBuf,
    cnpg: Option<PathBuf>,
}

impl Peer {
    pub(crate) fn new(program: &Path, job: &Path, cnpg: Option<&Path>) -> Self {
        Self { program: program.to_owned(), job: job.to_owned(), cnpg: cnpg.map(Path::to_owned) }
    }
}

impl Side for Peer {
    fn round(&mut self, calls: usize) -> Outcome<Vec<Subject>> {
        let mut command = Command::new(&self.program);
        command.arg(&self.job).args(["--machine", "--calls", &calls.to_string()]);
        if let Some(cnpg) = &self.cnpg {
            command.arg("--cnpg").arg(cnpg);
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
