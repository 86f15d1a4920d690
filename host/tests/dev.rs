//! `backstay dev` with a folder that is kept: what one start leaves is there in the next.
#![cfg(feature = "dev")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with the Job component, built once for all tests of this file.
static COMPONENTS: LazyLock<PathBuf> = LazyLock::new(|| {
    let bytes = backstay_testing::build(&repository().join("strategies/job")).expect("the strategy builds");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev-components");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join("job.wasm"), bytes).expect("the component can be written");
    folder
});

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of a test; gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("backstay-keep-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }

    /// All objects of a kind, as they were written last.
    fn kept(&self, resource: &str) -> Vec<Value> {
        let text = std::fs::read(self.0.join("store.json")).expect("the document");
        let document: Value = serde_json::from_slice(&text).expect("JSON");
        let objects = document["state"]["objects"].as_array().cloned().unwrap_or_default();
        objects
            .into_iter()
            .filter(|one| one["resource"] == resource)
            .map(|mut one| one["object"].take())
            .collect()
    }

    fn names(&self, resource: &str) -> Vec<String> {
        let name = |object: Value| object["metadata"]["name"].as_str().expect("a name").to_owned();
        self.kept(resource).into_iter().map(name).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn command(folder: &Folder, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstay"));
    command.arg("dev").arg("--components").arg(&*COMPONENTS).arg("--keep").arg(&folder.0).args(more);
    command
}

fn ended(folder: &Folder, more: &[&str]) -> String {
    said(&command(folder, more).output().expect("the program runs"))
}

fn said(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

#[test]
fn a_backup_of_an_earlier_start_is_restored() {
    let folder = Folder::new("backup");
    let example = |file: &str| repository().join("examples/files").join(file).display().to_string();
    let (strategy, application) = (example("strategy.yaml"), example("application.yaml"));
    let backup = ["--backup", "--strategy", &strategy, "--application", &application];
    let first = ended(&folder, &backup);
    assert!(first.contains("BackupJob dev: Succeeded"), "{first}");
    let claim = folder.kept("persistentvolumeclaims");
    let claim = claim.iter().find(|claim| claim["metadata"]["name"] == "documents").expect("the claim");
    let uid = claim["metadata"]["uid"].as_str().expect("a uid");
    let file = folder.0.join("claims").join(uid).join("letter.txt");
    std::fs::write(&file, "kept").expect("it can be written");

    let second = ended(&folder, &backup);
    assert!(second.contains("BackupJob dev-2: Succeeded"), "{second}");
    assert!(!second.contains("BackupJob dev:"), "what an earlier start did is not told again: {second}");
    assert_eq!(folder.names("backups"), ["dev", "dev-2"]);
    std::fs::remove_file(&file).expect("it is there");

    let third = ended(&folder, &["--restore"]);
    assert!(third.contains("Backup dev-2 of ") && third.contains("RestoreJob dev: Succeeded"), "{third}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is back"), "kept");
    assert_eq!(
        (folder.names("backupjobs"), folder.names("restorejobs")),
        (vec!["dev".into(), "dev-2".into()], vec!["dev".into()])
    );
}

/// A start that goes on until it is killed.
struct Start {
    child: Child,
    client: Client,
}

impl Drop for Start {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Start {
    async fn new(folder: &Folder) -> Self {
        let mut child = command(folder, &[]).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("an output")).lines();
        let up = lines.map_while(Result::ok).any(|line| line.contains("kubectl get"));
        assert!(up, "it ended at its start");
        let kubeconfig = Kubeconfig::read_from(folder.0.join("kubeconfig")).expect("a kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("a configuration")).expect("a client");
        Self { child, client }
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, kube::Error> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.client.request(request.body(body).expect("a request")).await
    }

    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let object = self.ask("GET", path, &Value::Null).await.expect("it is there");
            if wanted(&object) {
                return object;
            }
            assert!(begun.elapsed() < PATIENCE, "{object:#}");
        }
    }
}

#[tokio::test]
async fn a_cluster_goes_on_after_a_kill() {
    let folder = Folder::new("killed");
    let first = Start::new(&folder).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "main", "image": "any", "command": ["sleep", "1000"]}]}});
    let pods = "/api/v1/namespaces/default/pods";
    let made = first.ask("POST", pods, &pod).await.expect("a pod");
    let runs = |pod: &Value| pod.pointer("/status/containerStatuses/0/state/running").is_some();
    let path = format!("{pods}/p");
    first.until(&path, runs).await;

    let other = command(&folder, &[]).output().expect("the program runs");
    let refused = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success() && refused.contains("is in use by process"), "{refused}");

    let begun = Instant::now();
    while !folder.kept("pods").iter().any(runs) {
        assert!(begun.elapsed() < PATIENCE, "it is never written");
    }
    drop(first);
    let second = Start::new(&folder).await;
    let again = second
        .until(&path, |pod| runs(pod) && pod["status"]["containerStatuses"][0]["restartCount"] == 1)
        .await;
    assert_eq!(again["metadata"]["uid"], made["metadata"]["uid"]);
    let last = &again["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&255.into(), &"Unknown".into()));
}
