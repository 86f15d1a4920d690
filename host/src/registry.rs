//! The components that are loaded, and which of them serves a strategy kind.

use std::path::{Path, PathBuf};

use backstay_core::component::{Served, serving};
use backstay_core::contract::GroupKind;
use backstay_engine::{Component, Engine, LoadError};

use crate::component_limits::{self, LimitsError};

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
    /// A file in it is not a component that this host takes.
    #[error("component {path:?} cannot be loaded")]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<LoadError>,
    },
    /// What is allowed to it cannot be.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// It wants to restore into other namespaces, and nobody is asked yet whether a run may.
    #[error(
        "component {name:?} names an option for the target namespace of a restore ({option:?}), which this version of the controller does not serve: use a version of the component without it"
    )]
    TargetNamespace {
        /// Name of the component.
        name: String,
        /// The option.
        option: String,
    },
    /// Two of them serve one kind.
    #[error("components {first:?} and {second:?} both serve {kind}: remove one of the files")]
    Twice {
        /// The kind.
        kind: GroupKind,
        /// Name of the one.
        first: String,
        /// Name of the other.
        second: String,
    },
}

/// The components that are loaded.
#[derive(Clone, Default)]
pub struct Registry(Vec<Component>);

impl Registry {
    /// Loads every `.wasm` file of a folder, in order of names, each under the limits that are given beside it. A folder without any gives an empty registry.
    ///
    /// # Errors
    /// The first file that cannot be loaded: an operator who put it there wants to know before anything runs.
    pub fn load(engine: &Engine, folder: &Path) -> Result<Self, RegistryError> {
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
        for path in files {
            let component = engine
                .load_file(&path)
                .map_err(|source| RegistryError::Load { path: path.clone(), source: Box::new(source) })?;
            registry.add(component_limits::apply(component, &path)?)?;
        }
        Ok(registry)
    }

    fn add(&mut self, component: Component) -> Result<(), RegistryError> {
        let descriptor = component.descriptor();
        if let Some(option) = descriptor.target_namespace_option.clone() {
            return Err(RegistryError::TargetNamespace { name: descriptor.name.clone(), option });
        }
        for kind in &descriptor.kinds {
            let kind = GroupKind { group: kind.group.clone(), kind: kind.kind.clone() };
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
        self.0.push(component);
        Ok(())
    }

    /// Who serves `kind`.
    #[must_use]
    pub fn serving(&self, kind: &GroupKind) -> Served<&Component> {
        serving(kind, self.0.iter().map(|c| (c, c.descriptor())))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Component> {
        self.0.iter()
    }

    /// The strategy kinds served, for messages.
    #[must_use]
    pub fn kinds(&self) -> String {
        let mut kinds: Vec<_> =
            self.0.iter().flat_map(|c| c.descriptor().kinds.iter().map(|k| k.kind.clone())).collect();
        kinds.sort();
        if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
    }
}
