//! The command line on a real component.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

/// Limit of the program's start and stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the Job component, built once for all tests of this file.
static JOB: LazyLock<PathBuf> = LazyLock::new(|| built("strategies/job", "components", "job.wasm"));

fn built(source: &str, folder: &str, file: &str) -> PathBuf {
    let strategy = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
    let bytes = backstay_testing::build(&strategy).expect("the strategy builds");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let path = folder.join(file);
    std::fs::write(&path, bytes).expect("the component can be written");
    path
}

fn backstay(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backstay")).args(args).output().expect("the program runs")
}

fn data(file: &str) -> String {
    format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Returns the error of a command, which must fail with exit code 1 and print nothing else.
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn render(extra: &[&str]) -> Output {
    let job = JOB.to_str().expect("UTF-8").to_owned();
    let (strategy, application) = (data("strategy.yaml"), data("application.yaml"));
    let mut args = vec!["component", "render", &job, "--strategy", &strategy, "--application", &application];
    args.extend(extra);
    backstay(&args)
}

#[test]
fn inspect_prints_descriptor_imports_size_and_digest() {
    let text = stdout(&backstay(&["component", "inspect", JOB.to_str().expect("UTF-8")]));
    for part in
        ["name: job", "digest: sha256:", "sizeBytes:", "backstay:strategy/log@0.1.0", "world: pod-strategy"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn inspect_refuses_what_is_no_component_and_says_why() {
    let text = complaint(&backstay(&["component", "inspect", &data("strategy.yaml")]));
    assert!(text.contains("strategy.yaml cannot be loaded"), "{text}");
}

#[test]
fn render_prints_the_rendered_pod_template_as_yaml() {
    let text = stdout(&render(&["--parameters", "region=eu"]));
    assert!(text.contains("cache.tenant-a.svc"), "{text}");
    assert!(text.contains("eu/backup"), "{text}");
    assert!(!text.contains("{{"), "{text}");
}

#[test]
fn render_prints_json_on_demand_and_takes_the_namespace() {
    let text = stdout(&render(&["-o", "json", "--namespace", "elsewhere", "--parameters", "region=eu"]));
    let pod: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(pod["spec"]["containers"][0]["env"][0]["value"], "cache.elsewhere.svc");
}

#[test]
fn render_of_a_restore_knows_the_backup_and_its_parameters() {
    let text = stdout(&render(&["--mode", "restore", "--backup", &data("backup.yaml")]));
    assert!(text.contains("us/restore"), "{text}");
    let text = complaint(&render(&["--mode", "restore"]));
    assert!(text.contains("--backup"), "{text}");
}

#[test]
fn render_names_every_field_with_a_template_error() {
    let job = JOB.to_str().expect("UTF-8").to_owned();
    let (strategy, application) = (data("broken.yaml"), data("application.yaml"));
    let output =
        backstay(&["component", "render", &job, "--strategy", &strategy, "--application", &application]);
    let text = complaint(&output);
    for part in ["TemplateError", "args", "env", "nosuch"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn render_refuses_a_pod_that_the_controller_would_refuse() {
    let job = JOB.to_str().expect("UTF-8").to_owned();
    let (strategy, application) = (data("privileged.yaml"), data("application.yaml"));
    let output =
        backstay(&["component", "render", &job, "--strategy", &strategy, "--application", &application]);
    let text = complaint(&output);
    assert!(text.contains("PodPolicyViolation") && text.contains("hostNetwork"), "{text}");
}

#[test]
fn render_calls_the_component_under_the_limits_beside_its_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("limited");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let job = folder.join("job.wasm");
    std::fs::copy(&*JOB, &job).expect("the component can be copied");
    std::fs::write(folder.join("job.limits.yaml"), "fuel: 5000\n").expect("the limits can be written");
    let job = job.to_str().expect("UTF-8").to_owned();
    let (strategy, application) = (data("strategy.yaml"), data("application.yaml"));
    let output =
        backstay(&["component", "render", &job, "--strategy", &strategy, "--application", &application]);
    let text = complaint(&output);
    assert!(text.contains("5000 units of fuel"), "{text}");
}

#[test]
fn render_refuses_a_strategy_that_the_component_does_not_serve() {
    let job = JOB.to_str().expect("UTF-8").to_owned();
    let application = data("application.yaml");
    let output =
        backstay(&["component", "render", &job, "--strategy", &application, "--application", &application]);
    let text = complaint(&output);
    assert!(text.contains("Redis.apps.cozystack.io is not served"), "{text}");
}

#[test]
fn render_reads_its_files_as_kubectl_does_and_takes_each_object_by_its_kind() {
    let job = JOB.to_str().expect("UTF-8").to_owned();
    let (strategy, applications) = (data("several.yaml"), data("several-applications.yaml"));
    let text = stdout(&backstay(&[
        "component",
        "render",
        &job,
        "--strategy",
        &strategy,
        "--application",
        &applications,
    ]));
    assert!(text.contains("defaultMode: 256"), "{text}");
    assert!(text.contains("limit=1500000 umask=18 big=1.8446744073709552e+19"), "{text}");

    let examples = |file: &str| format!("{}/../examples/files/{file}", env!("CARGO_MANIFEST_DIR"));
    let (strategy, application) = (examples("strategy.yaml"), examples("application.yaml"));
    let text = stdout(&backstay(&[
        "component",
        "render",
        &job,
        "--strategy",
        &strategy,
        "--application",
        &application,
    ]));
    assert!(text.contains("value: default/documents"), "{text}");
}

#[test]
fn render_of_a_strategy_that_takes_steps_prints_its_first_step() {
    let copier = built("tests/guests/resource", "steps", "copier.wasm");
    let copier = copier.to_str().expect("UTF-8");
    let strategy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copy.yaml");
    std::fs::write(
        &strategy,
        "apiVersion: test.backstay.dev/v1\nkind: Copy\nmetadata: {name: c}\nspec: {copier: cp}\n",
    )
    .expect("a file");
    let (strategy, application) = (strategy.to_str().expect("UTF-8"), data("application.yaml"));
    let text = stdout(&backstay(&[
        "component",
        "render",
        copier,
        "--strategy",
        strategy,
        "--application",
        &application,
    ]));
    for part in ["stage: copy", "act:", "create:", "name: preview-copy", "of: cache"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn crds_prints_the_five_kinds_and_those_of_components() {
    let folder = JOB.parent().and_then(Path::to_str).expect("UTF-8").to_owned();
    let text = stdout(&backstay(&["crds", "--components", &folder]));
    assert_eq!(text.matches("kind: CustomResourceDefinition").count(), 6, "{text}");
    assert!(text.contains("name: jobs.strategy.backups.cozystack.io"));
}

#[test]
fn run_without_components_folder_says_how_to_give_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_backstay"))
        .args(["run", "--components", "/nonexistent", "--http-bind", "127.0.0.1:0"])
        .env("KUBECONFIG", data("kubeconfig.yaml"))
        .output()
        .expect("the program runs");
    let text = complaint(&output);
    assert!(text.contains("--components"), "{text}");
}

#[test]
fn run_without_an_api_server_stops_when_it_is_told_to() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-components");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let mut program = Command::new(env!("CARGO_BIN_EXE_backstay"))
        .args(["run", "--http-bind", "127.0.0.1:0", "--components"])
        .arg(&folder)
        .env("KUBECONFIG", data("kubeconfig.yaml"))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let (sender, lines) = mpsc::channel();
    let log = BufReader::new(program.stderr.take().expect("a log"));
    std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let deadline = Instant::now() + PATIENCE;
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut log = std::iter::from_fn(|| lines.recv_timeout(left()).ok());
    assert!(log.any(|line| line.contains("watch interrupted")), "no API server answers there");
    assert!(Command::new("kill").arg(program.id().to_string()).status().expect("kill runs").success());
    let stopped = log.any(|line| line.contains("controller stopped"));
    if !stopped {
        program.kill().expect("a process of ours");
    }
    let ended = program.wait().expect("a process of ours");
    assert!(stopped && ended.success(), "it goes on, or ends badly: {ended}");
}
