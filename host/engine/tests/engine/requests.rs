//! Requests of calls, for tests that do not depend on them.

use std::sync::LazyLock;

use backstay_core::contract::{GroupKind, Mode, ObjectRef, Pairs, PodResult, Request, View};
use backstay_engine::{Engine, EngineConfig};

/// Returns the shared engine.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineConfig::default()).unwrap());

/// The time of calls.
pub(crate) const NOW: i64 = 1_700_000_000;

/// Returns the request of a backup.
pub(crate) fn request() -> Request {
    let object = |kind: &str, name: &str| ObjectRef {
        api_version: "example.org/v1".into(),
        kind: kind.into(),
        namespace: Some("tenant".into()),
        name: name.into(),
    };
    Request {
        mode: Mode::Backup,
        run: object("BackupJob", "run"),
        run_uid: "uid".into(),
        started_at: NOW - 10,
        deadline: NOW + 3600,
        now: NOW,
        strategy_kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Guest".into() },
        strategy: Some(serde_json::json!({"template": {}})),
        parameters: Pairs::new(),
        options: None,
        application: object("App", "app"),
        backup: None,
        namespaces: Pairs::new(),
        inherited: None,
        cancelled: None,
    }
}

/// Returns the result of a pod run.
pub(crate) fn ended(succeeded: bool) -> PodResult {
    PodResult { succeeded, reason: String::new(), message: String::new(), pods: Vec::new(), data: None }
}

/// Returns the view of a run's first step.
pub(crate) fn view() -> View {
    View { checkpoint: None, stage_since: NOW, answers: Vec::new(), results: Vec::new() }
}
