//! `backstay component …`: what an author does without a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use backstay_api::Backup;
use backstay_core::backup::completed;
use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef, Pairs, PodRun, Request, Severity};
use backstay_core::pod_policy;
use backstay_core::steps::rbac;
use backstay_engine::{Component, Engine, EngineConfig, World};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use super::first_step::{first_step, refused};
use super::objects::Objects;
use super::output::print;
use crate::components::{limits, pod_bounds};
use crate::yaml::kind as kind_of;

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Print what a component says about itself, what it imports, and its digest
    Inspect(InspectArgs),
    /// Print the RBAC that a component asks for, for kubectl apply -f -
    Rbac(RbacArgs),
    /// Print the pod that a strategy would run, rendered as the controller would render it, or the first step of a strategy
    /// that takes steps
    Render(Box<RenderArgs>),
}

impl ComponentCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Inspect(args) => args.run(),
            Self::Rbac(args) => args.run(),
            Self::Render(args) => args.run(),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl Format {
    fn write(self, value: &Json) -> anyhow::Result<String> {
        Ok(match self {
            Self::Yaml => serde_saphyr::to_string(value)?,
            Self::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The component
    file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
}

impl InspectArgs {
    fn run(self) -> anyhow::Result<()> {
        let component = load(&self.file)?;
        let d = component.descriptor();
        let traits = [
            ("restore", d.traits.restore),
            ("cleanup", d.traits.cleanup),
            ("cancel", d.traits.cancel),
            ("credentials", d.traits.credentials),
            ("strategy-on-restore", d.traits.strategy_on_restore),
            ("unpinned", d.traits.unpinned),
        ];
        let kinds: Vec<Json> = d
            .kinds
            .iter()
            .map(|k| {
                json!({"group": k.group, "version": k.version, "kind": k.kind, "plural": k.plural,
                    "applications": if k.applications.is_empty() { json!("any") } else {
                        k.applications.iter().map(ToString::to_string).collect() },
                    "fields": k.schema["properties"].as_object().map(|p| p.keys().cloned().collect::<Vec<_>>())})
            })
            .collect();
        let described = json!({
            "name": d.name,
            "version": d.version,
            "world": format!("{:?}-strategy", component.world()).to_lowercase(),
            "contract": component.wit_version(),
            "digest": component.digest(),
            "sizeBytes": component.size(),
            "imports": component.imports(),
            "kinds": kinds,
            "traits": traits.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect::<Vec<_>>(),
            "longestRunSeconds": d.longest_run,
            "restores": d.restores,
            "access": d.access.iter().map(|a| json!({"group": a.group, "version": a.version, "kind": a.kind})).collect::<Vec<_>>(),
            "parametersSchema": d.parameters_schema,
            "optionsSchema": d.options_schema,
        });
        print(&self.output.write(&described)?)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RbacArgs {
    /// The component
    file: PathBuf,
    /// Print the grant to delete what no run of the component owns instead: a restore that replaces objects needs it
    #[arg(long)]
    purge: bool,
    /// The controller's own namespace, where the component's ServiceAccount is
    #[arg(long, env = "BACKSTAY_NAMESPACE", default_value = "backstay-system")]
    namespace: String,
}

impl RbacArgs {
    fn run(self) -> anyhow::Result<()> {
        let component = load(&self.file)?;
        for object in rbac(component.descriptor(), &self.namespace, self.purge) {
            print(&format!("---\n{}", Format::Yaml.write(&object)?))?;
        }
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The component
    file: PathBuf,
    /// The strategy object, as applied to a cluster
    #[arg(long)]
    strategy: PathBuf,
    /// The application object, as the API server returns it
    #[arg(long)]
    application: PathBuf,
    /// A parameter of the BackupClass entry, key=value; may be given several times
    #[arg(long = "parameters", value_parser = pair)]
    parameters: Vec<(String, String)>,
    /// What the run is for
    #[arg(long, value_enum, default_value = "backup")]
    mode: RenderMode,
    /// The Backup to restore, with --mode restore
    #[arg(long)]
    backup: Option<PathBuf>,
    /// Namespace of the run; default: the application's
    #[arg(long)]
    namespace: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum RenderMode {
    Backup,
    Restore,
}

impl RenderArgs {
    fn run(self) -> anyhow::Result<()> {
        // As the controller calls it.
        let component = limits::apply(load(&self.file)?, &self.file)?;
        let strategy = Objects::read(&self.strategy)?
            .one("a strategy of this component", |kind| component.descriptor().serves(kind).is_some())?;
        let served = component.descriptor().serves(&kind_of(&strategy));
        let application = Objects::read(&self.application)?.one("the application", |kind| match served {
            Some(served) if !served.applications.is_empty() => served.applications.contains(kind),
            _ => is_application(kind),
        })?;
        let request = self.request(&strategy, &application)?;
        if component.descriptor().serves(&request.strategy_kind).is_none() {
            let served: Vec<_> =
                component.descriptor().kinds.iter().map(|k| GroupKind::from(k).to_string()).collect();
            bail!(
                "{}: kind {} is not served by this component (served: {})",
                self.strategy.display(),
                request.strategy_kind,
                served.join(", ")
            );
        }
        if component.world() == World::Resource {
            let (step, pods) = first_step(&component, &request, &application)?;
            for pod_run in &pods {
                Self::warn(pod_run);
                self.allowed(pod_run)?;
            }
            return print(&self.output.write(&step)?);
        }
        let called = component.render(&request, Some(&application))?;
        let pod_run = called.value.map_err(|failure| refused(&failure))?;
        Self::warn(&pod_run);
        self.allowed(&pod_run)?;
        print(&self.output.write(&pod_run.template)?)
    }

    fn warn(pod_run: &PodRun) {
        for finding in &pod_run.findings {
            let level = if finding.severity == Severity::Error { "error" } else { "warning" };
            #[allow(clippy::print_stderr)]
            {
                eprintln!("backstay: {level}: {}: {}", finding.at, finding.message);
            }
        }
    }

    fn allowed(&self, pod_run: &PodRun) -> anyhow::Result<()> {
        let violations = pod_policy::check(&pod_run.template, &pod_bounds::beside(&self.file)?);
        if violations.is_empty() {
            return Ok(());
        }
        let list = violations.iter().map(|v| format!("\n  {}: {}", v.at, v.message)).collect::<String>();
        bail!("PodPolicyViolation: the controller would refuse this pod{list}")
    }

    fn request(&self, strategy: &Json, application: &Json) -> anyhow::Result<Request> {
        let text = |value: &Json, pointer: &str, file: &Path| -> anyhow::Result<String> {
            let found = value.pointer(pointer).and_then(Json::as_str).filter(|s| !s.is_empty());
            found.map(str::to_owned).ok_or_else(|| {
                anyhow!(
                    "{}: {} is missing",
                    file.display(),
                    pointer.trim_start_matches('/').replace('/', ".")
                )
            })
        };
        let name = text(application, "/metadata/name", &self.application)?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => application["metadata"]["namespace"].as_str().unwrap_or("default").to_owned(),
        };
        let backup: Option<Backup> = match (&self.backup, self.mode) {
            (Some(path), RenderMode::Restore) => {
                let is_backup = |kind: &GroupKind| kind.group == backstay_api::GROUP && kind.kind == "Backup";
                let found = Objects::read(path)?.one("a Backup", is_backup)?;
                let backup: Backup = serde_json::from_value(found)
                    .with_context(|| format!("{} is not a Backup", path.display()))?;
                Some(completed(backup))
            }
            (None, RenderMode::Restore) => bail!("--mode restore needs --backup FILE"),
            (Some(_), RenderMode::Backup) => bail!("--backup goes with --mode restore"),
            (None, RenderMode::Backup) => None,
        };
        let mut parameters: Pairs =
            backup.as_ref().map(backstay_core::backup::parameters).unwrap_or_default();
        parameters.extend(self.parameters.iter().cloned());
        let now = Timestamp::now().as_second();
        let (mode, kind) = match self.mode {
            RenderMode::Backup => (Mode::Backup, "BackupJob"),
            RenderMode::Restore => (Mode::Restore, "RestoreJob"),
        };
        Ok(Request {
            mode,
            run: backstay_core::backup::run_ref(kind, &namespace, "preview"),
            run_uid: "00000000-0000-0000-0000-000000000000".to_owned(),
            started_at: now,
            deadline: now + 3600,
            now,
            strategy_kind: {
                text(strategy, "/apiVersion", &self.strategy)?;
                text(strategy, "/kind", &self.strategy)?;
                kind_of(strategy)
            },
            strategy: Some(strategy.get("spec").cloned().unwrap_or_else(|| json!({}))),
            parameters,
            options: None,
            application: ObjectRef {
                api_version: text(application, "/apiVersion", &self.application)?,
                kind: text(application, "/kind", &self.application)?,
                namespace: Some(namespace),
                name,
            },
            backup: backup.as_ref().map(backstay_core::backup::to_contract),
            namespaces: Pairs::new(),
            inherited: None,
            cancelled: None,
        })
    }
}

fn load(file: &Path) -> anyhow::Result<Component> {
    let engine = Engine::new(EngineConfig::default())?;
    engine.load_file(file).with_context(|| format!("{} cannot be loaded", file.display()))
}

/// Returns whether an object of a file with several can be the application: it is no strategy, none of our kinds, and of no
/// group of Kubernetes.
fn is_application(kind: &GroupKind) -> bool {
    let of_kubernetes = kind.group.ends_with(".k8s.io") || !kind.group.contains('.');
    !of_kubernetes && kind.group != backstay_api::GROUP && kind.group != backstay_api::STRATEGY_GROUP
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not of the form key=value"))
}
