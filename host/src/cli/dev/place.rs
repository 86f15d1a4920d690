//! Where the files of the cluster are: in a folder of this start, or in one that is kept with all that the cluster holds.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use devcluster::api::{ApiServer, Options};
use devcluster::keep::Keep;

use super::chance::secret;

/// The folder of the kubeconfig and of the pods' files, which no other user of this machine can read. Clones are the same one.
#[derive(Clone)]
pub(super) enum Place {
    /// It goes with the cluster.
    Passing(Arc<Passing>),
    /// It stays, and so does the cluster.
    Kept(Keep),
}

/// A folder that is removed when this is dropped.
pub(super) struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder is left behind");
        }
    }
}

impl Place {
    /// Takes the folder that is to be kept, or makes one.
    pub(super) fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(folder) = keep {
            return Ok(Self::Kept(Keep::open(folder).context("--keep")?));
        }
        let folder = std::env::temp_dir().join(format!("backstay-dev-{}", secret()?));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self::Passing(Arc::new(Passing(folder))))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Passing(folder) => &folder.0,
            Self::Kept(keep) => keep.path(),
        }
    }

    /// Returns the API server, with what was kept.
    pub(super) fn server(&self, options: Options) -> anyhow::Result<ApiServer> {
        match self {
            Self::Passing(_) => Ok(ApiServer::new(options)),
            Self::Kept(keep) => keep.server(options).context("--keep"),
        }
    }

    /// Keeps what the server holds, for as long as it is polled.
    pub(super) async fn run(self, server: ApiServer) -> anyhow::Error {
        match &self {
            Self::Passing(_) => std::future::pending().await,
            Self::Kept(keep) => {
                anyhow::Error::new(keep.run(&server).await).context("the cluster cannot be kept")
            }
        }
    }

    /// Writes the last word on what the server holds.
    pub(super) fn finish(&self, server: &ApiServer) -> anyhow::Result<()> {
        match self {
            Self::Passing(_) => Ok(()),
            Self::Kept(keep) => keep.finish(server).context("the cluster cannot be kept"),
        }
    }

    /// Says what is left at the end.
    pub(super) fn end(&self) -> String {
        match self {
            Self::Passing(_) => "all that is in it is gone".to_owned(),
            Self::Kept(keep) => format!("--keep {} starts it again", keep.path().display()),
        }
    }
}
