//! The resource guest in the sandbox: a table of views and decisions, one call a line.

use backstay_testing::contract::{
    Action, ActionResult, Answer, CancelCause, Cancellation, Checkpoint, Content, Decision, GetQuery, Json,
    ObjectRef, Query, ReadError, View, Watch, WriteError,
};
use backstay_testing::{Built, Case, NOW};
use serde_json::json;

const STRATEGY: &str = "
apiVersion: test.backstay.dev/v1
kind: Copy
spec: {copier: mill, timeoutSeconds: 300}
";
const APPLICATION: &str = "
apiVersion: apps.example.org/v1
kind: Web
metadata: {name: web, namespace: tenant-a}
";

fn case(copier: &Built) -> Case<'_> {
    copier.backup().strategy(STRATEGY).application(APPLICATION)
}

fn application() -> ObjectRef {
    object("apps.example.org/v1", "Web", "web")
}

fn copy() -> ObjectRef {
    object("v1", "ConfigMap", "nightly-copy")
}

fn object(api_version: &str, kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: Some("tenant-a".into()),
        name: name.into(),
    }
}

fn get(object: ObjectRef) -> Query {
    Query::Get(GetQuery { object, live: false, fields: Vec::new() })
}

fn first() -> View {
    View { checkpoint: None, stage_since: NOW, answers: Vec::new(), results: Vec::new() }
}

fn asked() -> View {
    let data = json!({"sourceVersion": "41"});
    View { checkpoint: Some(Checkpoint { stage: "copy".into(), data }), ..first() }
}

fn answering(mut view: View, query: Query, value: Result<Json, ReadError>) -> View {
    view.answers.push(Answer { query, value: value.map(Content::Object) });
    view
}

/// Returns a decision in a few words, for the table.
fn words(decision: &Decision) -> String {
    match decision {
        Decision::Observe(queries) => match &queries[..] {
            [Query::Get(get)] => {
                format!("observe {}{}", get.object.name, if get.live { " live" } else { "" })
            }
            other => format!("observe {other:?}"),
        },
        Decision::Act(actions) => match &actions[..] {
            [Action::Create(create)] => format!("create {}", create.manifest["metadata"]["name"]),
            [Action::Delete(delete)] => format!("delete {}", delete.uid),
            other => format!("act {other:?}"),
        },
        Decision::Wait(wait) => format!("wait {} until +{}", wait.reason, wait.deadline - NOW),
        Decision::Done(_) => "done".to_owned(),
        Decision::Fail(failure) => format!("fail {}", failure.reason),
    }
}

#[test]
fn each_view_has_its_decision() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let app = || json!({"metadata": {"resourceVersion": "41"}});
    let made = |data: Json| json!({"metadata": {"uid": "u1"}, "data": data});
    let missing = || Err(ReadError::NotFound);
    let table = [
        ("nothing is known", first(), "observe web"),
        (
            "no application",
            answering(first(), get(application()), missing()),
            "wait ApplicationMissing until +3600",
        ),
        ("an application", answering(first(), get(application()), Ok(app())), "create \"nightly-copy\""),
        ("just asked", asked(), "observe nightly-copy"),
        (
            "asked, but a crash came first",
            answering(asked(), get(copy()), missing()),
            "create \"nightly-copy\"",
        ),
        ("not ready", answering(asked(), get(copy()), Ok(made(json!({})))), "wait Copying until +300"),
        ("ready", answering(asked(), get(copy()), Ok(made(json!({"ready": "true"})))), "done"),
        (
            "too late",
            View { stage_since: NOW - 300, ..answering(asked(), get(copy()), Ok(made(json!({})))) },
            "fail CopyTimedOut",
        ),
        (
            "forbidden",
            answering(first(), get(application()), Err(ReadError::Forbidden("no".into()))),
            "fail Unreadable",
        ),
    ];
    for (what, view, expected) in table {
        assert_eq!(words(&case(&copier).stepped(&view).decision), expected, "{what}");
    }
}

#[test]
fn it_remembers_what_it_asked_before_it_asks() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let application = Ok(json!({"metadata": {"resourceVersion": "41"}}));
    let step = case(&copier).stepped(&answering(first(), get(self::application()), application));
    assert_eq!(step.checkpoint, asked().checkpoint);
    assert_eq!(step.events[0].reason, "CopyRequested");
}

#[test]
fn a_name_that_is_taken_ends_the_run() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let taken = ActionResult { object: copy(), value: Err(WriteError::AlreadyExists(json!({}))) };
    let step = case(&copier).stepped(&View { results: vec![taken], ..asked() });
    assert_eq!(words(&step.decision), "fail CopyNameTaken");
}

#[test]
fn the_outcome_says_what_was_copied() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let ready = json!({"data": {"ready": "true", "uri": "mill://7"}});
    let step = case(&copier).stepped(&answering(asked(), get(copy()), Ok(ready)));
    let Decision::Done(Some(outcome)) = step.decision else { panic!("{:?}", step.decision) };
    assert_eq!(outcome.artifact.map(|a| a.uri).as_deref(), Some("mill://7"));
    assert_eq!(outcome.metadata["test.backstay.dev/version"], "41");
}

#[test]
fn a_wait_watches_what_it_waits_for() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let step = case(&copier).stepped(&answering(asked(), get(copy()), Ok(json!({}))));
    let Decision::Wait(wait) = step.decision else { panic!("{:?}", step.decision) };
    assert_eq!(wait.watch, [Watch::Object(copy())]);
}

#[test]
fn a_cancelled_run_takes_its_request_back() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let cancelled = case(&copier)
        .with(|r| r.cancelled = Some(Cancellation { cause: CancelCause::Deleted, deadline: NOW + 60 }));
    let query = || Query::Get(GetQuery { object: copy(), live: true, fields: vec!["/metadata".into()] });
    let seen = answering(asked(), query(), Ok(json!({"metadata": {"uid": "u1"}})));
    assert_eq!(words(&cancelled.stepped(&asked()).decision), "observe nightly-copy live");
    assert_eq!(words(&cancelled.stepped(&seen).decision), "delete u1");
    let gone = answering(asked(), query(), Err(ReadError::NotFound));
    assert_eq!(words(&cancelled.stepped(&gone).decision), "fail Cancelled");
}

#[test]
fn a_spec_that_does_not_decode_ends_the_run_with_the_field() {
    let copier = Built::strategy(env!("CARGO_MANIFEST_DIR"));
    let strategy = STRATEGY.replace("300", "soon");
    let step = copier.backup().strategy(&strategy).application(APPLICATION).stepped(&first());
    let Decision::Fail(failure) = step.decision else { panic!("{:?}", step.decision) };
    assert_eq!(failure.reason, "InvalidStrategy");
    assert_eq!(failure.findings[0].at, "/strategy/timeoutSeconds");
}
