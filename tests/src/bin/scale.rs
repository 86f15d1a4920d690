//! Measures the controller at scale: many runs at once on a simulated node, compared with as many bare Jobs.
//!
//! Started by `tests/bench/run`, within the network of a test cluster that writes an audit log.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use backstay_api::BackupJob;
use backstay_tests::load::{
    AT_ONCE, Ground, Program, Result, STRATEGIES, Seen, all, at, complete, create, ground, in_time, ms,
    succeeded, template,
};
use clap::Parser;
use futures::{TryStreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde_json::{Value, json};

/// The simulated node.
const NODE: &str = "bench";
/// Number of finished runs that must cost no memory.
const FINISHED: usize = 5000;
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

    println!("\n## Start\n");
    let (first, cold) = bench.controller().await?;
    drop(first);
    let (mut program, warm) = bench.controller().await?;
    println!("start to ready, nothing compiled     {:>9}", ms(cold));
    println!("start to ready, code cached          {:>9}", ms(warm));
    let empty = program.settled_memory().await?;

    println!("\n## One run at a time\n");
    let latencies = bench.one_at_a_time().await?;
    println!("Job Complete -> Succeeded            p50 {:>9}   (target 30 ms)", ms(at(&latencies, 50)));
    for number in bench.args.runs.clone() {
        bench.wave(number, &mut program).await?;
    }

    println!("\n## Idle\n");
    let requests = bench.idle().await?;
    println!(
        "requests in {} s without work, watches and leases apart: {requests}   (target 0)",
        IDLE.as_secs()
    );
    drop(program);

    println!("\n## {FINISHED} finished runs in the cluster\n");
    let before = bench.args.runs.iter().sum::<usize>() + ALONE;
    let (program, _) = bench.controller().await?;
    let with_some = program.settled_memory().await?;
    drop(program);
    bench.finished_runs(FINISHED).await?;
    let (program, _) = bench.controller().await?;
    let with_many = program.settled_memory().await?;
    println!("resident, cluster empty              {:>6.1} MB", mb(empty));
    println!("resident, {before:>5} finished runs         {:>6.1} MB", mb(with_some));
    println!("resident, {:>5} finished runs         {:>6.1} MB", before + FINISHED, mb(with_many));
    let grown = mb(with_many) - mb(with_some);
    println!("{FINISHED} more cost                       {grown:>6.1} MB   (target 10 MB)");
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

struct Bench {
    ground: Ground,
    args: Args,
}

impl Bench {
    /// Starts a controller, and returns it with the time until it was ready.
    async fn controller(&self) -> Result<(Program, Duration)> {
        let (args, ground) = (&self.args, &self.ground);
        Program::start(&args.program, &args.components, &ground.code, &ground.kubeconfig).await
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

    async fn one_at_a_time(&self) -> Result<Vec<Duration>> {
        let namespace = "bench-alone";
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
    #[allow(clippy::print_stdout, clippy::cast_precision_loss)]
    async fn wave(&self, number: usize, program: &mut Program) -> Result<()> {
        println!("\n## {number} at once\n");
        let bare = format!("bench-bare-{number}");
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

        let namespace = format!("bench-runs-{number}");
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
        let latencies: Vec<_> =
            (0..number).filter_map(|i| latency(&jobs, &runs, &format!("run-{i}"))).collect();
        let of = |total: usize| total as f64 / number as f64;
        println!("bare Jobs, all Complete              {:>9}", ms(bare));
        println!("runs, all Succeeded                  {:>9}", ms(total));
        println!(
            "ratio                                {:>9.2}   (target 1.8)",
            total.as_secs_f64() / bare.as_secs_f64()
        );
        println!(
            "Job Complete -> Succeeded            p50 {:>9}   p99 {:>9}   (target {})",
            ms(at(&latencies, 50)),
            ms(at(&latencies, 99)),
            if number >= 1000 { "300 ms, 2 s" } else { "100 ms, 500 ms" }
        );
        println!("API reads a run                      {:>9.2}   (target 1)", of(traffic.reads));
        println!("API writes a run, Events apart       {:>9.2}   (target 6)", of(traffic.writes));
        println!("Events a run                         {:>9.2}", of(traffic.events));
        println!(
            "controller CPU                       {:>7.2} s   (target 4 s for 1000)",
            after.cpu - before.cpu
        );
        println!("peak resident memory so far          {:>6.1} MB   (target 80 MB)", mb(after.peak));
        for (what, number) in traffic.most {
            println!("    {number:>6} {what}");
        }
        Ok(())
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

    /// Creates runs whose status says that they have ended.
    async fn finished_runs(&self, number: usize) -> Result<()> {
        let namespace = "bench-finished";
        self.namespace(namespace, 0).await?;
        let api = self.api::<BackupJob>(namespace);
        // The class does not exist, so that no run begins before its status is written.
        let waiting = |i: usize| {
            let mut run = run(i);
            run["spec"]["backupClassName"] = json!("none");
            run
        };
        create(api.clone(), (0..number).map(waiting)).await?;
        let now = jiff::Timestamp::now();
        let condition = |type_: &str| {
            json!({"type": type_, "status": "True", "reason": "BackupCompleted", "message": "backup Job completed",
                "lastTransitionTime": now})
        };
        let status = json!({"status": {"phase": "Succeeded", "startedAt": now, "completedAt": now,
            "message": "backup Job completed", "conditions": [condition("Ready")],
            "run": {"applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "app"},
                "strategyRef": {"apiGroup": STRATEGIES, "kind": "Job", "name": "bench"},
                "strategyRevision": "job-bench-00000000000000000000000000000000"}}});
        stream::iter((0..number).map(Ok))
            .try_for_each_concurrent(AT_ONCE, |i| {
                let (api, patch) = (api.clone(), Patch::Merge(status.clone()));
                async move {
                    api.patch_status(&format!("run-{i}"), &PatchParams::default(), &patch).await?;
                    Ok(())
                }
            })
            .await
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
