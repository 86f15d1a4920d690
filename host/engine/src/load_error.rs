//! Why an engine could not be made, or a component not be loaded.

use std::path::PathBuf;

use crate::call_error::{CallError, cut};
use crate::limits::NAME_BYTES;

/// What the WebAssembly runtime said. Of no type in particular: the runtime stays in this crate.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an engine could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The runtime refused its configuration: the host cannot run components at all.
    #[error("the WebAssembly runtime could not be set up")]
    Runtime(#[source] Cause),
    /// See [`crate::EngineConfig::code_cache`].
    #[error("directory {} cannot be used for compiled code; use a directory of its own, or none", path.display())]
    Cache {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: CacheError,
    },
    /// The clock thread could not be started.
    #[error("the thread that ends long calls could not be started")]
    Clock(#[source] std::io::Error),
}

impl EngineError {
    /// Word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "EngineNotAvailable",
            Self::Cache { .. } => "CodeCacheRefused",
            Self::Clock(_) => "EngineNotAvailable",
        }
    }
}

/// Why a directory is not trusted with compiled code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// It could not be made or looked at.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is a file, or a symbolic link.
    #[error("it is not a directory")]
    NotADirectory,
    /// Whoever owns it could put code there that this process would run.
    #[error("it belongs to user {owner} and this process is user {process}")]
    Foreign {
        /// Owner of the directory.
        owner: u32,
        /// Owner of the process.
        process: u32,
    },
    /// Others could put code there that this process would run.
    #[error("its mode {mode:o} lets others write to it; make it 700")]
    Writable {
        /// Permission bits.
        mode: u32,
    },
}

/// Why a component could not be loaded: each says what its author can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("component {} could not be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// See [`crate::Limits::component_bytes`].
    #[error(
        "the component has {size} bytes where {limit} are allowed; build it for size (opt-level \"s\", lto, strip), or raise the host's limit"
    )]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// Something else altogether.
    #[error("this is not a WebAssembly file (it does not begin with \\0asm)")]
    NotWasm,
    /// A core module, from which a component can be made.
    #[error(
        "this is a core WebAssembly module, not a component; make one of it with `wasm-tools component new MODULE -o COMPONENT`, or with `backstay_testing::build`"
    )]
    CoreModule,
    /// Neither a core module nor a component of the format that the runtime reads.
    #[error(
        "this WebAssembly file is of an unknown format ({version:02x?}); build it with a current component toolchain"
    )]
    UnknownFormat {
        /// Bytes 4 to 8.
        version: [u8; 4],
    },
    /// It does not validate, or uses a feature of WebAssembly or more of it than the host gives.
    #[error("the component was refused by the WebAssembly runtime")]
    Invalid(#[source] Cause),
    /// It wants something of the host that no component gets.
    #[error(
        "the component imports {}, and components get no function but `log.write`{}",
        listed(names),
        hint(names)
    )]
    UndeclaredImport {
        /// The functions and resources, all of them.
        names: Vec<String>,
    },
    /// It speaks a version of the contract that this host does not.
    #[error(
        "the component speaks {}, and this host serves {served}; build it against a served version",
        cut(name, NAME_BYTES)
    )]
    UnknownVersion {
        /// The interface.
        name: String,
        /// What is served.
        served: &'static str,
    },
    /// It exports no `about`.
    #[error(
        "the component does not export `backstay:strategy/about`; implement one of the worlds pod-strategy and resource-strategy"
    )]
    NoAbout,
    /// It exports no driver.
    #[error(
        "the component exports neither `pod-driver` nor `resource-driver`; implement one of the worlds pod-strategy and resource-strategy"
    )]
    NoDriver,
    /// It exports both drivers.
    #[error("the component exports both `pod-driver` and `resource-driver`; make two components of it")]
    TwoDrivers,
    /// An export has another type than the contract says.
    #[error(
        "the exports of the component do not match wit/v{version}; generate its bindings from the released contract"
    )]
    WrongTypes {
        /// Version of the contract.
        version: &'static str,
        /// The difference.
        #[source]
        cause: Cause,
    },
    /// `describe` failed.
    #[error("the component could not be asked to describe itself")]
    Describe(#[source] Box<CallError>),
    /// The descriptor breaks a rule of the contract.
    #[error("the descriptor's `{field}` {rule}")]
    Descriptor {
        /// Where.
        field: String,
        /// The rule, and how it is broken.
        rule: String,
    },
}

impl LoadError {
    /// Word for conditions, events and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "ComponentUnreadable",
            Self::TooLarge { .. } => "ComponentTooLarge",
            Self::NotWasm | Self::UnknownFormat { .. } => "ComponentNotWasm",
            Self::CoreModule => "ComponentIsCoreModule",
            Self::Invalid(_) => "ComponentInvalid",
            Self::UndeclaredImport { .. } => "ComponentImportRefused",
            Self::UnknownVersion { .. } => "ComponentVersionUnknown",
            Self::NoAbout => "ComponentWithoutAbout",
            Self::NoDriver => "ComponentWithoutDriver",
            Self::TwoDrivers => "ComponentWithTwoDrivers",
            Self::WrongTypes { .. } => "ComponentTypesDiffer",
            Self::Describe(_) => "ComponentDescribeFailed",
            Self::Descriptor { .. } => "ComponentDescriptorInvalid",
        }
    }
}

/// Names that a message lists.
const LISTED: usize = 16;

fn listed(names: &[String]) -> String {
    let mut text: Vec<_> = names.iter().take(LISTED).map(|name| cut(name, NAME_BYTES)).collect();
    let more = names.len().saturating_sub(LISTED);
    let rest = format!("{more} more");
    if more > 0 {
        text.push(&rest);
    }
    text.join(", ")
}

fn hint(names: &[String]) -> &'static str {
    if names.iter().any(|name| name.starts_with("wasi:")) {
        "; there is no WASI: build for wasm32-unknown-unknown, without files, clock, random numbers, environment or standard output"
    } else {
        ""
    }
}
