//! Answers that break a rule of the contract: each is refused with the rule and the place.

use serde_json::{Value, json};

use crate::attacks::load;
use crate::guest::Guest;
use crate::requests::{NOW, ended, request, view};

/// A function, its answer, and the place of the error.
type Lie = (&'static str, Value, &'static str);

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn an_answer_that_breaks_a_rule_names_field_and_rule() {
    let json_text = |bytes: usize| format!("\"{}\"", long(bytes - 2));
    let ok = |outcome: Value| json!({"ok": outcome});
    let step = |decision: Value| json!({"decision": decision});
    let wait = |change: Value| {
        let mut wait = json!({"reason": "R", "message": "m", "recheck-after": 1, "deadline": NOW + 1});
        wait.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"decision": {"wait": wait}})
    };
    let get = |fields: Value| json!({"get": {"object": {"api-version": "v1", "kind": "Pod", "name": "p"}, "fields": fields}});
    let condition = |type_: &str| json!({"type": type_, "reason": "R"});
    let lies: Vec<Lie> = vec![
        ("render", ok(json!({"template": "{}", "log-lines": 201})), "`log-lines` must be 0 to 200, is 201"),
        (
            "render",
            ok(json!({"template": "{}", "backoff-limit": 2_147_483_648u64})),
            "`backoff-limit` must be at most 2147483647",
        ),
        (
            "render",
            ok(json!({"template": "{}", "active-deadline": 0})),
            "`active-deadline` must be 1 or more",
        ),
        (
            "render",
            ok(json!({"template": "{}", "data": json_text(16385)})),
            "`data` has 16385 bytes where 16384 are allowed",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": [{"severity": "error"}]})),
            "`findings[0].severity` must be a warning",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": [{"severity": "warning", "at": "a"}]})),
            "`findings[0].at` must be a JSON pointer",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": [{"severity": "warning", "at": "/a~2"}]})),
            "`findings[0].at` must write `~` as `~0`",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": [{"severity": "warning", "at": long(513)}]})),
            "`findings[0].at` has 513 bytes",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": [{"severity": "warning", "message": long(4097)}]})),
            "`findings[0].message` has 4097 bytes",
        ),
        (
            "render",
            ok(json!({"template": "{}", "findings": vec![json!({"severity": "warning"}); 33]})),
            "`findings` has 33 entries where 32 are allowed",
        ),
        ("render", ok(json!({"template": format!("{{\"a\":{}}}", json_text(1 << 20))})), "`template` has"),
        (
            "render",
            json!({"err": {"reason": "no", "message": long(16385)}}),
            "`message` has 16385 bytes where 16384 are allowed",
        ),
        ("render", json!({"err": {"reason": ""}}), "`reason` must match [A-Za-z][A-Za-z0-9]*"),
        ("render", json!({"err": {"reason": "1st"}}), "`reason` must match"),
        ("render", json!({"err": {"reason": long(65)}}), "`reason` has 65 bytes where 64 are allowed"),
        ("validate", json!(vec![json!({}); 33]), "has 33 entries where 32 are allowed"),
        ("parse", ok(json!({"metadata": [["b", ""], ["a", ""]]})), "`metadata` must be sorted by name"),
        (
            "parse",
            ok(json!({"metadata": [["a", ""], ["a", ""]]})),
            "`metadata` must be sorted by name, names unique",
        ),
        (
            "parse",
            ok(json!({"metadata": [["a", long(65536)]]})),
            "`metadata` has 65537 bytes where 65536 are allowed",
        ),
        (
            "parse",
            ok(json!({"metadata": (0..65).map(|i| json!([format!("{i:02}"), ""])).collect::<Vec<_>>()})),
            "`metadata` has 65 entries",
        ),
        ("parse", ok(json!({"artifact": {"uri": ""}})), "`artifact.uri` must not be empty"),
        (
            "parse",
            ok(json!({"underlying-resources": "{}"})),
            "`underlying-resources` must be a Kubernetes object with `apiVersion`",
        ),
        (
            "parse",
            ok(json!({"underlying-resources": json_text(65537)})),
            "`underlying-resources` has 65537 bytes",
        ),
        (
            "parse",
            ok(json!({"private-data": json_text(262_145)})),
            "`private-data` has 262145 bytes where 262144 are allowed",
        ),
        (
            "parse",
            ok(json!({"conditions": [condition("Ready")]})),
            "`conditions[0].type` must not be \"Ready\", which is the host's",
        ),
        (
            "parse",
            ok(json!({"conditions": [condition("A"), condition("A")]})),
            "`conditions[1].type` must be unique",
        ),
        ("parse", ok(json!({"conditions": [condition("a b")]})), "`conditions[0].type` must be a word"),
        ("parse", ok(json!({"conditions": [condition("")]})), "`conditions[0].type` must not be empty"),
        (
            "step",
            json!({"checkpoint": {"stage": "other", "data": "1"}}),
            "`checkpoint.stage` must be a stage of the descriptor in mode backup",
        ),
        (
            "step",
            json!({"checkpoint": {"stage": "gate", "data": json_text(262_145)}}),
            "`checkpoint.data` has 262145 bytes",
        ),
        (
            "step",
            json!({"conditions": vec![condition("A"); 17]}),
            "`conditions` has 17 entries where 16 are allowed",
        ),
        (
            "step",
            json!({"events": vec![json!({"reason": "R"}); 17]}),
            "`events` has 17 entries where 16 are allowed",
        ),
        ("step", step(json!({"observe": []})), "`decision.observe` must ask something"),
        ("step", step(json!({"observe": vec![get(json!([])); 33]})), "`decision.observe` has 33 entries"),
        (
            "step",
            step(json!({"observe": [get(json!(["spec"]))]})),
            "`decision.observe[0].fields[0]` must be a JSON pointer",
        ),
        (
            "step",
            step(
                json!({"observe": [{"list": {"objects": {"api-version": "v1", "kind": "Pod"}, "limit": 501}}]}),
            ),
            "`decision.observe[0].limit` must be 1 to 500, is 501",
        ),
        (
            "step",
            step(json!({"observe": [{"log": {"pod": {"namespace": "n", "name": "p"}, "container": "c"}}]})),
            "`decision.observe[0].lines` must be 1 to 200, is 0",
        ),
        (
            "step",
            step(
                json!({"observe": [{"log": {"pod": {"namespace": "n", "name": "p/exec?command=sh"}, "container": "c", "lines": 1}}]}),
            ),
            "`decision.observe[0].pod.name` must be a name without / % ? #",
        ),
        (
            "step",
            step(
                json!({"observe": [{"get": {"object": {"api-version": "v1", "kind": "Pod", "namespace": "..", "name": "p"}}}]}),
            ),
            "`decision.observe[0].object.namespace` must be a name without / % ? #",
        ),
        (
            "step",
            step(json!({"observe": [{"pod": "../other"}]})),
            "`decision.observe[0].pod` must be a DNS label of at most 16 bytes",
        ),
        ("step", step(json!({"act": []})), "`decision.act` must do something"),
        (
            "step",
            step(
                json!({"act": [{"create": {"manifest": r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web/status"}}"#}}]}),
            ),
            "`decision.act[0].create.manifest` must be an object whose `metadata.name` can be part of a path",
        ),
        (
            "step",
            step(json!({"act": vec![json!({"run-pod": {"name": "a", "spec": {"template": "{}"}}}); 17]})),
            "`decision.act` has 17 entries where 16 are allowed",
        ),
        (
            "step",
            step(json!({"act": [{"create": {"manifest": r#"{"apiVersion":"v1","kind":"Pod"}"#}}]})),
            "`decision.act[0].create.manifest` must be a Kubernetes object with `metadata.name`",
        ),
        (
            "step",
            step(
                json!({"act": [{"patch": {"object": {"api-version": "v1", "kind": "Pod", "name": "p"}, "body": "1"}}]}),
            ),
            "`decision.act[0].patch.body` must be a JSON object, is a number",
        ),
        (
            "step",
            step(json!({"act": [{"delete": {"object": {"api-version": "v1", "kind": "Pod", "name": "p"}}}]})),
            "`decision.act[0].delete.uid` must not be empty",
        ),
        (
            "step",
            step(json!({"act": [{"run-pod": {"name": "Dump", "spec": {"template": "{}"}}}]})),
            "`decision.act[0].run-pod.name` must be a DNS label of at most 16 bytes",
        ),
        (
            "step",
            step(json!({"act": [{"run-pod": {"name": "dump", "spec": {"template": "null"}}}]})),
            "`decision.act[0].run-pod.spec.template` must be a JSON object, is null",
        ),
        ("step", wait(json!({"deadline": NOW})), "`decision.wait.deadline` must be later than now"),
        ("step", wait(json!({"recheck-after": 0})), "`decision.wait.recheck-after` must be 1 or more"),
        (
            "step",
            wait(json!({"watch": vec![json!({"pod": "a"}); 17]})),
            "`decision.wait.watch` has 17 entries where 16 are allowed",
        ),
        ("step", wait(json!({"watch": [{"pod": "A"}]})), "`decision.wait.watch[0].pod` must be a DNS label"),
        ("step", step(json!({"done": null})), "`decision.done` needs an outcome in mode backup"),
        ("step", step(json!({"fail": {"reason": "-"}})), "`decision.fail.reason` must match"),
    ];
    for (function, answer, says) in lies {
        let guest = if function == "step" { Guest::resource() } else { Guest::pod() };
        let component = load(guest.answers(function, &answer));
        let request = request();
        let error = match function {
            "render" => component.render(&request, None).map(drop),
            "parse" => component.parse(&request, &ended(true)).map(drop),
            "step" => component.step(&request, &view()).map(drop),
            _ => component.validate(&request.strategy_kind, &json!({}), None, None).map(drop),
        };
        let Err(error) = error else { panic!("{function} answered {answer}") };
        let message = error.error.to_string();
        assert!(message.starts_with(says), "{says}: {message}");
        let expected =
            if message.contains(" bytes where ") { "StrategyOutputTooLarge" } else { "StrategyBadAnswer" };
        assert_eq!(error.reason(), expected, "{message}");
    }
}

#[test]
fn a_pod_run_that_did_not_succeed_cannot_mean_an_outcome() {
    let component = load(Guest::pod());
    let error = component.parse(&request(), &ended(false)).unwrap_err();
    assert_eq!(error.reason(), "StrategyBadAnswer");
    assert!(
        error.error.to_string().contains("must be a failure, as the pod run did not succeed"),
        "{}",
        error.error
    );
    component.parse(&request(), &ended(true)).unwrap();
}

#[test]
fn an_outcome_belongs_to_mode_backup_only() {
    let component = load(Guest::resource());
    let mut request = request();
    component.step(&request, &view()).unwrap();
    request.mode = backstay_core::contract::Mode::Restore;
    let error = component.step(&request, &view()).unwrap_err();
    assert!(
        error.error.to_string().contains("`decision.done` has no outcome in mode restore"),
        "{}",
        error.error
    );
}
