//! Creates, updates, patches, applies and deletes.

use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::{Plan, tag};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl Plan {
    pub(super) fn create(&mut self, kind: &'static Kind) {
        let name = match self.dice.below(20) {
            0 => "",
            1 => self.dice.pick(&[
                "Not-Valid",
                "-a",
                "a.b",
                "a..b",
                "a_b",
                "0123456789012345678901234567890123456789012345678901234567890123456789",
                "system:x",
            ]),
            _ => self.name(),
        };
        let mut body = kind.object(name, &mut self.dice);
        match self.dice.below(40) {
            0 => body["metadata"]["namespace"] = "elsewhere".into(),
            1 => body["metadata"]["resourceVersion"] = format!("${{rv_{}}}", tag(kind, "a")).into(),
            2 => body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000009".into(),
            3 if self.dice.calm => body["kind"] = self.dice.pick(&["Odd", "Gadget", "ConfigMap", ""]).into(),
            4 => body["apiVersion"] = self.dice.pick(&["v2", "", "lab.example.com/v9", "v1"]).into(),
            5 => body["metadata"]["namespace"] = "${ns}".into(),
            _ => {}
        }
        let options = self.options();
        let kept = if ["a", "b", "c"].contains(&name) { name } else { "" };
        if !kept.is_empty() {
            self.alive.insert(tag(kind, name));
        }
        self.request("POST", kind.path(), kept, kind, options, json!({"body": body}));
    }

    /// Reads, changes a little, and writes: what was read may be old.
    pub(super) fn change(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let path = self.path(kind, name);
        if self.dice.percent(60) {
            self.request("GET", path.clone(), name, kind, Vec::new(), json!({"only": ["/kind"]}));
        }
        let mut edit = Map::new();
        for _ in 0..self.dice.below(3) {
            flatten(&mut edit, "", &kind.part(&mut self.dice));
        }
        match self.dice.below(16) {
            0 => drop(edit.insert("/metadata/resourceVersion".into(), Value::Null)),
            1 => drop(edit.insert("/metadata/uid".into(), "00000000-0000-0000-0000-000000000009".into())),
            2 => drop(edit.insert("/metadata/resourceVersion".into(), "1".into())),
            3 => drop(edit.insert(
                "/metadata/managedFields".into(),
                self.dice.pick(&[json!(null), json!([]), json!([{}])]),
            )),
            4 => drop(edit.insert("/metadata/name".into(), "b".into())),
            _ => {}
        }
        let options = self.options();
        self.request(
            "PUT",
            path,
            name,
            kind,
            options,
            json!({"base": format!("obj_{}", tag(kind, name)), "edit": edit}),
        );
    }

    /// A PUT of what was not read before.
    pub(super) fn replace(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let mut body = kind.object(name, &mut self.dice);
        if self.dice.percent(80) {
            body["metadata"]["resourceVersion"] = self.version(&tag(kind, name)).into();
        }
        if self.dice.percent(15) {
            body["metadata"]["uid"] = self.uid(&tag(kind, name)).into();
        }
        let (options, path) = (self.options(), self.path(kind, name));
        self.request("PUT", path, name, kind, options, json!({"body": body}));
    }

    pub(super) fn merge(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let mut part = kind.part(&mut self.dice);
        self.nulls(&mut part);
        self.fence(&mut part, kind, name);
        self.patch(kind, name, MERGE, part, "");
    }

    /// Some of the fields become null: in a merge patch that takes them out.
    fn nulls(&mut self, part: &mut Value) {
        let field = |path: &[&str]| path.iter().rev().fold(Value::Null, |inner, key| json!({*key: inner}));
        if self.dice.percent(20) {
            let paths: &[&[&str]] = &[
                &["spec", "size"],
                &["spec", "color"],
                &["spec", "ports"],
                &["data", "k"],
                &["metadata", "labels"],
                &["metadata", "labels", "app"],
                &["metadata", "annotations", "note"],
                &["spec"],
                &["data"],
                &["spec", "suspend"],
            ];
            merged(part, &field(self.dice.pick(paths)));
        }
    }

    /// A version or a uid that must fit.
    fn fence(&mut self, part: &mut Value, kind: &Kind, name: &str) {
        if self.dice.percent(30) {
            let version = self.version(&tag(kind, name));
            merged(part, &json!({"metadata": {"resourceVersion": version}}));
        }
        if self.dice.percent(10) {
            let uid = self.uid(&tag(kind, name));
            merged(part, &json!({"metadata": {"uid": uid}}));
        }
        match self.dice.below(60) {
            0 => merged(part, &json!({"metadata": {"name": "b"}})),
            // Of another kind, only the rules of the schema are held to.
            1 => *part = json!({"kind": "Odd"}),
            2 => merged(part, &json!({"apiVersion": "v9"})),
            3 => merged(part, &json!({"metadata": {"namespace": "elsewhere"}})),
            4 => merged(part, &json!({"metadata": {"managedFields": [{}]}})),
            _ => {}
        }
    }

    fn patch(&mut self, kind: &'static Kind, name: &str, media: &str, body: Value, under: &str) {
        let mut options = self.options();
        if media == APPLY {
            options.retain(|(key, _)| *key != "fieldManager");
            options.push(("fieldManager", self.dice.weighted(&[(5, "m1"), (4, "m2"), (1, "m3")]).into()));
            if self.dice.percent(30) {
                options.push(("force", self.dice.weighted(&[(8, "true"), (1, "false")]).into()));
            }
        }
        let path = format!("{}{under}", self.path(kind, name));
        self.request(
            "PATCH",
            path,
            name,
            kind,
            options,
            json!({"headers": {"content-type": media}, "body": body}),
        );
    }

    pub(super) fn json_patch(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let mut operations = Vec::new();
        let part = kind.part(&mut self.dice);
        let mut flat = Map::new();
        flatten(&mut flat, "", &part);
        for (path, value) in flat.into_iter().take(3) {
            let op = self.dice.weighted(&[(5, "add"), (3, "replace"), (2, "remove"), (2, "test")]);
            operations.push(if op == "remove" {
                json!({"op": op, "path": path})
            } else {
                json!({"op": op, "path": path, "value": value})
            });
        }
        let tag = tag(kind, name);
        match self.dice.below(10) {
            0 => operations.insert(
                0,
                json!({"op": "test", "path": "/metadata/resourceVersion", "value": format!("${{rv_{tag}}}")}),
            ),
            1 => operations.insert(
                0,
                json!({"op": "test", "path": "/metadata/uid", "value": format!("${{uid_{tag}}}")}),
            ),
            2 => operations.push(json!({"op": "remove", "path": "/metadata/finalizers/0"})),
            3 => operations
                .push(json!({"op": "add", "path": "/metadata/finalizers/-", "value": "ex.com/more"})),
            4 => operations
                .push(json!({"op": "copy", "from": "/metadata/name", "path": "/metadata/annotations/copy"})),
            5 => operations
                .push(json!({"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"})),
            6 => operations.push(json!({"op": "odd", "path": "/x"})),
            7 => operations.push(json!({"op": "replace", "path": "/metadata/labels/app", "value": "b"})),
            _ => {}
        }
        self.patch(kind, name, JSON, operations.into(), "");
    }

    pub(super) fn strategic(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        // What has wrong types is refused in the words of another decoder, which is not modelled.
        let calm = std::mem::replace(&mut self.dice.calm, true);
        let mut part = kind.part(&mut self.dice);
        self.dice.calm = calm;
        self.nulls(&mut part);
        self.fence(&mut part, kind, name);
        match self.dice.below(12) {
            0 => part["metadata"] = json!({"$deleteFromPrimitiveList/finalizers": ["ex.com/hold"]}),
            1 => merged(&mut part, &json!({"metadata": {"labels": {"$patch": "replace", "only": "this"}}})),
            2 => merged(&mut part, &json!({"data": {"$patch": "delete"}})),
            3 => merged(
                &mut part,
                &json!({"metadata": {"$setElementOrder/finalizers": ["ex.com/other", "ex.com/hold"], "finalizers": ["ex.com/other"]}}),
            ),
            _ => {}
        }
        self.patch(kind, name, STRATEGIC, part, "");
    }

    pub(super) fn apply(&mut self, kind: &'static Kind) {
        let name = if self.dice.percent(50) { self.existing(kind) } else { self.name() };
        self.alive.insert(tag(kind, name));
        // What creates needs all that is required.
        let mut part =
            if self.dice.percent(50) { kind.object(name, &mut self.dice) } else { kind.part(&mut self.dice) };
        // Empty maps and lists of an apply are kept in etcd, where nobody sees them, until the next write.
        if let Some(Value::Object(metadata)) = part.get_mut("metadata") {
            metadata.retain(|key, value| {
                *value != json!({}) && *value != json!([]) && key != "deletionTimestamp"
            });
        }
        part["apiVersion"] = kind.version.into();
        part["kind"] = kind.name.into();
        part["metadata"]["name"] = name.into();
        match self.dice.below(40) {
            0 => part["metadata"]["resourceVersion"] = self.version(&tag(kind, name)).into(),
            1 => part["metadata"]["uid"] = self.uid(&tag(kind, name)).into(),
            2 => part["metadata"]["managedFields"] = json!([{"manager": "m"}]),
            3 => part["metadata"]["name"] = "b".into(),
            4 => drop(part.as_object_mut().map(|part| part.remove("kind"))),
            5 => part["apiVersion"] = "v9".into(),
            _ => {}
        }
        self.patch(kind, name, APPLY, part, "");
    }

    pub(super) fn status(&mut self, kind: &'static Kind) {
        if !kind.has_status() && self.dice.percent(85) {
            return self.merge(kind);
        }
        let name = self.existing(kind);
        let status = kind.status(&mut self.dice);
        let mut part = json!({"status": status});
        if self.dice.percent(20) {
            merged(&mut part, &kind.part(&mut self.dice));
        }
        match self.dice.below(10) {
            0..=2 => {
                let mut edit = Map::new();
                flatten(&mut edit, "", &part);
                let path = format!("{}/status", self.path(kind, name));
                let options = self.options();
                self.request(
                    "PUT",
                    path,
                    name,
                    kind,
                    options,
                    json!({"base": format!("obj_{}", tag(kind, name)), "edit": edit}),
                );
            }
            3..=4 => {
                part["apiVersion"] = kind.version.into();
                part["kind"] = kind.name.into();
                part["metadata"]["name"] = name.into();
                self.patch(kind, name, APPLY, part, "/status");
            }
            5 => self.patch(
                kind,
                name,
                JSON,
                json!([{"op": "add", "path": "/status", "value": part["status"]}]),
                "/status",
            ),
            _ => {
                self.fence(&mut part, kind, name);
                self.patch(kind, name, MERGE, part, "/status");
            }
        }
    }

    fn delete_options(&mut self, kind: &Kind, name: &str) -> Value {
        let mut body = Map::new();
        if self.dice.percent(45) {
            body.insert(
                "propagationPolicy".into(),
                self.dice.weighted(&[(8, "Background"), (5, "Foreground"), (4, "Orphan"), (1, "Odd")]).into(),
            );
        }
        let mut conditions = Map::new();
        if self.dice.percent(35) {
            conditions.insert("uid".into(), self.uid(&tag(kind, name)).into());
        }
        if self.dice.percent(20) {
            conditions.insert("resourceVersion".into(), self.version(&tag(kind, name)).into());
        }
        if !conditions.is_empty() {
            body.insert("preconditions".into(), conditions.into());
        }
        if self.dice.percent(8) {
            body.insert("dryRun".into(), self.dice.pick(&[json!(["All"]), json!(["Odd"])]));
        }
        if self.dice.percent(5) {
            body.insert("gracePeriodSeconds".into(), self.dice.pick(&[json!(0), json!(5), json!(-1)]));
        }
        if self.dice.percent(4) {
            body.insert("orphanDependents".into(), self.dice.pick(&[json!(true), json!(false)]));
        }
        if !kind.deleted {
            body.insert("dryRun".into(), json!(["All"]));
        }
        body.into()
    }

    pub(super) fn delete(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let options = self.delete_options(kind, name);
        if self.dice.percent(70) {
            self.alive.remove(&tag(kind, name));
        }
        let more =
            if options.as_object().is_some_and(Map::is_empty) { json!({}) } else { json!({"body": options}) };
        let path = self.path(kind, name);
        self.request("DELETE", path, "", kind, Vec::new(), more);
    }

    pub(super) fn delete_all(&mut self, kind: &'static Kind) {
        let query = if self.dice.percent(60) {
            vec![("labelSelector", self.dice.pick(&["app=a", "app!=a", "tier"]).to_owned())]
        } else {
            Vec::new()
        };
        if kind.deleted {
            self.request("DELETE", kind.path(), "", kind, query, json!({}));
        }
    }

    /// Takes finalizers off, as their controllers do.
    pub(super) fn let_go(&mut self, kind: &'static Kind) {
        if !kind.deleted {
            return self.merge(kind);
        }
        let name = self.existing(kind);
        if self.dice.percent(40) {
            self.delete(kind);
        }
        let mut part = json!({"metadata": {"finalizers": self.dice.pick(&[json!(null), json!([]), json!(["ex.com/other"])])}});
        self.fence(&mut part, kind, name);
        self.patch(kind, name, MERGE, part, "");
    }

    /// Requests that are not well made.
    pub(super) fn odd(&mut self, kind: &'static Kind) {
        let name = self.existing(kind);
        let (path, base) = (self.path(kind, name), kind.path());
        let more = |value: Value| value;
        match self.dice.below(9) {
            0 => self.request("GET", format!("{path}/odd"), "", kind, Vec::new(), json!({})),
            1 => self.request("POST", path, "", kind, Vec::new(), more(json!({"body": {}}))),
            2 => self.request("PUT", base, "", kind, Vec::new(), more(json!({"body": {}}))),
            3 => self.request(
                "PATCH",
                path,
                "",
                kind,
                Vec::new(),
                more(json!({"headers": {"content-type": "text/plain"}, "body": {}})),
            ),
            4 => self.request("POST", base, "", kind, Vec::new(), more(json!({"raw": "{\"kind\": "}))),
            5 => self.request(
                "PATCH",
                path,
                "",
                kind,
                Vec::new(),
                more(json!({"headers": {"content-type": MERGE}, "raw": "[1"})),
            ),
            6 => self.request(
                "PATCH",
                path,
                "",
                kind,
                Vec::new(),
                more(json!({"headers": {"content-type": MERGE}, "body": []})),
            ),
            7 => self.request(
                "GET",
                path,
                "",
                kind,
                Vec::new(),
                more(json!({"headers": {"accept": "text/plain"}})),
            ),
            _ => self.request("DELETE", format!("{path}/status"), "", kind, Vec::new(), json!({})),
        }
    }
}

/// Each leaf of an object by its pointer.
fn flatten(into: &mut Map<String, Value>, at: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                flatten(into, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value);
            }
        }
        value if !at.is_empty() => drop(into.insert(at.to_owned(), value.clone())),
        _ => {}
    }
}

/// Puts one object into another.
fn merged(into: &mut Value, part: &Value) {
    let Value::Object(part) = part else {
        *into = part.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in part {
        match into.get_mut(key) {
            Some(there) => merged(there, value),
            None => into[key] = value.clone(),
        }
    }
}
