//! `backstay admission`

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use backstay_api::admission::Policy;
use clap::Args;

use super::output::print;
use super::trust::TrustArgs;
use crate::components::installed::policies_of;
use crate::components::registry::Registry;

#[derive(Debug, Args)]
pub(crate) struct AdmissionArgs {
    /// The controller's own namespace
    #[arg(long, env = "BACKSTAY_NAMESPACE", default_value = "backstay-system")]
    namespace: String,
    /// The controller's ServiceAccount in that namespace
    #[arg(long, default_value = "backstay")]
    service_account: String,
    /// Also guard the statuses of the strategy kinds that the components of this folder serve
    #[arg(long, env = "BACKSTAY_COMPONENTS")]
    components: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Write one file a policy into this folder instead
    #[arg(long)]
    out: Option<PathBuf>,
}

impl AdmissionArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let registry = match &self.components {
            Some(folder) => self.trust.load(folder)?,
            None => Registry::default(),
        };
        let policies = policies_of(self.namespace, self.service_account, &registry);
        let Some(folder) = &self.out else {
            let documents = policies.iter().map(yaml).collect::<anyhow::Result<Vec<_>>>()?;
            return print(&documents.concat());
        };
        for policy in &policies {
            let path = folder.join(format!("{}.yaml", policy.name));
            std::fs::write(&path, yaml(policy)?)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// The documents of a policy and its binding.
fn yaml(policy: &Policy) -> anyhow::Result<String> {
    let mut text = format!("# {} Made by make generate.\n", policy.purpose);
    for object in &policy.objects {
        write!(text, "---\n{}", serde_saphyr::to_string(object)?)?;
    }
    Ok(text)
}
