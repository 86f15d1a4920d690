//! x
fn main(){ for c in backstay_api::crds() { println!("---\n{}", serde_saphyr::to_string(&c).unwrap()); } }
