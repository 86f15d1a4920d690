//! A strategy, built and loaded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use backstay_core::contract::{Backup, Descriptor, Diagnostic, Mode};
use backstay_engine::{Component, Engine, EngineConfig};

use crate::build::{build, target_dir};
use crate::case::Case;
use crate::fixture;
use crate::messages::error_text;

/// A strategy's component in an engine like the controller's, with the same limits.
#[derive(Debug)]
pub struct Built {
    bytes: Vec<u8>,
    component: Component,
}

impl Built {
    /// Builds the strategy of the crate in `dir`, usually `env!("CARGO_MANIFEST_DIR")`, for the sandbox, and compiles
    /// and loads its component. Each crate is built once in a process, and by cargo only if it has changed.
    ///
    /// # Panics
    /// The crate cannot be built or is refused at load; the message says what to do.
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
        // The lock is per crate: different crates are built side by side, and each crate once.
        let make = || match build(&dir) {
            Ok(bytes) => Arc::new(Self::load(bytes)),
            Err(e) => panic!("{}: {}", e.reason(), error_text(&e)),
        };
        Arc::clone(slot.get_or_init(make))
    }

    /// Loads an existing component, in any language.
    ///
    /// # Panics
    /// The component is refused at load; the message has the engine's reason.
    #[must_use]
    #[track_caller]
    pub fn load(bytes: Vec<u8>) -> Self {
        match engine().load(&bytes) {
            Ok(component) => Self { bytes, component },
            Err(e) => panic!("the component is refused at load: {}: {}", e.reason(), error_text(&e)),
        }
    }

    /// Returns the component, byte for byte as the host would load it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the component in the engine, for tests that need more than [`Case`] offers.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        self.component.descriptor()
    }

    /// Begins a backup run.
    pub fn backup(&self) -> Case<'_> {
        Case::new(&self.component, Mode::Backup)
    }

    /// Begins a restore of this Backup object.
    #[track_caller]
    pub fn restore(&self, backup: &str) -> Case<'_> {
        Case::new(&self.component, Mode::Restore).of_backup(fixture::backup(backup))
    }

    /// Begins a restore of this Backup, as [`crate::Drive::backup`] returns it.
    pub fn restore_of(&self, backup: Backup) -> Case<'_> {
        Case::new(&self.component, Mode::Restore).of_backup(backup)
    }

    /// Begins a cleanup of this Backup, as [`crate::Drive::backup`] returns it.
    pub fn cleanup_of(&self, backup: Backup) -> Case<'_> {
        Case::new(&self.component, Mode::Cleanup).of_backup(backup)
    }

    /// Begins a cleanup of this Backup object.
    #[track_caller]
    pub fn cleanup(&self, backup: &str) -> Case<'_> {
        Case::new(&self.component, Mode::Cleanup).of_backup(fixture::backup(backup))
    }

    /// Plays a backup: a BackupJob on a Kubernetes in memory with the real controller, from its creation to its end.
    ///
    /// # Panics
    /// The stage is refused, or the run does not end; the message says what it waits for.
    #[cfg(feature = "runs")]
    #[must_use]
    #[track_caller]
    pub fn run_backup(&self, stage: crate::Stage) -> crate::Run {
        crate::Run::backup_of(&self.component, stage)
    }

    /// Plays a backup as [`Built::run_backup`] does, and then a restore of it.
    ///
    /// # Panics
    /// As [`Built::run_backup`], and if the backup makes no Backup.
    #[cfg(feature = "runs")]
    #[must_use]
    #[track_caller]
    pub fn run_restore(&self, stage: crate::Stage) -> crate::Run {
        self.run_backup(stage).restore("")
    }

    /// Validates a strategy object without a run, and returns the findings.
    ///
    /// # Panics
    /// The fixture is no object, or the call fails.
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

/// Returns the engine of the test process. There is one, as in the controller.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let cache =
            EngineConfig { code_cache: Some(target_dir().join("compiled")), ..EngineConfig::default() };
        // A cache that others could write to is refused; the tests then run without a cache.
        match Engine::new(cache).or_else(|_| Engine::new(EngineConfig::default())) {
            Ok(engine) => engine,
            Err(e) => panic!("cannot start the engine: {}", error_text(&e)),
        }
    })
}
