//! Requests: calls a guest with a run whose every part may be hostile.

use backstay_sdk::bindings::about::backstay::strategy::types as wit;
use backstay_sdk::bindings::about::exports::backstay::strategy::about::Guest as _;
use backstay_sdk::bindings::pod::exports::backstay::strategy::pod_driver::Guest as _;
use backstay_sdk::component::Component;
use backstay_sdk::template::Dialect;
use backstay_sdk::{Artifact, Backup, GroupKind, Mode, ObjectRef, PodResult, Request};
use backstay_strategy_job::Job;
use serde_json::{Value, json};

use crate::choose::Choose;
use crate::{reports, templates};

/// Deepest nesting of an answer (`JSON_DEPTH` in `docs/limits.md`).
const JSON_DEPTH: usize = 100;

/// A run, and the result of its pod.
#[derive(Clone, Debug)]
pub struct Input {
    /// The run; its spec is any JSON.
    pub request: Request<Value>,
    /// The live object.
    pub application: Option<Value>,
    /// The finished Job.
    pub ended: PodResult,
}

impl Input {
    /// Makes the run of the bytes.
    #[must_use]
    pub fn of(input: &[u8]) -> Self {
        let mut choose = Choose::new(input);
        let spec = (!choose.once_in(12)).then(|| spec(&mut choose));
        let context = templates::context(&mut choose);
        let mode = *choose.one(&[Mode::Backup, Mode::Restore, Mode::Cleanup]);
        let name =
            |choose: &mut Choose<'_>| if choose.once_in(3) { choose.text() } else { "orders".to_owned() };
        let object = |choose: &mut Choose<'_>, kind: &str| ObjectRef {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: (!choose.once_in(5)).then(|| name(choose)),
            name: name(choose),
        };
        let backup = (mode != Mode::Backup && !choose.once_in(6)).then(|| Backup {
            name: name(&mut choose),
            uid: "uid".to_owned(),
            run_uid: None,
            component_version: None,
            application: GroupKind { group: name(&mut choose), kind: name(&mut choose) },
            application_name: name(&mut choose),
            taken_at: choose.integer(),
            metadata: [(name(&mut choose), choose.text())].into(),
            artifact: choose.once_in(2).then(|| Artifact {
                uri: choose.text(),
                size_bytes: Some(choose.integer().unsigned_abs()),
                checksum: Some(choose.text()),
            }),
            underlying_resources: choose.once_in(3).then(|| choose.json(3)),
            private_data: choose.once_in(3).then(|| choose.json(3)),
        });
        let request = Request {
            mode,
            run: object(&mut choose, "BackupJob"),
            run_uid: "uid".to_owned(),
            started_at: choose.integer(),
            deadline: choose.integer(),
            now: choose.integer(),
            kind: GroupKind { group: "strategy.backups.cozystack.io".to_owned(), kind: "Job".to_owned() },
            parameters: context.parameters,
            options: choose.once_in(4).then(|| choose.json(3)),
            application: object(&mut choose, "NATS"),
            backup,
            namespaces: [].into(),
            inherited: None,
            cancelled: None,
            spec,
        };
        let ended = reports::ended(&mut choose);
        Self { request, application: context.application.map(std::borrow::Cow::into_owned), ended }
    }
}

/// Returns a spec of the Job strategy: valid, with an invalid part, or any JSON.
fn spec(choose: &mut Choose<'_>) -> Value {
    if choose.once_in(10) {
        return choose.json(3);
    }
    let dialect = *choose.one(&[Dialect::Go, Dialect::Minijinja]);
    let text = templates::text(choose, dialect);
    let mut spec = json!({
        "dialect": if dialect == Dialect::Go { "go" } else { "minijinja" },
        "backoffLimit": 1,
        "template": {"metadata": {"labels": {"a": "v"}}, "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "a", "image": "b", "args": [text], "env": [{"name": "n", "value": "v"}]}],
        }},
    });
    const PLACES: [&str; 12] = [
        "/dialect",
        "/backoffLimit",
        "/template",
        "/template/metadata",
        "/template/metadata/labels",
        "/template/spec",
        "/template/spec/restartPolicy",
        "/template/spec/containers",
        "/template/spec/containers/0",
        "/template/spec/containers/0/name",
        "/template/spec/containers/0/args",
        "/template/spec/containers/0/env/0/value",
    ];
    if choose.once_in(6) {
        let place = choose.word(&PLACES);
        if let Some(part) = spec.pointer_mut(place) {
            *part = choose.json(4);
        }
    }
    if choose.once_in(4) {
        let field =
            choose.word(&["activeDeadlineSeconds", "requireArtifact", "backoffLimit", "unknown", "имя"]);
        spec[field] = choose.json(2);
    }
    spec
}

/// Checks the guest's side of a call: decodes the request, calls the strategy, encodes the answer.
///
/// # Errors
/// The fault.
pub fn guest(input: &[u8]) -> Result<(), String> {
    let input = Input::of(input);
    let application = input.application.as_ref().map(Value::to_string);
    let spec_text = || format!("{:?}", input.request.spec.as_ref().map(Value::to_string));
    match Component::<Job>::render(wit_request(&input.request), application) {
        Ok(run) => of_run(&run),
        Err(failure) => of_failure(&failure),
    }
    .map_err(|fault| format!("render: {fault}: {}", spec_text()))?;
    match Component::<Job>::parse(wit_request(&input.request), wit_result(&input.ended)) {
        Ok(outcome) => of_outcome(&outcome),
        Err(failure) => of_failure(&failure),
    }
    .map_err(|fault| format!("parse: {fault}: {} {:?}", spec_text(), input.ended))?;
    let strategy = input.request.spec.as_ref().map_or("null".to_owned(), Value::to_string);
    let kind = wit_request(&input.request).strategy_kind;
    of_findings(&Component::<Job>::validate(kind, strategy, None, None))
        .map_err(|fault| format!("validate: {fault}: {}", spec_text()))
}

fn of_run(run: &wit::PodRun) -> Result<(), String> {
    let template: Value = serde_json::from_str(&run.template).map_err(|e| format!("the template: {e}"))?;
    if !template.is_object() || depth(&template) > JSON_DEPTH || run.log_lines > 200 {
        return Err(format!("it breaks the contract, {} levels deep", depth(&template)));
    }
    of_findings(&run.findings)
}

fn of_failure(failure: &wit::Failure) -> Result<(), String> {
    let mut reason = failure.reason.bytes();
    let is_word =
        reason.next().is_some_and(|b| b.is_ascii_alphabetic()) && reason.all(|b| b.is_ascii_alphanumeric());
    if !is_word || failure.reason.len() > 64 || failure.message.is_empty() || failure.message.len() > 16 << 10
    {
        return Err(format!("{} with a message of {} bytes", failure.reason, failure.message.len()));
    }
    of_findings(&failure.findings)
}

fn of_outcome(outcome: &wit::Outcome) -> Result<(), String> {
    let size: usize = outcome.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if outcome.metadata.len() > 64
        || size > 64 << 10
        || outcome.conditions.iter().any(|c| c.message.len() > 4 << 10)
    {
        return Err(format!("it breaks the contract: {outcome:?}"));
    }
    Ok(())
}

fn of_findings(findings: &[wit::Diagnostic]) -> Result<(), String> {
    let short =
        |f: &wit::Diagnostic| f.at.len() <= 512 && f.message.len() <= 4 << 10 && !f.message.is_empty();
    match findings.len() <= 32 && findings.iter().all(short) {
        true => Ok(()),
        false => Err(format!("{} findings, or one of them is too long", findings.len())),
    }
}

/// Returns the depth of the nesting.
#[must_use]
pub fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => entries.values().map(depth).max().unwrap_or(0),
        _ => return 0,
    }
}

fn wit_request(request: &Request<Value>) -> wit::Request {
    let group_kind = |v: &GroupKind| wit::GroupKind { group: v.group.clone(), kind: v.kind.clone() };
    let object = |v: &ObjectRef| wit::ObjectRef {
        api_version: v.api_version.clone(),
        kind: v.kind.clone(),
        namespace: v.namespace.clone(),
        name: v.name.clone(),
    };
    wit::Request {
        mode: request.mode.into(),
        run: object(&request.run),
        run_uid: request.run_uid.clone(),
        started_at: request.started_at,
        deadline: request.deadline,
        now: request.now,
        strategy_kind: group_kind(&request.kind),
        strategy: request.spec.as_ref().map(Value::to_string),
        parameters: request.parameters.clone().into_iter().collect(),
        options: request.options.as_ref().map(Value::to_string),
        application: object(&request.application),
        backup: request.backup.as_ref().map(|b| wit::Backup {
            name: b.name.clone(),
            uid: b.uid.clone(),
            run_uid: b.run_uid.clone(),
            component_version: b.component_version.clone(),
            application: group_kind(&b.application),
            application_name: b.application_name.clone(),
            taken_at: b.taken_at,
            metadata: b.metadata.clone().into_iter().collect(),
            artifact: b.artifact.clone().map(Into::into),
            underlying_resources: b.underlying_resources.as_ref().map(Value::to_string),
            private_data: b.private_data.as_ref().map(Value::to_string),
        }),
        namespaces: Vec::new(),
        inherited: None,
        cancelled: None,
    }
}

fn wit_result(ended: &PodResult) -> wit::PodResult {
    let container = |c: &backstay_sdk::Container| wit::Container {
        name: c.name.clone(),
        exit_code: c.exit_code,
        reason: c.reason.clone(),
        message: c.message.clone(),
        log: c.log.clone(),
    };
    let pod = |pod: &backstay_sdk::Pod| wit::Pod {
        name: pod.name.clone(),
        reason: pod.reason.clone(),
        message: pod.message.clone(),
        started_at: pod.started_at,
        finished_at: pod.finished_at,
        containers: pod.containers.iter().map(container).collect(),
    };
    wit::PodResult {
        succeeded: ended.succeeded,
        reason: ended.reason.clone(),
        message: ended.message.clone(),
        pods: ended.pods.iter().map(pod).collect(),
        data: ended.data.as_ref().map(Value::to_string),
    }
}
