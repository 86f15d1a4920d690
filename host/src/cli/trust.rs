//! What administrators trust components with, as flags of several commands.

use std::path::Path;

use backstay_core::trust::Trust;
use backstay_engine::{Engine, EngineConfig};
use clap::Args;

use crate::components::registry::Registry;

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Components whose objects outside the tenants' namespaces need no guard, separated by commas or given several times
    #[arg(long, env = "BACKSTAY_ALLOW_UNGUARDED", value_delimiter = ',')]
    allow_unguarded: Vec<String>,
    /// Components that may have the platform's credentials in the namespaces of their runs, separated by commas
    #[arg(long, env = "BACKSTAY_ALLOW_CREDENTIALS", value_delimiter = ',', default_value = "altinity,cnpg")]
    allow_credentials: Vec<String>,
    /// Components that may serve kinds of groups of Backstay or Kubernetes, separated by commas
    #[arg(long, env = "BACKSTAY_ALLOW_RESERVED_GROUP", value_delimiter = ',')]
    allow_reserved_group: Vec<String>,
}

impl TrustArgs {
    pub(crate) fn trust(&self) -> Trust {
        Trust {
            unguarded: self.allow_unguarded.clone(),
            credentials: self.allow_credentials.clone(),
            groups: self.allow_reserved_group.clone(),
        }
    }

    /// Loads the components of a folder for a command that only asks what they serve.
    pub(crate) fn load(&self, folder: &Path) -> anyhow::Result<Registry> {
        let engine = Engine::new(EngineConfig::default())?;
        Ok(Registry::load(&engine, folder, &self.trust())?)
    }
}
