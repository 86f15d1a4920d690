//! What Pods and Jobs hold.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::kinds::{rare, some};

/// A Pod.
pub(crate) fn pod(dice: &mut Dice, whole: bool) -> Value {
    json!({"spec": pod_spec(dice, whole, &["Always", "Never", "OnFailure"])})
}

fn pod_spec(dice: &mut Dice, whole: bool, policies: &[&str]) -> Value {
    let mut spec = Map::new();
    if whole || dice.percent(40) {
        spec.insert("containers".into(), containers(dice));
    }
    if whole {
        spec.insert("restartPolicy".into(), dice.pick(policies).into());
    }
    some(
        dice,
        &mut spec,
        6,
        &[
            (
                "volumes",
                &[
                    json!([{"name": "v", "emptyDir": {}}]),
                    json!([{"name": "v", "secret": {"secretName": "s", "defaultMode": 256}}, {"name": "w", "configMap": {"name": "c", "optional": true}}]),
                    json!([{"name": "v", "persistentVolumeClaim": {"claimName": "a"}}]),
                    json!([{"name": "v"}]),
                    json!([{"name": "Bad Name", "emptyDir": {}}]),
                    json!([{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]),
                ],
            ),
            ("terminationGracePeriodSeconds", &[json!(0), json!(5)]),
            ("activeDeadlineSeconds", &[json!(10), json!(0)]),
            ("nodeSelector", &[json!({"disk": "fast"}), json!({"bad key!": "x"})]),
            ("securityContext", &[json!({"runAsUser": 1000, "runAsNonRoot": true}), json!({"fsGroup": -1})]),
            (
                "tolerations",
                &[
                    json!([{"operator": "Exists"}]),
                    json!([{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]),
                    json!([{"key": "k", "operator": "Odd"}]),
                ],
            ),
            ("hostNetwork", &[json!(true), json!(false)]),
            (
                "initContainers",
                &[
                    json!([{"name": "i", "image": "x:1"}]),
                    json!([{"name": "i", "image": "x", "restartPolicy": "Always"}]),
                ],
            ),
        ],
    );
    rare(
        dice,
        &mut spec,
        2,
        &[
            ("restartPolicy", &[json!("Odd"), json!("Always"), json!("Never"), json!("")]),
            (
                "containers",
                &[
                    json!([]),
                    json!([{"name": "c"}]),
                    json!([{"image": "x"}]),
                    json!([{"name": "c", "image": "x"}, {"name": "c", "image": "y"}]),
                    json!({}),
                    json!(null),
                ],
            ),
            ("dnsPolicy", &[json!("None"), json!("Default"), json!("Odd")]),
            ("odd", &[json!(1)]),
            ("hostname", &[json!("h"), json!("Not Valid")]),
        ],
    );
    spec.into()
}

fn containers(dice: &mut Dice) -> Value {
    let mut one = Map::new();
    one.insert("name".into(), dice.pick(&["c", "c", "d"]).into());
    one.insert(
        "image".into(),
        dice.pick(&[
            "busybox",
            "busybox:1",
            "busybox:latest",
            "reg.example.com/x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ])
        .into(),
    );
    some(
        dice,
        &mut one,
        7,
        &[
            ("command", &[json!(["sh", "-c", "exit 0"])]),
            ("args", &[json!(["a", ""])]),
            (
                "env",
                &[
                    json!([{"name": "A", "value": "1"}]),
                    json!([{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
                    json!([{"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
                    json!([{"name": "", "value": "1"}]),
                    json!([{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.odd"}}}]),
                ],
            ),
            (
                "envFrom",
                &[
                    json!([{"configMapRef": {"name": "c"}}]),
                    json!([{"prefix": "P_", "secretRef": {"name": "s", "optional": true}}]),
                ],
            ),
            (
                "resources",
                &[
                    json!({"requests": {"cpu": "100m", "memory": "64Mi"}}),
                    json!({"limits": {"cpu": 1, "memory": "1Gi"}}),
                    json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
                    json!({"requests": {"cpu": "x"}}),
                    json!({"requests": {"cpu": "0.5"}, "limits": {"cpu": "1500m"}}),
                ],
            ),
            (
                "ports",
                &[
                    json!([{"containerPort": 80}]),
                    json!([{"containerPort": 80, "name": "web", "protocol": "UDP"}]),
                    json!([{"containerPort": 0}]),
                    json!([{"name": "WEB", "containerPort": 80}]),
                ],
            ),
            ("imagePullPolicy", &[json!("Never"), json!("IfNotPresent"), json!("Odd")]),
            (
                "volumeMounts",
                &[
                    json!([{"name": "v", "mountPath": "/v"}]),
                    json!([{"name": "v", "mountPath": "/v", "readOnly": true, "subPath": "s"}]),
                    json!([{"name": "v", "mountPath": ""}]),
                ],
            ),
            (
                "securityContext",
                &[
                    json!({"privileged": true}),
                    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}),
                ],
            ),
            (
                "livenessProbe",
                &[
                    json!({"exec": {"command": ["true"]}}),
                    json!({"tcpSocket": {"port": "web"}, "periodSeconds": 0}),
                    json!({}),
                ],
            ),
            ("workingDir", &[json!("/w")]),
        ],
    );
    rare(
        dice,
        &mut one,
        2,
        &[
            ("odd", &[json!(1)]),
            ("image", &[json!(""), json!(" x")]),
            ("name", &[json!("Bad_Name"), json!("")]),
        ],
    );
    let mut all = vec![Value::Object(one)];
    if dice.percent(12) {
        all.push(json!({"name": "e", "image": "x"}));
    }
    all.into()
}

/// A Job.
pub(crate) fn job(dice: &mut Dice, whole: bool) -> Value {
    let mut spec = Map::new();
    some(
        dice,
        &mut spec,
        11,
        &[
            ("backoffLimit", &[json!(0), json!(3), json!(-1)]),
            ("completions", &[json!(1), json!(3), json!(0)]),
            ("parallelism", &[json!(1), json!(2), json!(0)]),
            ("suspend", &[json!(true), json!(false)]),
            ("ttlSecondsAfterFinished", &[json!(0), json!(60), json!(-1)]),
            ("activeDeadlineSeconds", &[json!(60), json!(-1)]),
            ("completionMode", &[json!("Indexed"), json!("NonIndexed"), json!("Odd")]),
        ],
    );
    rare(
        dice,
        &mut spec,
        3,
        &[
            ("podReplacementPolicy", &[json!("Failed"), json!("TerminatingOrFailed"), json!("Odd")]),
            ("manualSelector", &[json!(true), json!(false)]),
            ("selector", &[json!({"matchLabels": {"a": "b"}})]),
            (
                "podFailurePolicy",
                &[
                    json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 2]}}]}),
                    json!({"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}),
                    json!({"rules": [{"action": "Odd"}]}),
                ],
            ),
            ("backoffLimitPerIndex", &[json!(1)]),
            ("maxFailedIndexes", &[json!(1)]),
            ("managedBy", &[json!("ex.com/me"), json!("plain")]),
            ("odd", &[json!(1)]),
            ("backoffLimit", &[json!("3"), json!(null), json!(1.5)]),
        ],
    );
    if whole || dice.percent(20) {
        let mut template = json!({"spec": pod_spec(dice, whole, &["Never", "OnFailure"])});
        if dice.percent(20) {
            template["metadata"] = dice.pick(&[
                json!({"labels": {"a": "b"}}),
                json!({"annotations": {"x": "y"}}),
                json!({"labels": {"job-name": "other"}}),
                json!({"name": "ignored"}),
            ]);
        }
        spec.insert("template".into(), template);
    }
    json!({"spec": spec})
}

const T: &str = "2019-01-02T03:04:05Z";

/// The status of a Job.
pub(crate) fn job_status(dice: &mut Dice) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "R", "lastTransitionTime": T, "lastProbeTime": T});
    let whole = [
        json!({"active": 1, "startTime": T, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}),
        json!({"active": 0, "succeeded": 1, "startTime": T, "completionTime": "2019-01-02T03:05:05Z", "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]}),
        json!({"failed": 1, "startTime": T, "conditions": [condition("FailureTarget"), condition("Failed")]}),
        json!({"startTime": T, "conditions": [condition("FailureTarget")]}),
        json!({"conditions": [condition("Complete")]}),
        json!({"conditions": [condition("Failed"), condition("Complete")]}),
        json!({"active": 2, "failed": 1}),
        json!({"conditions": [condition("Suspended")], "active": 0}),
        json!({"active": -1}),
        json!({"startTime": "x"}),
        json!({"failed": 2, "odd": 1}),
        json!({}),
    ];
    dice.pick(&whole)
}

/// The status of a Pod.
pub(crate) fn pod_status(dice: &mut Dice) -> Value {
    let whole = [
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": T}], "podIP": "10.0.0.1"}),
        json!({"phase": "Succeeded", "containerStatuses": [{"name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "startedAt": T, "finishedAt": T}}}]}),
        json!({"phase": "Failed", "reason": "Evicted", "message": "m"}),
        json!({"phase": "Odd"}),
        json!({"conditions": [{"type": "ex.com/gate", "status": "False"}]}),
        json!({"conditions": [{"type": "Bad Type!", "status": "True"}]}),
        json!({"hostIP": "10.1.1.1", "startTime": T, "qosClass": "Burstable"}),
    ];
    dice.pick(&whole)
}
