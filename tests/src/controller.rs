//! The controller under test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay::cluster::client;
use backstay::components::registry::Registry;
use backstay::controller;
use backstay::settings::Settings;
use backstay_core::credentials::Projection;
use backstay_core::run_budget::BudgetLimits;
use backstay_core::steps::rbac;
use backstay_core::trust::Trust;
use backstay_engine::{Engine, EngineConfig};
use backstay_testing::Features;
use jiff::SignedDuration;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::administrator;

/// How long a run of a test may be blocked.
pub const WAIT_DEADLINE: SignedDuration = SignedDuration::from_secs(15);
/// How long a run of a test may take.
pub const RUN_DEADLINE: SignedDuration = SignedDuration::from_secs(75);
/// How long a component of a test may undo.
pub const UNDO_DEADLINE: SignedDuration = SignedDuration::from_secs(10);
/// How long a finished Job of a test is kept.
pub const JOB_TTL: SignedDuration = SignedDuration::from_hours(1);
/// What a run of a test may spend in a minute.
const BUDGET: BudgetLimits = BudgetLimits {
    guest_time: Duration::from_secs(30),
    writes: 60,
    checkpoint_bytes: 8 << 20,
    patience: Duration::from_secs(15),
};
/// Components of tests that list Nodes, which no guard ties to a tenant.
pub const UNGUARDED: [&str; 2] = ["keeper", "steps"];
/// The controller's own namespace.
pub(crate) const NAMESPACE: &str = "backstay-system";

/// The controller's key, 32 bytes in base64.
const PROOF_KEY: &str = "dGVzdHM6IHRoZSBzYW1lIGtleSBpbiBhbGwgcnVucyE=";
/// File with the source Secret of the credentials.
pub const CREDENTIALS: &str = "tests/credentials.yaml";

const APPLICATIONS: &str = r#"{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "PLURAL.GROUP"},
  "spec": {"group": "GROUP", "scope": "Namespaced",
    "names": {"kind": "KIND", "plural": "PLURAL"},
    "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
      {"type": "object", "properties": {"spec": {"x-kubernetes-preserve-unknown-fields": true}}}}}]}}"#;

/// Returns whether there is a cluster to test on. If not, reports the test as skipped, or panics if `CI` is set.
pub(crate) fn available(test: &str) -> bool {
    if std::env::var_os("BACKSTAY_TEST_CLUSTER").is_some() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{test} needs the test cluster: run it by `make test`, which starts one"
    );
    eprintln!("SKIPPED {test}: no test cluster; `make test` starts one and runs it");
    false
}

/// Returns an administrator's client, once the cluster is set up and the controller runs.
pub(crate) async fn client() -> Client {
    static READY: OnceCell<()> = OnceCell::const_new();
    // A client belongs to the runtime that made it, and each test has its own runtime.
    let client = administrator().await.expect("KUBECONFIG leads to a cluster");
    READY.get_or_init(|| set_up(client.clone())).await;
    client
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the components, and installs CRDs, RBAC and credentials in the cluster. Returns the components' folder.
///
/// # Panics
/// The cluster refuses an object.
pub async fn install(client: &Client, engine: &Engine) -> PathBuf {
    let folder = components();
    let (mut crds, mut grants) = (backstay_api::crds(), Vec::new());
    for file in ["altinity.wasm", "broken.wasm", "job.wasm", "keeper.wasm", "scrubber.wasm", "steps.wasm"] {
        let component = engine.load_file(&folder.join(file)).expect("the component loads");
        for purge in [false, true] {
            for object in rbac(component.descriptor(), NAMESPACE, purge) {
                grants.push(serde_json::to_string(&ungranted(object, purge)).expect("plain data"));
            }
        }
        for kind in &component.descriptor().kinds {
            let crd = backstay_api::strategy_crd(
                &kind.group,
                &kind.version,
                &kind.kind,
                &kind.plural,
                &kind.schema,
            );
            crds.push(crd.expect("the descriptor makes a CRD"));
        }
    }
    for (group, kind, plural) in [
        ("apps.cozystack.io", "ClickHouse", "clickhouses"),
        ("apps.cozystack.io", "Redis", "redises"),
        ("ungranted.example.org", "Redis", "redises"),
    ] {
        let crd = APPLICATIONS.replace("GROUP", group).replace("KIND", kind).replace("PLURAL", plural);
        crds.push(serde_json::from_str(&crd).expect("a CRD"));
    }
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in &crds {
        let params = PatchParams::apply("backstay-tests").force();
        api.patch(&crd.name_any(), &params, &Patch::Apply(crd)).await.expect("the CRD is accepted");
    }
    for crd in &crds {
        let name = crd.name_any();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(Duration::from_secs(30), established)
            .await
            .unwrap_or_else(|_| panic!("CRD {name} was not established in time"))
            .expect("the CRD can be watched");
    }
    for file in [
        "deploy/rbac/namespace.yaml",
        "deploy/rbac/rbac.yaml",
        "deploy/credentials/rbac.yaml",
        "tests/rbac.yaml",
        CREDENTIALS,
    ] {
        apply(client, &std::fs::read_to_string(root().join(file)).expect("the manifest is there")).await;
    }
    for object in grants {
        apply(client, &object).await;
    }
    // Else the first controller of a fresh cluster makes one more call than the others.
    let key = json!({"apiVersion": "v1", "kind": "Secret", "type": "backstay.dev/proof-key", "immutable": true,
        "metadata": {"name": "backstay-proof-key", "namespace": NAMESPACE}, "data": {"key": PROOF_KEY}});
    apply(client, &key.to_string()).await;
    folder
}

/// Loads the components of a folder, and allows the unguarded accesses of [`UNGUARDED`].
///
/// # Panics
/// A component cannot be loaded.
#[must_use]
pub fn load(engine: &Engine, folder: &Path) -> Registry {
    let trust = Trust {
        unguarded: UNGUARDED.map(str::to_owned).to_vec(),
        credentials: vec!["altinity".to_owned()],
        ..Trust::default()
    };
    Registry::load(engine, folder, &trust).expect("the components load")
}

/// Removes from a role the groups that tests do not grant.
fn ungranted(mut object: Value, purge: bool) -> Value {
    if let Some(rules) = object.get_mut("rules").and_then(Value::as_array_mut) {
        let withheld = if purge { "coordination.k8s.io" } else { "apps" };
        rules.retain(|rule| rule["apiGroups"] != json!([withheld]));
    }
    object
}

/// Starts an engine for tests. It keeps compiled components: a test loads them twice, and the next run loads them again.
///
/// # Panics
/// The machine cannot run components, or others could write to the cache.
#[must_use]
pub fn engine() -> Engine {
    let code_cache = Some(backstay_testing::target_dir().join("test-code-cache"));
    let config = EngineConfig { code_cache, concurrent_calls: 32, ..EngineConfig::default() };
    Engine::new(config).expect("the engine starts")
}

async fn set_up(client: Client) {
    let engine = engine();
    let folder = install(&client, &engine).await;
    let registry = load(&engine, &folder);
    let config = of_service_account(&client, "backstay").await;
    let settings = Settings {
        wait_deadline: WAIT_DEADLINE,
        run_deadline: RUN_DEADLINE,
        undo_deadline: UNDO_DEADLINE,
        job_ttl: Some(JOB_TTL),
        budget: BUDGET,
        credentials: Some(Projection {
            source_namespace: NAMESPACE.to_owned(),
            source_name: "platform-store".to_owned(),
            target: "cozy-backups-creds".to_owned(),
            ..Projection::default()
        }),
        ..Settings::default()
    };
    std::thread::spawn(move || {
        tracing_subscriber::fmt().with_env_filter("info,kube=warn").with_writer(log).with_ansi(false).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let ended = runtime.block_on(async move {
            let client = client::client(config, client::REQUEST_TIMEOUT).expect("a client");
            controller::run(client, registry, settings, std::future::pending()).await
        });
        panic!("the controller ended: {ended:?}");
    });
}

/// Returns a configuration with the token of a ServiceAccount in the controller's namespace, as in a pod.
///
/// # Panics
/// The cluster issues no token.
pub async fn of_service_account(client: &Client, name: &str) -> Config {
    let mut config = Config::infer().await.expect("KUBECONFIG leads to a cluster");
    let token = token(client, name).await;
    config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
    config
}

/// Returns a token of a ServiceAccount in the controller's namespace.
///
/// # Panics
/// The cluster issues no token.
pub async fn token(client: &Client, name: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let asked = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let token = accounts.create_token_request(name, &PostParams::default(), &asked).await;
    token.expect("a token of the account").status.expect("it is given").token
}

/// Opens the controller's log in the temporary directory.
fn log() -> std::fs::File {
    let path = std::env::temp_dir().join("backstay-tests-controller.log");
    std::fs::File::options().create(true).append(true).open(path).expect("the log can be written")
}

/// Builds the components of the tests and returns their folder.
fn components() -> PathBuf {
    let folder = backstay_testing::target_dir().join("test-components");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for (dir, features, file) in [
        ("strategies/altinity", &[][..], "altinity.wasm"),
        ("strategies/job", &[], "job.wasm"),
        ("tests/guests/broken", &[], "broken.wasm"),
        ("tests/guests/cleanup", &[], "scrubber.wasm"),
        ("tests/guests/steps", &["keeper".to_owned()], "keeper.wasm"),
        ("tests/guests/steps", &[], "steps.wasm"),
    ] {
        let features = Features { on: features.to_vec(), ..Features::default() };
        let bytes = backstay_testing::build_with(&root().join(dir), &features).expect("the strategy builds");
        std::fs::write(folder.join(file), bytes).expect("the component can be written");
    }
    let bounds = "serviceAccounts: [default]\nsecrets: [cozy-backups-creds, nowhere]\n";
    std::fs::write(folder.join("job.pods.yaml"), bounds).expect("the bounds can be written");
    folder
}

/// Applies the documents of a YAML file, as `kubectl apply --server-side` does.
///
/// # Panics
/// The cluster refuses a document.
pub async fn apply(client: &Client, text: &str) {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).expect("the manifest is YAML");
    for document in documents.into_iter().filter(|d| !d.is_null()) {
        let object: DynamicObject = serde_json::from_value(document).expect("the manifest is an object");
        let types = object.types.clone().expect("the manifest names its kind");
        let gvk = GroupVersionKind::try_from(types).expect("the manifest names its version");
        let (resource, capabilities) = pinned_kind(client, &gvk).await.expect("the kind is served");
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Namespaced => Api::namespaced_with(client.clone(), &namespace, &resource),
            Scope::Cluster => Api::all_with(client.clone(), &resource),
        };
        let params = PatchParams::apply("backstay-tests").force();
        api.patch(&object.name_any(), &params, &Patch::Apply(&object))
            .await
            .expect("the manifest is accepted");
    }
}
