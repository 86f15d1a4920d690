//! A hostile tenant with the documented rights, who writes everything that the API server admits, while the controller's
//! readiness, its memory and another tenant's latency are watched.
//!
//! [`schema`] makes the inputs of the CRDs' own schemas, [`acts`] those that are more than a spec. [`play`] sends them to a
//! real API server against the program in a process of its own, starts the program anew while they are all there, and
//! removes them.

mod acts;
mod input;
mod neighbour;
mod program;
mod report;
mod schema;
mod tenant;
mod told;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use backstay_api::admission::{Controller, policies};
use input::{Input, NAMESPACE, OTHER};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::Kubeconfig;
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, Resource};
use neighbour::Neighbour;
use program::{Program, Start};
pub use report::Report;
use serde_json::{Value, json};
use tenant::Sent;
use tokio::time::Instant;

use crate::controller::{self, available};
use crate::{administrator, node};

/// Hard limit of the play, once everything is set up.
const DEADLINE: Duration = Duration::from_secs(330);
/// How long sending may take.
const SENDING: Duration = Duration::from_secs(120);
/// How long it may take, after all is sent, until every object says something.
const TELLING: Duration = Duration::from_secs(45);
/// How long the removal of everything may take.
const REMOVING: Duration = Duration::from_secs(60);
/// Backups of the neighbour on an idle controller, and after the restart.
const ALONE: usize = 8;

/// Inputs that are not played yet: a part of what they are about, and the reason. `BACKSTAY_HOSTILE_ALL=1` plays them too.
const LEFT_OUT: [(&str, &str); 0] = [];

/// Returns the inputs, and notes which are left out.
fn inputs(report: &mut Report) -> Vec<Input> {
    let mut inputs = schema::inputs();
    inputs.extend(acts::inputs());
    // The API server takes seconds for the large ones.
    inputs.sort_by_key(|input| input.requests.iter().map(|request| request.body.len()).sum::<usize>());
    if std::env::var_os("BACKSTAY_HOSTILE_ALL").is_none() {
        for (part, reason) in LEFT_OUT {
            let before = inputs.len();
            inputs.retain(|input| !input.about.contains(part));
            report.left_out.push(format!("{} inputs with {part:?}: {reason}", before - inputs.len()));
        }
    }
    inputs
}

/// Plays the hostile tenant, and writes down what is seen as it goes. Returns whether there is a cluster to play on.
///
/// # Panics
/// The cluster cannot be set up, or the controller does not start on an empty cluster.
pub async fn play(report: &mut Report) -> bool {
    if !available("hostile") {
        return false;
    }
    let client = administrator().await.expect("KUBECONFIG leads to a cluster");
    let engine = controller::engine();
    let components = controller::install(&client, &engine).await;
    drop(engine);
    // The controller has to stand alone, as with CRDs of an older version.
    install_crds(&client, &unbounded(backstay_api::crds())).await;
    let simulated = client.clone();
    tokio::spawn(async move { node::run(simulated, tenant::NODE).await });
    tenant::set_up(&client).await;
    let start = Start { kubeconfig: as_account(&client).await, components };
    let program = start.start().unwrap_or_else(|e| panic!("{e}; its log: {}", program::log_path().display()));
    let play = Play { client, start, program, report, began: Instant::now() };
    if tokio::time::timeout(DEADLINE, play.play()).await.is_err() {
        report.wrong.push(format!("the play did not end in {} s", DEADLINE.as_secs()));
    }
    true
}

/// Removes from CRDs what they refuse beside wrong types.
fn unbounded(crds: Vec<CustomResourceDefinition>) -> Vec<CustomResourceDefinition> {
    fn without(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                // A field can have such a name; the schema of a field is no number.
                fields.retain(|key, value| {
                    key != "x-kubernetes-validations" && !(key == "maxLength" && value.is_number())
                });
                fields.values_mut().for_each(without);
            }
            Value::Array(items) => items.iter_mut().for_each(without),
            _ => {}
        }
    }
    let changed = crds.into_iter().map(|crd| {
        let mut crd = serde_json::to_value(crd).expect("a CRD is plain data");
        without(&mut crd);
        serde_json::from_value(crd).expect("it still is a CRD")
    });
    changed.collect()
}

async fn install_crds(client: &Client, crds: &[CustomResourceDefinition]) {
    for crd in crds {
        controller::apply(client, &serde_json::to_string(crd).expect("a CRD is plain data")).await;
    }
}

/// Writes a kubeconfig with a token of the controller's ServiceAccount.
async fn as_account(client: &Client) -> PathBuf {
    let mut kubeconfig = Kubeconfig::read().expect("KUBECONFIG can be read");
    let info = controller::of_service_account(client, "backstay").await.auth_info;
    for user in &mut kubeconfig.auth_infos {
        user.auth_info = Some(info.clone());
    }
    let path = std::env::temp_dir().join(format!("backstay-hostile-{}.kubeconfig", std::process::id()));
    std::fs::write(&path, serde_saphyr::to_string(&kubeconfig).expect("plain data"))
        .expect("it can be written");
    path
}

/// The play, with what was seen so far.
struct Play<'r> {
    client: Client,
    start: Start,
    program: Program,
    report: &'r mut Report,
    began: Instant,
}

impl Play<'_> {
    async fn play(mut self) {
        let mut neighbour = Neighbour::new(self.client.clone());
        // The first ones find nothing ready: connections, caches.
        for _ in 0..3 {
            let _ = neighbour.backs_up().await;
        }
        for _ in 0..ALONE {
            self.report.idle.push(neighbour.backs_up().await);
        }
        self.report.first_ready = self.program.ready_after;
        self.report.idle_memory = self.program.settled_memory(Duration::from_secs(10)).await;

        self.prepare().await;
        self.stage("left alone");
        let inputs = inputs(self.report);
        let mallory = tenant::client().await.expect("a client of the tenant");
        let (began, before) = (Instant::now(), self.program.processor());
        let hostile = async {
            let sent = tenant::send(&mallory, &inputs, Instant::now() + SENDING).await;
            let objects: Vec<_> = inputs
                .iter()
                .zip(&sent)
                .filter(|(_, sent)| matches!(sent, Sent::Admitted))
                .filter_map(|(input, _)| input.object.as_ref())
                .collect();
            let sending = began.elapsed();
            let told = told::told(&self.client, &objects, Instant::now() + TELLING).await;
            (sent, told, sending)
        };
        let (sent, told, sending) = tokio::select! {
            done = hostile => done,
            () = backs_up_on_and_on(&mut neighbour, &mut self.report.disturbed) => unreachable!("it goes on and on"),
        };
        self.report.sending = sending;
        self.report.processor = self.program.processor() - before;
        self.report.slowest_call = neighbour.slowest_call;
        self.report.judge(&inputs, &sent, &told);
        self.note_program();

        self.stage("writing everything, until each says something");
        self.restart(&mut neighbour).await;
        self.stage("starting anew");
        self.remove().await;
        self.stage("removing everything");
        self.report.memory_after = self.program.settled_memory(Duration::from_secs(20)).await;
        self.note_program();
        self.ask_with_policies(&mallory, &inputs).await;
        self.stage("asking again, with policies");
    }

    /// Asks what is refused where the CRDs and the admission policies are installed as documented.
    async fn ask_with_policies(&mut self, mallory: &Client, inputs: &[Input]) {
        install_crds(&self.client, &backstay_api::crds()).await;
        let policies = policies(&Controller {
            namespace: controller::NAMESPACE.to_owned(),
            service_account: "backstay".to_owned(),
            strategy_groups: vec![backstay_api::STRATEGY_GROUP.to_owned()],
        });
        for object in policies.iter().flat_map(|policy| &policy.objects) {
            controller::apply(&self.client, &object.to_string()).await;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut every = tokio::time::interval(Duration::from_millis(500));
        // Each policy takes a moment to be in effect; each of these is refused by one of them.
        for group in ["options of RestoreJobs", "Jobs and pods", "metadata"] {
            let probe: Vec<Input> = inputs
                .iter()
                .filter(|i| i.group == group && i.refused_by_policy())
                .take(1)
                .cloned()
                .collect();
            while Instant::now() < deadline {
                every.tick().await;
                if matches!(
                    tenant::dry_run(mallory, &probe, deadline).await.first(),
                    Some(Sent::Refused(..)) | None
                ) {
                    break;
                }
            }
        }
        let sent = tenant::dry_run(mallory, inputs, deadline).await;
        self.report.judge_with_policies(inputs, &sent);
        for object in policies.iter().flat_map(|policy| policy.objects.iter().rev()) {
            let path = format!(
                "/apis/admissionregistration.k8s.io/v1/{}/{}",
                if object["kind"] == "ValidatingAdmissionPolicy" {
                    "validatingadmissionpolicies"
                } else {
                    "validatingadmissionpolicybindings"
                },
                object["metadata"]["name"].as_str().unwrap_or_default()
            );
            let request = http::Request::delete(path).body(Vec::new()).expect("a request");
            let _ = self.client.request_text(request).await;
        }
    }

    /// Makes the Backup that the RestoreJobs name, and a run that holds the application `held`.
    async fn prepare(&self) {
        let run = |name: &str, application: &str, class: &str| {
            json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
                "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {
                    "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": application},
                    "backupClassName": class}})
        };
        for (name, application, class) in [("good", "good", "hostile"), ("holds", "held", "stuck")] {
            controller::apply(&self.client, &run(name, application, class).to_string()).await;
        }
        let object = input::Object { plural: "backupjobs", name: "good".to_owned() };
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut every = tokio::time::interval(Duration::from_millis(200));
        loop {
            every.tick().await;
            let told = told::told(&self.client, &[&object], deadline).await;
            match told.get(&told::key(&object)) {
                Some(told::Told::Ended(phase, _)) if phase == "Succeeded" => return,
                other => assert!(Instant::now() < deadline, "no Backup to restore: {other:?}"),
            }
        }
    }

    fn stage(&mut self, name: &'static str) {
        self.report.stages.push((name, self.began.elapsed()));
    }

    fn note_program(&mut self) {
        let (_, peak) = self.program.memory();
        self.report.peak_memory = self.report.peak_memory.max(peak);
        let seen = self.program.seen();
        self.report.probes += seen.probes;
        self.report.slowest_probe = self.report.slowest_probe.max(seen.slowest);
        self.report.unready.extend(seen.unready);
    }

    /// Starts the controller anew while everything is there.
    async fn restart(&mut self, neighbour: &mut Neighbour) {
        // Only now: two of them would share the runs.
        let Some(program) = self.replaced() else { return };
        self.report.ready_again = Some(program.ready_after);
        self.program = program;
        for _ in 0..ALONE {
            let took = neighbour.backs_up().await;
            let lost = took.is_err();
            self.report.after_restart.push(took);
            if lost {
                break;
            }
        }
        self.report.memory_with_all = self.program.settled_memory(Duration::from_secs(5)).await;
    }

    fn replaced(&mut self) -> Option<Program> {
        self.program.kill();
        match self.start.start() {
            Ok(program) => Some(program),
            Err(error) => {
                self.report.wrong.push(format!("restart: {error}"));
                None
            }
        }
    }

    /// Deletes everything of the tenant's, and waits until it is gone.
    async fn remove(&mut self) {
        let deadline = Instant::now() + REMOVING;
        let left = async {
            for namespace in [NAMESPACE, OTHER] {
                for kind in kinds() {
                    self.removed(namespace, &kind).await;
                }
            }
        };
        if tokio::time::timeout_at(deadline, left).await.is_err() {
            let left = self.left().await;
            self.report.wrong.push(format!(
                "not everything is gone {} s after it was deleted: {left}",
                REMOVING.as_secs()
            ));
        }
    }

    /// Returns what is left of the tenant's objects: of each kind the number, and the first one.
    async fn left(&self) -> String {
        let mut told = Vec::new();
        for namespace in [NAMESPACE, OTHER] {
            for kind in kinds() {
                match self.listed(namespace, &kind).await {
                    Ok(left) => told.extend(left.first().map(|first| {
                        let meta = &first["metadata"];
                        let (finalizers, deleted) = (&meta["finalizers"], &meta["deletionTimestamp"]);
                        let name = &meta["name"];
                        format!("{} {}, as {name}: {finalizers}, deleted {deleted}", left.len(), kind.kind)
                    })),
                    Err(error) => told.push(format!("{}: {error}", kind.kind)),
                }
            }
        }
        told.join("; ")
    }

    /// Returns the metadata of the objects of a kind. Some of it decodes in no typed way: `managedFields` are the tenant's too.
    async fn listed(&self, namespace: &str, kind: &ApiResource) -> Result<Vec<Value>, kube::Error> {
        let path = DynamicObject::url_path(kind, Some(namespace));
        let request = kube::core::Request::new(path).list_metadata(&ListParams::default());
        let list: Value = self.client.request(request.map_err(kube::Error::BuildRequest)?).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Deletes the objects of a kind; the tenant's own finalizers go first. On a Plan all are the tenant's own.
    async fn removed(&self, namespace: &str, kind: &ApiResource) {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, kind);
        let mut every = tokio::time::interval(Duration::from_millis(500));
        loop {
            every.tick().await;
            let _ = api.delete_collection(&DeleteParams::background(), &ListParams::default()).await;
            let Ok(left) = self.listed(namespace, kind).await else { continue };
            if left.is_empty() {
                return;
            }
            for meta in left.iter().map(|object| &object["metadata"]) {
                let all: Vec<&str> =
                    meta["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let own = |finalizer: &str| finalizer.starts_with("mallory") || kind.kind == "Plan";
                let others: Vec<&str> = all.iter().copied().filter(|finalizer| !own(finalizer)).collect();
                if meta["deletionTimestamp"].is_string() && others.len() < all.len() {
                    let patch = json!({"metadata": {"finalizers": others}});
                    let name = meta["name"].as_str().unwrap_or_default();
                    let _ = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await;
                }
            }
        }
    }
}

/// The kinds of the tenant's objects, in the order of their removal.
fn kinds() -> Vec<ApiResource> {
    let kind = |group: &str, version: &str, kind: &str, plural: &str| {
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    };
    let ours = |name: &str, plural: &str| kind("backups.cozystack.io", "v1alpha1", name, plural);
    vec![
        ours("Plan", "plans"),
        ours("RestoreJob", "restorejobs"),
        ours("BackupJob", "backupjobs"),
        ours("Backup", "backups"),
        kind("batch", "v1", "Job", "jobs"),
        kind("", "v1", "Pod", "pods"),
        kind("apps.cozystack.io", "v1alpha1", "Redis", "redises"),
    ]
}

async fn backs_up_on_and_on(neighbour: &mut Neighbour, latencies: &mut Vec<Result<Duration, String>>) {
    let mut every = tokio::time::interval(Duration::from_millis(200));
    loop {
        every.tick().await;
        latencies.push(neighbour.backs_up().await);
    }
}
