//! The folder: whose it is, who has it, and its document.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::api::Snapshot;

/// The version of the document. It is another one whenever an older program would misread it.
pub(super) const VERSION: u64 = 1;
/// What the document is.
const FORMAT: &str = "devcluster-store";

const DOCUMENT: &str = "store.json";
/// The document while it is written.
const NEW: &str = "store.json.new";
const LOCK: &str = "lock";

/// A folder that this process has.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

/// The document: what it is, and what a server held.
#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    version: u64,
    state: Option<&'a Snapshot>,
}

/// The document as it is read. What else is in it is looked at once its version is known.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u64,
    state: Option<Snapshot>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let io = |source| Trouble::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let known = path.join(DOCUMENT).exists();
        if !known && has_others(&path).map_err(io)? {
            return Err(Trouble::NotOurs(path));
        }
        closed(&path, known)?;
        let lock = lock(&path)?;
        let folder = Self { path, _lock: lock };
        if !folder.file(DOCUMENT).exists() {
            folder.put(None)?;
        }
        // What cannot be read is said before anything else is begun.
        folder.head()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Says that the document cannot be used.
    pub(super) fn broken(&self, why: impl std::fmt::Display) -> Trouble {
        Trouble::Broken { file: self.file(DOCUMENT), why: why.to_string() }
    }

    /// Reads the document; nothing if no server has written yet.
    pub(super) fn read(&self) -> Result<Option<Snapshot>, Trouble> {
        let text = self.head()?;
        let read: Read = serde_json::from_slice(&text).map_err(|error| self.broken(error))?;
        Ok(read.state)
    }

    /// Returns the document, if it is one of this version.
    fn head(&self) -> Result<Vec<u8>, Trouble> {
        let file = self.file(DOCUMENT);
        let text = fs::read(&file).map_err(|source| Trouble::Io { path: file.clone(), source })?;
        let head: Head = serde_json::from_slice(&text).map_err(|error| self.broken(error))?;
        if head.format != FORMAT {
            return Err(self.broken(format!("it is of the format {:?}, not {FORMAT:?}", head.format)));
        }
        if head.version != VERSION {
            return Err(Trouble::Version { file, found: head.version });
        }
        Ok(text)
    }

    /// Writes the document.
    pub(super) fn write(&self, snapshot: &Snapshot) -> Result<(), Trouble> {
        self.put(Some(snapshot))
    }

    fn put(&self, state: Option<&Snapshot>) -> Result<(), Trouble> {
        let written = || -> std::io::Result<()> {
            let new = self.file(NEW);
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            let mut file = BufWriter::with_capacity(1 << 16, file);
            serde_json::to_writer(&mut file, &Written { format: FORMAT, version: VERSION, state })?;
            file.write_all(b"\n")?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&new, self.file(DOCUMENT))?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(|source| Trouble::Io { path: self.file(DOCUMENT), source })
    }
}

/// Whether there is more in a folder than an earlier start leaves that did not come to its first document.
fn has_others(path: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != LOCK && name != NEW {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes sure that a folder is this user's alone: a new one is closed, an older one has to be.
fn closed(path: &Path, known: bool) -> Result<(), Trouble> {
    let io = |source| Trouble::Io { path: path.to_owned(), source };
    let open = |why: String| Trouble::Open { folder: path.to_owned(), why };
    let found = fs::metadata(path).map_err(io)?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(open(format!("it belongs to the user {}", found.uid())));
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if known {
        let why = format!(
            "other users may use it (mode {mode:03o}), and it has Secrets: chmod 700 makes it yours alone"
        );
        return Err(open(why));
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)
}

fn lock(path: &Path) -> Result<File, Trouble> {
    let file = path.join(LOCK);
    let io = |source| Trouble::Io { path: file.clone(), source };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    let mut lock = options.open(&file).map_err(io)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(io(error)),
        Err(TryLockError::WouldBlock) => {
            let process = fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
            return Err(Trouble::InUse { folder: path.to_owned(), process });
        }
    }
    lock.set_len(0).map_err(io)?;
    writeln!(lock, "{}", std::process::id()).map_err(io)?;
    Ok(lock)
}
