//! The loaded components, and which of them serves a strategy kind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use backstay_core::component::{Served, serving};
use backstay_core::contract::{GroupKind, Scope};
use backstay_core::pod_policy::{Allowed, UNBOUNDED};
use backstay_core::trust::{Trust, Untrusted};
use backstay_engine::{Component, Engine, LoadError};

use super::limits::{self, LimitsError};
use super::pod_bounds::{self, PodsError};

/// Why the components of a folder cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The folder cannot be read.
    #[error(
        "components folder {path:?} cannot be read: give the folder that holds the .wasm files with --components"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a component that this host accepts.
    #[error("component {path:?} cannot be loaded")]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<LoadError>,
    },
    /// The limits of a component are refused.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The bounds of a component's pods are refused.
    #[error(transparent)]
    Pods(#[from] PodsError),
    /// A component restores into other namespaces, which this version does not authorize.
    #[error(
        "component {name:?} names an option for the target namespace of a restore ({option:?}), which this version of the controller does not serve: use a version of the component without it"
    )]
    TargetNamespace {
        /// Name of the component.
        name: String,
        /// The option.
        option: String,
    },
    /// The name of a component's file is not its own: administrators name components by it in flags and in the files beside it.
    #[error(
        "component {path:?} says that it is {name:?}: name the file {name}.wasm if that is what it is meant to be"
    )]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// The name in the descriptor.
        name: String,
    },
    /// The file of a component is not the one whose digest the administrator has written down.
    #[error(
        "component {path:?} has digest {found}, and {pin:?} says {expected}: put the component there that was reviewed, or review this one and write its digest down"
    )]
    OtherDigest {
        /// The file.
        path: PathBuf,
        /// The file with the digest.
        pin: PathBuf,
        /// The digest of the file.
        found: String,
        /// The digest that is written down.
        expected: String,
    },
    /// A file with a digest cannot be read, or holds none.
    #[error("{path:?} holds no SHA-256: write the 64 hexadecimal digits that sha256sum prints, or remove it")]
    NoDigest {
        /// The file.
        path: PathBuf,
    },
    /// A file that bounds a component is beside no component.
    #[error(
        "{path:?} is beside no component {name}.wasm, so it bounds nothing: name it as the component's file, or remove it"
    )]
    Stray {
        /// The file.
        path: PathBuf,
        /// The name of the missing component.
        name: String,
    },
    /// A file beside the components is none that the controller knows.
    #[error(
        "{path:?} is no file that the controller reads: files beside a component are NAME.limits.yaml, NAME.pods.yaml and NAME.sha256"
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A component asks for the platform's credentials.
    #[error(
        "component {name:?} asks for the platform's object-store credentials in the namespaces of its runs: if it is to have them, say so with --allow-credentials {name}"
    )]
    Credentials {
        /// Name of the component.
        name: String,
    },
    /// A component serves a kind of a group that is not its own.
    #[error(
        "component {name:?} serves {kind}, a kind of a group that belongs to Backstay or Kubernetes: ask its author for a group of their own, or say that it may with --allow-reserved-group {name}"
    )]
    ReservedGroup {
        /// Name of the component.
        name: String,
        /// The kind.
        kind: GroupKind,
    },
    /// A component asks for objects outside the namespaces of run and target, and no guard ties them to the tenant.
    #[error(
        "component {name:?} may {place} touch every {kind}, whosever it is, as no guard of the access ties it to the run's uid or to a whole namespace: ask its author for one, or say that it is not needed with --allow-unguarded {name}"
    )]
    Unguarded {
        /// Name of the component.
        name: String,
        /// Kind of the objects.
        kind: GroupKind,
        /// Where they are.
        place: String,
    },
    /// Two components serve one kind.
    #[error("components {first:?} and {second:?} both serve {kind}: remove one of the files")]
    Twice {
        /// The kind.
        kind: GroupKind,
        /// Name of the first component.
        first: String,
        /// Name of the second component.
        second: String,
    },
}

/// The loaded components.
#[derive(Clone, Default)]
pub struct Registry {
    components: Vec<Component>,
    /// Bounds of their pods, by name; none where no file gives any.
    pods: HashMap<String, Allowed>,
}

impl Registry {
    /// Loads every `.wasm` file of a folder, in order of names, with the files beside it: limits, bounds of pods, digest.
    ///
    /// # Errors
    /// The first file that cannot be loaded, is not what it says, or is not trusted with what it claims: nothing runs before
    /// the operator has seen it.
    pub fn load(engine: &Engine, folder: &Path, trust: &Trust) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for path in files(folder)? {
            let component = engine
                .load_file(&path)
                .map_err(|source| RegistryError::Load { path: path.clone(), source: Box::new(source) })?;
            identify(&component, &path)?;
            registry.pods.insert(component.descriptor().name.clone(), pod_bounds::beside(&path)?);
            registry.add(limits::apply(component, &path)?, trust)?;
        }
        Ok(registry)
    }

    /// Returns these components, with the limits that they have, and no bounds of their pods.
    ///
    /// # Errors
    /// The first component that is not trusted with what it claims, or serves a kind that another serves.
    pub fn of(components: impl IntoIterator<Item = Component>, trust: &Trust) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for component in components {
            registry.add(component, trust)?;
        }
        Ok(registry)
    }

    fn add(&mut self, component: Component, trust: &Trust) -> Result<(), RegistryError> {
        let descriptor = component.descriptor();
        if let Some(claim) = trust.refuses(descriptor) {
            return Err(untrusted(descriptor.name.clone(), &claim));
        }
        if let Some(option) = descriptor.target_namespace_option.clone() {
            return Err(RegistryError::TargetNamespace { name: descriptor.name.clone(), option });
        }
        for kind in &descriptor.kinds {
            let kind = GroupKind::from(kind);
            if let Served::By(other) = self.serving(&kind) {
                return Err(RegistryError::Twice {
                    kind,
                    first: other.descriptor().name.clone(),
                    second: component.descriptor().name.clone(),
                });
            }
        }
        tracing::info!(
            component = %descriptor.name,
            version = %descriptor.version,
            digest = %component.digest(),
            kinds = %descriptor.kinds.iter().map(|k| k.kind.as_str()).collect::<Vec<_>>().join(","),
            "component loaded"
        );
        self.components.push(component);
        Ok(())
    }

    /// Returns the component that serves `kind`.
    #[must_use]
    pub fn serving(&self, kind: &GroupKind) -> Served<&Component> {
        serving(kind, self.components.iter().map(|c| (c, c.descriptor())))
    }

    /// Returns the bounds of a component's pods.
    #[must_use]
    pub fn pods(&self, component: &str) -> &Allowed {
        self.pods.get(component).unwrap_or(&UNBOUNDED)
    }

    /// Returns all components.
    pub fn iter(&self) -> impl Iterator<Item = &Component> {
        self.components.iter()
    }

    /// Returns the served strategy kinds, for messages.
    #[must_use]
    pub fn kinds(&self) -> String {
        let mut kinds: Vec<_> = self
            .components
            .iter()
            .flat_map(|c| c.descriptor().kinds.iter().map(|k| k.kind.clone()))
            .collect();
        kinds.sort();
        if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
    }
}

/// Suffixes of the files beside a component, after its name.
const BESIDE: [&str; 3] = [".limits.yaml", ".pods.yaml", ".sha256"];

/// Returns the components of a folder, in order of names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    let unreadable = |source| RegistryError::Folder { path: folder.to_owned(), source };
    let (mut components, mut beside) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Kubernetes keeps the data of a mounted ConfigMap in folders that begin with two dots.
        if name.starts_with('.') || path.is_dir() {
            continue;
        }
        match BESIDE.iter().find_map(|suffix| name.strip_suffix(suffix)) {
            Some(component) => beside.push((path.clone(), component.to_owned())),
            None if path.extension().is_some_and(|e| e == "wasm") => components.push(path),
            None if path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "sha256") => {
                return Err(RegistryError::Unknown { path });
            }
            None => {}
        }
    }
    components.sort();
    beside.sort();
    for (path, name) in beside {
        if !components.contains(&folder.join(format!("{name}.wasm"))) {
            return Err(RegistryError::Stray { path, name });
        }
    }
    Ok(components)
}

/// Checks that a component is what its file's name says, and has the digest in the file beside it, if there is one.
fn identify(component: &Component, path: &Path) -> Result<(), RegistryError> {
    let name = &component.descriptor().name;
    if path.file_stem().is_none_or(|stem| stem != name.as_str()) {
        return Err(RegistryError::Misnamed { path: path.to_owned(), name: name.clone() });
    }
    let pin = path.with_extension("sha256");
    let text = match limits::optional(&pin) {
        Ok(None) => return Ok(()),
        Ok(Some(text)) => text,
        Err(_) => return Err(RegistryError::NoDigest { path: pin }),
    };
    // As sha256sum writes it, with a file name behind it, or as the log shows it.
    let hex = text.split_whitespace().next().unwrap_or_default();
    let hex = hex.strip_prefix("sha256:").unwrap_or(hex).to_ascii_lowercase();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(RegistryError::NoDigest { path: pin });
    }
    let (found, expected) = (component.digest().to_owned(), format!("sha256:{hex}"));
    if found == expected {
        return Ok(());
    }
    Err(RegistryError::OtherDigest { path: path.to_owned(), pin, found, expected })
}

fn untrusted(name: String, claim: &Untrusted<'_>) -> RegistryError {
    match claim {
        Untrusted::Credentials => RegistryError::Credentials { name },
        Untrusted::Group(kind) => RegistryError::ReservedGroup { name, kind: GroupKind::from(*kind) },
        Untrusted::Unguarded(access) => RegistryError::Unguarded {
            name,
            kind: GroupKind::from(*access),
            place: match &access.scope {
                Scope::Named(name) => format!("in namespace {name:?}"),
                _ => "cluster-wide".to_owned(),
            },
        },
    }
}
