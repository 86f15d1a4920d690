//! The kit for authors of Backstay strategies.
//!
//! A strategy is a WebAssembly component that decides; the host, a Kubernetes controller, observes and acts for it. An
//! author implements two small traits, [`Strategy`] (the identity of the component) and either [`PodStrategy`] (a
//! backup is one run of a pod) or [`ResourceStrategy`] (another operator makes the backup), and names the type in
//! [`export_pod!`] or [`export_resource!`]. The types here are plain Rust with parsed JSON. They stand for the
//! contract `wit/v0.1`, whose rules and bounds apply to their values.
//!
//! The crate builds for `wasm32-unknown-unknown`, where it makes a component, and natively, for unit tests.

pub mod describe;
pub mod log;
pub mod pod;
pub mod pod_template;
pub mod results;
pub mod schema;
pub mod step;
pub mod template;
pub mod time;

#[doc(hidden)]
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod bindings;
mod checkpoint;
#[doc(hidden)]
pub mod component;
mod export;
mod failure;
mod leak;
mod object;
mod request;
mod strategy;
mod wire;

pub use describe::{Access, Descriptor, Guard, Kind, Scope, Stage, StrategyKind, Traits, Verbs};
pub use failure::{Failure, Finding, Severity};
pub use object::{Condition, Event, GroupKind, Mode, NamespacedName, ObjectRef};
pub use pod::{Container, Pod, PodResult, PodRun};
pub use request::{Artifact, Backup, CancelCause, Cancellation, Inherited, Outcome, Request};
pub use schema::PodTemplate;
pub use strategy::{Check, PodStrategy, ResourceStrategy, Strategy};

// Re-exported so that an author's crate uses the same versions as the traits here.
pub use schemars::{self, JsonSchema};
pub use serde::{self, Deserialize, Serialize};
pub use serde_json::{self, Value, json};

#[cfg(all(feature = "allocator", target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: backstay_sdk_rt::allocator::Classes<backstay_sdk_rt::allocator::Linear> =
    backstay_sdk_rt::allocator::Classes::new(backstay_sdk_rt::allocator::Linear);

/// The request of a run, and the results of a run.
pub mod run {
    pub use crate::failure::{Failure, Finding, Severity};
    pub use crate::object::{Condition, Event, Mode, NamespacedName, ObjectRef};
    pub use crate::request::{Artifact, Backup, CancelCause, Cancellation, Inherited, Outcome, Request};
}

/// The items that most strategies use.
pub mod prelude {
    pub use crate::{
        Artifact, Check, Condition, Failure, Finding, JsonSchema, Kind, Mode, Outcome, PodResult, PodRun,
        PodStrategy, PodTemplate, Request, ResourceStrategy, Strategy, Traits, log, step,
    };
}
