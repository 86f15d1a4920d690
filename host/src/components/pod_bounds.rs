//! Bounds of one component's pods: an administrator bounds their ServiceAccounts, Secrets and images by `NAME.pods.yaml`
//! beside `NAME.wasm`.

use std::path::{Path, PathBuf};

use backstay_core::pod_policy::Allowed;

use crate::components::limits::optional;

/// Why the bounds of a component's pods are refused.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// The file exists and cannot be read.
    #[error("bounds {path:?} cannot be read: let the controller read it, or remove it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a YAML map of bounds.
    #[error(
        "bounds {path:?} are not a map of serviceAccounts, secrets and images, each a list of patterns, and podSecurity, which is baseline or restricted"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        source: Box<serde_saphyr::Error>,
    },
}

/// Returns the bounds in the file beside `wasm`; without a file, no bounds.
///
/// # Errors
/// See [`PodsError`]. A bound that is not understood is an error: its author relies on it.
pub fn beside(wasm: &Path) -> Result<Allowed, PodsError> {
    let path = wasm.with_extension("pods.yaml");
    let text = match optional(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Allowed::default()),
        Err(source) => return Err(PodsError::Unreadable { path, source }),
    };
    serde_saphyr::from_str(&text).map_err(|source| PodsError::Malformed { path, source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use backstay_core::pod_policy::Level;

    use super::*;

    fn read(name: &str, text: &str) -> Result<Allowed, String> {
        let folder = std::env::temp_dir().join(format!("backstay-pods-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let wasm = folder.join("job.wasm");
        std::fs::write(folder.join("job.pods.yaml"), text).unwrap();
        let read = beside(&wasm).map_err(|e| crate::cluster::error::chain(&e));
        std::fs::remove_dir_all(&folder).unwrap();
        read
    }

    #[test]
    fn without_a_file_nothing_is_bounded() {
        assert_eq!(beside(Path::new("/nowhere/job.wasm")).unwrap(), Allowed::default());
    }

    #[test]
    fn what_is_left_out_is_not_bounded() {
        let allowed = read("given", "secrets: [store, '*-backup']\n").unwrap();
        assert_eq!(allowed.secrets.unwrap(), ["store", "*-backup"]);
        assert_eq!((allowed.images, allowed.service_accounts), (None, None));
    }

    #[test]
    fn the_level_of_pod_security_is_baseline_or_restricted() {
        assert_eq!(read("level", "podSecurity: restricted\n").unwrap().pod_security, Level::Restricted);
        assert_eq!(read("no-level", "{}\n").unwrap().pod_security, Level::Baseline);
        let error = read("bad-level", "podSecurity: privileged\n").unwrap_err();
        assert!(error.contains("baseline or restricted"), "{error}");
    }

    #[test]
    fn what_is_no_bound_is_refused_with_its_name() {
        let error = read("unknown", "secret: [store]\n").unwrap_err();
        assert!(error.contains("job.pods.yaml") && error.contains("secret"), "{error}");
    }
}
