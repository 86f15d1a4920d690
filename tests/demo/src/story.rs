//! The story.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

const NAMESPACE: &str = "backstay-demo";
const GROUP: &str = "backups.cozystack.io";
/// How long a run or a pod may take.
const RUN: Duration = Duration::from_secs(120);
/// How long a Plan of every minute may take to fire.
const PLAN: Duration = Duration::from_secs(90);
/// Fewest files of the example.
const FILES: usize = 200;

const FILL: &str = include_str!("../fill.sh");
const DIGESTS: &str = "cd /data && find . -type f -print0 | sort -z | xargs -0 -r sha256sum";
const DESTROY: &str = r#"find /data -mindepth 1 -maxdepth 1 -exec rm -rf {} +; echo "$(find /data -type f | wc -l) files left""#;

/// Tells what happens and when.
pub(crate) struct Story {
    began: Instant,
}

impl Story {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Begins a chapter.
    pub(crate) fn say(&self, what: &str) {
        println!("\n\x1b[1m[{:3}s] {what}\x1b[0m", self.began.elapsed().as_secs());
    }

    /// Tells it.
    ///
    /// # Errors
    /// Something did not go as it must.
    pub(crate) async fn tell(&mut self, client: Client, example: &Path) -> anyhow::Result<()> {
        let cast = Cast { client };
        self.say("An application with real files on a volume");
        cast.apply(example, "kind.yaml").await?;
        let namespace = json!({"metadata": {"name": NAMESPACE}});
        Api::<Namespace>::all(cast.client.clone())
            .create(&PostParams::default(), &serde_json::from_value(namespace)?)
            .await?;
        cast.apply(example, "application.yaml").await?;
        cast.apply(example, "strategy.yaml").await?;
        print!("{}", cast.pod("fill", FILL).await?);
        let before = digests(&cast.pod("digests-before", DIGESTS).await?);
        ensure!(before.len() >= FILES, "only {} files were made", before.len());

        self.say("BackupJob");
        cast.apply(example, "backup.yaml").await?;
        cast.succeeds("BackupJob", "before-the-move").await?;
        let backup = cast.api("Backup").await?.get("before-the-move").await?;
        let artifact = &backup.data["status"]["artifact"];
        for (what, value) in [("artifact", "uri"), ("size", "sizeBytes"), ("digest", "checksum")] {
            println!("  {what:<8} {}", artifact[value].to_string().trim_matches('"'));
        }

        self.say("The accident: every file is destroyed");
        print!("{}", cast.pod("destroy", DESTROY).await?);
        let between = digests(&cast.pod("digests-between", DIGESTS).await?);
        ensure!(between.is_empty(), "the files were not destroyed");

        self.say("RestoreJob");
        cast.apply(example, "restore.yaml").await?;
        cast.succeeds("RestoreJob", "after-the-accident").await?;
        let after = digests(&cast.pod("digests-after", DIGESTS).await?);
        let differ: Vec<_> = before.iter().filter(|(name, sum)| after.get(*name) != Some(*sum)).collect();
        ensure!(differ.is_empty() && after.len() == before.len(), "the restored files differ: {differ:?}");
        println!("{} files compared by SHA-256: all identical", before.len());

        self.say("A Plan fires (within a minute)");
        cast.apply(example, "plan.yaml").await?;
        let planned = cast.planned("documents").await?;
        cast.succeeds("BackupJob", &planned).await?;

        println!(
            "\nWhat to try next:\n  {} dev --components {}\n  make demo-cluster    # the same on a real Kubernetes, built from source\n",
            std::env::var("BACKSTAY_PROGRAM").unwrap_or_else(|_| "backstay".to_owned()),
            std::env::var("BACKSTAY_COMPONENTS_DIR").unwrap_or_else(|_| "components".to_owned()),
        );
        println!("demo: OK  backup Succeeded  restore Succeeded  {} files identical", before.len());
        Ok(())
    }
}

/// The digests of files by name.
fn digests(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

/// The API, as an administrator uses it.
struct Cast {
    client: Client,
}

impl Cast {
    /// Applies the objects of a file, in the namespace of the demo.
    async fn apply(&self, example: &Path, file: &str) -> anyhow::Result<()> {
        let path = example.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        for object in serde_saphyr::from_multiple::<Value>(&text)? {
            let (version, kind) = (text_of(&object["apiVersion"]), text_of(&object["kind"]));
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            let (resource, able) =
                pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await?;
            let api: Api<DynamicObject> = match able.scope {
                Scope::Cluster => Api::all_with(self.client.clone(), &resource),
                Scope::Namespaced => Api::namespaced_with(self.client.clone(), NAMESPACE, &resource),
            };
            let name = text_of(&object["metadata"]["name"]);
            api.patch(name, &PatchParams::apply("demo").force(), &Patch::Apply(&object)).await?;
            println!("{}/{name} applied", resource.plural);
        }
        Ok(())
    }

    /// Returns the API of a kind of Backstay's.
    async fn api(&self, kind: &str) -> anyhow::Result<Api<DynamicObject>> {
        let (resource, _) =
            pinned_kind(&self.client, &GroupVersionKind::gvk(GROUP, "v1alpha1", kind)).await?;
        Ok(Api::namespaced_with(self.client.clone(), NAMESPACE, &resource))
    }

    /// Waits until a run has ended, which must be well.
    async fn succeeds(&self, kind: &str, name: &str) -> anyhow::Result<()> {
        let phase = |run: &DynamicObject| text_of(&run.data["status"]["phase"]).to_owned();
        let ended = await_condition(self.api(kind).await?, name, move |run: Option<&DynamicObject>| {
            run.is_some_and(|run| ["Succeeded", "Failed"].contains(&phase(run).as_str()))
        });
        let run = tokio::time::timeout(RUN, ended)
            .await
            .with_context(|| format!("{kind} {name} does not end"))??;
        let run = run.context("the run was deleted")?;
        let status = &run.data["status"];
        println!("{kind} {name}: {}", text_of(&status["phase"]));
        ensure!(status["phase"] == "Succeeded", "{kind} {name} failed: {}", status["message"]);
        Ok(())
    }

    /// Runs a script in a pod that sees the volume, and returns what it prints.
    async fn pod(&self, name: &str, script: &str) -> anyhow::Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let pod = json!({"metadata": {"name": name}, "spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": "localhost/backstay-tools:1", "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-euc", script], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "documents"}}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        let phase =
            |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let ended = await_condition(pods.clone(), name, move |pod: Option<&Pod>| {
            pod.is_some_and(|pod| ["Succeeded", "Failed"].contains(&phase(pod).as_str()))
        });
        let ended =
            tokio::time::timeout(RUN, ended).await.with_context(|| format!("pod {name} does not end"))??;
        let log = pods.logs(name, &LogParams::default()).await?;
        let status = ended.and_then(|pod| pod.status).unwrap_or_default();
        if status.phase.as_deref() != Some("Succeeded") {
            bail!("pod {name} failed: {}{log}", serde_json::to_string(&status)?);
        }
        pods.delete(name, &DeleteParams::default()).await?;
        Ok(log)
    }

    /// Waits until a Plan has fired, suspends it, and returns the name of its run.
    async fn planned(&self, plan: &str) -> anyhow::Result<String> {
        let (plans, runs) = (self.api("Plan").await?, self.api("BackupJob").await?);
        let fired = await_condition(plans.clone(), plan, |plan: Option<&DynamicObject>| {
            plan.is_some_and(|plan| plan.data["status"]["counts"]["fired"].as_i64().unwrap_or_default() > 0)
        });
        tokio::time::timeout(PLAN, fired).await.context("the Plan does not fire")??;
        let suspend = json!({"spec": {"suspend": true}});
        plans.patch(plan, &PatchParams::default(), &Patch::Merge(&suspend)).await?;
        let all = runs.list(&ListParams::default()).await?;
        let of_plan = all.items.iter().find(|run| run.data["spec"]["planRef"]["name"] == plan);
        of_plan.map(ResourceExt::name_any).context("the Plan fired, and there is no run of it")
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
