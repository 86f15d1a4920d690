//! The Rust files of one source folder.

use std::collections::BTreeMap;
use std::path::Path;

use crate::HouseError;

/// The Rust files of one source folder.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder's path from the root of the repository, such as `host/src`.
    pub name: String,
    /// The name by which programs beside the library import it.
    pub library: String,
    /// Text by path from the folder.
    pub files: BTreeMap<String, String>,
}

impl Source {
    /// Reads the folder `name` of a checkout. Returns `None` if the checkout has no such folder.
    ///
    /// # Errors
    /// A file or folder that cannot be read.
    pub fn read(repo: &Path, name: &str) -> Result<Option<Self>, HouseError> {
        let root = repo.join(name);
        if !root.is_dir() {
            return Ok(None);
        }
        let mut files = BTreeMap::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let at = root.join(&folder);
            let failed = |cause| HouseError::Read { path: at.display().to_string(), cause };
            for entry in at.read_dir().map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let leaf = path.file_name().unwrap_or_default().to_string_lossy();
                let relative = if folder.is_empty() { leaf.into_owned() } else { format!("{folder}/{leaf}") };
                if path.is_dir() {
                    folders.push(relative);
                } else if relative.ends_with(".rs") {
                    files.insert(relative, read(&path)?);
                }
            }
        }
        let manifest = read(&root.join("../Cargo.toml"))?;
        let package = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
        Ok(Some(Self { name: name.to_owned(), library: package.trim_matches('"').replace('-', "_"), files }))
    }

    /// Makes a source folder from memory.
    #[must_use]
    pub fn of(name: &str, library: &str, files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { name: name.to_owned(), library: library.to_owned(), files }
    }
}

fn read(path: &Path) -> Result<String, HouseError> {
    std::fs::read_to_string(path)
        .map_err(|cause| HouseError::Read { path: path.display().to_string(), cause })
}
