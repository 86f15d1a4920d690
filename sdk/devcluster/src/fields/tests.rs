//! The area `apply` of the recorded sequences, as far as it can be told without a server: each write that was answered with an object is
//! done to the object as it was recorded before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Manager, apply, reset, updated};
use crate::schema::Schema;

fn schema(of: &Value) -> Schema {
    Schema::of_crd(of).expect("a schema")
}

fn sequences() -> Value {
    serde_json::from_str(include_str!("../../tests/data/sequences.json")).expect("the sequences")
}

fn widgets(sequences: &Value) -> Schema {
    let crds = sequences["crds"].as_object().into_iter().flatten().map(|(_, crd)| crd);
    let crd = crds
        .chain(sequences["crds"].as_array().into_iter().flatten())
        .find(|crd| crd["spec"]["names"]["kind"] == "Widget");
    schema(&crd.expect("the CRD of Widgets")["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
}

/// What a merge patch makes of an object.
fn patched(object: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut object = object.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), patched(object.get(name).unwrap_or(&Value::Null), value));
        }
    }
    Value::Object(object)
}

/// The managedFields with their times as the recording has them, in an order of their own.
fn masked(object: &Value) -> Vec<String> {
    let entries =
        object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|mut entry| {
            if entry.get("time").is_some() {
                entry["time"] = "$time".into();
            }
            entry.to_string()
        })
        .collect();
    entries.sort();
    entries
}

struct Play {
    schema: Schema,
    objects: BTreeMap<String, Value>,
    /// Whether something was written whose outcome is not recorded.
    lost: bool,
    compared: usize,
    faults: Vec<String>,
}

impl Play {
    fn step(&mut self, name: &str, step: &Value) {
        let path = step["path"].as_str().unwrap_or_default().replace("/status", "");
        let method = step["method"].as_str().unwrap_or_default();
        let recorded = &step["answer"]["body"];
        let made = self.write(step, method, &path);
        let only = recorded
            .get("/metadata/managedFields")
            .map(|fields| json!({"metadata": {"managedFields": fields}}));
        match (&made, step["answer"]["code"].as_u64()) {
            (Some(Ok(object)), Some(200 | 201)) if !recorded.is_null() => {
                let want = only.as_ref().unwrap_or(recorded);
                self.compare(name, step, json!(masked(want)), json!(masked(object)));
            }
            (Some(Err(status)), Some(409 | 500)) => {
                self.compare(name, step, recorded.clone(), status.clone())
            }
            (Some(Err(status)), Some(200 | 201)) => {
                self.compare(name, step, recorded.clone(), status.clone())
            }
            (Some(Ok(object)), Some(409 | 500)) => self.compare(name, step, recorded.clone(), object.clone()),
            _ => {}
        }
        if step["query"]["dryRun"].is_null() && matches!(step["answer"]["code"].as_u64(), Some(200 | 201)) {
            let key = recorded
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .map(|name| format!("{}/{name}", path.trim_end_matches(&format!("/{name}"))));
            match (key, made) {
                (Some(key), _) => _ = self.objects.insert(key, recorded.clone()),
                (None, Some(Ok(object))) => _ = self.objects.insert(path, object),
                _ => self.lost = true,
            }
        }
    }

    /// Does what the step asks for; none if that cannot be told here.
    fn write(&self, step: &Value, method: &str, path: &str) -> Option<Result<Value, Value>> {
        let old = self.objects.get(path);
        if old.is_none() && self.lost {
            return None;
        }
        let content = step.pointer("/headers/Content-Type").and_then(Value::as_str).unwrap_or_default();
        let subresource = if step["path"].as_str()?.ends_with("/status") { "status" } else { "" };
        let by = Manager {
            name: step.pointer("/query/fieldManager").and_then(Value::as_str).unwrap_or("apiserver-play"),
            api_version: "lab.example.com/v1",
            subresource,
            time: Timestamp::UNIX_EPOCH,
            versions: &[],
            reset: reset("lab.example.com", "widgets", subresource, true),
            built_in: false,
        };
        let mut body = step["body"].clone();
        let ours = body["kind"] == "Widget"
            && body["metadata"]["name"].as_str().is_some_and(|name| path.ends_with(name));
        let applies = content.starts_with("application/apply-patch");
        if applies && ours {
            let force = step["query"]["force"] == "true";
            return Some(apply(&self.schema, old, &body, force, &by).map_err(|status| status.body()));
        }
        let mut new = match (method, content) {
            ("PATCH", "application/merge-patch+json") => patched(old?, &body),
            ("POST" | "PUT", _) | ("PATCH", "application/json-patch+json") => step["answer"]["body"].clone(),
            _ => return None,
        };
        if method != "PATCH" {
            new.get_mut("metadata")?["managedFields"] = body["metadata"]["managedFields"].take();
        }
        updated(&self.schema, old, &mut new, &by);
        Some(Ok(new))
    }

    fn compare(&mut self, name: &str, step: &Value, want: Value, got: Value) {
        self.compared += 1;
        if want != got {
            self.faults.push(format!("{name}: {}\nrecorded {want}\ngot      {got}", step["body"]));
        }
    }
}

#[test]
fn the_recorded_writes_leave_the_recorded_managed_fields() {
    let sequences = sequences();
    let (mut compared, mut faults) = (0, Vec::new());
    for sequence in sequences["sequences"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|sequence| sequence["area"] == "apply")
    {
        let mut play = Play {
            schema: widgets(&sequences),
            objects: BTreeMap::new(),
            lost: false,
            compared: 0,
            faults: Vec::new(),
        };
        for step in sequence["steps"].as_array().expect("a list") {
            play.step(sequence["name"].as_str().expect("a name"), step);
        }
        compared += play.compared;
        faults.extend(play.faults);
    }
    assert!(faults.is_empty(), "{} of {compared} differ:\n{}", faults.len(), faults.join("\n"));
    assert!(compared > 60, "only {compared} steps were compared");
}

/// A schema with each form that a value may have.
fn probe() -> Schema {
    schema(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "n": {"type": "integer"}, "s": {"type": "string"}, "b": {"type": "boolean"}, "ios": {"x-kubernetes-int-or-string": true},
        "bare": {"type": "object"}, "any": {"x-kubernetes-preserve-unknown-fields": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "made": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"], "items":
            {"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "name": {"type": "string"}}}},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "steps": {"type": "array", "items": {"type": "string"}},
        "objs": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "astruct": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "integer"}}}}}}}))
}

fn by(name: &str) -> Manager<'_> {
    Manager {
        name,
        api_version: "x.example.com/v1",
        subresource: "",
        time: Timestamp::UNIX_EPOCH,
        versions: &[],
        reset: &[],
        built_in: false,
    }
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "x.example.com/v1", "kind": "Probe", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn what_does_not_fit_is_refused_in_the_words_of_the_server() {
    let go = "&value.valueUnstructured{Value:";
    for (spec, words) in [
        (json!({"s": 1.5}), format!(".s: expected string, got {go}1.5}}")),
        (
            json!({"s": {"a": 1, "b": "x"}}),
            format!(".s: expected string, got {go}map[string]interface {{}}{{\"a\":1, \"b\":\"x\"}}}}"),
        ),
        (json!({"s": [1, "x"]}), format!(".s: expected string, got {go}[]interface {{}}{{1, \"x\"}}}}")),
        (
            json!({"n": {"a": 1}}),
            ".n: expected numeric (int or float), got map[string]interface {}".to_owned(),
        ),
        (json!({"b": "x"}), ".b: expected boolean, got &{x}".to_owned()),
        (json!({"bare": 1}), ".bare: expected map, got &{1}".to_owned()),
        (json!({"steps": {"a": 1}}), ".steps: expected list, got &{map[a:1]}".to_owned()),
        (json!({"steps": [1]}), format!(".steps[0]: expected string, got {go}1}}")),
        (json!({"tags": [1]}), format!(".tags[=1]: expected string, got {go}1}}")),
        (
            json!({"tags": [[1]]}),
            ".tags: element 0: not supported: associative list with lists as elements".to_owned(),
        ),
        (
            json!({"ports": [null]}),
            ".ports: element 0: associative list with keys may not have a null element".to_owned(),
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}),
            ".ports: duplicate entries for key [port=80,protocol=\"TCP\"]".to_owned(),
        ),
        (
            json!({"ports": [{"port": 80, "name": 5}]}),
            format!(".ports[port=80,protocol=\"TCP\"].name: expected string, got {go}5}}"),
        ),
        (json!({"objs": {"k": {"zz": 1}}}), ".objs.k.zz: field not declared in schema".to_owned()),
        (
            json!({"made": {"metadata": {"bogus": 1}}}),
            ".made.metadata.bogus: field not declared in schema".to_owned(),
        ),
    ] {
        let refused = apply(&probe(), None, &object(spec), false, &by("one")).expect_err("it does not fit");
        let before = "failed to create typed patch object (/a; x.example.com/v1, Kind=Probe): .spec";
        assert_eq!((refused.code, refused.message), (500, format!("{before}{words}")));
    }
}

#[test]
fn free_content_is_owned_by_its_leaves_and_its_lists_whole() {
    let free = json!({"a": {"b": 1, "c": [1, {"x": 2}]}, "d": {}, "e": [], "f": null});
    let owned = json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}, "f:e": {}, "f:f": {}});
    let made = json!({"apiVersion": "v1", "metadata": {"labels": {"a": "b"}, "finalizers": ["x.y/z"]}, "spec": {"q": 1}});
    let applied = object(
        json!({"any": free, "bare": {"x": {"y": {"z": 1}}}, "made": made, "astruct": {"a": 1}, "objs": {"e": {}, "k": {"a": 1}}}),
    );
    let applied = apply(&probe(), None, &applied, false, &by("one")).expect("it fits");
    let fields = json!({"f:any": owned, "f:bare": {"f:x": {".": {}, "f:y": {".": {}, "f:z": {}}}}, "f:astruct": {},
        "f:objs": {"f:e": {}, "f:k": {".": {}, "f:a": {}}}, "f:made": {"f:apiVersion": {}, "f:spec": {".": {}, "f:q": {}},
        "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"x.y/z\"": {}}}}});
    assert_eq!(applied["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": fields}));
}

#[test]
fn conflicts_of_several_managers_are_listed_by_manager() {
    let (probe, mut live) = (probe(), object(json!({"n": 0, "objs": {"k": {"a": 1}}})));
    updated(&probe, None, &mut live, &by("maker"));
    for (name, patch) in [
        ("m1", json!({"n": 1, "s": "x", "ports": [{"port": 80, "protocol": "TCP", "name": "q"}]})),
        ("m2", json!({"objs": {"k": {"a": 5}}})),
    ] {
        let mut new = patched(&live, &json!({"spec": patch}));
        updated(&probe, Some(&live), &mut new, &by(name));
        live = new;
    }
    let applied = object(
        json!({"n": 2, "s": "y", "ports": [{"port": 80, "name": "r"}], "objs": {"k": {"a": 6}}, "tags": ["c"]}),
    );
    let refused = apply(&probe, Some(&live), &applied, false, &by("one")).expect_err("others own it");
    let words = "Apply failed with 4 conflicts: conflicts with \"m1\" using x.example.com/v1:\n- .spec.n\n- .spec.s\n\
        - .spec.ports[port=80,protocol=\"TCP\"].name\nconflicts with \"m2\" using x.example.com/v1:\n- .spec.objs.k.a";
    assert_eq!((refused.code, refused.message.as_str()), (409, words));
}

#[test]
fn a_field_that_the_version_of_another_manager_lacks_fails_an_apply_and_clears_at_an_update() {
    let (probe, other) = (
        probe(),
        schema(
            &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}),
        ),
    );
    let version = "x.example.com/v2";
    let second = Manager { api_version: version, versions: &[("x.example.com/v1", &probe)], ..by("two") };
    let mut live = apply(
        &other,
        None,
        &json!({"apiVersion": version, "kind": "Probe", "metadata": {"name": "a"}, "spec": {"n": 1}}),
        false,
        &second,
    )
    .expect("it fits");
    live["apiVersion"] = "x.example.com/v1".into();
    let first = Manager { versions: &[(version, &other)], ..by("one") };
    let refused = apply(&probe, Some(&live), &object(json!({"n": 1, "s": "x"})), true, &first)
        .expect_err("v2 has no s");
    assert_eq!(refused.message, "failed to convert new object: .spec.s: field not declared in schema");
    let mut new = patched(&live, &json!({"spec": {"s": "x"}}));
    updated(&probe, Some(&live), &mut new, &first);
    assert_eq!(new["metadata"].get("managedFields"), None);
}

#[test]
fn the_oldest_updaters_are_joined_when_there_are_more_than_ten() {
    let (probe, mut live) = (probe(), object(json!({"objs": {}})));
    updated(&probe, None, &mut live, &by("maker"));
    for manager in 0..12 {
        let mut new = patched(&live, &json!({"spec": {"objs": {format!("k{manager}"): {"a": 1}}}}));
        updated(&probe, Some(&live), &mut new, &by(&format!("m{manager:02}")));
        live = new;
    }
    let entries = live["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!((entries.len(), &entries[0]["manager"]), (10, &json!("ancient-changes")));
}
