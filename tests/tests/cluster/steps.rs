//! Runs in steps on a real API server: each item of the contract, by the guest `tests/guests/steps`, whose strategy is a
//! program.

use std::time::Duration;

use backstay_api::{Backup, BackupJob, RestoreJob};
use backstay_tests::{World, ready};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// Makes a world whose strategy, of kind Steps, is a program.
pub(crate) async fn world(test: &str, program: Value) -> Option<World> {
    world_of("Steps", test, program).await
}

/// Makes a world whose strategy, of this kind of the guest, is a program.
pub(crate) async fn world_of(kind: &str, test: &str, program: Value) -> Option<World> {
    let w = World::new(test).await?;
    rewrite_of(kind, &w, program).await;
    w.class(json!({"apiGroup": "test.backstay.dev", "kind": kind, "name": w.namespace}), json!({})).await;
    Some(w)
}

/// Replaces the program of kind Steps.
pub(crate) async fn rewrite(w: &World, program: Value) {
    rewrite_of("Steps", w, program).await;
}

/// Replaces the program of this kind of the guest, and waits until the controller has seen it.
pub(crate) async fn rewrite_of(kind: &str, w: &World, program: Value) {
    let gvk = GroupVersionKind::gvk("test.backstay.dev", "v1", kind);
    let plural = if kind == "Keep" { "keeps" } else { "steps" };
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api: Api<DynamicObject> = Api::all_with(w.client.clone(), &resource);
    let object = json!({"apiVersion": "test.backstay.dev/v1", "kind": kind, "metadata": {"name": w.namespace},
        "spec": program});
    let params = PatchParams::apply("test").force();
    let written = api.patch(&w.namespace, &params, &Patch::Apply(&object)).await.expect("a program");
    let seen = |found: Option<&DynamicObject>| {
        let conditions = found.and_then(|found| found.data["status"]["conditions"].as_array());
        let generation = written.metadata.generation.map(Value::from);
        conditions.into_iter().flatten().any(|c| c.get("observedGeneration") == generation.as_ref())
    };
    let seen = tokio::time::timeout(Duration::from_secs(30), await_condition(api, &w.namespace, seen)).await;
    seen.expect("the controller sees it in time").expect("a watch");
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name})
}

pub(crate) async fn make(w: &World, name: &str, data: Value) -> ConfigMap {
    w.create(json!({"metadata": {"name": name}, "data": data})).await
}

/// Returns the observations of the guest in a succeeded backup.
pub(crate) async fn seen(w: &World, backup: &str) -> Vec<Value> {
    w.backup_succeeds(backup).await;
    let status = w.get_backup(backup).await.status.expect("a status");
    let resources = status.underlying_resources.and_then(|r| r.value()).expect("the guest's observations");
    resources["seen"].as_array().expect("a list").clone()
}

/// Runs a backup program; returns the guest's observations.
async fn backup(test: &str, program: Value) -> Option<(World, Vec<Value>)> {
    let w = world(test, json!({ "backup": program })).await?;
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    Some((w, seen))
}

pub(crate) async fn records(w: &World, what: &str, run_uid: &str) -> Vec<String> {
    let labels = format!("backstay.dev/record={what},backstay.dev/run-uid={run_uid}");
    let api: Api<Secret> = Api::namespaced(w.client.clone(), "backstay-system");
    let list = api.list(&ListParams::default().labels(&labels)).await.expect("a list");
    list.items.iter().map(ResourceExt::name_any).collect()
}

/// Waits until a record is deleted, which follows the deletion of its object.
pub(crate) async fn until_no_record(w: &World, name: &str) {
    let api: Api<Secret> = Api::namespaced(w.client.clone(), "backstay-system");
    let gone = kube::runtime::wait::await_condition(api, name, |s: Option<&Secret>| s.is_none());
    let outcome = tokio::time::timeout(Duration::from_secs(30), gone).await;
    outcome.unwrap_or_else(|_| panic!("{name} is not gone in time")).expect("a watch");
}

/// Waits until a restore is blocked for a reason.
pub(crate) async fn restore_waits(w: &World, name: &str, reason: &str) {
    w.until::<RestoreJob>(name, &format!("waiting with {reason}"), |j| {
        j.status.as_ref().is_some_and(|s| ready(&s.conditions).1 == reason)
    })
    .await;
}

/// Waits until the clean-up of a Backup has a reason.
pub(crate) async fn cleanup_says(w: &World, name: &str, reason: &str) {
    w.until::<Backup>(name, &format!("saying {reason}"), |b| {
        b.status.as_ref().is_some_and(|s| ready(&s.conditions).1 == reason)
    })
    .await;
}

/// Returns the instruction that waits for a ConfigMap `flag`.
pub(crate) fn until_flag() -> Value {
    json!({"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": "object"}})
}

#[tokio::test]
async fn get_answers_the_object_without_managed_fields_and_what_is_missing_unserved_or_not_granted() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"});
    let ghost = json!({"apiVersion": "ghost.example.org/v1", "kind": "Ghost", "name": "x"});
    let found = backup(
        "steps_get",
        json!([
            {"create": {"object": config_map("there"), "with": {"data": {"a": "1", "b": "2"}}}},
            {"get": {"object": config_map("there"), "live": true}},
            {"get": {"object": config_map("there"), "fields": ["/data/a"]}},
            {"get": {"object": config_map("missing")}},
            {"get": {"object": deployment}},
            {"get": {"object": ghost}},
            {"get": {"object": {"kind": "$application"}}},
        ]),
    )
    .await;
    let Some((_, seen)) = found else { return };
    assert_eq!(seen[1]["object"]["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(seen[1]["object"]["managed"], false);
    assert_eq!(seen[2]["object"]["data"], json!({"a": "1"}));
    assert_eq!(seen[3]["error"], "NotFound");
    let forbidden = seen[4]["error"].as_str().unwrap();
    assert!(forbidden.starts_with("Forbidden") && forbidden.contains("backstay-steps"), "{forbidden}");
    assert_eq!(seen[5]["error"], "NotServed");
    assert_eq!(seen[6]["object"]["name"], "cache");
}

#[tokio::test]
async fn list_selects_by_label_sorts_by_name_and_says_whether_that_is_all() {
    let Some(w) = world(
        "steps_list",
        json!({"backup": [
            {"list": {"object": config_map(""), "labels": "of=this", "limit": 10}},
            {"list": {"object": config_map(""), "labels": "of=this", "limit": 2, "live": true}},
            {"list": {"object": {"apiVersion": "v1", "kind": "Node", "namespace": ""}, "limit": 500}},
            {"list": {"object": {"apiVersion": "ghost.example.org/v1", "kind": "Ghost"}, "limit": 5}},
        ]}),
    )
    .await
    else {
        return;
    };
    for (name, of) in [("c", "this"), ("a", "this"), ("b", "this"), ("d", "that")] {
        let _: ConfigMap = w.create(json!({"metadata": {"name": name, "labels": {"of": of}}})).await;
    }
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!(seen[0], json!({"objects": ["a", "b", "c"], "complete": true}));
    assert_eq!(seen[1], json!({"objects": ["a", "b"], "complete": false}));
    assert!(!seen[2]["objects"].as_array().unwrap().is_empty(), "{}", seen[2]);
    assert_eq!(seen[3]["error"], "NotServed");
}

#[tokio::test]
async fn log_answers_the_tail_and_keys_the_names_of_a_secrets_data_and_never_its_content() {
    let Some(w) = world(
        "steps_log",
        json!({"backup": [
            {"log": {"pod": "talker", "container": "main"}},
            {"log": {"pod": "nobody", "container": "main"}},
            {"keys": {"secret": "store"}},
            {"keys": {"secret": "missing"}},
        ]}),
    )
    .await
    else {
        return;
    };
    let _: Secret = w
        .create(json!({"metadata": {"name": "store"}, "stringData": {"user": "u", "password": "hush"}}))
        .await;
    let _: Pod = w
        .create(json!({"metadata": {"name": "talker"}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main",
            "image": "localhost/backstay-tools:1", "command": ["/bin/sh", "-c", "seq 1 20"]}]}}))
        .await;
    w.until::<Pod>("talker", "ended", |p| {
        p.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"))
    })
    .await;
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!(seen[0]["log"], "16\n17\n18\n19\n20\n");
    assert_eq!(seen[1]["error"], "NotFound");
    assert_eq!(seen[2]["keys"], json!(["password", "user"]));
    assert_eq!(seen[3]["error"], "NotFound");
    assert!(!format!("{seen:?}").contains("hush"));
}

#[tokio::test]
async fn create_marks_what_the_run_owns_finds_it_again_and_leaves_a_namesake_alone() {
    let Some(w) = world(
        "steps_create",
        json!({"backup": [
            {"create": {"object": config_map("own"), "with": {"data": {"a": "1"}}}},
            {"create": {"object": config_map("own"), "with": {"data": {"a": "2"}}}},
            {"create": {"object": config_map("other"), "with": {"data": {"a": "1"}}}},
            {"create": {"object": config_map("tried"), "with": {"data": {"a": "1"}}, "dryRun": true}},
            {"get": {"object": config_map("tried"), "live": true}},
            {"create": {"object": config_map("odd"), "with": {"data": 7}}},
        {"create": {"object": config_map("odd"), "with": {"metadata": {"labels": 7}}}},
        ]}),
    )
    .await
    else {
        return;
    };
    make(&w, "other", json!({"a": "theirs"})).await;
    let run = w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!(seen[0]["done"]["labels"]["backstay.dev/run-uid"], json!(run.metadata.uid));
    assert_eq!(seen[1]["done"]["data"], json!({"a": "1"}), "the second create found the first one's object");
    assert!(seen[2]["refused"].as_str().unwrap().starts_with("AlreadyExists"), "{}", seen[2]);
    assert_eq!(seen[3]["done"], Value::Null);
    assert_eq!(seen[4]["error"], "NotFound");
    for odd in &seen[5..7] {
        assert!(odd["refused"].as_str().unwrap().starts_with("Invalid"), "{odd}");
    }
    let theirs = w.api::<ConfigMap>().get("other").await.unwrap();
    assert_eq!(theirs.data.unwrap()["a"], "theirs");
}

#[tokio::test]
async fn apply_and_patch_write_as_the_components_field_manager_under_preconditions() {
    let Some(w) = world(
        "steps_write",
        json!({"backup": [
            {"apply": {"object": config_map("mine"), "with": {"data": {"a": "1"}}}},
            {"apply": {"object": config_map("theirs"), "with": {"data": {"a": "1"}}}},
            {"apply": {"object": config_map("theirs"), "with": {"data": {"a": "1"}}, "force": true}},
            {"patch": {"object": config_map("theirs"), "with": {"data": {"b": null, "c": "3"}}}},
            {"patch": {"object": config_map("theirs"), "with": {"data": {"c": "4"}}, "resourceVersion": "1"}},
            {"patch": {"object": config_map("missing"), "with": {"data": {"c": "4"}}}},
        ]}),
    )
    .await
    else {
        return;
    };
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "0", "b": "0"}});
    let params = PatchParams::apply("them").force();
    w.api::<ConfigMap>().patch("theirs", &params, &Patch::Apply(&theirs)).await.unwrap();
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!(seen[0]["done"]["data"], json!({"a": "1"}));
    assert!(seen[1]["refused"].as_str().unwrap().starts_with("Conflict"), "{}", seen[1]);
    assert_eq!(seen[2]["done"]["data"], json!({"a": "1", "b": "0"}));
    assert_eq!(seen[3]["done"]["data"], json!({"a": "1", "c": "3"}));
    assert!(seen[4]["refused"].as_str().unwrap().starts_with("Conflict"), "{}", seen[4]);
    assert_eq!(seen[5]["refused"], "NotFound");
    let managers =
        w.api::<ConfigMap>().get("mine").await.unwrap().metadata.managed_fields.unwrap_or_default();
    assert!(managers.iter().any(|m| m.manager.as_deref() == Some("backstay-steps")), "{managers:?}");
}

#[tokio::test]
async fn apply_does_not_make_somebody_elses_object_the_runs_own() {
    let Some(w) = world("steps_mark", json!({"backup": []})).await else { return };
    let theirs = make(&w, "theirs", json!({"a": "theirs"})).await;
    rewrite(&w, json!({"backup": [{"applyOwn": {"object": config_map("theirs"), "force": true}},
        {"applyOwn": {"object": config_map("new"), "force": false}}, {"delete": {"object": config_map("new")}}]}))
    .await;
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert!(seen[0]["refused"].as_str().unwrap().contains("is not this run's"), "{}", seen[0]);
    assert!(seen[1]["done"]["labels"]["backstay.dev/run-uid"].is_string(), "{}", seen[1]);
    let now = w.api::<ConfigMap>().get("theirs").await.unwrap();
    assert_eq!(now.metadata.resource_version, theirs.metadata.resource_version);
    assert!(w.api::<ConfigMap>().get_opt("new").await.unwrap().is_none());
}

#[tokio::test]
async fn delete_removes_exactly_the_object_seen_and_what_is_not_the_runs_only_after_a_live_read() {
    let Some(w) = world(
        "steps_delete",
        json!({"backup": [
            {"create": {"object": config_map("own")}},
            {"delete": {"object": config_map("own")}},
            {"get": {"object": config_map("theirs"), "live": true}},
            {"delete": {"object": config_map("theirs"), "uid": "00000000-0000-0000-0000-000000000000"}},
        ]}),
    )
    .await
    else {
        return;
    };
    make(&w, "theirs", json!({})).await;
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!((&seen[1]["done"], &seen[3]["refused"]), (&Value::Null, &json!("NotFound")));
    assert!(w.api::<ConfigMap>().get_opt("own").await.unwrap().is_none());
    assert!(w.api::<ConfigMap>().get_opt("theirs").await.unwrap().is_some());

    // A foreign object that was read live is deleted.
    rewrite(&w, json!({"backup": [{"get": {"object": config_map("theirs"), "live": true}}, {"delete": {"object": config_map("theirs")}}]})).await;
    w.backup("c").await;
    w.backup_succeeds("c").await;
    assert!(w.api::<ConfigMap>().get_opt("theirs").await.unwrap().is_none());

    // Deleting a foreign object by its uid alone violates the contract.
    let uid = make(&w, "theirs", json!({})).await.metadata.uid;
    rewrite(&w, json!({"backup": [{"delete": {"object": config_map("theirs"), "uid": uid}}]})).await;
    w.backup("d").await;
    let (reason, message) = w.backup_fails("d").await;
    assert_eq!(reason, "StrategyBadAnswer");
    assert!(message.contains("not read live in this wake"), "{message}");
    assert!(w.api::<ConfigMap>().get_opt("theirs").await.unwrap().is_some());
}

#[tokio::test]
async fn purge_is_a_grant_of_its_own() {
    let Some(w) = world("steps_purge", json!({"backup": [
        {"get": {"object": {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "cache-1"}, "live": true}},
        {"delete": {"object": {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": "cache-1"}}},
    ]}))
    .await
    else {
        return;
    };
    let _: Lease = w.create(json!({"metadata": {"name": "cache-1"}, "spec": {"holderIdentity": "x"}})).await;
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    let refused = seen[1]["refused"].as_str().unwrap();
    assert!(refused.starts_with("Forbidden") && refused.contains("the verb \\\"purge\\\""), "{refused}");
    assert!(w.api::<Lease>().get_opt("cache-1").await.unwrap().is_some());
}

#[tokio::test]
async fn guards_hide_what_they_do_not_hold_for_and_refuse_to_make_it() {
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": name});
    let Some(w) = world(
        "steps_guard",
        json!({"backup": [
            {"get": {"object": lease("cache-1"), "live": true}},
            {"get": {"object": lease("other"), "live": true}},
            {"list": {"object": lease(""), "limit": 10}},
            {"apply": {"object": lease("cache-2"), "with": {"spec": {"holderIdentity": "y"}}}},
            {"apply": {"object": lease("other"), "with": {"spec": {"holderIdentity": "y"}}}},
        ]}),
    )
    .await
    else {
        return;
    };
    for name in ["cache-1", "other"] {
        let _: Lease = w.create(json!({"metadata": {"name": name}, "spec": {"holderIdentity": "x"}})).await;
    }
    w.backup("b").await;
    let seen = seen(&w, "b").await;
    assert_eq!(seen[0]["object"]["spec"], "x");
    assert_eq!(seen[1]["error"], "NotFound");
    assert_eq!(seen[2]["objects"], json!(["cache-1"]));
    assert_eq!(seen[3]["done"]["spec"], "y");
    assert_eq!(seen[4]["refused"], "NotFound");
    let other = w.api::<Lease>().get("other").await.unwrap();
    assert_eq!(other.spec.unwrap().holder_identity.as_deref(), Some("x"));
    rewrite(&w, json!({"backup": [{"create": {"object": lease("third")}}]})).await;
    w.backup("c").await;
    let (reason, message) = w.backup_fails("c").await;
    assert_eq!(reason, "StrategyUndeclaredAccess");
    assert!(message.contains("guard"), "{message}");
}

#[tokio::test]
async fn what_is_not_declared_or_pinned_ends_the_run_and_names_it() {
    for (test, program, named) in [
        (
            "kind",
            json!([{"get": {"object": {"apiVersion": "v1", "kind": "Service", "name": "x"}}}]),
            "get of Service",
        ),
        (
            "secret",
            json!([{"get": {"object": {"apiVersion": "v1", "kind": "Secret", "name": "x"}}}]),
            "Secret's keys",
        ),
        (
            "place",
            json!([{"get": {"object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "namespace": "kube-system"}}}]),
            "\"kube-system\"",
        ),
        (
            "host",
            json!([{"get": {"object": {"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Backup", "name": "x"}}}]),
            "the host's",
        ),
        (
            "field",
            json!([{"patch": {"object": config_map("x"), "with": {"metadata": {"labels": {"a": "b"}}}}}]),
            "/metadata/labels/a",
        ),
    ] {
        let Some(w) = world(&format!("steps_breach_{test}"), json!({"backup": program})).await else {
            return;
        };
        w.backup("b").await;
        let (reason, message) = w.backup_fails("b").await;
        assert_eq!(reason, "StrategyUndeclaredAccess", "{message}");
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn an_endless_question_ends_the_run() {
    let Some(w) = world("steps_ask", json!({"backup": [{"ask": null}]})).await else { return };
    w.backup("b").await;
    let (reason, message) = w.backup_fails("b").await;
    assert_eq!(reason, "StrategyBadAnswer");
    assert!(message.contains("more than 8 times in a row"), "{message}");
}

#[tokio::test]
async fn run_pod_runs_a_pod_as_a_job_of_the_run_and_pod_answers_its_end() {
    let script = "echo '{\"artifact\":{\"uri\":\"s3://b/k\"}}' > /dev/termination-log";
    let found = backup(
        "steps_pod",
        json!([
            {"runPod": {"name": "copy", "script": script}},
            {"pod": {"name": "copy"}},
            {"pod": {"name": "never"}},
        ]),
    )
    .await;
    let Some((w, seen)) = found else { return };
    assert_eq!((&seen[0]["done"]["name"], &seen[0]["done"]["managed"]), (&json!("b-copy"), &json!(false)));
    assert_eq!(seen[1]["pod"]["succeeded"], true);
    assert_eq!(seen[1]["pod"]["data"], json!({"of": "copy"}));
    assert!(seen[1]["pod"]["messages"][0].as_str().unwrap().contains("s3://b/k"), "{}", seen[1]);
    assert_eq!(seen[2]["error"], "NotFound");
    assert_eq!(w.jobs().await, ["b-copy"]);
}

#[tokio::test]
async fn a_wait_is_shown_with_its_reason_and_ends_at_once_when_what_it_watches_changes() {
    for (test, watch) in [("object", json!("object")), ("labels", json!({"labels": "of=this"}))] {
        let Some(w) = world(&format!("steps_watch_{test}"), json!({"backup": [
            {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": watch}},
        ]}))
        .await
        else {
            return;
        };
        let _: ConfigMap = w
            .create(json!({"metadata": {"name": "flag", "labels": {"of": "this"}}, "data": {"ready": "no"}}))
            .await;
        w.backup("b").await;
        let message = w.backup_waits("b", "ToldToWait").await;
        assert!(message.contains("flag"), "{message}");
        w.event("b", "ToldToWait").await;
        let job = w.api::<BackupJob>().get("b").await.unwrap();
        assert_eq!(job.status.unwrap().phase.as_deref(), Some("Running"));
        let body = Patch::Merge(json!({"data": {"ready": "yes"}}));
        w.api::<ConfigMap>().patch("flag", &PatchParams::default(), &body).await.unwrap();
        let began = tokio::time::Instant::now();
        w.backup_succeeds("b").await;
        assert!(began.elapsed() < Duration::from_secs(30), "the recheck alone would take minutes");
    }
}

#[tokio::test]
async fn a_wait_without_a_watch_ends_at_its_recheck_and_at_its_deadline() {
    let Some(w) = world("steps_recheck", json!({"backup": [
        {"sleep": {"seconds": 2}},
        {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 1, "watch": "nothing"}},
    ]}))
    .await
    else {
        return;
    };
    w.backup("b").await;
    w.backup_waits("b", "ToldToSleep").await;
    w.backup_waits("b", "ToldToWait").await;
    make(&w, "flag", json!({"ready": "yes"})).await;
    w.backup_succeeds("b").await;
}

#[tokio::test]
async fn conditions_and_events_of_the_guest_are_on_the_run_and_ready_stays_the_hosts() {
    let found = backup(
        "steps_say",
        json!([
            {"condition": {"type": "ArchiveReady", "status": false, "message": "not yet"}},
            {"create": {"object": config_map("x")}},
            {"condition": {"type": "ArchiveReady", "status": true, "message": "caught up"}},
            {"event": {"warning": true, "message": "mind the gap"}},
            {"create": {"object": config_map("y")}},
        ]),
    )
    .await;
    let Some((w, _)) = found else { return };
    let conditions = w.api::<BackupJob>().get("b").await.unwrap().status.unwrap().conditions;
    let archive = conditions.iter().find(|c| c.type_ == "ArchiveReady").expect("the guest's condition");
    assert_eq!(
        (archive.status.as_str(), archive.reason.as_str(), archive.message.as_str()),
        ("True", "Told", "caught up")
    );
    assert_eq!(ready(&conditions), ("True".to_owned(), "BackupCompleted".to_owned()));
    assert_eq!(w.event("b", "Told").await, "mind the gap");
}

#[tokio::test]
async fn a_failure_or_trap_of_the_guest_ends_the_run_with_its_reason() {
    let Some(w) = world("steps_fail", json!({"backup": [{"fail": "the store is full; make room"}]})).await
    else {
        return;
    };
    w.backup("b").await;
    assert_eq!(
        w.backup_fails("b").await,
        ("ToldToFail".to_owned(), "the store is full; make room".to_owned())
    );
    rewrite(&w, json!({"backup": [{"trap": "oops"}]})).await;
    w.backup("c").await;
    assert_eq!(w.backup_fails("c").await.0, "StrategyTrapped");
}

#[tokio::test]
async fn the_checkpoint_is_kept_where_tenants_cannot_read_while_the_run_goes_on_and_is_deleted_with_its_end()
{
    let Some(w) = world("steps_checkpoint", json!({"backup": [
        {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": "object"}},
    ]}))
    .await
    else {
        return;
    };
    let run = w.backup("b").await.metadata.uid.unwrap();
    w.backup_waits("b", "ToldToWait").await;
    assert_eq!(records(&w, "checkpoint", &run).await, [format!("checkpoint-{run}")]);
    make(&w, "flag", json!({"ready": "yes"})).await;
    w.backup_succeeds("b").await;
    until_no_record(&w, &format!("checkpoint-{run}")).await;
}

#[tokio::test]
async fn a_checkpoint_that_another_controller_wrote_is_taken_up_and_not_overwritten() {
    let Some(w) = world("steps_fence", json!({"backup": [
        {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": "object"}},
        {"stage": "later"},
        {"create": {"object": config_map("made")}},
    ]}))
    .await
    else {
        return;
    };
    let run = w.backup("b").await.metadata.uid.unwrap();
    w.backup_waits("b", "ToldToWait").await;
    // The other controller has gone on: its checkpoint is past the create.
    let api: Api<Secret> = Api::namespaced(w.client.clone(), "backstay-system");
    let name = format!("checkpoint-{run}");
    let mut secret = api.get(&name).await.unwrap();
    let record = secret.data.as_mut().unwrap().get_mut("record.json").unwrap();
    let mut stored: Value = serde_json::from_slice(&record.0).unwrap();
    stored["data"]["at"] = json!(3);
    stored["data"]["seen"] = json!([{"theirs": true}]);
    record.0 = serde_json::to_vec(&stored).unwrap();
    api.replace(&name, &kube::api::PostParams::default(), &secret).await.unwrap();
    make(&w, "flag", json!({"ready": "yes"})).await;
    assert_eq!(seen(&w, "b").await, [json!({"theirs": true})]);
    assert!(w.api::<ConfigMap>().get_opt("made").await.unwrap().is_none());
}

#[tokio::test]
async fn private_data_comes_back_on_restore_stays_out_of_the_namespace_and_goes_with_the_backup() {
    let program = json!({"private": {"password": "hush"}, "backup": [], "restore": [], "cleanup": []});
    let Some(w) = world("steps_private", program).await else { return };
    let run = w.backup("b").await.metadata.uid.unwrap();
    w.backup_succeeds("b").await;
    let made = w.get_backup("b").await;
    assert!(!serde_json::to_string(&made).unwrap().contains("hush"));
    assert_eq!(made.status.unwrap().private_data, Some(format!("private-{run}")));
    w.restore("r", "b").await;
    assert_eq!(w.restore_ends("r").await.0, "Succeeded");
    let restored = w.api::<RestoreJob>().get("r").await.unwrap();
    let seen = restored
        .status
        .unwrap()
        .conditions
        .into_iter()
        .find(|c| c.type_ == "Seen")
        .expect("the guest's observations");
    assert!(seen.message.contains("{\"private\":{\"password\":\"hush\"}}"), "{}", seen.message);
    w.delete::<Backup>("b").await;
    w.until_gone::<Backup>("b").await;
    until_no_record(&w, &format!("private-{run}")).await;
}

#[tokio::test]
async fn private_data_is_not_told_to_a_backup_that_merely_names_it() {
    let program = json!({"private": {"password": "hush"}, "backup": [], "restore": [], "cleanup": []});
    let Some(victim) = world("steps_victim", program.clone()).await else { return };
    let run = victim.backup("b").await.metadata.uid.unwrap();
    victim.backup_succeeds("b").await;
    let Some(w) = world("steps_thief", program).await else { return };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    let body = Patch::Merge(json!({"status": {"privateData": format!("private-{run}")}}));
    w.api::<Backup>().patch_status("b", &PatchParams::default(), &body).await.unwrap();
    w.restore("r", "b").await;
    let (phase, reason, message) = w.restore_ends("r").await;
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "CheckpointCorrupt"));
    assert!(message.contains("another namespace") && !message.contains("hush"), "{message}");
    // Its deletion does not delete the data either.
    w.delete::<Backup>("b").await;
    w.event("b", "CleanupFailed").await;
    assert_eq!(records(&victim, "private", &run).await, [format!("private-{run}")]);
}

#[tokio::test]
async fn a_restore_that_ends_where_data_may_be_gone_leaves_its_checkpoint_to_the_next_and_a_good_one_settles_it()
 {
    let Some(w) = world(
        "steps_inherited",
        json!({"backup": [], "restore": [
        {"stage": "gone"}, {"create": {"object": config_map("half")}}, {"fail": "half way"}]}),
    )
    .await
    else {
        return;
    };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    let first = w.restore("r1", "b").await.metadata.uid.unwrap();
    assert_eq!(w.restore_ends("r1").await.1, "ToldToFail");
    assert_eq!(records(&w, "kept", &first).await.len(), 1);

    // The Backup pins its strategy, so the next restore of the target is of another Backup.
    rewrite(&w, json!({"backup": [], "restore": []})).await;
    w.backup("c").await;
    w.backup_succeeds("c").await;
    w.restore("r2", "c").await;
    assert_eq!(w.restore_ends("r2").await.0, "Succeeded");
    let second = w.api::<RestoreJob>().get("r2").await.unwrap();
    let seen = second
        .status
        .unwrap()
        .conditions
        .into_iter()
        .find(|c| c.type_ == "Seen")
        .expect("the guest's observations");
    assert!(seen.message.contains(&first) && seen.message.contains("\"stage\":\"gone\""), "{}", seen.message);
    assert_eq!(records(&w, "kept", &first).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_restore_that_ends_before_anything_is_gone_leaves_nothing() {
    let program =
        json!({"backup": [], "restore": [{"create": {"object": config_map("x")}}, {"fail": "early"}]});
    let Some(w) = world("steps_early", program).await else { return };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    let run = w.restore("r", "b").await.metadata.uid.unwrap();
    assert_eq!(w.restore_ends("r").await.1, "ToldToFail");
    assert_eq!(records(&w, "kept", &run).await, Vec::<String>::new());
}

fn endless() -> Value {
    json!([
        {"create": {"object": config_map("half")}},
        {"until": {"object": config_map("half"), "at": "/data/never", "equals": "x", "waitSeconds": 600, "watch": "object"}},
    ])
}

fn undo() -> Value {
    json!([{"get": {"object": config_map("half"), "live": true}}, {"delete": {"object": config_map("half")}}])
}

#[tokio::test]
async fn a_run_deleted_midway_is_undone_before_it_goes_and_leaves_no_backup() {
    let Some(w) = world("steps_deleted", json!({"backup": endless(), "undo": undo()})).await else { return };
    w.backup("b").await;
    w.backup_waits("b", "ToldToWait").await;
    for params in [DeleteParams::background(), DeleteParams::foreground()] {
        w.api::<BackupJob>().delete("b", &params).await.unwrap();
    }
    w.until_gone::<BackupJob>("b").await;
    assert!(w.api::<ConfigMap>().get_opt("half").await.unwrap().is_none());
    assert!(w.api::<Backup>().get_opt("b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_out_of_time_is_undone_and_failed() {
    let Some(w) = world("steps_late", json!({"backup": endless(), "undo": undo()})).await else { return };
    w.backup("b").await;
    let (reason, message) = w.backup_fails_within(Duration::from_secs(110), "b").await;
    assert_eq!(reason, "Undone", "{message}");
    assert!(w.api::<ConfigMap>().get_opt("half").await.unwrap().is_none());
    let job = w.until::<BackupJob>("b", "free to go", |j| j.finalizers().is_empty()).await;
    assert_eq!(job.status.unwrap().phase.as_deref(), Some("Failed"));
}

#[tokio::test]
async fn a_guest_that_does_not_finish_undoing_is_ended_at_the_second_deadline() {
    let Some(w) = world("steps_stuck", json!({"backup": endless(), "undo": [
        {"until": {"object": config_map("half"), "at": "/data/never", "equals": "x", "waitSeconds": 600, "watch": "object"}}]}))
    .await
    else {
        return;
    };
    w.backup("b").await;
    w.backup_waits("b", "ToldToWait").await;
    w.delete::<BackupJob>("b").await;
    w.event("b", "UndoDeadlineExceeded").await;
    w.until_gone::<BackupJob>("b").await;
    assert!(w.api::<ConfigMap>().get_opt("half").await.unwrap().is_some(), "the ConfigMap still exists");
}

#[tokio::test]
async fn cleanup_takes_its_steps_deletes_what_the_backups_run_owns_and_begins_anew_when_it_fails() {
    let Some(w) = world("steps_cleanup", json!({"backup": [{"create": {"object": config_map("copy")}}], "cleanup": [
        {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": "object"}},
        {"get": {"object": config_map("copy")}}, {"delete": {"object": config_map("copy")}}]}))
    .await
    else {
        return;
    };
    w.backup("b").await;
    w.backup_succeeds("b").await;
    w.delete::<Backup>("b").await;
    w.until::<Backup>("b", "waiting", |b| {
        b.status.as_ref().is_some_and(|s| ready(&s.conditions).1 == "ToldToWait")
    })
    .await;
    make(&w, "flag", json!({"ready": "yes"})).await;
    w.until_gone::<Backup>("b").await;
    assert!(w.api::<ConfigMap>().get_opt("copy").await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_seen_is_compared_with_what_the_watch_shows_so_that_no_change_is_missed() {
    // In one of many runs the object changes between the read and the watch, in others before or after: all end.
    let Some(w) = world("steps_race", json!({"backup": [
        {"until": {"object": config_map("flag"), "at": "/data/ready", "equals": "yes", "waitSeconds": 600, "watch": "object"}}]}))
    .await
    else {
        return;
    };
    make(&w, "flag", json!({"ready": "no"})).await;
    for name in ["b0", "b1", "b2", "b3", "b4"] {
        w.backup(name).await;
    }
    let body = Patch::Merge(json!({"data": {"ready": "yes"}}));
    w.api::<ConfigMap>().patch("flag", &PatchParams::default(), &body).await.unwrap();
    for name in ["b0", "b1", "b2", "b3", "b4"] {
        w.backup_succeeds(name).await;
    }
}
