//! The loaded components, and which of them serves a strategy kind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use backstay_core::component::{Served, serving};
use backstay_core::contract::{GroupKind, Scope};
use backstay_core::pod_policy::{Allowed, UNBOUNDED};
use backstay_core::steps::unguarded;
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
    /// Two components have one name: they would share a ServiceAccount, a field manager and checkpoints.
    #[error("{first:?} and {second:?} are both component {name:?}: remove one of the files")]
    SameName {
        /// The name.
        name: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// A component asks for objects outside the namespaces of run and target, and no guard ties them to the tenant.
    #[error(
        "component {name:?} may {place} touch every {kind}, whosever it is, as no guard of the access names the run or its application: ask its author for one, or say that it is not needed with --allow-unguarded {name}"
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
    /// Loads every `.wasm` file of a folder, in order of names, with the limits and bounds beside it. The components named in
    /// `unguarded` may have accesses that no guard ties to a tenant.
    ///
    /// # Errors
    /// The first file that cannot be loaded: nothing runs before the operator has seen it.
    pub fn load(engine: &Engine, folder: &Path, unguarded: &[String]) -> Result<Self, RegistryError> {
        let unreadable = |source| RegistryError::Folder { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|e| e == "wasm") {
                files.push(path);
            }
        }
        files.sort();
        let mut registry = Self::default();
        let mut named: HashMap<String, PathBuf> = HashMap::new();
        for path in files {
            let component = engine
                .load_file(&path)
                .map_err(|source| RegistryError::Load { path: path.clone(), source: Box::new(source) })?;
            let name = component.descriptor().name.clone();
            if let Some(first) = named.insert(name.clone(), path.clone()) {
                return Err(RegistryError::SameName { name, first, second: path });
            }
            registry.pods.insert(name, pod_bounds::beside(&path)?);
            registry.add(limits::apply(component, &path)?, unguarded)?;
        }
        Ok(registry)
    }

    fn add(&mut self, component: Component, allowed: &[String]) -> Result<(), RegistryError> {
        let descriptor = component.descriptor();
        if let Some(access) = unguarded(descriptor).filter(|_| !allowed.contains(&descriptor.name)) {
            return Err(RegistryError::Unguarded {
                name: descriptor.name.clone(),
                kind: GroupKind::from(access),
                place: match &access.scope {
                    Scope::Named(name) => format!("in namespace {name:?}"),
                    _ => "cluster-wide".to_owned(),
                },
            });
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
