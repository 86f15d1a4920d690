//! Which components a controller loads, by their descriptors.

use std::path::{Path, PathBuf};

use backstay::components::registry::{Registry, RegistryError};
use backstay_engine::{Engine, EngineConfig};

/// Makes a folder with the component of a workspace directory under each of these names.
fn folder(name: &str, strategy: &str, files: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(strategy);
    let bytes = backstay_testing::build(&source).expect("the strategy builds");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    for file in files {
        std::fs::write(folder.join(file), &bytes).expect("the component can be written");
    }
    folder
}

fn load(folder: &Path, unguarded: &[String]) -> Result<Registry, RegistryError> {
    let engine = Engine::new(EngineConfig::default()).expect("the engine starts");
    Registry::load(&engine, folder, unguarded)
}

#[test]
fn two_files_of_one_component_are_refused_and_both_are_named() {
    let folder = folder("twice", "strategies/job", &["a.wasm", "b.wasm"]);
    let Err(error) = load(&folder, &[]) else { panic!("it was taken") };
    let message = error.to_string();
    for part in ["a.wasm", "b.wasm", "\"job\"", "remove one"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn objects_outside_the_tenants_namespaces_need_a_guard_or_an_administrators_word() {
    let folder = folder("unguarded", "tests/guests/steps", &["steps.wasm"]);
    let Err(error) = load(&folder, &[]) else { panic!("it was taken") };
    let message = error.to_string();
    for part in ["\"steps\"", "cluster-wide", "Node", "--allow-unguarded steps"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(load(&folder, &["steps".to_owned()]).is_ok());
}
