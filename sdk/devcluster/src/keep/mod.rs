//! A cluster that outlives its process: what its API server holds, in a folder.
//!
//! The folder has one JSON document, `store.json`, with everything, and a file `lock`. The document is written anew, beside the old one,
//! after each quiet moment ([`QUIET`]), at the latest [`LONGEST`] after a change, and at the end by [`Keep::finish`]. It is on disk
//! before it takes the place of the old one. So whoever kills the process loses at most what was changed in [`LONGEST`], and while
//! the document was written; the document is never a part of one. The next start leaves out more revisions and uids than can have
//! been lost, so that none means two things.
//!
//! Secrets and tokens are in the document as they are, so the folder is for its user alone.

mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::{ApiServer, Options};
use folder::Folder;

/// How long nothing has to happen before a change is written.
pub const QUIET: Duration = Duration::from_millis(100);
/// How long a change waits at most before it is written.
pub const LONGEST: Duration = Duration::from_millis(500);

/// What is wrong with a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// It has files, and none of a cluster.
    #[error("{0} has files, but none of a cluster that was kept: name a folder that is empty or not there")]
    NotOurs(PathBuf),
    /// Another process has it.
    #[error("{folder} is in use by process {process}")]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The id of the process, as it wrote it down.
        process: String,
    },
    /// Other users could read or write it.
    #[error("{folder}: {why}")]
    Open {
        /// The folder.
        folder: PathBuf,
        /// What is to be changed.
        why: String,
    },
    /// It was written by a program with another format.
    #[error(
        "{file} has format {found}, and this program knows only {}: start the program that wrote it, or name another folder",
        folder::VERSION
    )]
    Version {
        /// The document.
        file: PathBuf,
        /// Its format.
        found: u64,
    },
    /// What was written cannot be understood.
    #[error("{file} cannot be used: {why}. Put back a copy of it, or name another folder")]
    Broken {
        /// The document.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refuses something.
    #[error("{path}: {source}")]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
}

/// A folder in which a cluster is kept. Clones are the same one. Once the last of them is dropped, another process may have the folder.
#[derive(Clone, Debug)]
pub struct Keep {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Folder,
    /// Whether the last word is written. Held by who writes: what is written later was read later.
    ended: Mutex<bool>,
    /// The revision up to which everything is written.
    written: watch::Sender<u64>,
}

impl Keep {
    /// Takes a folder, which no other user may read (mode 0700). It is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be had, or is not one of a cluster that was kept.
    pub fn open(folder: &Path) -> Result<Self, Trouble> {
        let folder = Folder::open(folder)?;
        Ok(Self {
            inner: Arc::new(Inner { folder, ended: Mutex::new(false), written: watch::Sender::new(0) }),
        })
    }

    /// The folder, as an absolute path. Who has it may keep more there, under other names than `store.json`, `store.json.new` and
    /// `lock`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Returns an API server that goes on from what was kept, or a new one if nothing was, and writes down that it has begun.
    ///
    /// # Errors
    /// What was kept cannot be read or is of another format; the folder cannot be written.
    pub fn server(&self, options: Options) -> Result<ApiServer, Trouble> {
        let server = match self.inner.folder.read()? {
            None => ApiServer::new(options),
            Some(snapshot) => {
                ApiServer::going_on(options, snapshot).map_err(|why| self.inner.folder.broken(why))?
            }
        };
        self.inner.write(&server, false)?;
        Ok(server)
    }

    /// Writes what the server holds whenever it has changed, for as long as it is polled. Returns if that fails.
    pub async fn run(&self, server: &ApiServer) -> Trouble {
        let mut written = None;
        loop {
            {
                let changed = server.changed().notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if written == Some(server.mark()) {
                    changed.await;
                }
            }
            quiet(server).await;
            let mark = server.mark();
            let (inner, server) = (Arc::clone(&self.inner), server.clone());
            match tokio::task::spawn_blocking(move || inner.write(&server, false)).await {
                Ok(Ok(())) => written = Some(mark),
                Ok(Err(trouble)) => return trouble,
                Err(error) => {
                    let path = self.path().to_owned();
                    return Trouble::Io { path, source: std::io::Error::other(error) };
                }
            }
        }
    }

    /// Waits until everything up to this revision is on disk. Never returns if nobody writes.
    pub async fn reached(&self, revision: u64) {
        // The sender lives as long as this does.
        let _ = self.inner.written.subscribe().wait_for(|written| *written >= revision).await;
    }

    /// Writes what the server holds as the last word. What is changed later is lost.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&self, server: &ApiServer) -> Result<(), Trouble> {
        self.inner.write(server, true)
    }
}

impl Inner {
    fn write(&self, server: &ApiServer, last: bool) -> Result<(), Trouble> {
        let mut ended = self.ended.lock();
        if *ended {
            return Ok(());
        }
        let snapshot = server.snapshot();
        let revision = snapshot.revision();
        self.folder.write(&if last { snapshot.at_the_end() } else { snapshot })?;
        *ended = last;
        self.written.send_replace(revision);
        Ok(())
    }
}

/// Waits until nothing has changed for a while, but not for long.
async fn quiet(server: &ApiServer) {
    let end = Instant::now() + LONGEST;
    loop {
        let changed = server.changed().notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(end.min(Instant::now() + QUIET)) => return,
            () = changed => {}
        }
    }
}
