//! Bounds of a component on a real API server: guards, ownership labels, Secrets, preconditions, several actions in one
//! act.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::steps::{config_map, make, rewrite, seen, world};

fn policy(name: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "name": name})
}

fn refused(seen: &Value) -> &str {
    seen["refused"].as_str().unwrap_or_else(|| panic!("not refused: {seen}"))
}

#[tokio::test]
async fn what_a_guard_hides_is_neither_patched_nor_purged_though_it_was_read_live() {
    let Some(w) = world("reach_guard", json!({"backup": [
        {"get": {"object": policy("other"), "live": true}},
        {"patch": {"object": policy("other"), "with": {"metadata": {"labels": {"a": "b"}}}}},
        {"patch": {"object": policy("cache-1"), "with": {"metadata": {"labels": {"a": "b"}}}}},
        {"get": {"object": policy("cache-1"), "live": true}},
        {"delete": {"object": policy("cache-1")}},
        {"all": [
            {"patch": {"object": policy("cache-2"), "with": {"metadata": {"labels": {"backups.cozystack.io/owned-by.BackupJobName": "b"}}}}},
            {"patch": {"object": policy("cache-2"), "with": {"metadata": {"labels": {"a": "b"}}}}},
        ]},
    ]}))
    .await
    else {
        return;
    };
    for name in ["other", "cache-1", "cache-2"] {
        let _: NetworkPolicy =
            w.create(json!({"metadata": {"name": name}, "spec": {"podSelector": {}}})).await;
    }
    w.backup("b").await;
    let answers = seen(&w, "b").await;
    assert_eq!(
        (&answers[0]["object"]["name"], &answers[1]["refused"]),
        (&json!("other"), &json!("NotFound"))
    );
    assert_eq!(answers[2]["done"]["labels"], json!({"a": "b"}));
    assert_eq!(answers[4]["done"], Value::Null);
    assert!(w.api::<NetworkPolicy>().get_opt("cache-1").await.unwrap().is_none());
    assert!(refused(&answers[5]).contains("is not this run's"), "{}", answers[5]);
    assert_eq!(answers[6]["refused"], "NotTried");

    // One access without guards reads it live, another with guards purges it.
    let uid = w.api::<NetworkPolicy>().get("other").await.unwrap().metadata.uid;
    let delete = json!({"delete": {"object": policy("other"), "uid": uid}});
    rewrite(&w, json!({"backup": [{"get": {"object": policy("other"), "live": true}}, delete]})).await;
    w.backup("c").await;
    assert_eq!(seen(&w, "c").await[1]["refused"], "NotFound");
    assert!(w.api::<NetworkPolicy>().get_opt("other").await.unwrap().is_some());
}

#[tokio::test]
async fn the_content_of_a_secret_comes_back_from_no_write() {
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "name": name});
    let Some(w) = world(
        "reach_secret",
        json!({"backup": [
            {"create": {"object": secret("theirs"), "with": {"stringData": {"a": "mine"}}}},
            {"apply": {"object": secret("theirs"), "with": {"metadata": {"annotations": {"a": "b"}}}}},
            {"create": {"object": secret("own"), "with": {"stringData": {"a": "hush"}}}},
        ]}),
    )
    .await
    else {
        return;
    };
    let _: Secret =
        w.create(json!({"metadata": {"name": "theirs"}, "stringData": {"password": "hush"}})).await;
    w.backup("b").await;
    let answers = seen(&w, "b").await;
    assert!(refused(&answers[0]).starts_with("AlreadyExists"), "{}", answers[0]);
    assert_eq!((&answers[1]["done"]["name"], &answers[2]["done"]["name"]), (&json!("theirs"), &json!("own")));
    let all = format!("{answers:?}");
    assert!(!all.contains("aHVzaA==") && !all.contains("password"), "{all}");
}

#[tokio::test]
async fn several_actions_are_done_in_order_and_none_after_the_first_that_fails() {
    let nobody = "00000000-0000-0000-0000-000000000000";
    let Some(w) = world("reach_act", json!({"backup": [
        {"all": [
            {"create": {"object": config_map("one"), "with": {"data": {"a": "1"}}}},
            {"patch": {"object": config_map("one"), "with": {"data": {"a": "2"}}}},
            {"patch": {"object": config_map("one"), "with": {"data": {"a": "3"}}, "uid": nobody}},
            {"create": {"object": config_map("two")}},
        ]},
        {"apply": {"object": config_map("theirs"), "with": {"metadata": {"uid": nobody}, "data": {"b": "1"}}}},
        {"apply": {"object": config_map("theirs"), "with": {"metadata": {"resourceVersion": "1"}, "data": {"b": "1"}}}},
        {"get": {"object": config_map("theirs"), "live": true}},
        {"all": [{"delete": {"object": config_map("one"), "uid": nobody}}]},
        {"delete": {"object": config_map("one"), "propagation": "foreground"}},
        {"get": {"object": config_map("one")}},
        {"get": {"object": config_map("large"), "live": true}},
        {"get": {"object": config_map("large"), "live": true, "fields": ["/metadata/labels"]}},
        {"list": {"object": config_map(""), "labels": "of=this", "fields": ["/metadata/labels"], "limit": 5}},
    ]}))
    .await
    else {
        return;
    };
    make(&w, "theirs", json!({"a": "0"})).await;
    // As JSON, with each quote escaped, larger than 1 MiB.
    let large = "\"".repeat(600 * 1024);
    let _: ConfigMap = w
        .create(json!({"metadata": {"name": "large", "labels": {"of": "this"}}, "data": {"a": large}}))
        .await;
    w.backup("b").await;
    let answers = seen(&w, "b").await;
    assert_eq!(
        (&answers[0]["done"]["data"], &answers[1]["done"]["data"]),
        (&json!({"a": "1"}), &json!({"a": "2"}))
    );
    assert!(refused(&answers[2]).starts_with("Conflict"), "{}", answers[2]);
    assert_eq!(answers[3]["refused"], "NotTried");
    for i in [4, 5] {
        assert!(refused(&answers[i]).starts_with("Conflict"), "{}", answers[i]);
    }
    assert_eq!(answers[6]["object"]["data"], json!({"a": "0"}));
    assert_eq!((&answers[7]["refused"], &answers[8]["done"]), (&json!("NotFound"), &Value::Null));
    // A deletion in the foreground ends once Kubernetes has deleted the dependents.
    assert!(answers[9]["error"] == "NotFound" || answers[9]["object"]["name"] == "one", "{}", answers[9]);
    w.until_gone::<ConfigMap>("one").await;
    assert_eq!(
        (&answers[10]["error"], &answers[11]["object"]["name"]),
        (&json!("TooLarge"), &json!("large"))
    );
    let item = &answers[12]["items"][0];
    assert_eq!((&item["metadata"]["labels"], &item["data"]), (&json!({"of": "this"}), &Value::Null));
    assert!(w.api::<ConfigMap>().get_opt("two").await.unwrap().is_none());
    w.api::<ConfigMap>().delete("large", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn objects_that_a_guard_hides_take_no_room_in_a_list() {
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"});
    let Some(w) =
        world("reach_list", json!({"backup": [{"list": {"object": lease, "limit": 1, "live": true}}]})).await
    else {
        return;
    };
    for name in ["a", "b", "cache-1"] {
        let _: k8s_openapi::api::coordination::v1::Lease =
            w.create(json!({"metadata": {"name": name}})).await;
    }
    w.backup("b").await;
    assert_eq!(seen(&w, "b").await[0], json!({"objects": ["cache-1"], "complete": true}));
}
