//! Which components a controller loads, by their descriptors and by the files beside them.

use std::path::{Path, PathBuf};

use backstay::components::registry::{Registry, RegistryError};
use backstay_core::trust::Trust;
use backstay_engine::{Engine, EngineConfig};

/// Makes a folder with the component of a workspace directory under this name, and with these files beside it.
fn folder(name: &str, strategy: &str, wasm: &str, beside: &[(&str, &str)]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(strategy);
    let bytes = backstay_testing::build(&source).expect("the strategy builds");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join(wasm), &bytes).expect("the component can be written");
    for (file, text) in beside {
        std::fs::write(folder.join(file), text).expect("the file can be written");
    }
    folder
}

fn load(folder: &Path, trust: &Trust) -> Result<Registry, RegistryError> {
    let engine = Engine::new(EngineConfig::default()).expect("the engine starts");
    Registry::load(&engine, folder, trust)
}

fn refused(folder: &Path, parts: &[&str]) {
    let Err(error) = load(folder, &Trust::default()) else { panic!("it was taken") };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_component_in_a_file_of_another_name_is_refused() {
    let folder = folder("misnamed", "strategies/job", "dump.wasm", &[]);
    refused(&folder, &["dump.wasm", "\"job\"", "name the file job.wasm"]);
}

#[test]
fn a_file_beside_no_component_or_of_no_known_kind_stops_the_start() {
    for (file, parts) in [
        ("jobs.pods.yaml", ["jobs.pods.yaml", "no component jobs.wasm"]),
        ("Job.limits.yaml", ["Job.limits.yaml", "no component Job.wasm"]),
        ("dump.sha256", ["dump.sha256", "no component dump.wasm"]),
        ("job.pod.yaml", ["job.pod.yaml", "NAME.limits.yaml, NAME.pods.yaml and NAME.sha256"]),
        ("job.limits.yml", ["job.limits.yml", "NAME.limits.yaml"]),
        ("job.wasm.sha256", ["job.wasm.sha256", "no component job.wasm.wasm"]),
    ] {
        let folder = folder("stray", "strategies/job", "job.wasm", &[(file, "{}\n")]);
        refused(&folder, &parts);
    }
    let folder = folder(
        "beside",
        "strategies/job",
        "job.wasm",
        &[("job.pods.yaml", "podSecurity: restricted\n"), ("README", "x")],
    );
    assert!(load(&folder, &Trust::default()).is_ok());
}

#[test]
fn a_component_with_another_digest_than_the_one_written_down_is_refused() {
    let zeros = "0".repeat(64);
    let (other, bad) = (format!("{zeros}  job.wasm\n"), "none\n");
    refused(
        &folder("digest", "strategies/job", "job.wasm", &[("job.sha256", &other)]),
        &["job.wasm", "has digest sha256:", "job.sha256", &format!("says sha256:{zeros}")],
    );
    refused(
        &folder("digest", "strategies/job", "job.wasm", &[("job.sha256", bad)]),
        &["job.sha256", "holds no SHA-256"],
    );
    let plain = folder("digest", "strategies/job", "job.wasm", &[]);
    let registry = load(&plain, &Trust::default()).expect("it is taken");
    let digest = registry.iter().next().expect("it is there").digest().to_owned();
    let hex = digest.strip_prefix("sha256:").expect("its algorithm");
    for text in [format!("{hex}  job.wasm\n"), format!("{digest}\n"), hex.to_uppercase()] {
        let pinned = folder("digest", "strategies/job", "job.wasm", &[("job.sha256", &text)]);
        assert!(load(&pinned, &Trust::default()).is_ok(), "{text}");
    }
}

#[test]
fn credentials_are_for_components_that_are_named() {
    let folder = folder("credentials", "strategies/altinity", "altinity.wasm", &[]);
    refused(&folder, &["\"altinity\"", "credentials", "--allow-credentials altinity"]);
    let trust = Trust { credentials: vec!["altinity".to_owned()], ..Trust::default() };
    assert!(load(&folder, &trust).is_ok());
}

#[test]
fn objects_outside_the_tenants_namespaces_need_a_guard_or_an_administrators_word() {
    let folder = folder("unguarded", "tests/guests/steps", "steps.wasm", &[]);
    refused(&folder, &["\"steps\"", "cluster-wide", "Node", "--allow-unguarded steps"]);
    let trust = Trust { unguarded: vec!["steps".to_owned()], ..Trust::default() };
    assert!(load(&folder, &trust).is_ok());
}
