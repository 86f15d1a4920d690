//! Compiled code on disk, so that a restart does not compile again.
//!
//! A cached file is machine code that this process will run, so an entry is used only if all of this holds:
//!
//! - The directory belongs to this process's user, and nobody else can write to it. This is checked when the engine is
//!   made; a directory made here has mode 700.
//! - The entry is a regular file of this user that nobody else can write to, and no symbolic link.
//! - Its header names this component (SHA-256 of the `.wasm`) and this engine (SHA-256 of the runtime's version,
//!   compiler settings and CPU features), and its length and SHA-256 match the code after the header.
//!
//! Anything else (truncated, corrupted, of another version or component) is a miss: the component is compiled again
//! and the entry replaced. Files are written under a temporary name and renamed, so that a reader never sees half a
//! file. The checksum protects against accidents; the mode of the directory protects against other users, as it does
//! for the binary itself.
//!
//! The runtime's own cache is not used, because it trusts its directory and its files without checks.
//!
//! Entries are not collected. The directory may be emptied at any time.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::load_error::CacheError;

/// SHA-256 of a component's file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

const MAGIC: &[u8; 16] = b"backstay-code-1\n";
/// Magic, component, engine, length of the code, SHA-256 of the code.
const HEADER: usize = 16 + 32 + 32 + 8 + 32;
/// Permission bits that let the group or others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory of compiled code for one engine.
pub(crate) struct CodeCache {
    directory: PathBuf,
    engine: Digest,
    user: u32,
}

impl CodeCache {
    /// Opens `directory`, and creates it if it is missing.
    pub(crate) fn open(engine: &Engine, directory: &Path) -> Result<Self, CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let found = fs::symlink_metadata(directory)?;
        let user = rustix::process::geteuid().as_raw();
        if !found.is_dir() {
            return Err(CacheError::NotADirectory);
        }
        if found.uid() != user {
            return Err(CacheError::Foreign { owner: found.uid(), process: user });
        }
        if found.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(CacheError::Writable { mode: found.mode() & 0o7777 });
        }
        Ok(Self { directory: directory.to_owned(), engine: fingerprint(engine), user })
    }

    /// Returns the code of a component if it has a sound entry.
    pub(crate) fn get(&self, engine: &Engine, component: &Digest) -> Option<Component> {
        let code = self.read(component).ok()?;
        let code = self.verified(component, &code)?;
        deserialize(engine, code)
    }

    /// Stores the code of a component.
    pub(crate) fn put(&self, component: &Digest, compiled: &Component) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let code = compiled.serialize().map_err(io::Error::other)?;
        let path = self.path(component);
        let temporary = path.with_extension(format!(
            "{}-{}.new",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let written = self.write(&temporary, component, &code).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // No reader uses this name; removing the file only frees its space.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write(&self, path: &Path, component: &Digest, code: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        file.write_all(&component.0)?;
        file.write_all(&self.engine.0)?;
        file.write_all(&(code.len() as u64).to_le_bytes())?;
        file.write_all(&Digest::of(code).0)?;
        file.write_all(code)
    }

    fn read(&self, component: &Digest) -> io::Result<Vec<u8>> {
        // A symbolic link is refused: this process writes regular files only.
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let mut file: File = OpenOptions::new().read(true).custom_flags(flags).open(self.path(component))?;
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != self.user || found.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the code of an entry if its header matches the component, the engine and the code.
    fn verified<'a>(&self, component: &Digest, entry: &'a [u8]) -> Option<&'a [u8]> {
        let (header, code) = entry.split_at_checked(HEADER)?;
        let (magic, header) = header.split_at_checked(16)?;
        let (of, header) = header.split_at_checked(32)?;
        let (by, header) = header.split_at_checked(32)?;
        let (length, checksum) = header.split_at_checked(8)?;
        let sound = magic == MAGIC
            && of == component.0
            && by == self.engine.0
            && length == (code.len() as u64).to_le_bytes()
            && checksum == Digest::of(code).0;
        sound.then_some(code)
    }

    fn path(&self, component: &Digest) -> PathBuf {
        let engine: String = self.engine.hex().chars().take(16).collect();
        self.directory.join(format!("{}-{engine}.code", component.hex()))
    }
}

/// Maps compiled code into the process.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: the runtime requires that the bytes were produced by its own `serialize` and not altered since. They
    // come from `CodeCache::verified`: from a file that `CodeCache::put` wrote, in a directory that only this user can
    // write to, with a checksum that shows that it is unchanged. The runtime itself refuses the output of another
    // version or configuration. `deserialize` copies the bytes, so later changes to the file do not matter.
    unsafe { Component::deserialize(engine, code) }.ok()
}

/// Returns a hash of the runtime's version and of every setting on which compiled code depends.
fn fingerprint(engine: &Engine) -> Digest {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            // Never called: the digest is taken from the state.
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    Digest(sha.0.finalize().into())
}
