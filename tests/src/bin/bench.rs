//! Measures calls of a pod strategy's component: what instantiating and rendering cost.
//!
//! Raw figures of this machine; the comparison with other controllers comes with the benchmark suite.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef, Request};
use backstay_engine::{Engine, EngineConfig};
use serde_json::json;

const CALLS: usize = 2000;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bench COMPONENT.wasm");
        return ExitCode::FAILURE;
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)]
fn run(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(EngineConfig::default())?;
    let begun = Instant::now();
    let component = engine.load_file(path)?;
    println!("compile and load           {:>10.1?}  ({} KB)", begun.elapsed(), component.size() / 1000);
    let (request, application) = (request(), application());
    let mut walls = Vec::with_capacity(CALLS);
    let mut fuel = 0;
    let mut memory = 0;
    for _ in 0..CALLS {
        let begun = Instant::now();
        let called = component.render(&request, Some(&application))?;
        walls.push(begun.elapsed());
        called.value.map_err(|f| f.message)?;
        fuel = called.fuel;
        memory = called.memory_bytes;
    }
    println!(
        "render, fresh instance     p50 {:>8.1?}   p99 {:>8.1?}",
        at(&mut walls, 50),
        at(&mut walls, 99)
    );
    println!("fuel a render              {fuel:>10}");
    println!("linear memory of a render  {:>7} KB", memory / 1000);
    Ok(())
}

fn at(walls: &mut [Duration], percent: usize) -> Duration {
    walls.sort_unstable();
    walls[(walls.len() * percent / 100).min(walls.len() - 1)]
}

fn application() -> Json {
    json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Redis",
        "metadata": {"name": "cache", "namespace": "tenant-a"}, "spec": {"size": "10Gi", "replicas": 2}})
}

/// The shape of a real strategy: some twenty strings, six of them templates.
fn request() -> Request {
    let env = |name: &str, value: &str| json!({"name": name, "value": value});
    let spec = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{
        "name": "dump", "image": "registry.example.org/redis-tools:7", "imagePullPolicy": "IfNotPresent",
        "env": [
            env("MODE", "{{ .Mode }}"),
            env("HOST", "{{ .Release.Name }}.{{ .Release.Namespace }}.svc"),
            env("DB", "{{ default \"0\" (index .Parameters \"db\") }}"),
            env("SOURCE", "{{ if .Backup }}{{ .Backup.ApplicationRef.Name }}{{ else }}{{ .Release.Name }}{{ end }}"),
            env("REGION", "{{ .Parameters.region | default \"eu\" }}"),
            json!({"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "{{ .Release.Name }}-s3", "key": "secretKey"}}}),
        ],
        "command": ["/bin/sh", "-ec"],
        "args": ["if [ \"$MODE\" = backup ]; then dump \"$HOST\" | put \"$SOURCE.rdb\"; else get \"$SOURCE.rdb\" | load \"$HOST\"; fi"],
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}}}]}}});
    Request {
        mode: Mode::Backup,
        run: backstay_core::backup::run_ref("BackupJob", "tenant-a", "nightly"),
        run_uid: "00000000-0000-0000-0000-000000000000".into(),
        started_at: 1_767_225_600,
        deadline: 1_767_229_200,
        now: 1_767_225_600,
        strategy_kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() },
        strategy: Some(spec),
        parameters: [("db".to_owned(), "1".to_owned())].into(),
        options: None,
        application: ObjectRef {
            api_version: "apps.cozystack.io/v1alpha1".into(),
            kind: "Redis".into(),
            namespace: Some("tenant-a".into()),
            name: "cache".into(),
        },
        backup: None,
        namespaces: [].into(),
        inherited: None,
        cancelled: None,
    }
}
