//! A strategy that has been built and loaded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use backstay_core::contract::{Backup, Descriptor, Diagnostic, Mode};
use backstay_engine::{Component, Engine, EngineConfig};

use crate::build::{build, target_dir};
use crate::case::Case;
use crate::fixture;
use crate::messages::error_text;

/// A strategy's component in the engine that the controller has, with the limits that the controller has.
#[derive(Debug)]
pub struct Built {
    bytes: Vec<u8>,
    component: Component,
}

impl Built {
    /// The strategy of the crate in `dir`, usually `env!("CARGO_MANIFEST_DIR")`: built for the sandbox, made a
    /// component, compiled and loaded. Each crate is built once in a process, and by cargo only if it has changed.
    ///
    /// # Panics
    /// With what to do about it, where the crate cannot be built or is refused at load.
    #[must_use]
    #[track_caller]
    pub fn strategy(dir: impl AsRef<Path>) -> Arc<Self> {
        static BUILT: OnceLock<Mutex<HashMap<PathBuf, Slot>>> = OnceLock::new();
        type Slot = Arc<OnceLock<Arc<Built>>>;
        let dir = std::fs::canonicalize(dir.as_ref()).unwrap_or_else(|_| dir.as_ref().to_owned());
        let slot = {
            let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(built.entry(dir.clone()).or_default())
        };
        // The lock is on the crate, so that different crates are built side by side and one is built once.
        let make = || match build(&dir) {
            Ok(bytes) => Arc::new(Self::load(bytes)),
            Err(e) => panic!("{}: {}", e.reason(), error_text(&e)),
        };
        Arc::clone(slot.get_or_init(make))
    }

    /// A component that is there already, in any language.
    ///
    /// # Panics
    /// With the engine's reason, where it is refused at load.
    #[must_use]
    #[track_caller]
    pub fn load(bytes: Vec<u8>) -> Self {
        match engine().load(&bytes) {
            Ok(component) => Self { bytes, component },
            Err(e) => panic!("the component is refused at load: {}: {}", e.reason(), error_text(&e)),
        }
    }

    /// The component, byte for byte as the host would load it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The component in the engine, for a test that wants more than [`Case`] gives.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// What it says of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        self.component.descriptor()
    }

    /// A backup run.
    pub fn backup(&self) -> Case<'_> {
        Case::new(&self.component, Mode::Backup)
    }

    /// A restore of this Backup object.
    #[track_caller]
    pub fn restore(&self, backup: &str) -> Case<'_> {
        Case::new(&self.component, Mode::Restore).of_backup(fixture::backup(backup))
    }

    /// A restore of this Backup, as [`crate::Drive::backup`] makes one.
    pub fn restore_of(&self, backup: Backup) -> Case<'_> {
        Case::new(&self.component, Mode::Restore).of_backup(backup)
    }

    /// The cleanup after this Backup, as [`crate::Drive::backup`] makes one.
    pub fn cleanup_of(&self, backup: Backup) -> Case<'_> {
        Case::new(&self.component, Mode::Cleanup).of_backup(backup)
    }

    /// The cleanup after this Backup object.
    #[track_caller]
    pub fn cleanup(&self, backup: &str) -> Case<'_> {
        Case::new(&self.component, Mode::Cleanup).of_backup(fixture::backup(backup))
    }

    /// What it finds in a strategy object without a run.
    ///
    /// # Panics
    /// Where the fixture is no object, or the call fails.
    #[must_use]
    #[track_caller]
    pub fn validate(&self, strategy: &str) -> Vec<Diagnostic> {
        let (kind, spec) = fixture::strategy(strategy);
        match self.component.validate(&kind, &spec, None, None) {
            Ok(called) => called.value,
            Err(e) => panic!("{}: {}", e.reason(), error_text(&e)),
        }
    }
}

/// One engine for a test process, as in the controller.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let cache =
            EngineConfig { code_cache: Some(target_dir().join("compiled")), ..EngineConfig::default() };
        // The cache is refused where others could write to it, which is no reason to have no test.
        match Engine::new(cache).or_else(|_| Engine::new(EngineConfig::default())) {
            Ok(engine) => engine,
            Err(e) => panic!("cannot start the engine: {}", error_text(&e)),
        }
    })
}
