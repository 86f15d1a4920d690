//! The files in `deploy/crds` are up to date.

use std::path::Path;

#[test]
fn the_checked_in_crds_are_those_of_the_code() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    for crd in backstay_api::crds() {
        let file = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let checked_in = std::fs::read_to_string(directory.join(&file)).unwrap_or_default();
        let generated = serde_saphyr::to_string(&crd).unwrap();
        assert!(
            checked_in == generated,
            "deploy/crds/{file} is out of date: run `cargo run -p backstay-api --example print-crds -- deploy/crds`"
        );
    }
}
