//! For authors of Backstay strategies: run the real component in wasmtime from a test, with no cluster.
//!
//! [`Built::strategy`] builds the author's crate for the sandbox and loads it in the engine that the controller has.
//! [`Built::backup`], [`Built::restore`] and [`Built::cleanup`] begin a run; fixtures are YAML as a user writes it; the
//! answers are the contract's types.
//!
//! ```no_run
//! use backstay_testing::Built;
//!
//! # const STRATEGY: &str = ""; const APPLICATION: &str = "";
//! let tape = Built::strategy(env!("CARGO_MANIFEST_DIR"));
//! let run = tape.backup().strategy(STRATEGY).application(APPLICATION).parameter("slot", "7").rendered();
//! assert_eq!(run.template["spec"]["containers"][0]["args"][0], "--slot=7");
//! ```

mod build;
mod built;
mod case;
mod component;
mod fixture;

pub use backstay_core::contract;
pub use build::{BuildError, Features, TARGET, build, build_with, target_dir};
pub use built::Built;
pub use case::Case;
pub use component::{ComponentError, component_bytes};
pub use fixture::NOW;
