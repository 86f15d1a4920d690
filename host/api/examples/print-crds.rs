//! Prints the CRDs as YAML documents, or, given a directory, writes one file `<group>_<plural>.yaml` each into it:
//! `cargo run -p backstay-api --example print-crds -- [DIR]`.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    for crd in backstay_api::crds() {
        let yaml = serde_saphyr::to_string(&crd)?;
        match &directory {
            Some(directory) => {
                let file = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
                std::fs::write(directory.join(file), yaml)?;
            }
            None => write!(std::io::stdout(), "---\n{yaml}")?,
        }
    }
    Ok(())
}
