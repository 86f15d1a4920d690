//! Why an engine could not be made, or a component could not be loaded.

use std::path::PathBuf;

use crate::call_error::{CallError, cut};
use crate::limits::NAME_BYTES;

/// An error of the WebAssembly runtime. Its type is erased, because the runtime stays in this crate.
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
        /// The cause.
        #[source]
        cause: CacheError,
    },
    /// The clock thread could not be started.
    #[error("the thread that ends long calls could not be started")]
    Clock(#[source] std::io::Error),
}

impl EngineError {
    /// Returns the reason for conditions, events and metrics.
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
    /// The directory could not be created or inspected.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The path is a file or a symbolic link.
    #[error("it is not a directory")]
    NotADirectory,
    /// The owner could put code there that this process would run.
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

/// The causes of a failed load. Each message tells the author of the component what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("component {} could not be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
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
    /// The file is no WebAssembly.
    #[error("this is not a WebAssembly file (it does not begin with \\0asm)")]
    NotWasm,
    /// A core module, from which a component can be made.
    #[error(
        "this is a core WebAssembly module, not a component; make one of it with `wasm-tools component new MODULE -o COMPONENT`, or with `backstay_testing::build`"
    )]
    CoreModule,
    /// The format is neither that of a core module nor that of the components which the runtime reads.
    #[error(
        "this WebAssembly file is of an unknown format ({version:02x?}); build it with a current component toolchain"
    )]
    UnknownFormat {
        /// Bytes 4 to 8.
        version: [u8; 4],
    },
    /// The component does not validate, or needs a feature of WebAssembly or more resources than the host provides.
    #[error("the component was refused by the WebAssembly runtime")]
    Invalid(#[source] Cause),
    /// The component imports something that the host does not provide.
    #[error(
        "the component imports {}, and components get no function but `log.write`{}",
        listed(names),
        hint(names)
    )]
    UndeclaredImport {
        /// All functions and resources concerned.
        names: Vec<String>,
    },
    /// The component speaks a version of the contract that this host does not serve.
    #[error(
        "the component speaks {}, and this host serves {served}; build it against a served version",
        cut(name, NAME_BYTES)
    )]
    UnknownVersion {
        /// The interface.
        name: String,
        /// The served versions.
        served: &'static str,
    },
    /// The component exports no `about`.
    #[error(
        "the component does not export `backstay:strategy/about`; implement one of the worlds pod-strategy and resource-strategy"
    )]
    NoAbout,
    /// The component exports no driver.
    #[error(
        "the component exports neither `pod-driver` nor `resource-driver`; implement one of the worlds pod-strategy and resource-strategy"
    )]
    NoDriver,
    /// The component exports both drivers.
    #[error("the component exports both `pod-driver` and `resource-driver`; make two components of it")]
    TwoDrivers,
    /// An export differs in type from the contract.
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
        /// The field.
        field: String,
        /// The rule, and how the descriptor breaks it.
        rule: String,
    },
}

impl LoadError {
    /// Returns the reason for conditions, events and metrics.
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

/// Number of names in a message.
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
