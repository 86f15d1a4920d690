//! The parts of `backstay dev`: an API server in memory, the controllers of a cluster, a node, and Backstay's controller.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use backstay_core::trust::Trust;
use backstay_engine::{Engine, EngineConfig};
use devcluster::api::{ApiServer, Credentials, Listening, Logs, Options, TokioClock, kubeconfig};
use devcluster::client::{Api, Over};
use devcluster::controllers::Controllers;
use devcluster::local::{Files, Image, Images, Node, Root};
use jiff::Timestamp;
use kube::Config;
use tokio::task::JoinSet;

use super::chance::{random, secret};
use super::place::Place;
use crate::cluster::client::REQUEST_TIMEOUT;
use crate::components::registry::Registry;
use crate::controller;
use crate::settings::Settings;
use crate::trial::{Admin, SYSTEM, install, token};

/// The administrator's token within the process.
const TOKEN: &str = "backstay-dev-administrator";
/// Name of the node.
const NODE: &str = "local";

/// What a user says of the cluster.
pub(super) struct Setup {
    /// Folder with the components.
    pub(super) components: PathBuf,
    /// What they are trusted with.
    pub(super) trust: Trust,
    /// Address of the API.
    pub(super) api_bind: SocketAddr,
    /// Address of the controller's probes and metrics.
    pub(super) http_bind: Option<SocketAddr>,
    /// Folder for compiled code.
    pub(super) code_cache: Option<PathBuf>,
    /// Folder in which the cluster is kept from one start to the next.
    pub(super) keep: Option<PathBuf>,
}

/// A cluster in this process. Dropped, all of it ends.
pub(super) struct DevCluster {
    listening: Listening,
    admin: Admin,
    kubeconfig: PathBuf,
    components: Vec<String>,
    parts: JoinSet<anyhow::Error>,
    server: ApiServer,
    // Removed after all else, unless it is kept.
    place: Place,
}

impl DevCluster {
    /// Starts the cluster, installs Backstay in it as docs/operations does, and starts its controller.
    pub(super) async fn start(setup: Setup) -> anyhow::Result<Self> {
        let engine = Engine::new(EngineConfig { code_cache: setup.code_cache, ..EngineConfig::default() })
            .context("the component engine cannot be started")?;
        let registry = Registry::load(&engine, &setup.components, &setup.trust)
            .context("the components cannot be loaded")?;
        if !setup.api_bind.ip().is_loopback() {
            bail!(
                "--api-bind {}: only an address of this machine alone, such as 127.0.0.1: who reaches the API runs pods as this user",
                setup.api_bind
            );
        }
        let place = Place::new(setup.keep.as_deref())?;
        let path = place.path().to_owned();
        let files = Files::new(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        let logs: Arc<dyn Logs> = Arc::new(files);
        let server = place.server(Options {
            clock: Box::new(TokioClock::starting_at(Timestamp::now())),
            seed: u64::from_ne_bytes(random()?),
            credentials: Credentials { open: true, tokens: vec![TOKEN.to_owned()] },
            logs: Some(logs),
            ..Options::default()
        })?;
        let listening = server
            .listen_under(setup.api_bind, &format!("/{}", secret()?))
            .await
            .context("the address of --api-bind cannot be used")?;
        let kubeconfig_path = path.join("kubeconfig");
        std::fs::write(&kubeconfig_path, kubeconfig(&listening.url(), None))
            .with_context(|| format!("{} cannot be written", kubeconfig_path.display()))?;

        let mut parts = JoinSet::new();
        parts.spawn(place.clone().run(server.clone()));
        parts.spawn(cluster_controllers(server.clone()));
        parts.spawn(node(server.clone(), path));

        let admin = Admin::new(server.clone(), Some(TOKEN));
        install(&admin, &registry).await?;
        let components = served(&registry);
        let settings = Settings {
            namespace: SYSTEM.to_owned(),
            http: setup.http_bind,
            recheck: Duration::from_secs(10),
            ..Settings::default()
        };
        let own = token(&admin).await.context("no token for the controller")?;
        let own = crate::cluster::client::client(config(&listening.url(), &own)?, REQUEST_TIMEOUT)?;
        parts.spawn(async move {
            match controller::run(own, registry, settings, std::future::pending()).await {
                Ok(()) => anyhow!("the controller ended"),
                Err(error) => error.into(),
            }
        });
        Ok(Self { listening, admin, kubeconfig: kubeconfig_path, components, parts, server, place })
    }

    /// Ends all parts, and the processes of the node with them. Then it writes down what the cluster holds, if it is kept, and removes
    /// its folder otherwise.
    ///
    /// # Errors
    /// What the cluster holds cannot be written.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.parts.shutdown().await;
        self.place.finish(&self.server)
    }

    /// Returns the administrator.
    pub(super) fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// Waits until a part ends, which none does by itself.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.parts.join_next().await {
            Some(Ok(error)) => error,
            Some(Err(error)) => error.into(),
            None => anyhow!("nothing runs"),
        }
    }

    /// Returns what a user is told once all runs.
    pub(super) fn welcome(&self, took: Duration) -> String {
        let kubeconfig = self.kubeconfig.display();
        let end = self.place.end();
        format!(
            "\
A Kubernetes API in memory with Backstay's controller, for trying and testing; production is a real Kubernetes.
  API         {}
  kubeconfig  {kubeconfig}
  node        {NODE}: containers are processes of this user, with the tools of this machine
  components  {}
Up after {:.1} s. Ctrl-C ends it, and {end}.

What to try, in another terminal:
  export KUBECONFIG={kubeconfig}
  kubectl apply -f examples/files/kind.yaml -f examples/files/strategy.yaml
  kubectl apply -f examples/files/application.yaml -f examples/files/backup.yaml
  kubectl get backupjobs,backups,pods
",
            self.listening.url(),
            self.components.join(", "),
            took.as_secs_f32(),
        )
    }
}

/// Runs the controllers of a cluster.
async fn cluster_controllers(server: ApiServer) -> anyhow::Error {
    match Controllers::new(server, Some(TOKEN.to_owned())).run().await {}
}

/// Runs the node: any image is the tools of this machine.
async fn node(server: ApiServer, folder: PathBuf) -> anyhow::Error {
    let api: Api = Arc::new(Over::new(server, "kubelet").with_token(TOKEN));
    let images = Images::new().with("*", Image::of(Root::Host));
    match Node::new(api, NODE, images, &folder) {
        Ok(node) => match node.run().await {
            Ok(never) => match never {},
            Err(refused) => anyhow::Error::new(refused).context("the API refuses the node"),
        },
        Err(error) => anyhow::Error::new(error).context("the node cannot be started"),
    }
}

/// The components, each with the kinds that it serves.
fn served(registry: &Registry) -> Vec<String> {
    let served = registry.iter().map(|component| {
        let of = component.descriptor();
        let kinds: Vec<String> =
            of.kinds.iter().map(|kind| format!("{}.{}", kind.kind, kind.group)).collect();
        format!("{} {} ({})", of.name, of.version, kinds.join(", "))
    });
    served.collect()
}

fn config(url: &str, token: &str) -> anyhow::Result<Config> {
    let mut config = Config::new(url.parse()?);
    config.auth_info.token = Some(token.to_owned().into());
    Ok(config)
}
