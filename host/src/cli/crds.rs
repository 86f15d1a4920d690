//! `backstay crds`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::output::print;
use super::trust::TrustArgs;
use crate::components::installed::strategy_crds;

#[derive(Debug, Args)]
pub(crate) struct CrdsArgs {
    /// Also print the CRDs of the strategy kinds that the components of this folder serve
    #[arg(long, env = "BACKSTAY_COMPONENTS")]
    components: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Write one file a CRD into this folder instead
    #[arg(long)]
    out: Option<PathBuf>,
}

impl CrdsArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut crds = backstay_api::crds();
        if let Some(folder) = &self.components {
            crds.extend(strategy_crds(&self.trust.load(folder)?)?);
        }
        if let Some(folder) = &self.out {
            for crd in &crds {
                let path = folder.join(format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural));
                std::fs::write(&path, yaml(crd)?)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
            return Ok(());
        }
        let documents = crds.iter().map(yaml).collect::<anyhow::Result<Vec<_>>>()?;
        print(&format!("---\n{}", documents.join("---\n")))
    }
}

fn yaml(crd: &CustomResourceDefinition) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(crd)?)
}
