//! `backstay crds`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::output::print;
use super::trust::TrustArgs;

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
            for component in self.trust.load(folder)?.iter() {
                for kind in &component.descriptor().kinds {
                    let crd = strategy_crd(kind).with_context(|| {
                        format!(
                            "component {:?}: the schema of kind {:?} makes no CRD",
                            component.descriptor().name,
                            kind.kind
                        )
                    })?;
                    crds.push(crd);
                }
            }
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

/// The CRD of a strategy kind, from its component's descriptor.
pub(crate) fn strategy_crd(
    kind: &backstay_core::contract::StrategyKind,
) -> Result<CustomResourceDefinition, backstay_api::SchemaError> {
    backstay_api::strategy_crd(&kind.group, &kind.version, &kind.kind, &kind.plural, &kind.schema)
}

fn yaml(crd: &CustomResourceDefinition) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(crd)?)
}
