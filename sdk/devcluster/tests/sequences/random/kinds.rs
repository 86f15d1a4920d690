//! The kinds that random sequences use, and what their objects hold.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::widget;

/// A kind.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) plural: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) custom: bool,
    /// Whether it is deleted: a claim waits for its controller, which the model has built in.
    pub(crate) deleted: bool,
    pub(crate) weight: usize,
}

const fn kind(plural: &'static str, name: &'static str, version: &'static str, weight: usize) -> Kind {
    Kind { plural, name, version, custom: false, deleted: true, weight }
}

pub(crate) const KINDS: &[Kind] = &[
    Kind { custom: true, ..kind("widgets", "Widget", "lab.example.com/v1", 36) },
    Kind { custom: true, ..kind("gadgets", "Gadget", "lab.example.com/v1", 8) },
    kind("configmaps", "ConfigMap", "v1", 9),
    kind("secrets", "Secret", "v1", 9),
    kind("jobs", "Job", "batch/v1", 12),
    kind("pods", "Pod", "v1", 8),
    Kind { deleted: false, ..kind("persistentvolumeclaims", "PersistentVolumeClaim", "v1", 4) },
    kind("serviceaccounts", "ServiceAccount", "v1", 3),
    kind("roles", "Role", "rbac.authorization.k8s.io/v1", 3),
    kind("rolebindings", "RoleBinding", "rbac.authorization.k8s.io/v1", 3),
    kind("leases", "Lease", "coordination.k8s.io/v1", 3),
];

impl Kind {
    /// The path of the kind in the namespace of the sequence.
    pub(crate) fn path(&self) -> String {
        let root = if self.version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{}/namespaces/${{ns}}/{}", self.version, self.plural)
    }

    pub(crate) fn has_status(&self) -> bool {
        ["widgets", "jobs", "pods", "persistentvolumeclaims"].contains(&self.plural)
    }

    /// An object of this name, or with `generateName` where that is empty.
    pub(crate) fn object(&self, name: &str, dice: &mut Dice) -> Value {
        let mut object = self.content(dice, true);
        object["apiVersion"] = self.version.into();
        object["kind"] = self.name.into();
        let mut metadata = metadata(dice, 35);
        if name.is_empty() {
            metadata["generateName"] = dice
                .pick(&[
                    "gen-",
                    "g",
                    "-x",
                    "long-prefix-0123456789012345678901234567890123456789012345678901234567890",
                ])
                .into();
        } else {
            metadata["name"] = name.into();
        }
        object["metadata"] = metadata;
        object
    }

    /// A part of an object, as patches and appliers have it; without `apiVersion`, `kind` and name.
    pub(crate) fn part(&self, dice: &mut Dice) -> Value {
        let mut part = if dice.percent(75) { self.content(dice, false) } else { json!({}) };
        let metadata = metadata(dice, 30);
        if metadata.as_object().is_some_and(|metadata| !metadata.is_empty()) {
            part["metadata"] = metadata;
        }
        part
    }

    /// What is not metadata. `whole`: with all that is required.
    fn content(&self, dice: &mut Dice, whole: bool) -> Value {
        match self.plural {
            "widgets" => widget::content(dice, whole),
            "gadgets" => gadget(dice),
            "configmaps" => config(dice),
            "secrets" => secret(dice, whole),
            "jobs" => super::pod::job(dice, whole),
            "pods" => super::pod::pod(dice, whole),
            "persistentvolumeclaims" => claim(dice, whole),
            "serviceaccounts" => account(dice),
            "roles" => role(dice),
            "rolebindings" => binding(dice, whole),
            _ => lease(dice),
        }
    }

    /// A status.
    pub(crate) fn status(&self, dice: &mut Dice) -> Value {
        match self.plural {
            "widgets" => widget::status(dice),
            "jobs" => super::pod::job_status(dice),
            "pods" => super::pod::pod_status(dice),
            "persistentvolumeclaims" => json!({"phase": dice.pick(&["Pending", "Bound", "Lost"])}),
            _ => json!({"phase": "Odd"}),
        }
    }
}

/// Puts some of these into an object; each with the odds of the whole.
pub(crate) fn some(dice: &mut Dice, into: &mut Map<String, Value>, odds: usize, fields: &[(&str, &[Value])]) {
    for (field, values) in fields {
        if dice.percent(odds) {
            into.insert((*field).to_owned(), dice.pick(values));
        }
    }
}

/// As [`some`], for what is odd: nothing while the die is calm.
pub(crate) fn rare(dice: &mut Dice, into: &mut Map<String, Value>, odds: usize, fields: &[(&str, &[Value])]) {
    if !dice.calm {
        some(dice, into, odds, fields);
    }
}

fn metadata(dice: &mut Dice, odds: usize) -> Value {
    let mut metadata = Map::new();
    some(
        dice,
        &mut metadata,
        odds,
        &[
            (
                "labels",
                &[
                    json!({"app": "a"}),
                    json!({"app": "b"}),
                    json!({"app": "a", "tier": "x"}),
                    json!({"tier": "y"}),
                    json!({}),
                ],
            ),
            (
                "annotations",
                &[json!({"note": "one"}), json!({"note": "two", "ex.com/more": "x"}), json!({"note": ""})],
            ),
        ],
    );
    some(
        dice,
        &mut metadata,
        odds / 4,
        &[("finalizers", &[json!(["ex.com/hold"]), json!(["ex.com/hold", "ex.com/other"]), json!([])])],
    );
    rare(
        dice,
        &mut metadata,
        2,
        &[
            (
                "labels",
                &[
                    json!({"app": "not valid!"}),
                    json!({"bad key!": "x"}),
                    json!({"app": 1}),
                    json!({"app": null}),
                    json!([]),
                    json!({"a": "0123456789012345678901234567890123456789012345678901234567890123"}),
                ],
            ),
            (
                "annotations",
                &[
                    json!({"Bad Key": "x"}),
                    json!({"note": 1}),
                    json!("x"),
                    json!({"a/b/c": "x"}),
                    json!({"note": null}),
                ],
            ),
            ("finalizers", &[json!(["plain"]), json!("x"), json!([1]), json!(["ex.com/"])]),
            (
                "ownerReferences",
                &[
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "00000000-0000-0000-0000-000000000001"}]),
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}]),
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u", "controller": true, "blockOwnerDeletion": true}]),
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u", "controller": true}, {"apiVersion": "v1", "kind": "Secret", "name": "a", "uid": "v", "controller": true}]),
                    json!([{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "u"}]),
                    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u", "odd": 1}]),
                ],
            ),
            ("generation", &[json!(7), json!("x")]),
            ("deletionTimestamp", &[json!("2019-01-02T03:04:05Z")]),
            ("creationTimestamp", &[json!("2019-01-02T03:04:05Z"), json!(null)]),
            ("odd", &[json!(1)]),
        ],
    );
    metadata.into()
}

fn gadget(dice: &mut Dice) -> Value {
    let (mut spec, mut out) = (Map::new(), Map::new());
    some(
        dice,
        &mut spec,
        60,
        &[
            ("size", &[json!(1), json!(2), json!(0), json!(-3)]),
            ("color", &[json!("red"), json!("blue"), json!("")]),
        ],
    );
    rare(dice, &mut spec, 5, &[("size", &[json!("2"), json!(1.5), json!(null)]), ("odd", &[json!(true)])]);
    out.insert("spec".into(), spec.into());
    some(
        dice,
        &mut out,
        25,
        &[(
            "status",
            &[
                json!({"phase": "Up"}),
                json!({"count": 2}),
                json!({"phase": "Up", "odd": 1}),
                json!({"count": "x"}),
            ],
        )],
    );
    rare(dice, &mut out, 4, &[("spec", &[json!(null), json!("x"), json!([])]), ("odd", &[json!({"a": 1})])]);
    out.into()
}

fn config(dice: &mut Dice) -> Value {
    let mut out = Map::new();
    some(
        dice,
        &mut out,
        70,
        &[(
            "data",
            &[
                json!({"k": "v"}),
                json!({"k": "w", "l": ""}),
                json!({"m": "x"}),
                json!({}),
                json!({"k": "v", "n.txt": "line\nline"}),
            ],
        )],
    );
    some(
        dice,
        &mut out,
        12,
        &[("binaryData", &[json!({"b": "aGk="}), json!({"k": "aGk="}), json!({"b": ""})])],
    );
    rare(
        dice,
        &mut out,
        4,
        &[
            ("immutable", &[json!(true), json!(false)]),
            (
                "data",
                &[
                    json!({"bad key": "x"}),
                    json!({"k": 1}),
                    json!({"k": null}),
                    json!({"..": "x"}),
                    json!([]),
                    json!({"": "x"}),
                    json!(null),
                ],
            ),
            ("binaryData", &[json!({"b": "!"})]),
            ("odd", &[json!("x")]),
        ],
    );
    out.into()
}

fn secret(dice: &mut Dice, whole: bool) -> Value {
    let mut out = Map::new();
    some(
        dice,
        &mut out,
        50,
        &[
            ("data", &[json!({"k": "aGk="}), json!({"k": "eW8=", "l": ""}), json!({"m": "aGk="}), json!({})]),
            ("stringData", &[json!({"k": "plain"}), json!({"s": "text"}), json!({"k": ""})]),
        ],
    );
    some(
        dice,
        &mut out,
        if whole { 15 } else { 3 },
        &[(
            "type",
            &[
                json!("Opaque"),
                json!("kubernetes.io/basic-auth"),
                json!("ex.com/own"),
                json!("kubernetes.io/tls"),
                json!(""),
            ],
        )],
    );
    rare(
        dice,
        &mut out,
        4,
        &[
            ("immutable", &[json!(true), json!(false)]),
            ("data", &[json!({"bad key": "aGk="}), json!({"k": "!"}), json!({"k": 1}), json!([])]),
            ("stringData", &[json!({"bad key": "x"}), json!({"k": 1})]),
            ("odd", &[json!("x")]),
        ],
    );
    out.into()
}

fn claim(dice: &mut Dice, whole: bool) -> Value {
    let mut spec = Map::new();
    if whole {
        spec.insert("accessModes".into(), json!(["ReadWriteOnce"]));
        spec.insert("resources".into(), json!({"requests": {"storage": "1Gi"}}));
    }
    some(
        dice,
        &mut spec,
        10,
        &[
            ("accessModes", &[json!(["ReadWriteMany", "ReadWriteOnce"]), json!([]), json!(["Odd"])]),
            (
                "resources",
                &[
                    json!({"requests": {"storage": "2Gi"}}),
                    json!({"requests": {"storage": "1000Mi"}, "limits": {"storage": "3Gi"}}),
                    json!({"requests": {"storage": "x"}}),
                    json!({"requests": {"storage": "0"}}),
                    json!({}),
                ],
            ),
            ("storageClassName", &[json!(""), json!("fast"), json!("Not Valid")]),
            ("volumeMode", &[json!("Block"), json!("Filesystem"), json!("Odd")]),
            ("volumeName", &[json!("pv-a")]),
            ("selector", &[json!({"matchLabels": {"a": "b"}})]),
        ],
    );
    json!({"spec": spec})
}

fn account(dice: &mut Dice) -> Value {
    let mut out = Map::new();
    some(
        dice,
        &mut out,
        35,
        &[
            ("automountServiceAccountToken", &[json!(true), json!(false)]),
            ("imagePullSecrets", &[json!([{"name": "p"}]), json!([{"name": "p"}, {"name": "q"}]), json!([])]),
            ("secrets", &[json!([{"name": "s"}]), json!([{"name": "s", "namespace": "x"}])]),
        ],
    );
    rare(
        dice,
        &mut out,
        4,
        &[("odd", &[json!("x")]), ("secrets", &[json!([{"nam": "s"}]), json!({"name": "s"})])],
    );
    out.into()
}

fn role(dice: &mut Dice) -> Value {
    let rules = [
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
        json!([{"apiGroups": ["", "batch"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["x"]}]),
        json!(null),
        json!([{"apiGroups": [""], "resources": ["pods"]}]),
        json!([{"nonResourceURLs": ["/x"], "verbs": ["get"]}]),
        json!([{"resources": ["pods"], "verbs": ["get"]}]),
        json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "odd": 1}]),
    ];
    if dice.percent(85) { json!({"rules": dice.pick(&rules)}) } else { json!({}) }
}

fn binding(dice: &mut Dice, whole: bool) -> Value {
    let mut out = Map::new();
    if whole {
        out.insert(
            "roleRef".into(),
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}),
        );
    }
    some(
        dice,
        &mut out,
        60,
        &[(
            "subjects",
            &[
                json!([{"kind": "ServiceAccount", "name": "a"}]),
                json!([{"kind": "ServiceAccount", "name": "a", "namespace": "x"}]),
                json!([{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]),
                json!([{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}]),
                json!([{"kind": "Odd", "name": "u"}]),
                json!([{"kind": "User"}]),
                json!([]),
            ],
        )],
    );
    some(
        dice,
        &mut out,
        8,
        &[(
            "roleRef",
            &[
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}),
                json!({"kind": "Role", "name": "b"}),
                json!({"kind": "Odd", "name": "b"}),
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ""}),
            ],
        )],
    );
    out.into()
}

fn lease(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    some(
        dice,
        &mut spec,
        40,
        &[
            ("holderIdentity", &[json!("me"), json!("you"), json!("")]),
            ("leaseDurationSeconds", &[json!(15), json!(0), json!(-1)]),
            ("leaseTransitions", &[json!(1), json!(-1)]),
            ("acquireTime", &[json!("2019-01-02T03:04:05.000001Z")]),
            ("renewTime", &[json!("2019-01-02T03:04:05.100000Z"), json!(null)]),
        ],
    );
    rare(
        dice,
        &mut spec,
        4,
        &[
            ("acquireTime", &[json!("2019-01-02T03:04:05Z"), json!("x")]),
            ("odd", &[json!("x")]),
            ("strategy", &[json!("OldestEmulationVersion"), json!("Odd")]),
        ],
    );
    json!({"spec": spec})
}
