//! The cluster that every play begins with: it is made once, and copied.

use std::path::Path;
use std::time::Duration;

use backstay::components::registry::Registry;
use backstay_tests::controller;
use backstay_tests::model::runtime;
use devcluster::api::{ApiServer, Options, TokioClock};
use devcluster::client::{Client as _, Over, text};
use devcluster::controllers::Controllers;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use crate::plan::{APPS, App, Class, TENANTS};
use crate::programs;

/// The controller's namespace.
pub(crate) const SYSTEM: &str = "backstay-system";
/// When the simulation begins.
pub(crate) const BEGIN: i64 = 1_775_000_000;
/// The components of the plays.
const COMPONENTS: [&str; 2] = ["job.wasm", "steps.wasm"];

/// What all plays share.
pub struct Base {
    pub(crate) server: ApiServer,
    pub(crate) registry: Registry,
    /// Token of the controller's ServiceAccount.
    pub(crate) token: String,
    /// The revision at which the plays begin.
    pub(crate) revision: u64,
}

/// A client of the administrator, over a server of the simulation.
pub(crate) type Admin = Over<ApiServer>;

/// Returns a client of the administrator.
pub(crate) fn admin(server: &ApiServer) -> Admin {
    Over::new(server.clone(), "people")
}

/// Returns the time of the beginning.
pub(crate) fn begin() -> Timestamp {
    Timestamp::from_second(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Base {
    /// Makes the cluster: CRDs, rights, tenants with their applications, classes and strategies.
    ///
    /// # Panics
    /// A component does not load, or the API server refuses an object.
    #[must_use]
    pub(crate) fn make() -> Self {
        crate::order::begin();
        runtime().block_on(async {
            // A day of certificates and tokens before the first play.
            let clock = TokioClock::starting_at(begin() - jiff::SignedDuration::from_hours(1));
            let server = ApiServer::new(Options { clock: Box::new(clock), ..Options::default() });
            tokio::spawn(Controllers::new(server.clone(), None).run());
            let engine = controller::engine();
            let client = Client::new(server.clone(), "default");
            let folder = controller::install(&client, &engine).await;
            let registry = controller::load(&engine, &only(&folder));
            let admin = admin(&server);
            for tenant in 0..TENANTS {
                tenant_of(&admin, tenant).await;
            }
            for class in Class::ALL {
                class_of(&admin, class).await;
            }
            let path = format!("/api/v1/namespaces/{SYSTEM}/serviceaccounts/backstay/token");
            let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "spec": {"expirationSeconds": 4_000_000_000_u64}});
            let answer = admin.create(&path, asked).await.expect("a token");
            let token = text(&answer, "/status/token").to_owned();
            // The controllers of the cluster do what they do in a new one.
            tokio::time::sleep(Duration::from_mins(10)).await;
            let revision = server.revision();
            Self { server, registry, token, revision }
        })
    }
}

/// Returns a folder with the components of the plays alone: each further one costs every play a watch.
fn only(folder: &Path) -> std::path::PathBuf {
    let own = folder.join("simulation");
    std::fs::create_dir_all(&own).expect("the folder can be made");
    for file in COMPONENTS {
        std::fs::copy(folder.join(file), own.join(file)).expect("the component can be copied");
    }
    own
}

async fn create(admin: &Admin, path: &str, object: Value) {
    let made = admin.create(path, object).await;
    made.unwrap_or_else(|refused| panic!("{path}: {refused}"));
}

async fn tenant_of(admin: &Admin, tenant: usize) {
    let namespace = App { tenant, number: 0 }.namespace();
    let kind = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    create(admin, "/api/v1/namespaces", kind).await;
    for number in 0..APPS {
        let app = App { tenant, number };
        create(admin, &applications(&namespace), application(app)).await;
    }
    for name in ["theirs", "old", "flag"] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        create(admin, &format!("/api/v1/namespaces/{namespace}/configmaps"), map).await;
    }
    for role in ROLES {
        create(admin, &bindings(&namespace), binding(role)).await;
    }
}

/// The roles of the component in steps.
pub(crate) const ROLES: [&str; 2] = ["backstay-strategy-steps", "backstay-strategy-steps-purge"];

/// Returns the path of a namespace's role bindings.
pub(crate) fn bindings(namespace: &str) -> String {
    format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings")
}

/// Returns what grants a role to the component in steps.
pub(crate) fn binding(role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "backstay-steps", "namespace": SYSTEM}]})
}

/// Returns the path of a namespace's applications.
pub(crate) fn applications(namespace: &str) -> String {
    format!("/apis/apps.cozystack.io/v1alpha1/namespaces/{namespace}/redises")
}

/// Returns an application.
pub(crate) fn application(app: App) -> Value {
    json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis", "metadata": {"name": app.name()},
        "spec": {"size": "10Gi"}})
}

/// Returns the path of a class's strategies, and its strategy.
pub(crate) fn strategy(class: Class, version: u32) -> (&'static str, Value) {
    let (path, api_version, kind) = match class {
        Class::Job => (
            "/apis/strategy.backups.cozystack.io/v1alpha1/jobs",
            "strategy.backups.cozystack.io/v1alpha1",
            "Job",
        ),
        _ => ("/apis/test.backstay.dev/v1/steps", "test.backstay.dev/v1", "Steps"),
    };
    let spec = programs::of(class, version);
    (path, json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": class.name()}, "spec": spec}))
}

async fn class_of(admin: &Admin, class: Class) {
    if class == Class::Missing {
        return;
    }
    let (path, object) = strategy(class, 0);
    let (group, _) = text(&object, "/apiVersion").split_once('/').unwrap_or_default();
    let named = json!({"apiGroup": group, "kind": object["kind"], "name": class.name()});
    create(admin, path, object).await;
    let object = json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupClass",
        "metadata": {"name": class.name()}, "spec": {"strategies": [{
            "application": {"apiGroup": "apps.cozystack.io", "kind": "Redis"},
            "strategyRef": named, "parameters": {"bucket": "store"}}]}});
    create(admin, "/apis/backups.cozystack.io/v1alpha1/backupclasses", object).await;
}
