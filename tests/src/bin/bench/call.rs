//! One call of a component with its arguments, as it is measured again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef, Request, View};
use backstay_engine::{CallError, CallFault, Component, Limits};
use serde::Deserialize;

use crate::Outcome;
use crate::figures::Cost;

/// Arguments of a call.
pub(crate) enum Call {
    Render { request: Box<Request>, application: Json },
    Step { request: Box<Request>, view: View },
}

impl Call {
    /// The render of `tests/bench/typical.json`.
    pub(crate) fn render() -> Outcome<Self> {
        let fixture: Fixture = serde_json::from_slice(&std::fs::read(typical())?)?;
        Ok(Self::Render { request: Box::new(fixture.request()), application: fixture.application })
    }

    /// Makes the call, and returns the time that it took.
    pub(crate) fn time(&self, component: &Component) -> Result<Duration, CallError> {
        let begun = Instant::now();
        match self {
            Self::Render { request, application } => drop(component.render(request, Some(application))?),
            Self::Step { request, view } => drop(component.step(request, view)?),
        }
        Ok(begun.elapsed())
    }

    /// Makes the call with this much fuel, and returns the functions that the guest is in when it is used up, innermost first;
    /// `None` if the call ends before.
    pub(crate) fn stack(&self, component: &Component, fuel: u64) -> Outcome<Option<Vec<String>>> {
        let bounded = component.with_limits(Limits { fuel, ..*component.limits() });
        let ended = self.time(&bounded);
        match ended.map_err(|error| *error.error) {
            Ok(_) => Ok(None),
            Err(CallFault::OutOfFuel { frames, .. }) => Ok(Some(frames)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Makes the call, and returns its cost and its answer.
    pub(crate) fn answer(&self, component: &Component) -> Outcome<(Cost, String)> {
        let (fuel, memory_bytes, answer) = match self {
            Self::Render { request, application } => {
                let called = component.render(request, Some(application))?;
                let run = called.value.map_err(|failure| failure.message)?;
                (called.fuel, called.memory_bytes, run.template.to_string())
            }
            Self::Step { request, view } => {
                let called = component.step(request, view)?;
                (called.fuel, called.memory_bytes, format!("{:?}", called.value))
            }
        };
        let component_bytes = component.size();
        Ok((Cost { fuel, memory_bytes, component_bytes, told_bytes: self.told() }, answer))
    }

    /// The bytes of JSON that go in.
    pub(crate) fn told(&self) -> usize {
        let (request, told) = match self {
            Self::Render { request, application } => (request, application.to_string().len()),
            Self::Step { request, view } => (request, crate::steps::told(view)),
        };
        request.strategy.as_ref().map_or(0, |spec| spec.to_string().len()) + told
    }
}

/// The folder of the bench.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench")
}

/// The fixture of the render.
pub(crate) fn typical() -> PathBuf {
    folder().join("typical.json")
}

/// The spec to render, like that of a real strategy: some twenty strings, six of them templates.
#[derive(Deserialize)]
struct Fixture {
    strategy: Json,
    application: Json,
    request: RequestFixture,
}

/// The request of a backup.
#[derive(Deserialize)]
struct RequestFixture {
    namespace: String,
    run: String,
    parameters: BTreeMap<String, String>,
}

impl Fixture {
    fn request(&self) -> Request {
        let text = |pointer: &str| {
            self.application.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        Request {
            mode: Mode::Backup,
            run: backstay_core::backup::run_ref("BackupJob", &self.request.namespace, &self.request.run),
            run_uid: "00000000-0000-0000-0000-000000000000".into(),
            started_at: 1_767_225_600,
            deadline: 1_767_229_200,
            now: 1_767_225_600,
            strategy_kind: GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Job".into() },
            strategy: Some(self.strategy.clone()),
            parameters: self.request.parameters.clone(),
            options: None,
            application: ObjectRef {
                api_version: text("/apiVersion"),
                kind: text("/kind"),
                namespace: Some(self.request.namespace.clone()),
                name: text("/metadata/name"),
            },
            backup: None,
            namespaces: [].into(),
            inherited: None,
            cancelled: None,
        }
    }
}
