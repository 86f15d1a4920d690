//! What administrators trust components with, as flags of several commands.

use backstay_core::trust::Trust;
use clap::Args;

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
}
