//! Pod Security: the pods of everything that we show pass `restricted`, or the list here says why they cannot. The judge is
//! the API server: each rendered pod is created, in a dry run, in a namespace that enforces the level.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstay_testing::Built;
use backstay_tests::World;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Pods that `restricted` refuses: the file, what the API server says, and why it has to be so.
const EXCEPTIONS: [(&str, &[&str], &str); 1] = [(
    "examples/files/strategy.yaml",
    &["unrestricted capabilities", "runAsNonRoot != true", "runAsUser=0"],
    "it reads and restores files of any owner",
)];
/// The example without a file of YAML.
const TAPE: &str = "apiVersion: strategy.example.org/v1
kind: Tape
metadata: {name: archive}
spec: {image: 'registry.example.org/tape:1', drive: 2}";
/// An application that every example can render.
const APPLICATION: &str = "apiVersion: apps.cozystack.io/v1alpha1
kind: Redis
metadata: {name: cache, namespace: tenant-a}
spec: {volume: data, volumeClaim: data, backup: {enabled: true}}";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Returns every Markdown page and every YAML file of the examples.
fn files() -> Vec<String> {
    let mut files = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned(), "examples".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("the folder can be read") {
            let path = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if [".md", ".yaml"].iter().any(|end| path.ends_with(end)) {
                files.push(path);
            }
        }
    }
    files
}

/// Returns the YAML of a file: all of it, or the fenced blocks of a page.
fn documents(file: &str) -> Vec<Value> {
    let text = read(file);
    let yaml: Vec<&str> = if file.ends_with(".md") {
        text.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
    } else {
        vec![&text]
    };
    // Bounds and parts of manifests are no manifests.
    yaml.iter().filter_map(|yaml| serde_saphyr::from_multiple::<Value>(yaml).ok()).flatten().collect()
}

/// The strategies whose pods we show, by kind.
fn strategies() -> Vec<(&'static str, Arc<Built>)> {
    [("Job", "strategies/job"), ("Altinity", "strategies/altinity"), ("Tape", "examples/tape")]
        .into_iter()
        .map(|(kind, folder)| (kind, Built::strategy(root().join(folder))))
        .collect()
}

#[tokio::test]
async fn the_pods_that_we_show_pass_restricted_or_it_is_said_why_not() {
    let Some(w) = World::new("restricted").await else { return };
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(w.client.clone());
    namespaces.patch(&w.namespace, &PatchParams::default(), &Patch::Merge(label)).await.expect("a label");
    let strategies = strategies();
    let mut judged = 0;
    let tape: Value = serde_saphyr::from_str(TAPE).expect("YAML");
    let shown =
        files().into_iter().flat_map(|file| documents(&file).into_iter().map(move |d| (file.clone(), d)));
    for (file, document) in shown.chain([("examples/tape".to_owned(), tape)]) {
        let kind = document["kind"].as_str().unwrap_or_default();
        let strategy = document["apiVersion"].as_str().is_some_and(|v| v.contains("strategy."));
        let Some((_, built)) = strategies.iter().find(|(of, _)| strategy && *of == kind) else { continue };
        let pod = built.backup().strategy(&document.to_string()).application(APPLICATION).rendered();
        judged += 1;
        judge(&w, &file, pod.template).await;
    }
    assert!(judged >= 4, "only {judged} pods were found");
}

async fn judge(w: &World, file: &str, template: Value) {
    let mut pod = json!({"metadata": {"name": "shown"}, "spec": template["spec"]});
    pod["spec"]["restartPolicy"] = "Never".into();
    let pod: Pod = serde_json::from_value(pod).unwrap_or_else(|e| panic!("{file}: {e}"));
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let refusal = match w.api::<Pod>().create(&params, &pod).await {
        Ok(_) => String::new(),
        Err(kube::Error::Api(status)) => status.message.clone(),
        Err(error) => panic!("{file}: {error}"),
    };
    match EXCEPTIONS.iter().find(|(exception, ..)| *exception == file) {
        None => assert!(refusal.is_empty(), "{file}: {refusal}"),
        Some((_, expected, why)) => {
            assert!(read(file).contains("restricted"), "{file} does not say that {why}");
            // One violation a parenthesis, and no other.
            let violations = refusal.matches(" (").count();
            assert!(
                violations == expected.len() && expected.iter().all(|e| refusal.contains(e)),
                "{file}: {refusal}"
            );
        }
    }
}
