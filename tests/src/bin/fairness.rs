//! Measures what one tenant or one component does to another tenant: the neighbour's latencies while a backlog waits, while runs
//! are made and deleted, while runs fail at once, and while hostile runs loop; the status writes a run; and what a hostile run
//! writes in a minute. With a second program, the build before, everything is measured with both in one run.
//!
//! Started by `tests/bench/run`, within the network of a test cluster that writes an audit log.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backstay_api::BackupJob;
use backstay_tests::controller;
use backstay_tests::figures::{Figure, Figures, Unit};
use backstay_tests::load::{
    AT_ONCE, Ground, Program, Result, all, at, class, complete, create, ground, ms, object, succeeded,
};
use clap::Parser;
use futures::{TryStreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// The simulated node.
const NODE: &str = "bench";
/// The longest that one run of the neighbour is waited for: a longer one counts as this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much slower than on an idle controller the neighbour may be.
const RATIO: f64 = 2.0;
/// How much later than on an idle controller the neighbour may be.
const LATER: Duration = Duration::from_secs(1);
/// Status writes that a run may have, however many wait.
const STATUS_WRITES: usize = 6;
/// Checkpoint of a hostile run, in bytes.
const CHECKPOINT: usize = 200_000;

/// Measures fairness.
#[derive(Debug, Parser)]
struct Args {
    /// The controller's program
    #[arg(long)]
    program: PathBuf,
    /// Another build of it, to compare with
    #[arg(long)]
    peer: Option<PathBuf>,
    /// BackupJobs of one application that wait
    #[arg(long, default_value_t = 10_000)]
    pending: usize,
    /// Runs that are made and deleted
    #[arg(long, default_value_t = 2000)]
    churned: usize,
    /// Runs that fail at once
    #[arg(long, default_value_t = 1000)]
    failing: usize,
    /// Runs of one absent application, whose status writes are counted
    #[arg(long, default_value_t = 1000)]
    absent: usize,
    /// Looping runs of a hostile component
    #[arg(long, default_value_t = 16)]
    hostile: usize,
    /// Runs of the neighbour in each case
    #[arg(long, default_value_t = 20)]
    samples: usize,
    /// Seconds that hostile runs loop at least
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Latencies of the neighbour: from the creation of its run to its Job, and from the Job's end to the run's.
#[derive(Default)]
struct Latencies {
    begun: Vec<Duration>,
    ended: Vec<Duration>,
}

/// One of the two latencies.
type Part = fn(&Latencies) -> &Vec<Duration>;

/// Both, with their names.
const PARTS: [(&str, Part); 2] =
    [("creation to Job", |l| &l.begun), ("Job complete to Succeeded", |l| &l.ended)];

/// A case, measured.
struct Measured {
    case: &'static str,
    latencies: Latencies,
    notes: Vec<String>,
}

struct Bench {
    ground: Ground,
    args: Args,
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> Result<()> {
    let args = Args::parse();
    let bench = Bench { ground: ground(NODE).await?, args };
    bench.classes().await?;

    let ours = bench.measured("ours", &bench.args.program).await?;
    let theirs = match &bench.args.peer {
        Some(peer) => bench.measured("peer", peer).await?,
        None => Vec::new(),
    };
    table(&ours, &theirs);
    println!("{}", figures(&ours, &theirs).worse());
    Ok(())
}

/// The latencies of both builds, for the list of what became worse.
fn figures(ours: &[Measured], theirs: &[Measured]) -> Figures {
    let mut figures = Figures::default();
    for (number, case) in ours.iter().enumerate() {
        for (part, of) in PARTS {
            for (what, percent) in [("p50", 50), ("slowest", 100)] {
                let shown = |case: &Measured| at(of(&case.latencies), percent).as_secs_f64() * 1e3;
                figures.add(Figure {
                    name: format!("{}: {part}, {what}", case.case),
                    unit: Unit::Milliseconds,
                    now: shown(case),
                    before: theirs.get(number).map(shown),
                    wanted: "",
                });
            }
        }
    }
    figures
}

#[allow(clippy::print_stdout)]
fn table(ours: &[Measured], theirs: &[Measured]) {
    let idle = |cases: &[Measured], of: Part| {
        cases.first().map(|first| at(of(&first.latencies), 50)).unwrap_or_default()
    };
    for (part, of) in PARTS {
        println!("\n## The neighbour: {part}\n");
        println!(
            "{:<34} {:>11} {:>11} {:>7} {:>14} {:>11} {:>7}",
            "", "p50", "most", "/ idle", "before: p50", "most", "/ idle"
        );
        for (i, case) in ours.iter().enumerate() {
            let show = |case: &Measured, idle: Duration| {
                let (half, most) = (at(of(&case.latencies), 50), at(of(&case.latencies), 100));
                (ms(half), ms(most), ratio(half, idle))
            };
            let (half, most, times) = show(case, idle(ours, of));
            let verdict = verdict(at(of(&case.latencies), 50), at(of(&case.latencies), 100), idle(ours, of));
            let before = theirs.get(i).map(|case| show(case, idle(theirs, of)));
            let (b_half, b_most, b_times) = before.unwrap_or_default();
            println!(
                "{:<34} {half:>11} {most:>11} {times:>7} {b_half:>14} {b_most:>11} {b_times:>7}   {verdict}",
                case.case
            );
        }
    }
    println!("\n## Writes\n");
    for (whose, cases) in [("this build", ours), ("before", theirs)] {
        for case in cases {
            case.notes.iter().for_each(|note| println!("{whose:<10}  {:<34} {note}", case.case));
        }
    }
}

fn ratio(duration: Duration, idle: Duration) -> String {
    if idle.is_zero() { String::new() } else { format!("{:.2}", duration.as_secs_f64() / idle.as_secs_f64()) }
}

/// Returns whether the neighbour is served as it has to be: by half of its runs, and by the slowest.
fn verdict(half: Duration, most: Duration, idle: Duration) -> &'static str {
    let (twice, later) = (half.as_secs_f64() > idle.as_secs_f64() * RATIO, most > idle + LATER);
    match (twice, later) {
        (false, false) => "ok",
        (true, false) => "over twice",
        (false, true) => "over a second more",
        (true, true) => "over twice, and over a second more",
    }
}

impl Bench {
    /// Measures all cases with a program.
    #[allow(clippy::print_stderr)]
    async fn measured(&self, build: &str, program: &std::path::Path) -> Result<Vec<Measured>> {
        // The first start compiles the components.
        drop(
            Program::start(program, &self.ground.components, &self.ground.code, &self.ground.kubeconfig)
                .await?,
        );
        let mut measured = Vec::new();
        for case in ["idle", "backlog", "churn", "failing", "absent", "hostile"] {
            let namespace = format!("{build}-{case}");
            let (controller, _) =
                Program::start(program, &self.ground.components, &self.ground.code, &self.ground.kubeconfig)
                    .await?;
            let case = self.case(case, &namespace).await?;
            let shown = |of: Part| {
                let of = of(&case.latencies);
                format!("p50 {}, most {}", ms(at(of, 50)), ms(at(of, 100)))
            };
            eprintln!(
                "{build}: {}: to the Job {}; to the end {}",
                case.case,
                shown(|l| &l.begun),
                shown(|l| &l.ended)
            );
            measured.push(case);
            drop(controller);
            self.clear(&namespace).await?;
        }
        Ok(measured)
    }

    async fn case(&self, case: &str, tenant: &str) -> Result<Measured> {
        self.namespace(tenant).await?;
        let neighbour = format!("{tenant}-neighbour");
        self.namespace(&neighbour).await?;
        let audited = std::fs::metadata(&self.ground.audit)?.len();
        if case == "backlog" {
            // The case is that they wait, not what it costs the API server to take them.
            self.make_backlog(tenant).await?;
        }
        let began = Instant::now();
        let (name, disturbing): (_, futures::future::BoxFuture<'_, Result<()>>) = match case {
            "backlog" => ("backlog of one application", Box::pin(self.backlog(tenant))),
            "churn" => ("runs made and deleted", Box::pin(self.churn(tenant))),
            "failing" => ("runs that fail at once", Box::pin(self.failing(tenant))),
            "absent" => ("runs of one absent application", Box::pin(self.absent(tenant))),
            "hostile" => ("looping runs of a component", Box::pin(self.hostile(tenant))),
            _ => ("idle", Box::pin(async { Ok(()) })),
        };
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let disturbing = async move {
            let done = disturbing.await;
            told.store(true, Ordering::Relaxed);
            done
        };
        let (done, latencies) = tokio::join!(disturbing, self.neighbour(&neighbour, &over));
        done?;
        let notes = self.notes(case, tenant, audited, began.elapsed())?;
        Ok(Measured { case: name, latencies: latencies?, notes })
    }

    /// Makes runs of the neighbour, one after the other, until there are enough and the disturbance is over.
    async fn neighbour(&self, namespace: &str, over: &AtomicBool) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        let mut number = 0;
        while number < self.args.samples || (!over.load(Ordering::Relaxed) && number < 500) {
            let (begun, ended) = self.one(namespace, number).await?;
            latencies.begun.push(begun);
            latencies.ended.push(ended);
            number += 1;
        }
        Ok(latencies)
    }

    async fn one(&self, namespace: &str, number: usize) -> Result<(Duration, Duration)> {
        let (jobs, runs) = (self.jobs(namespace), self.runs(namespace));
        let (run, job) = (format!("run-{number}"), format!("run-{number}-backup"));
        let watched = async {
            tokio::try_join!(
                all(jobs.clone(), number + 1, |_| true),
                all(jobs.clone(), number + 1, complete),
                all(runs.clone(), number + 1, succeeded),
                async {
                    // The watches see an empty list, or that of the runs before.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let began = Instant::now();
                    runs.create(&PostParams::default(), &object(backup(&run, "app", "bench"))?).await?;
                    Ok(began)
                },
            )
        };
        let Ok(seen) = tokio::time::timeout(PATIENCE, watched).await else { return Ok((PATIENCE, PATIENCE)) };
        let (made, completed, succeeded, began) = seen?;
        let moment = |seen: &HashMap<String, Instant>, name: &str| seen.get(name).copied().unwrap_or(began);
        let ended = moment(&succeeded.0, &run).saturating_duration_since(moment(&completed.0, &job));
        Ok((moment(&made.0, &job).saturating_duration_since(began), ended))
    }

    /// Makes runs that wait behind one whose pod no node takes.
    async fn make_backlog(&self, tenant: &str) -> Result<()> {
        let runs = self.runs(tenant);
        runs.create(&PostParams::default(), &object(backup(&waiting(0), "app", "stuck"))?).await?;
        create(runs, (1..self.args.pending).map(|i| backup(&waiting(i), "app", "stuck"))).await
    }

    /// Deletes the run that the others wait for, now and then.
    async fn backlog(&self, tenant: &str) -> Result<()> {
        let runs = self.runs(tenant);
        let mut every = tokio::time::interval(Duration::from_secs(3));
        for i in 0..5 {
            every.tick().await;
            runs.delete(&waiting(i), &DeleteParams::background()).await?;
        }
        Ok(())
    }

    /// Runs that are deleted as soon as they are made.
    async fn churn(&self, tenant: &str) -> Result<()> {
        let runs = self.runs(tenant);
        stream::iter((0..self.args.churned).map(Ok))
            .try_for_each_concurrent(AT_ONCE, |i| {
                let runs = runs.clone();
                async move {
                    let name = format!("run-{i}");
                    runs.create(
                        &PostParams::default(),
                        &object(backup(&name, &format!("app-{i}"), "stuck"))?,
                    )
                    .await?;
                    runs.delete(&name, &DeleteParams::background()).await?;
                    Ok(())
                }
            })
            .await
    }

    /// Runs of applications that do not exist, one each.
    async fn failing(&self, tenant: &str) -> Result<()> {
        let of_each = |i: usize| backup(&format!("run-{i}"), &format!("nothing-{i}"), "bench");
        create(self.runs(tenant), (0..self.args.failing).map(of_each)).await?;
        self.until_ended(tenant, self.args.failing).await
    }

    /// Runs of one application that does not exist.
    async fn absent(&self, tenant: &str) -> Result<()> {
        let of_one = |i: usize| backup(&format!("run-{i}"), "nothing", "bench");
        create(self.runs(tenant), (0..self.args.absent).map(of_one)).await?;
        self.until_ended(tenant, self.args.absent).await
    }

    async fn until_ended(&self, tenant: &str, number: usize) -> Result<()> {
        let ended = |job: &BackupJob| {
            job.status.as_ref().is_some_and(|s| backstay_api::phase::is_terminal(s.phase.as_deref()))
        };
        // What does not end in this time counts as it is.
        let _ = tokio::time::timeout(4 * PATIENCE, all(self.runs(tenant), number, ended)).await;
        Ok(())
    }

    /// Runs that do as much as the contract lets them, for as long as they may.
    async fn hostile(&self, tenant: &str) -> Result<()> {
        let of_each = |i: usize| backup(&format!("run-{i}"), &format!("app-{i}"), "hostile");
        create(self.runs(tenant), (0..self.args.hostile).map(of_each)).await?;
        let over = tokio::time::Instant::now() + Duration::from_secs(self.args.seconds);
        tokio::time::sleep_until(over).await;
        Ok(())
    }

    /// Counts the controller's writes for a tenant in the audit log.
    #[allow(clippy::cast_precision_loss)]
    fn notes(&self, case: &str, tenant: &str, since: u64, took: Duration) -> Result<Vec<String>> {
        let log = std::fs::read(&self.ground.audit)?;
        let new = log.get(usize::try_from(since)?..).unwrap_or_default();
        let (mut statuses, mut kinds) = (HashMap::<String, usize>::new(), HashMap::<String, usize>::new());
        for line in new.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let Ok(entry) = serde_json::from_slice::<Value>(line) else { continue };
            let (about, verb) = (&entry["objectRef"], entry["verb"].as_str().unwrap_or_default());
            let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
            let checkpoint = text("resource") == "secrets" && text("namespace") == "backstay-system";
            let writes = matches!(verb, "create" | "update" | "patch" | "delete");
            if !writes || (text("namespace") != tenant && !(case == "hostile" && checkpoint)) {
                continue;
            }
            let kind = match text("subresource") {
                sub if sub.is_empty() => text("resource"),
                sub => format!("{}/{sub}", text("resource")),
            };
            if kind == "backupjobs/status" {
                *statuses.entry(text("name")).or_default() += 1;
            }
            *kinds.entry(kind).or_default() += 1;
        }
        let mut notes = Vec::new();
        if !statuses.is_empty() && case != "hostile" {
            let most = statuses.values().max().copied().unwrap_or_default();
            let mean = statuses.values().sum::<usize>() as f64 / statuses.len() as f64;
            let verdict = if most <= STATUS_WRITES { "ok" } else { "TOO MANY" };
            notes.push(format!(
                "status writes a run: {mean:.2}, most {most}   (at most {STATUS_WRITES}: {verdict})"
            ));
        }
        if case == "hostile" {
            let a_minute =
                |writes: usize| writes as f64 * 60.0 / took.as_secs_f64() / self.args.hostile as f64;
            let writes = a_minute(kinds.values().sum());
            let checkpoints = a_minute(kinds.get("secrets").copied().unwrap_or_default());
            let bytes = checkpoints * CHECKPOINT as f64 / f64::from(1 << 20);
            notes.push(format!("a run in a minute: {writes:.0} writes, {checkpoints:.0} of them checkpoints of {bytes:.1} MiB"));
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let shown: Vec<_> = kinds.iter().take(5).map(|(kind, number)| format!("{number} {kind}")).collect();
        if !shown.is_empty() {
            notes.push(format!("writes: {}", shown.join(", ")));
        }
        Ok(notes)
    }

    /// Deletes the runs of a tenant while no controller runs.
    async fn clear(&self, tenant: &str) -> Result<()> {
        let runs = self.runs(tenant);
        runs.delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        for held in runs.list_metadata(&ListParams::default()).await?.items {
            let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let _ = runs.patch_metadata(&held.name_any(), &PatchParams::default(), &free).await;
        }
        self.jobs(tenant).delete_collection(&DeleteParams::background(), &ListParams::default()).await?;
        Ok(())
    }

    fn runs(&self, namespace: &str) -> Api<BackupJob> {
        Api::namespaced(self.ground.client.clone(), namespace)
    }

    fn jobs(&self, namespace: &str) -> Api<Job> {
        Api::namespaced(self.ground.client.clone(), namespace)
    }

    /// Creates a namespace with the application `app`, and applications for hostile runs.
    async fn namespace(&self, name: &str) -> Result<()> {
        let numbered = (0..self.args.hostile).map(|i| format!("app-{i}"));
        self.ground.namespace(name, std::iter::once("app".to_owned()).chain(numbered)).await
    }

    /// Applies the classes: of the neighbour, of runs whose pods no node takes, and of hostile runs.
    async fn classes(&self) -> Result<()> {
        let flood = json!({"flood": {"object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "flood"},
            "bytes": CHECKPOINT, "spin": 20_000_000}});
        let steps = json!({"apiVersion": "test.backstay.dev/v1", "kind": "Steps", "metadata": {"name": "hostile"},
            "spec": {"backup": [flood]}});
        let hostile = json!({"apiGroup": "test.backstay.dev", "kind": "Steps", "name": "hostile"});
        self.ground.job_strategy("bench", NODE).await;
        self.ground.job_strategy("stuck", "nowhere").await;
        for manifest in [steps, class("hostile", &hostile)] {
            controller::apply(&self.ground.client, &manifest.to_string()).await;
        }
        Ok(())
    }
}

/// Returns the name of a run of the backlog.
fn waiting(number: usize) -> String {
    format!("run-{number:05}")
}

fn backup(name: &str, application: &str, class: &str) -> Value {
    json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob", "metadata": {"name": name}, "spec": {
        "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": application},
        "backupClassName": class}})
}
