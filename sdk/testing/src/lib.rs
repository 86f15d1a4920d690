//! The test kit for authors of Backstay strategies: it runs the real component in wasmtime, without a cluster.
//!
//! [`Built::strategy`] builds the author's crate for the sandbox and loads it in an engine like the controller's.
//! [`Built::backup`], [`Built::restore`] and [`Built::cleanup`] begin a run. Fixtures are YAML as a user writes it;
//! the answers are the contract's types.
//!
//! ```no_run
//! use backstay_testing::Built;
//!
//! # const STRATEGY: &str = ""; const APPLICATION: &str = "";
//! let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
//! let run = tape.backup().strategy(STRATEGY).application(APPLICATION).parameter("slot", "7").rendered();
//! assert_eq!(run.template["spec"]["containers"][0]["args"][0], "--slot=7");
//! ```
//!
//! A resource strategy runs in a [`World`] of objects, in the same loop as in the host:
//!
//! ```no_run
//! use backstay_testing::{Built, Turn, World};
//!
//! # const STRATEGY: &str = ""; const APPLICATION: &str = ""; const OBJECTS: &str = "";
//! let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
//! let mut run = copier.backup().strategy(STRATEGY).application(APPLICATION).world(World::of(OBJECTS));
//! assert!(matches!(run.wake(), Turn::Waits(wait) if wait.reason == "Copying"));
//! // Between wakes the test plays the operator, in `run.world`.
//! ```
//!
//! And a whole run goes from the BackupJob to its Backup, with the real controller, on a [`Stage`]:
//!
//! ```no_run
//! # #[cfg(feature = "runs")] {
//! use backstay_testing::{Built, PodEnd, Stage};
//!
//! # const STRATEGY: &str = ""; const APPLICATION: &str = "";
//! let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
//! let report = r#"{"artifact":{"uri":"tape://2/7"}}"#;
//! let run = tape.run_backup(Stage::new(STRATEGY, APPLICATION).pod("tape", PodEnd::ok().saying(report)));
//! assert_eq!(run.backup()["status"]["artifact"]["uri"], "tape://2/7");
//! # }
//! ```

mod build;
mod built;
mod case;
mod component;
mod drive;
mod fixture;
mod messages;
#[cfg(feature = "runs")]
mod play;
mod world;

pub use backstay_core::contract;
pub use build::{BuildError, Features, TARGET, build, build_with, target_dir};
pub use built::Built;
pub use case::Case;
pub use component::{ComponentError, component_bytes};
pub use drive::{Broken, Drive, Moment, StepFn, Trouble, Turn};
pub use fixture::NOW;
#[cfg(feature = "runs")]
pub use play::{PodEnd, Reaction, Run, Stage};
pub use world::{RUN_UID_LABEL, Serve, World, is_terminating, rfc3339, uid};
