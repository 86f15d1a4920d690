//! Why a checkout could not be measured.

/// Why a checkout could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// A file or folder could not be read.
    #[error("{path} could not be read")]
    Read {
        /// The file or folder.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// A file is not Rust.
    #[error("{file}:{line}: not parsed: {cause}")]
    Parse {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The error of the parser.
        cause: syn::Error,
    },
    /// A `mod` declaration has no file.
    #[error("{file}:{line}: `mod {name}` has no file")]
    NoFile {
        /// The file with the declaration.
        file: String,
        /// The line of the declaration.
        line: usize,
        /// The name of the module.
        name: String,
    },
    /// No `mod` declaration leads to a file.
    #[error("{file}: no `mod` declaration leads to this file")]
    Orphan {
        /// The file.
        file: String,
    },
    /// The section `## Floors` does not have the expected form.
    #[error("docs/architecture.md:{line}: {message}")]
    Floors {
        /// The line.
        line: usize,
        /// The error.
        message: String,
    },
    /// There is no source folder of this name.
    #[error("there is no source folder {0} in this checkout")]
    NoTree(String),
}
