//! Measures the controller beside the state that years of backups leave: finished BackupJobs, Backups, private records, Plans and
//! namespaces, none of which means work. With a second program, the build before, everything is measured with both in one run.
//!
//! Started by `tests/bench/run scale-state`, within the network of a test cluster that writes an audit log.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use backstay_api::{API_VERSION, BackupJob};
use backstay_core::steps::private_name;
use backstay_tests::figures::{Figure, Figures, Unit};
use backstay_tests::load::{
    Ground, Program, Result, STRATEGIES, all, at, create, ground, in_time, object, succeeded,
};
use clap::Parser;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

/// The simulated node.
const NODE: &str = "bench";
/// The namespace of new runs.
const NEW: &str = "bench-new";
/// How long a controller is watched after it is ready: it has made its hourly passes then.
const AFTER: Duration = Duration::from_secs(60);
/// How often the probe is asked.
const PROBE: Duration = Duration::from_millis(10);

/// Measures the controller beside what years of backups leave.
#[derive(Debug, Parser)]
struct Args {
    /// The controller's program
    #[arg(long)]
    program: PathBuf,
    /// Folder with its strategy components
    #[arg(long)]
    components: PathBuf,
    /// Another build of it, to compare with
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Finished BackupJobs, and as many Backups, in this order
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    finished: Vec<usize>,
    /// Namespaces over which they are spread
    #[arg(long, default_value_t = 10_000)]
    namespaces: usize,
    /// Plans
    #[arg(long, default_value_t = 1000)]
    plans: usize,
    /// New runs, one at a time
    #[arg(long, default_value_t = 30)]
    runs: usize,
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut bench = Bench { ground: ground(NODE).await?, args, runs: 0 };
    bench.ground.job_strategy("bench", NODE).await;
    bench.ground.namespace(NEW, std::iter::once("app".to_owned())).await?;

    let mut states = vec![bench.both().await?];
    let (mut filled, revision) = (0, bench.revision().await?);
    for finished in bench.args.finished.clone() {
        let began = Instant::now();
        bench.fill(filled..finished, &revision).await?;
        filled = finished;
        println!("{finished} finished runs after {:.0} s", began.elapsed().as_secs_f64());
        states.push(bench.both().await?);
    }
    println!("\n{}", figures(&bench.args.finished, &states).text());
    Ok(())
}

/// One controller in one state of the cluster.
struct Measured {
    ready: Duration,
    resident: u64,
    requests: usize,
    probe: Duration,
    slowest: Duration,
    run: Duration,
    /// The longest that the thread which reconciles was kept, and by what; of a build that tells.
    kept: Option<(Duration, String)>,
}

/// The build before, if there is one, and this one.
struct Both {
    before: Option<Measured>,
    now: Measured,
}

fn figures(finished: &[usize], states: &[Both]) -> Figures {
    let mut figures = Figures::default();
    let sizes = std::iter::once(0).chain(finished.iter().copied());
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    for (size, both) in sizes.clone().zip(states) {
        let mut add = |name: &str, unit, wanted, of: &dyn Fn(&Measured) -> Option<f64>| {
            let now = of(&both.now);
            let before = both.before.as_ref().and_then(of);
            if let Some(now) = now {
                figures.add(Figure { name: format!("{size}: {name}"), unit, now, before, wanted });
            }
        };
        add("start to ready", Unit::Milliseconds, "10 s", &|m| Some(millis(m.ready)));
        add("resident", Unit::Megabytes, "a quarter", &|m| Some(mb(m.resident)));
        add("requests until a minute after it is ready", Unit::Number, "", &|m| Some(count(m.requests)));
        add("/livez, p99", Unit::Milliseconds, "20 ms", &|m| Some(millis(m.probe)));
        add("/livez, slowest", Unit::Milliseconds, "", &|m| Some(millis(m.slowest)));
        add("a new run, p50", Unit::Milliseconds, "1.2 of an empty cluster's", &|m| Some(millis(m.run)));
        let kept = both.now.kept.as_ref().map(|(_, by)| by.clone()).unwrap_or_default();
        add(&format!("longest stall ({kept})"), Unit::Milliseconds, "50 ms", &|m| {
            m.kept.as_ref().map(|(kept, _)| millis(*kept))
        });
    }
    if let (Some(first), Some(last), Some(most)) = (states.first(), states.last(), finished.last()) {
        let of = |get: &dyn Fn(&Measured) -> f64| {
            let ratio = |last: &Measured, first: &Measured| get(last) / get(first);
            let before = last.before.as_ref().zip(first.before.as_ref()).map(|(l, f)| ratio(l, f));
            (before, ratio(&last.now, &first.now))
        };
        let (before, now) = of(&|m| m.run.as_secs_f64());
        let name = format!("a new run beside {most}, to one beside none");
        figures.add(Figure { name, unit: Unit::Ratio, now, before, wanted: "1.2" });
    }
    figures
}

#[allow(clippy::cast_precision_loss)]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

struct Bench {
    ground: Ground,
    args: Args,
    /// New runs so far.
    runs: usize,
}

impl Bench {
    async fn both(&mut self) -> Result<Both> {
        let before = match self.args.peer.clone() {
            Some(peer) => Some(self.measured(&peer).await?),
            None => None,
        };
        let now = self.measured(&self.args.program.clone()).await?;
        Ok(Both { before, now })
    }

    #[allow(clippy::print_stdout)]
    async fn measured(&mut self, program: &std::path::Path) -> Result<Measured> {
        // What the first start in a state has to write is written, and code is compiled.
        drop(self.start(program).await?);
        let audited = std::fs::metadata(&self.ground.audit)?.len();
        let (running, ready) = self.start(program).await?;
        let (mut probes, until) = (Vec::new(), Instant::now() + AFTER);
        let mut every = tokio::time::interval(PROBE);
        while Instant::now() < until {
            every.tick().await;
            let asked = Instant::now();
            // A controller that stands still for a minute says so, and that is what is measured.
            if let Err(error) = running.get("/livez").await {
                println!("{}: {error}", program.display());
            }
            probes.push(asked.elapsed());
        }
        let requests = self.requests(audited)?;
        let resident = running.settled_memory().await?;
        let run = self.new_runs().await?;
        let kept = kept(&running.get("/metrics").await?);
        let slowest = probes.iter().max().copied().unwrap_or_default();
        Ok(Measured { ready, resident, requests, probe: at(&probes, 99), slowest, run, kept })
    }

    async fn start(&self, program: &std::path::Path) -> Result<(Program, Duration)> {
        let ground = &self.ground;
        Program::start(program, &self.args.components, &ground.code, &ground.kubeconfig).await
    }

    /// Counts the controller's requests in the audit log after this length, watches apart.
    fn requests(&self, since: u64) -> Result<usize> {
        let log = std::fs::read(&self.ground.audit)?;
        let new = log.get(usize::try_from(since)?..).unwrap_or_default();
        let entries =
            new.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        Ok(entries
            .filter(|entry| entry["verb"] != "watch" && entry["objectRef"]["resource"] != "leases")
            .count())
    }

    /// Runs one at a time, and returns the median from creation to success.
    async fn new_runs(&mut self) -> Result<Duration> {
        let api: Api<BackupJob> = Api::namespaced(self.ground.client.clone(), NEW);
        let mut times = Vec::new();
        for _ in 0..self.args.runs {
            self.runs += 1;
            let name = format!("new-{}", self.runs);
            let run = json!({"apiVersion": API_VERSION, "kind": "BackupJob", "metadata": {"name": name.clone()},
                "spec": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "app"},
                    "backupClassName": "bench"}});
            let ended = all(api.clone(), 1, |job: &BackupJob| {
                job.metadata.name.as_deref() == Some(&name) && succeeded(job)
            });
            let began = Instant::now();
            let both = async { tokio::try_join!(ended, create(api.clone(), std::iter::once(run))) };
            in_time(both).await?;
            times.push(began.elapsed());
        }
        Ok(at(&times, 50))
    }

    /// Returns the revision of the strategy that the new runs have used.
    async fn revision(&self) -> Result<String> {
        let api: Api<BackupJob> = Api::namespaced(self.ground.client.clone(), NEW);
        let run = api.get("new-1").await?;
        let record = run.status.and_then(|status| status.run);
        Ok(record.and_then(|record| record.strategy_revision).ok_or("the first run has no revision")?)
    }

    /// Writes what so many runs leave, one request an object: the CRDs have no subresource meanwhile.
    async fn fill(&self, numbers: std::ops::Range<usize>, revision: &str) -> Result<()> {
        let of = |number: usize| format!("tenant-{}", number % self.args.namespaces);
        if numbers.start == 0 {
            let namespaces =
                (0..self.args.namespaces).map(|number| json!({"metadata": {"name": of(number)}}));
            create(Api::<Namespace>::all(self.ground.client.clone()), namespaces).await?;
        }
        self.subresource(false).await?;
        let now = jiff::Timestamp::now();
        let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "app"});
        let strategy = json!({"apiGroup": STRATEGIES, "kind": "Job", "name": "bench"});
        let condition = |reason: &str| {
            json!({"type": "Ready", "status": "True", "reason": reason, "message": "backup Job completed",
                "lastTransitionTime": now, "observedGeneration": 1})
        };
        let run = |number: usize| format!("00000000-0000-4000-8000-{number:012x}");
        let job = |number: usize| {
            json!({"apiVersion": API_VERSION, "kind": "BackupJob",
                "metadata": {"name": format!("nightly-{number}"), "namespace": of(number),
                    "annotations": {"backstay.dev/begun": format!("nightly-{number}/{}", run(number))}},
                "spec": {"applicationRef": application, "backupClassName": "bench"},
                "status": {"phase": "Succeeded", "startedAt": now, "completedAt": now, "observedGeneration": 1,
                    "message": "backup Job completed", "backupRef": {"name": format!("nightly-{number}")},
                    "conditions": [condition("BackupCompleted")],
                    "run": {"applicationRef": application, "strategyRef": strategy, "strategyRevision": revision}}})
        };
        let backup = |number: usize| {
            let private = number.is_multiple_of(4).then(|| private_name(&run(number)));
            json!({"apiVersion": API_VERSION, "kind": "Backup",
                "metadata": {"name": format!("nightly-{number}"), "namespace": of(number),
                    "labels": {"backstay.dev/run-uid": run(number), "backstay.dev/strategy-revision": revision},
                    "annotations": {"backstay.dev/recorded": json!({"strategyRevision": revision}).to_string()}},
                "spec": {"applicationRef": application, "strategyRef": strategy, "takenAt": now},
                "status": {"phase": "Ready", "strategyRevision": revision, "privateData": private,
                    "conditions": [condition("BackupReady")],
                    "artifact": {"uri": format!("s3://store/{number}"), "sizeBytes": 4096}}})
        };
        let records = numbers.clone().filter(|number| number.is_multiple_of(4)).map(|number| {
            json!({"metadata": {"name": private_name(&run(number)), "labels": {
                "backstay.dev/record": "private", "backstay.dev/run-uid": run(number)}}})
        });
        create(Api::<Secret>::namespaced(self.ground.client.clone(), "backstay-system"), records).await?;
        if numbers.start == 0 {
            let plan = |number: usize| {
                json!({"apiVersion": API_VERSION, "kind": "Plan",
                    "metadata": {"name": "yearly", "namespace": of(number)},
                    "spec": {"applicationRef": application, "backupClassName": "bench",
                        "schedule": {"cron": "0 3 1 1 *"}}})
            };
            self.write("plans", (0..self.args.plans).map(plan)).await?;
        }
        self.write("backupjobs", numbers.clone().map(job)).await?;
        self.write("backups", numbers.map(backup)).await?;
        self.subresource(true).await
    }

    /// Creates objects in the namespaces that they name.
    async fn write(&self, plural: &str, objects: impl Iterator<Item = Value>) -> Result<()> {
        let made = objects.map(|object| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let path = format!("/apis/{API_VERSION}/namespaces/{namespace}/{plural}");
            (path, object)
        });
        backstay_tests::load::post(&self.ground.client, made).await
    }

    /// Has the CRDs of runs and Backups have a subresource of the status, or none.
    async fn subresource(&self, has: bool) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.ground.client.clone());
        for plural in ["backupjobs", "backups"] {
            let name = format!("{plural}.backups.cozystack.io");
            let mut crd = api.get(&name).await?;
            for version in &mut crd.spec.versions {
                version.subresources = has.then(|| object(json!({"status": {}}))).transpose()?;
            }
            api.replace(&name, &PostParams::default(), &crd).await?;
        }
        self.is_kept(!has).await
    }

    /// Waits until the status of an object is kept, or not, when the object is created.
    async fn is_kept(&self, wanted: bool) -> Result<()> {
        for (plural, kind) in [("backupjobs", "BackupJob"), ("backups", "Backup")] {
            let gvk = GroupVersionKind::gvk("backups.cozystack.io", "v1alpha1", kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let api: Api<DynamicObject> = Api::namespaced_with(self.ground.client.clone(), NEW, &resource);
            let reference = json!({"apiGroup": STRATEGIES, "kind": "Job", "name": "bench"});
            let probe: DynamicObject =
                object(json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "probe"},
                "spec": {"applicationRef": reference, "strategyRef": reference, "backupClassName": "none",
                    "takenAt": jiff::Timestamp::now()}, "status": {"phase": "Failed"}}))?;
            let params = PostParams { dry_run: true, ..PostParams::default() };
            let mut every = tokio::time::interval(Duration::from_millis(100));
            in_time(async {
                loop {
                    every.tick().await;
                    let made = api.create(&params, &probe).await?;
                    if made.data.get("status").is_some() == wanted {
                        return Ok(());
                    }
                }
            })
            .await?;
        }
        Ok(())
    }
}

/// Returns the longest that a task kept the thread, and which, from the metrics.
fn kept(metrics: &str) -> Option<(Duration, String)> {
    let kept = metrics.lines().filter_map(|line| {
        let (of, seconds) = line.strip_prefix("backstay_longest_poll_seconds{part=\"")?.split_once("\"} ")?;
        Some((Duration::try_from_secs_f64(seconds.trim().parse().ok()?).ok()?, of.to_owned()))
    });
    kept.max()
}
