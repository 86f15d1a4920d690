//! Calls of sound guests.

use std::time::Duration;

use backstay_core::contract::{
    Answer, Content, Decision, GetQuery, GroupKind, LogLevel, Mode, Query, ReadError,
};
use backstay_engine::{Engine, EngineConfig, World};
use serde_json::json;

use crate::guest::Guest;
use crate::requests::{ENGINE, NOW, ended, request, view};

#[test]
fn a_pod_strategy_describes_validates_renders_and_parses() {
    let guest = Guest::pod().answers(
        "validate",
        &json!([{"severity": "warning", "at": "/strategy/template", "message": "empty"}]),
    );
    let bytes = guest.build();
    let component = ENGINE.load(&bytes).unwrap();

    assert_eq!(component.world(), World::Pod);
    assert_eq!(component.wit_version(), "0.1.0");
    assert_eq!(component.size(), bytes.len() as u64);
    assert!(
        component.digest().starts_with("sha256:") && component.digest().len() == 71,
        "{}",
        component.digest()
    );
    assert_eq!(component.imports(), ["backstay:strategy/log@0.1.0", "backstay:strategy/types@0.1.0"]);
    assert_eq!(component.descriptor().name, "guest");
    assert!(component.descriptor().traits.restore && !component.descriptor().traits.unpinned);

    let kind = GroupKind { group: "strategy.backups.cozystack.io".into(), kind: "Guest".into() };
    let findings = component.validate(&kind, &json!({}), Some(&[].into()), Some(&json!({}))).unwrap().value;
    assert_eq!((findings[0].at.as_str(), findings[0].message.as_str()), ("/strategy/template", "empty"));

    let rendered = component.render(&request(), Some(&json!({"kind": "App"}))).unwrap();
    assert_eq!(rendered.value.unwrap().template, json!({"spec": {}}));
    assert!(rendered.fuel > 0 && rendered.memory_bytes >= 65536 && rendered.elapsed > Duration::ZERO);

    let outcome = component.parse(&request(), &ended(true)).unwrap().value.unwrap();
    assert_eq!(outcome.metadata, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into());
}

#[test]
fn a_later_patch_of_the_contract_is_served_as_this_one() {
    let component = ENGINE.load(&Guest::pod_at("0.1.7").build()).unwrap();
    assert_eq!(
        (component.wit_version(), component.imports()[0].as_str()),
        ("0.1.7", "backstay:strategy/log@0.1.7")
    );
    component.render(&request(), None).unwrap().value.unwrap();
}

#[test]
fn a_failure_is_an_answer_and_not_an_error() {
    let failed = json!({"err": {"reason": "NoPods", "message": "none", "findings": [{"at": "/strategy", "message": "no"}]}});
    let component = ENGINE.load(&Guest::pod().answers("render", &failed).build()).unwrap();
    let failure = component.render(&request(), None).unwrap().value.unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.findings.len()), ("NoPods", 1));
}

/// Offsets of fields of a request in the canonical ABI.
const NOW_AT: u32 = 64;

#[test]
fn a_resource_strategy_observes_acts_waits_and_is_done() {
    // The guest decides by the numbers of answers and results in its view.
    let mut guest = Guest::resource();
    let observe = guest.put("step", &json!({
        "checkpoint": {"stage": "gate", "data": "{\"n\":1}"},
        "decision": {"observe": [{"get": {"object": {"api-version": "v1", "kind": "Pod", "namespace": "tenant", "name": "p"}, "live": true}}]},
    }));
    let act = guest.put(
        "step",
        &json!({"decision": {"act": [
            {"create": {"manifest": r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}"#}},
            {"run-pod": {"name": "dump", "spec": {"template": "{}"}}},
        ]}}),
    );
    let wait = guest.put("step", &json!({
        "conditions": [{"type": "Dumping", "status": true, "reason": "Started", "message": "m"}],
        "events": [{"warning": true, "reason": "Slow", "message": "m"}],
        "decision": {"wait": {"reason": "Dumping", "message": "m", "watch": [{"pod": "dump"}], "recheck-after": 30, "deadline": NOW + 60}},
    }));
    let done = guest.put(
        "step",
        &json!({"decision": {"done": {
            "taken-at": NOW,
            "artifact": {"uri": "s3://b/o", "size-bytes": 7, "checksum": "sha256:00"},
            "underlying-resources": r#"{"apiVersion":"v1","kind":"List"}"#,
            "private-data": "\"secret\"",
            "conditions": [{"type": "Verified", "reason": "Checked"}],
        }}}),
    );
    // The arguments of `step` at an address: the request, then the view, whose lists are at its end.
    let (answers, results, checkpoint) = guest.view_offsets();
    let guest = guest.body(
        "step",
        format!(
            "
        (if (i32.load8_u (i32.add (local.get $args) (i32.const {checkpoint}))) (then
          (if (i32.load (i32.add (local.get $args) (i32.const {answers}))) (then (return (i32.const {act}))))
          (if (i32.load (i32.add (local.get $args) (i32.const {results}))) (then (return (i32.const {wait}))))
          (return (i32.const {done}))))
        (i32.const {observe})"
        ),
    );
    let component = ENGINE.load(&guest.build()).unwrap();
    let request = request();
    let mut view = view();

    let first = component.step(&request, &view).unwrap().value;
    let Decision::Observe(queries) = first.decision else { panic!("{:?}", first.decision) };
    let Query::Get(GetQuery { object, live: true, .. }) = &queries[0] else { panic!("{queries:?}") };
    assert_eq!((object.kind.as_str(), object.namespace.as_deref()), ("Pod", Some("tenant")));

    view.checkpoint = first.checkpoint;
    view.answers = vec![
        Answer { query: queries[0].clone(), value: Ok(Content::Object(json!({"kind": "Pod"}))) },
        Answer { query: Query::Pod("x".into()), value: Err(ReadError::Forbidden("no".into())) },
    ];
    let second = component.step(&request, &view).unwrap().value;
    let Decision::Act(actions) = second.decision else { panic!("{:?}", second.decision) };
    assert_eq!(actions.len(), 2);

    view.answers.clear();
    view.results =
        vec![backstay_core::contract::ActionResult { object: request.run.clone(), value: Ok(None) }];
    let third = component.step(&request, &view).unwrap().value;
    assert_eq!((third.conditions[0].status, third.events[0].warning), (Some(true), true));
    let Decision::Wait(wait) = third.decision else { panic!("{:?}", third.decision) };
    assert_eq!((wait.recheck_after, wait.deadline), (30, NOW + 60));

    view.results.clear();
    let last = component.step(&request, &view).unwrap().value;
    let Decision::Done(Some(outcome)) = last.decision else { panic!("{:?}", last.decision) };
    assert_eq!(outcome.artifact.unwrap().size_bytes, Some(7));
    assert_eq!(outcome.private_data, Some(json!("secret")));
    assert_eq!(outcome.conditions[0].status, None);
}

#[test]
fn arguments_arrive_as_they_were_given() {
    // The guest answers with its request: the mode as the number of log lines, `now` as the deadline.
    let mut guest = Guest::pod();
    let answer = guest.put("render", &json!({"ok": {"template": "{}", "active-deadline": 1}}));
    let (deadline, lines) = (answer + 4 + 16, answer + 4 + 20);
    let guest = guest.body(
        "render",
        format!(
            "
        (i32.store (i32.const {lines}) (i32.load8_u (local.get $args)))
        (i32.store (i32.const {deadline}) (i32.wrap_i64 (i64.load offset={NOW_AT} (local.get $args))))
        (i32.const {answer})"
        ),
    );
    let component = ENGINE.load(&guest.build()).unwrap();
    for (mode, number) in [(Mode::Backup, 0), (Mode::Restore, 1), (Mode::Cleanup, 2)] {
        let mut request = request();
        request.mode = mode;
        let run = component.render(&request, None).unwrap().value.unwrap();
        assert_eq!((run.log_lines, run.active_deadline), (number, Some(NOW as u32)));
    }
}

#[test]
fn a_call_of_the_other_driver_is_refused_before_it_is_made() {
    let pod = ENGINE.load(&Guest::pod().build()).unwrap();
    let error = pod.step(&request(), &view()).unwrap_err();
    assert_eq!((error.reason(), error.fuel), ("StrategyWrongWorld", 0));
    assert!(error.error.to_string().contains("`resource-driver`"), "{}", error.error);
    let resource = ENGINE.load(&Guest::resource().build()).unwrap();
    assert_eq!(resource.render(&request(), None).unwrap_err().reason(), "StrategyWrongWorld");
    assert_eq!(resource.parse(&request(), &ended(true)).unwrap_err().reason(), "StrategyWrongWorld");
}

#[test]
fn arguments_over_the_contracts_bounds_are_refused_before_the_call() {
    let component = ENGINE.load(&Guest::pod().build()).unwrap();
    let error = component.render(&request(), Some(&json!("x".repeat(1 << 20)))).unwrap_err();
    assert_eq!(error.reason(), "StrategyInputTooLarge");
    assert!(
        error.error.to_string().contains("`application` has 1048578 bytes where 1048576"),
        "{}",
        error.error
    );

    let mut ended = ended(true);
    let log = "x".repeat(1 << 20);
    let container = backstay_core::contract::Container { log, ..Default::default() };
    ended.pods = vec![backstay_core::contract::Pod { containers: vec![container; 9], ..Default::default() }];
    assert_eq!(component.parse(&request(), &ended).unwrap_err().reason(), "StrategyInputTooLarge");

    let mut request = request();
    request.parameters = (0..65).map(|i| (format!("{i:02}"), String::new())).collect();
    let error = component.render(&request, None).unwrap_err();
    assert!(
        error.error.to_string().contains("parameters (65 entries where 64 are allowed)"),
        "{}",
        error.error
    );
}

#[test]
fn lines_are_logged_cut_counted_and_dropped() {
    let mut guest = Guest::pod();
    let good = guest.put("render", &json!({"ok": {"template": "{}"}}));
    // 150 lines of 2000 zero bytes, the first a warning.
    let guest = guest.with("(global $n (mut i32) (i32.const 0))").body(
        "render",
        format!(
            "
        (call $log (i32.const 2) (i32.const {good}) (i32.const 0))
        (loop $again
          (call $log (i32.const 0) (i32.const 100000) (i32.const 2000))
          (global.set $n (i32.add (global.get $n) (i32.const 1)))
          (br_if $again (i32.lt_u (global.get $n) (i32.const 149))))
        (i32.const {good})"
        ),
    );
    let called = ENGINE.load(&guest.build()).unwrap().render(&request(), None).unwrap();
    assert_eq!((called.log.len(), called.log_dropped), (100, 50));
    assert_eq!((called.log[0].level, called.log[0].message.as_str()), (LogLevel::Warn, ""));
    assert_eq!((called.log[1].level, called.log[1].message.len()), (LogLevel::Debug, 1024));
    assert!(called.fuel > 99 * 2000, "logging is paid for: {}", called.fuel);
}

#[test]
fn the_same_call_costs_the_same_fuel() {
    let component = ENGINE.load(&Guest::pod().build()).unwrap();
    let fuel: Vec<_> = (0..5).map(|_| component.render(&request(), None).unwrap().fuel).collect();
    assert!(fuel.windows(2).all(|pair| pair[0] == pair[1]), "{fuel:?}");
}

#[test]
fn calls_over_the_pools_size_wait_and_all_are_answered() {
    let engine = Engine::new(EngineConfig { concurrent_calls: 2, ..EngineConfig::default() }).unwrap();
    let component = engine.load(&Guest::pod().build()).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        component.render(&request(), Some(&json!({}))).unwrap().value.unwrap();
                    }
                })
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
    });
}
