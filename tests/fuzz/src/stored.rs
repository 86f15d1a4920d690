//! Objects of every watched kind, as the API server shows them: decoded, checked, and made into a status.
//!
//! A tenant can write almost all of them, and another version of the controller any of them. Each is decoded in a list beside a
//! sane one, in an event, and alone. No panic; memory that does not depend on what the object says; the other object decodes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use backstay::cluster::partial::{Partial, PartialDecode, Read};
use backstay::state::run::{Run, RunSpec};
use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use backstay_core::backup::{parameters, to_contract};
use backstay_core::cancel::RunFacts;
use backstay_core::inputs;
use backstay_core::job::{PodRunNote, ProofKey, end, ownership, pod_result, trouble};
use backstay_core::plan::{PlanState, PlanVerdict, PlanView, decide};
use backstay_core::retry::Class;
use backstay_core::run_report::{ApiFailure, Limits, NotDone, report};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ObjectList, PartialObjectMeta, WatchEvent};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::allocations::cost_of;
use crate::choose::Choose;
use crate::objects::change;

/// Longest time for one input, in a program that is not optimised.
const TIME: Duration = Duration::from_secs(5);
/// What may be held of an object beside its own text a few times: the bounds of `docs/limits.md`.
const KEPT: i64 = 4 << 20;
/// Values of an object whose kind is known only at run time (`BUDGET` in `host/src/cluster/partial/kinds.rs`), and what the
/// smallest map takes in memory.
const VALUES: i64 = 50_000;
const VALUE_BYTES: i64 = 400;

/// Decodes an object of a kind, and does what the controller would do with it.
///
/// # Errors
/// The fault.
pub fn stored(input: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    let mut choose = Choose::new(input);
    match choose.up_to(8) {
        0 => of_kind::<BackupJob>(&mut choose, |job| of_run(Run::from(&job))),
        1 => of_kind::<RestoreJob>(&mut choose, |job| of_run(Run::from(&job))),
        2 => of_kind::<Backup>(&mut choose, |backup| {
            let fits = inputs::backup(&backup).is_ok();
            let contract = to_contract(&backup);
            if fits && contract.metadata.len() > 64 {
                return Err("more parameters than may be".to_owned());
            }
            let _ = parameters(&backup);
            of_run(Run::from(&backup))
        }),
        3 => of_kind::<Plan>(&mut choose, |plan| of_plan(&plan)),
        4 => of_kind::<BackupClass>(&mut choose, |class| {
            let binding = class.spec.binding("apps.cozystack.io", "Redis");
            let parameters = binding.and_then(|binding| binding.parameters.as_ref());
            parameters.map_or(Ok(()), |parameters| inputs::pairs("parameters", parameters)).ok();
            Ok(())
        }),
        5 => of_kind::<PartialObjectMeta<Backup>>(&mut choose, |_| Ok(())),
        6 => of_kind::<Job>(&mut choose, |job| {
            let run = backstay_core::backup::run_ref("BackupJob", "n", "a");
            let _ = ownership(&job, &run, "u", &ProofKey::new([7; 32]));
            let note = PodRunNote::of(&job);
            if let Some(end) = end(&job) {
                let _ = pod_result(&end, Vec::new(), note.data, |_, _| String::new());
            }
            Ok(())
        }),
        7 => of_kind::<Pod>(&mut choose, |pod| {
            let _ = trouble([&pod]);
            Ok(())
        }),
        _ => of_kind::<DynamicObject>(&mut choose, |strategy| {
            serde_json::to_value(&strategy).map(drop).map_err(|e| e.to_string())
        }),
    }?;
    let took = begun.elapsed();
    if took > TIME { Err(format!("it took {took:?}")) } else { Ok(()) }
}

fn of_kind<K: PartialDecode>(
    choose: &mut Choose<'_>,
    act: impl Fn(K) -> Result<(), String>,
) -> Result<(), String> {
    let text = text(choose);
    let sane = r#"{"metadata":{"name":"sane"},"spec":{}}"#;
    let list = format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[{text},{sane}]}}"#);
    let (decoded, cost) = cost_of(|| serde_json::from_str::<ObjectList<Partial<K>>>(&list));
    let mut items = decoded.map_err(|e| format!("the list: {e}"))?.items;
    if items.pop().is_none_or(|sane| sane.meta().name.as_deref() != Some("sane")) {
        return Err("the other object of the list is not there".to_owned());
    }
    // An object that is decoded whole has at most so many values.
    let values = if matches!(K::READ, Read::Whole) { VALUES * VALUE_BYTES } else { 0 };
    let bound = 3 * list.len() as i64 + KEPT + values;
    if cost.peak > bound {
        return Err(format!("{} bytes of a list of {} bytes", cost.peak, list.len()));
    }
    let event = format!(r#"{{"type":"ADDED","object":{text}}}"#);
    if !matches!(serde_json::from_str::<WatchEvent<Partial<K>>>(&event), Ok(WatchEvent::Added(_))) {
        return Err("the event does not decode".to_owned());
    }
    match items.pop().map(|item| item.0) {
        Some(Ok(object)) => act(object),
        Some(Err(invalid)) if invalid.error.is_empty() || invalid.error.len() > 512 => {
            Err(format!("a reason of {} bytes", invalid.error.len()))
        }
        _ => Ok(()),
    }
}

fn of_run(mut run: Run) -> Result<(), String> {
    let fits = match &run.spec {
        RunSpec::Backup(spec) => inputs::backup_job(spec),
        RunSpec::Restore(spec) => inputs::restore_job(spec),
        RunSpec::Cleanup(backup) => inputs::backup(backup),
    };
    let record = run.status.run.clone().unwrap_or_default();
    // Either error fails the run.
    let options = inputs::options("status.run.options", record.options.as_ref());
    let now = Timestamp::UNIX_EPOCH;
    let _ = (run.seconds(), run.target());
    let facts = RunFacts {
        mode: run.mode,
        begun: run.status.run.is_some(),
        ended: run.status.is_terminal(),
        held: run.is_held(),
        deleted_at: run.deleted_at,
        deadline: run.deadline(),
        component_cancels: None,
    };
    let limits =
        Limits { wait_deadline: SignedDuration::from_mins(30), undo_deadline: SignedDuration::from_mins(15) };
    let cause = "x".to_owned();
    let failure = ApiFailure { class: Class::RetryVisible, cause, refusal: "APIError", past_deadline: None };
    for not_done in [
        NotDone::blocked("TargetBusy", "m"),
        NotDone::Api(failure),
        NotDone::InProgress { message: "m".to_owned(), recheck: Duration::from_secs(1) },
        match (fits, options) {
            (Err(beyond), _) | (_, Err(beyond)) => beyond.into(),
            _ => NotDone::failed("BackupFailed", "m"),
        },
    ] {
        report(not_done, &facts, &mut run.status, now, 9, &limits);
    }
    run.status.begin(*record, now);
    run.status.fail("BackupFailed", "m", now);
    let whole = serde_json::to_string(&run.status).map_err(|e| e.to_string())?;
    serde_json::from_str::<Value>(&whole).map_err(|e| format!("the status is no JSON: {e}"))?;
    run.reduce_status();
    Ok(())
}

fn of_plan(plan: &Plan) -> Result<(), String> {
    let status = plan.status.clone().unwrap_or_default();
    let state = PlanState::from(&status);
    let (name, runs) = (plan.name_any(), std::collections::BTreeSet::new());
    let view = PlanView {
        name: &name,
        created: plan.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
        cron: plan.spec.schedule.cron.as_deref().unwrap_or_default(),
        time_zone: plan.spec.time_zone.as_deref(),
        starting_deadline_seconds: plan.spec.starting_deadline_seconds,
        suspend: plan.spec.suspend.unwrap_or_default(),
        changed_at: state.last_slot,
        runs: &runs,
        refused: None,
        state: &state,
    };
    let _ = view.is_rescheduled();
    let now = Timestamp::from_second(1_767_225_600).map_err(|e| e.to_string())?;
    let mut written = status.clone();
    match decide(&view, now) {
        PlanVerdict::Invalid { state, .. } | PlanVerdict::Scheduled { state, .. } => {
            state.apply_to(&mut written)
        }
    }
    let text = serde_json::to_string(&written).map_err(|e| e.to_string())?;
    if text.len() > 20 * (40 << 10) + (100 << 10) {
        Err(format!("a status of {} bytes", text.len()))
    } else {
        Ok(())
    }
}

/// An object that the API server could show.
fn text(choose: &mut Choose<'_>) -> String {
    let mut object = object();
    for _ in 0..choose.up_to(4) {
        change(choose, &mut object);
    }
    for _ in 0..choose.up_to(2) {
        // In the place of a time.
        let time = choose.word(TIMES);
        let at = choose.word(&[
            "/spec/takenAt",
            "/status/startedAt",
            "/status/run/deadline",
            "/status/anchor",
            "/status/lastSlot",
            "/metadata/creationTimestamp",
            "/metadata/deletionTimestamp",
            "/status/conditions/0/lastTransitionTime",
            "/metadata/managedFields/0/time",
        ]);
        if let Some(value) = object.pointer_mut(at) {
            *value = json!(time);
        }
    }
    let written = object.to_string();
    let Some(mark) = object.pointer("/spec/options/mark").and_then(Value::as_str) else { return written };
    // What is too deep for a value of this program.
    let times = 1 + choose.up_to(3000);
    let inserted = match choose.up_to(4) {
        0 => format!("{}{}", "[".repeat(times), "]".repeat(times)),
        1 => format!("{}1{}", r#"{"a":"#.repeat(times), "}".repeat(times)),
        2 => format!("[{}0]", r#"{"":0},"#.repeat(10 * times)),
        3 => {
            let pairs = (0..times).fold(String::new(), |mut text, n| {
                let _ = write!(text, r#""{n}":"","#);
                text
            });
            format!(r#"{{{pairs}"a":""}}"#)
        }
        _ => format!(r#""{}""#, "x".repeat(100 * times)),
    };
    written.replacen(&format!("\"{mark}\""), &inserted, 1)
}

const TIMES: &[&str] = &[
    "9999-12-31T00:00:00Z",
    "9999-12-31T23:59:59.9999999999Z",
    "0000-01-01T00:00:00Z",
    "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00x1Z",
    "2026-01-01T00:00:00.1234567890Z",
    "2026-06-31T24:00:00Z",
    "soon",
];

/// One object with the fields of all kinds: each kind takes its own.
fn object() -> Value {
    let time = "2026-01-01T00:00:00Z";
    let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Redis", "name": "cache"});
    let strategy = json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Job", "name": "dump"});
    json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "K",
        "metadata": {
            "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 1,
            "creationTimestamp": time, "deletionTimestamp": time, "deletionGracePeriodSeconds": 0,
            "labels": {"backstay.dev/run-uid": "u", "b": "c"}, "annotations": {"backstay.dev/pod-run": "{}"},
            "finalizers": ["a/b"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "BackupJob", "name": "a", "uid": "u", "controller": true}],
            "managedFields": [{"manager": "m", "time": time, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "applicationRef": application, "backupClassName": "c", "planRef": {"name": "p"},
            "backupRef": {"name": "b"}, "targetApplicationRef": application, "options": {"mark": "here"},
            "strategyRef": strategy, "takenAt": time,
            "driverMetadata": {"strategy.backups.cozystack.io/job.a": "b"},
            "schedule": {"type": "cron", "cron": "15 2 * * *"}, "timeZone": "Europe/Berlin",
            "startingDeadlineSeconds": 300, "suspend": false,
            "strategies": [{"application": application, "strategyRef": strategy, "parameters": {"a": "b"}}],
            "ttlSecondsAfterFinished": 1,
        },
        "status": {
            "phase": "Running", "message": "m", "observedGeneration": 1,
            "startedAt": time, "completedAt": time, "waitingSince": time,
            "anchor": time, "schedule": "TZ=UTC 15 2 * * *", "lastSlot": time, "nextSlot": time,
            "counts": {"fired": 1, "skipped": 0, "missed": 0},
            "recent": [{"slot": time, "outcome": "Fired", "reason": "Fired", "message": "m", "backupJob": "b"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "m", "observedGeneration": 1, "lastTransitionTime": time}],
            "artifact": {"uri": "s3://b/k", "sizeBytes": 1, "checksum": "sha256:00000000"},
            "underlyingResources": {"a": [1]},
            "component": {"name": "job", "version": "0.1.0", "digest": "sha256:0"}, "strategyRevision": "r",
            "backupRef": {"name": "b"},
            "run": {
                "applicationRef": application, "strategyRef": strategy, "parameters": {"a": "b"}, "deadline": time,
                "job": {"name": "j", "uid": "u", "data": "{}", "logLines": 3}, "options": {"a": 1}, "backupUid": "u",
            },
            "succeeded": 1, "completionTime": time,
            "containerStatuses": [],
        },
    })
}
