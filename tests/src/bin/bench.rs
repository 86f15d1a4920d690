//! Measures the cost of a render, and compares it with rendering as in the Go controller.
//!
//! Both sides render the pod template of `tests/bench/typical.json`: the component of the Job strategy, in a fresh
//! sandboxed instance for each render, and `tests/bench/reference`, which renders like the Go controller. They alternate,
//! so that other load hits both, and the best round of each counts. The bench fails unless both render the same.
//! `docs/benchmarks.md` has the instructions and the results.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef, Request};
use backstay_engine::{Component, Engine, EngineConfig};
use serde::Deserialize;

/// Rounds of each side.
const ROUNDS: usize = 5;
/// Renders of a round, and the warm-up renders before it.
const RUNS: usize = 1000;
const WARM: usize = 300;
/// Targets: a render in an eighth of the reference's time, an instance in ten microseconds.
const TIMES_FASTER: f64 = 8.0;
const INSTANTIATE: Duration = Duration::from_micros(10);

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bench COMPONENT.wasm");
        return ExitCode::FAILURE;
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        println!("This is a development build, whose figures mean nothing. Build with --release.\n");
    }
    let reference = Reference::build()?;
    let fixture = Fixture::read()?;
    let engine = Engine::new(EngineConfig::default())?;
    let begun = Instant::now();
    let component = engine.load_file(path)?;
    let load = begun.elapsed();
    let (request, application) = (fixture.request(), &fixture.application);

    let called = component.render(&request, Some(application))?;
    let (fuel, memory) = (called.fuel, called.memory_bytes);
    let ours = called.value.map_err(|failure| failure.message)?.template;
    let theirs = reference.run(0)?.rendered;
    if ours != theirs {
        return Err(format!("the two do not render the same:\nhere {ours}\nGo   {theirs}").into());
    }

    let (mut go, mut render, mut instantiate, mut teardown) = <(Best, Best, Best, Best)>::default();
    for _ in 0..ROUNDS {
        let figures = reference.run(RUNS)?;
        go.take(Figures { p50: micros(figures.p50_micros), p99: micros(figures.p99_micros) });
        render.take(
            measure(|| {
                let begun = Instant::now();
                let rendered =
                    component.render(&request, Some(application)).map(|called| called.value.is_ok());
                Ok([rendered.map(|_| begun.elapsed())?])
            })?[0],
        );
        let [made, ended] = measure(|| instance(&component))?;
        instantiate.take(made);
        teardown.take(ended);
    }

    println!("Best of {ROUNDS} rounds of {RUNS} renders each        p50           p99");
    println!("Go, text/template and slim-sprig  {go}");
    println!("Here, a fresh instance each       {render}");
    println!("  its instantiation alone         {instantiate}   (wanted: p50 at most {INSTANTIATE:?})");
    println!("  its teardown alone              {teardown}");
    let times = go.p50().as_secs_f64() / render.p50().as_secs_f64();
    println!("Times faster                      {times:>10.1}                 (wanted: {TIMES_FASTER:.0})\n");
    println!("Fuel of a render           {fuel:>10}");
    println!("Linear memory of a render  {:>10} KB", memory / 1000);
    println!("Size of the component      {:>10} KB", component.size() / 1000);
    println!("Compiled and loaded in     {:>10} ms", load.as_millis());
    Ok(())
}

fn instance(component: &Component) -> Result<[Duration; 2], Box<dyn Error>> {
    let cost = component.measure_instance()?;
    Ok([cost.instantiate, cost.teardown])
}

/// Returns percentiles of each of the times that `once` returns.
fn measure<const N: usize>(
    mut once: impl FnMut() -> Result<[Duration; N], Box<dyn Error>>,
) -> Result<[Figures; N], Box<dyn Error>> {
    let mut walls = [const { Vec::new() }; N];
    for round in 0..WARM + RUNS {
        let times = once()?;
        if round >= WARM {
            walls.iter_mut().zip(times).for_each(|(walls, time)| walls.push(time));
        }
    }
    Ok(walls.map(|mut walls| {
        walls.sort_unstable();
        let at = |percent: usize| walls[(walls.len() * percent / 100).min(walls.len() - 1)];
        Figures { p50: at(50), p99: at(99) }
    }))
}

/// Percentiles of one round.
#[derive(Clone, Copy)]
struct Figures {
    p50: Duration,
    p99: Duration,
}

/// Returns the round with the lowest median, which other load disturbed least.
#[derive(Default)]
struct Best(Option<Figures>);

impl Best {
    fn take(&mut self, figures: Figures) {
        if self.0.is_none_or(|best| figures.p50 < best.p50) {
            self.0 = Some(figures);
        }
    }

    fn p50(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |best| best.p50)
    }
}

impl fmt::Display for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { p50, p99 } = self.0.unwrap_or(Figures { p50: Duration::ZERO, p99: Duration::ZERO });
        write!(f, "{:>10.1} µs {:>10.1} µs", p50.as_secs_f64() * 1e6, p99.as_secs_f64() * 1e6)
    }
}

fn micros(micros: f64) -> Duration {
    Duration::from_secs_f64(micros / 1e6)
}

/// The program that renders like the Go controller.
struct Reference {
    program: PathBuf,
}

/// Its output.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    rendered: Json,
    p50_micros: f64,
    p99_micros: f64,
}

impl Reference {
    /// Builds the program beside this one.
    fn build() -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?.with_file_name("bench-reference");
        let built = Command::new("go")
            .args(["build", "-trimpath", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(folder().join("reference"))
            .status()
            .map_err(|e| format!("cannot run go, which builds the program to compare with: {e}"))?;
        if built.success() {
            Ok(Self { program })
        } else {
            Err("go could not build tests/bench/reference".into())
        }
    }

    fn run(&self, runs: usize) -> Result<Printed, Box<dyn Error>> {
        let output = Command::new(&self.program)
            .arg("-fixture")
            .arg(folder().join("typical.json"))
            .args(["-runs", &runs.to_string(), "-warm", &WARM.to_string()])
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench")
}

/// Returns the spec to render, like that of a real strategy: some twenty strings, six of them templates.
#[derive(Deserialize)]
struct Fixture {
    strategy: Json,
    application: Json,
    request: RequestFixture,
}

/// Returns the request of a backup.
#[derive(Deserialize)]
struct RequestFixture {
    namespace: String,
    run: String,
    parameters: BTreeMap<String, String>,
}

impl Fixture {
    fn read() -> Result<Self, Box<dyn Error>> {
        Ok(serde_json::from_slice(&std::fs::read(folder().join("typical.json"))?)?)
    }

    fn request(&self) -> Request {
        let text = |pointer: &str| {
            self.application.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        Request {
            mode: Mode::Backup,
            run: backstay_core::backup::run_ref("BackupJob", &self.request.namespace, &self.request.run),
            run_uid: "00000000-0000-0000-0000-000000000000".into(),
            started_at: 1_767_225_600,
            deadline: 1_767_229_200,
            now: 1_767_225_600,
            strategy_kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() },
            strategy: Some(self.strategy.clone()),
            parameters: self.request.parameters.clone(),
            options: None,
            application: ObjectRef {
                api_version: text("/apiVersion"),
                kind: text("/kind"),
                namespace: Some(self.request.namespace.clone()),
                name: text("/metadata/name"),
            },
            backup: None,
            namespaces: [].into(),
            inherited: None,
            cancelled: None,
        }
    }
}
