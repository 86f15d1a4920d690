//! Measures the controller at scale: many runs at once on a simulated node, compared with as many bare Jobs. With a second program,
//! the build before, everything is measured with both in one run.
//!
//! Started by `tests/bench/run`, within the network of a test cluster that writes an audit log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstay_api::BackupJob;
use backstay_tests::figures::{Figure, Figures, Unit};
use backstay_tests::load::{
    Ground, Program, Result, Seen, all, at, complete, create, ground, in_time, succeeded, template,
};
use clap::Parser;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde_json::{Value, json};

/// The simulated node.
const NODE: &str = "bench";
/// Number of sequential runs.
const ALONE: usize = 20;
/// How long an idle controller is measured.
const IDLE: Duration = Duration::from_secs(30);
/// A cluster with fewer writes a second is quiet; leases are always written.
const QUIET: u64 = 5;

/// Measures the controller at scale.
#[derive(Debug, Parser)]
struct Args {
    /// The controller's program
    #[arg(long)]
    program: PathBuf,
    /// Another build of it, to compare with
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Folder with the strategy components
    #[arg(long)]
    components: PathBuf,
    /// How many at once, in this order
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    runs: Vec<usize>,
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let bench = Bench { ground: ground(NODE).await?, args };
    bench.ground.job_strategy("bench", NODE).await;

    let before = match &bench.args.peer {
        Some(peer) => Some(bench.measured("before", peer).await?),
        None => None,
    };
    let now = bench.measured("now", &bench.args.program).await?;
    println!("\n{}", figures(&now, before.as_ref()).text());
    Ok(())
}

/// What was measured of a program.
struct Measured {
    /// Start to ready, with nothing compiled and with everything.
    cold: Duration,
    warm: Duration,
    /// From the end of a Job to that of its run, one run at a time.
    alone: Duration,
    waves: Vec<Wave>,
    /// Requests of an idle controller, watches apart.
    idle: usize,
}

/// So many at once.
struct Wave {
    number: usize,
    /// Bare Jobs, all complete.
    bare: Duration,
    /// Runs, all succeeded.
    runs: Duration,
    /// From the end of a Job to that of its run.
    latencies: Vec<Duration>,
    traffic: Traffic,
    /// Seconds of the controller's CPU.
    cpu: f64,
    /// Most resident memory so far.
    peak: u64,
}

#[allow(clippy::cast_precision_loss)]
fn figures(now: &Measured, before: Option<&Measured>) -> Figures {
    let mut figures = Figures::default();
    let mut add = |name: String, unit, wanted, of: &dyn Fn(&Measured) -> f64| {
        figures.add(Figure { name, unit, now: of(now), before: before.map(of), wanted });
    };
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    add("start to ready, nothing compiled".into(), Unit::Milliseconds, "", &|m| millis(m.cold));
    add("start to ready, code cached".into(), Unit::Milliseconds, "", &|m| millis(m.warm));
    add("one at a time: Job Complete to Succeeded, p50".into(), Unit::Milliseconds, "30 ms", &|m| {
        millis(m.alone)
    });
    for (place, wave) in now.waves.iter().enumerate() {
        let many = wave.number >= 1000;
        let mut add = |name: &str, unit, wanted, of: &dyn Fn(&Wave) -> f64| {
            add(format!("{} at once: {name}", wave.number), unit, wanted, &|m| of(&m.waves[place]));
        };
        let each = |total: usize, wave: &Wave| total as f64 / wave.number as f64;
        add("bare Jobs, all Complete", Unit::Milliseconds, "", &|w| millis(w.bare));
        add("runs, all Succeeded", Unit::Milliseconds, "", &|w| millis(w.runs));
        add("runs to bare Jobs", Unit::Ratio, "1.8", &|w| w.runs.as_secs_f64() / w.bare.as_secs_f64());
        let (p50, p99) = if many { ("300 ms", "2 s") } else { ("100 ms", "500 ms") };
        add("Job Complete to Succeeded, p50", Unit::Milliseconds, p50, &|w| millis(at(&w.latencies, 50)));
        add("the same, p99", Unit::Milliseconds, p99, &|w| millis(at(&w.latencies, 99)));
        add("API reads a run", Unit::Ratio, "1", &|w| each(w.traffic.reads, w));
        add("API writes a run, Events apart", Unit::Ratio, "6", &|w| each(w.traffic.writes, w));
        add("Events a run", Unit::Ratio, "", &|w| each(w.traffic.events, w));
        let cpu = if many { "4 s" } else { "" };
        add("CPU of the controller", Unit::Milliseconds, cpu, &|w| w.cpu * 1e3);
        add("resident memory, highest so far", Unit::Megabytes, "80 MB", &|w| w.peak as f64 / 1e6);
    }
    let idle = format!("requests of an idle controller in {} s, watches apart", IDLE.as_secs());
    add(idle, Unit::Number, "0", &|m| m.idle as f64);
    figures
}

struct Bench {
    ground: Ground,
    args: Args,
}

impl Bench {
    /// Measures a program. The namespaces of its runs begin with `build`.
    #[allow(clippy::print_stderr)]
    async fn measured(&self, build: &str, program: &Path) -> Result<Measured> {
        let (first, cold) = self.controller(build, program).await?;
        drop(first);
        let (mut program, warm) = self.controller(build, program).await?;
        let alone = at(&self.one_at_a_time(build).await?, 50);
        let mut waves = Vec::new();
        for number in self.args.runs.clone() {
            let wave = self.wave(build, number, &mut program).await?;
            let requests: Vec<_> =
                wave.traffic.most.iter().map(|(what, number)| format!("{number} {what}")).collect();
            eprintln!("{build}: {number} at once: requests: {}", requests.join(", "));
            waves.push(wave);
        }
        Ok(Measured { cold, warm, alone, waves, idle: self.idle().await? })
    }

    /// Starts a controller with a code cache of its build, and returns it with the time until it was ready.
    async fn controller(&self, build: &str, program: &Path) -> Result<(Program, Duration)> {
        let (args, ground) = (&self.args, &self.ground);
        let code = ground.code.join(build);
        Program::start(program, &args.components, &code, &ground.kubeconfig).await
    }

    /// Creates a namespace with applications `app-0`, `app-1` and so on.
    async fn namespace(&self, name: &str, applications: usize) -> Result<()> {
        self.ground.namespace(name, (0..applications).map(|i| format!("app-{i}"))).await
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.ground.client.clone(), namespace)
    }

    async fn one_at_a_time(&self, build: &str) -> Result<Vec<Duration>> {
        let namespace = &format!("{build}-alone");
        self.namespace(namespace, ALONE).await?;
        let mut latencies = Vec::new();
        for i in 0..ALONE {
            let both = async {
                tokio::try_join!(
                    all(self.api::<Job>(namespace), i + 1, complete),
                    all(self.api::<BackupJob>(namespace), i + 1, succeeded),
                    create(self.api::<BackupJob>(namespace), std::iter::once(run(i))),
                )
            };
            let (jobs, runs, ()) = in_time(both).await?;
            let name = format!("run-{i}");
            latencies.extend(latency(&jobs, &runs, &name));
        }
        Ok(latencies)
    }

    /// Measures `number` bare Jobs, then as many runs.
    async fn wave(&self, build: &str, number: usize, program: &mut Program) -> Result<Wave> {
        let bare = format!("{build}-bare-{number}");
        self.namespace(&bare, 0).await?;
        let job = |i: usize| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("run-{i}")},
                "spec": {"backoffLimit": 0, "template": template(NODE)}})
        };
        in_time(self.quiet()).await?;
        let began = Instant::now();
        let jobs = async {
            tokio::try_join!(
                all(self.api::<Job>(&bare), number, complete),
                create(self.api::<Job>(&bare), (0..number).map(job)),
            )
        };
        in_time(jobs).await?;
        let bare = began.elapsed();

        let namespace = format!("{build}-runs-{number}");
        self.namespace(&namespace, number).await?;
        in_time(self.quiet()).await?;
        let audited = self.audit_length()?;
        let before = program.usage()?;
        let began = Instant::now();
        let runs = async {
            tokio::try_join!(
                all(self.api::<Job>(&namespace), number, complete),
                all(self.api::<BackupJob>(&namespace), number, succeeded),
                create(self.api::<BackupJob>(&namespace), (0..number).map(run)),
            )
        };
        let (jobs, runs, ()) = in_time(runs).await?;
        let total = began.elapsed();
        let after = program.usage()?;
        let traffic = self.traffic(audited)?;
        let latencies = (0..number).filter_map(|i| latency(&jobs, &runs, &format!("run-{i}"))).collect();
        Ok(Wave {
            number,
            bare,
            runs: total,
            latencies,
            traffic,
            cpu: after.cpu - before.cpu,
            peak: after.peak,
        })
    }

    /// Waits until the cluster is quiet: Kubernetes posts Events long after their causes.
    async fn quiet(&self) -> Result<()> {
        const SECONDS: u64 = 2;
        let mut every = tokio::time::interval(Duration::from_secs(SECONDS));
        let namespaces = Api::<Namespace>::all(self.ground.client.clone());
        let mut last = None;
        loop {
            every.tick().await;
            // The resource version of a list counts writes of any kind.
            let list = namespaces.list_metadata(&ListParams::default().limit(1)).await?;
            let now: u64 = list.metadata.resource_version.unwrap_or_default().parse()?;
            if last.replace(now).is_some_and(|last| now < last + QUIET * SECONDS) {
                return Ok(());
            }
        }
    }

    fn audit_length(&self) -> Result<u64> {
        Ok(std::fs::metadata(&self.ground.audit)?.len())
    }

    /// Counts the controller's requests in the audit log after this length.
    fn traffic(&self, since: u64) -> Result<Traffic> {
        let log = std::fs::read(&self.ground.audit)?;
        let new = log.get(usize::try_from(since)?..).unwrap_or_default();
        let mut traffic = Traffic::default();
        let mut kinds: HashMap<String, usize> = HashMap::new();
        for line in new.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let Ok(entry) = serde_json::from_slice::<Value>(line) else { continue };
            let verb = entry["verb"].as_str().unwrap_or_default();
            let about = &entry["objectRef"];
            let resource = about["resource"].as_str().unwrap_or_default();
            let sub = about["subresource"].as_str().map(|s| format!("/{s}")).unwrap_or_default();
            match verb {
                "watch" => continue,
                _ if resource == "events" => traffic.events += 1,
                _ if resource == "leases" => continue,
                "create" | "update" | "patch" | "delete" => traffic.writes += 1,
                // A discovery request, which names no resource.
                _ if resource.is_empty() => traffic.other += 1,
                _ => traffic.reads += 1,
            }
            *kinds.entry(format!("{verb} {resource}{sub}")).or_default() += 1;
        }
        traffic.most = kinds.into_iter().collect();
        traffic.most.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        Ok(traffic)
    }

    /// Counts the requests of an idle controller.
    async fn idle(&self) -> Result<usize> {
        // The last wave has ended once the controller sends no requests for a while.
        let mut every = tokio::time::interval(Duration::from_secs(3));
        let mut length = 0;
        loop {
            every.tick().await;
            let now = self.audit_length()?;
            if now == length {
                break;
            }
            length = now;
        }
        tokio::time::sleep_until(tokio::time::Instant::now() + IDLE).await;
        let traffic = self.traffic(length)?;
        Ok(traffic.reads + traffic.writes + traffic.events + traffic.other)
    }
}

#[derive(Default)]
struct Traffic {
    reads: usize,
    writes: usize,
    events: usize,
    other: usize,
    most: Vec<(String, usize)>,
}

/// Returns the time between the end of a Job and the end of its run, as one watcher saw them.
fn latency(jobs: &Seen, runs: &Seen, name: &str) -> Option<Duration> {
    let job = jobs.0.get(&format!("{name}-backup"))?;
    Some(runs.0.get(name)?.saturating_duration_since(*job))
}

fn run(i: usize) -> Value {
    json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": {"name": format!("run-{i}")}, "spec": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": format!("app-{i}")},
            "backupClassName": "bench"}})
}
