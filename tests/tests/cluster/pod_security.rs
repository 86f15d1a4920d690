//! The pod policy says what the PodSecurity admission of the API server says.

use std::collections::BTreeMap;

use backstay_core::pod_policy::{self, Allowed, BASELINE, Level, RESTRICTED, Rule, Values};
use backstay_tests::World;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// A pod that is allowed at both levels.
fn sound() -> Value {
    let container = |name: &str| {
        json!({"name": name, "image": "localhost/backstay-tools:1", "securityContext": {"allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]}}})
    };
    let mut restartable = container("i");
    // Only such an init container has probes.
    restartable["restartPolicy"] = json!("Always");
    json!({"metadata": {"generateName": "p-", "annotations": {}}, "spec": {"containers": [container("c")],
        "initContainers": [restartable], "volumes": [],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}}})
}

/// Puts `value` at a rule's path into the sound pod, with what the API server requires beside it.
fn with(path: &[&str], kind: &str, value: &Value) -> Value {
    let mut pod = sound();
    let mut at = &mut pod;
    for (i, part) in path.iter().enumerate() {
        let last = i + 1 == path.len();
        match *part {
            "*" => {
                let items = at.as_array_mut().expect("a list");
                if items.is_empty() {
                    items.push(Value::Null);
                }
                at = &mut items[0];
            }
            part => {
                let key = if part == "containers" { kind } else { part };
                let list = path.get(i + 1) == Some(&"*");
                if !at.is_object() {
                    *at = json!({});
                }
                at = at.as_object_mut().expect("a map").entry(key.replace('*', "c")).or_insert(Value::Null);
                if !last && at.is_null() {
                    *at = if list { json!([]) } else { json!({}) };
                }
            }
        }
        if last {
            *at = value.clone();
        }
    }
    complete(&mut pod);
    pod
}

/// Adds the fields without which the API server does not take the pod at all.
fn complete(pod: &mut Value) {
    let localhost = |profile: &mut Value| {
        if profile["type"] == "Localhost" {
            profile["localhostProfile"] = json!("profile");
        }
    };
    let contexts = [
        "/spec/securityContext",
        "/spec/containers/0/securityContext",
        "/spec/initContainers/0/securityContext",
    ];
    for at in contexts {
        for profile in ["seccompProfile", "appArmorProfile"] {
            pod.pointer_mut(&format!("{at}/{profile}")).into_iter().for_each(localhost);
        }
    }
    for container in ["/spec/containers/0", "/spec/initContainers/0"] {
        let Some(container) = pod.pointer_mut(container) else { continue };
        if let Some(port) = container.pointer_mut("/ports/0") {
            port["containerPort"] = port["hostPort"].as_u64().filter(|port| *port > 0).unwrap_or(80).into();
        }
        for handler in
            ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"]
        {
            for call in ["httpGet", "tcpSocket"] {
                if let Some(call) = container.pointer_mut(&format!("/{handler}/{call}")) {
                    call["port"] = json!(80);
                }
            }
        }
    }
    if let Some(sysctl) = pod.pointer_mut("/spec/securityContext/sysctls/0") {
        sysctl["value"] = json!("1");
    }
    if let Some(volume) = pod.pointer_mut("/spec/volumes/0") {
        volume["name"] = json!("v");
    }
}

/// The sources of volumes, as the API server takes them.
fn source(kind: &str) -> Value {
    let of: BTreeMap<&str, Value> = [
        ("hostPath", json!({"path": "/"})),
        ("gcePersistentDisk", json!({"pdName": "x"})),
        ("awsElasticBlockStore", json!({"volumeID": "x"})),
        ("gitRepo", json!({"repository": "x"})),
        ("nfs", json!({"server": "x", "path": "/"})),
        ("iscsi", json!({"targetPortal": "x", "iqn": "iqn.2001-04.com.example:x", "lun": 0})),
        ("glusterfs", json!({"endpoints": "x", "path": "x"})),
        ("rbd", json!({"monitors": ["x"], "image": "x"})),
        ("flexVolume", json!({"driver": "x/y"})),
        ("cinder", json!({"volumeID": "x"})),
        ("cephfs", json!({"monitors": ["x"]})),
        ("flocker", json!({"datasetName": "x"})),
        ("fc", json!({"targetWWNs": ["x"], "lun": 0})),
        ("azureFile", json!({"secretName": "x", "shareName": "x"})),
        ("azureDisk", json!({"diskName": "x", "diskURI": "https://blob/x"})),
        ("vsphereVolume", json!({"volumePath": "x"})),
        ("quobyte", json!({"registry": "x:1", "volume": "x"})),
        ("portworxVolume", json!({"volumeID": "x"})),
        ("photonPersistentDisk", json!({"pdID": "x"})),
        ("scaleIO", json!({"gateway": "x", "system": "x", "volumeName": "x", "secretRef": {"name": "x"}})),
        ("storageos", json!({"volumeName": "x"})),
    ]
    .into();
    of.get(kind).cloned().unwrap_or_else(|| panic!("no volume of {kind}"))
}

/// Returns values that a rule allows and that it refuses.
fn values(rule: &Rule, path: &[&str]) -> Vec<Value> {
    match rule.values {
        Values::False => vec![json!(false), json!(true)],
        Values::Zero | Values::NotZero => vec![json!(0), json!(8080)],
        Values::Nothing => vec![Value::Null, source(path.last().expect("a field"))],
        Values::NotBeginningWith(_) => vec![],
        Values::Texts(texts) => {
            let refused = [
                "Unconfined",
                "Unmasked",
                "SYS_ADMIN",
                "NET_RAW",
                "CHOWN",
                "kernel.msgmax",
                "spc_t",
                "unconfined",
                "10.0.0.1",
            ];
            texts
                .iter()
                .map(|text| text.replace('*', "x"))
                .chain(refused.map(str::to_owned))
                .map(Value::from)
                .collect()
        }
    }
}

fn is_violation(message: &str) -> bool {
    message.contains("violates PodSecurity")
}

#[tokio::test]
async fn the_pod_policy_refuses_what_the_pod_security_admission_refuses_and_nothing_else() {
    let Some(w) = World::new("podsecurity").await else { return };
    let mut pods = vec![sound()];
    for rule in BASELINE.iter().chain(&RESTRICTED) {
        for path in rule.fields {
            let kinds: &[&str] =
                if path.contains(&"containers") { &["containers", "initContainers"] } else { &[""] };
            for kind in kinds {
                pods.extend(values(rule, path).iter().map(|value| with(path, kind, value)));
            }
        }
    }
    for missing in [
        "/spec/securityContext",
        "/spec/containers/0/securityContext",
        "/spec/initContainers/0/securityContext",
    ] {
        let mut pod = sound();
        *pod.pointer_mut(missing).expect("it is there") = json!({});
        pods.push(pod);
    }
    let namespaces: Api<Namespace> = Api::all(w.client.clone());
    for level in [Level::Baseline, Level::Restricted] {
        let word = if level == Level::Baseline { "baseline" } else { "restricted" };
        let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": word}}});
        let patched = namespaces.patch(&w.namespace, &PatchParams::default(), &Patch::Merge(labels)).await;
        patched.expect("the label is set");
        let (api, dry) = (w.api::<Pod>(), PostParams { dry_run: true, ..PostParams::default() });
        // The admission reads namespaces from a cache.
        let mut privileged = sound();
        privileged["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] =
            if level == Level::Baseline { json!(["SYS_ADMIN"]) } else { json!(["CHOWN"]) };
        let privileged: Pod = serde_json::from_value(privileged).expect("a pod");
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        // Before, the namespace may have no ServiceAccount either.
        while !matches!(&api.create(&dry, &privileged).await, Err(kube::Error::Api(status)) if is_violation(&status.message))
        {
            assert!(tokio::time::Instant::now() < deadline, "{word} is not enforced");
        }
        let asked = pods.iter().map(|pod| {
            let (api, dry) = (&api, &dry);
            async move {
                let typed: Pod = serde_json::from_value(pod.clone()).unwrap_or_else(|e| panic!("{e}: {pod}"));
                match api.create(dry, &typed).await {
                    Ok(_) => Some((pod, true)),
                    Err(kube::Error::Api(status)) if is_violation(&status.message) => Some((pod, false)),
                    // No pod at all.
                    Err(kube::Error::Api(status)) if status.code == 422 || status.code == 400 => None,
                    Err(error) => panic!("{error}: {pod}"),
                }
            }
        });
        let verdicts: Vec<_> = stream::iter(asked).buffer_unordered(8).collect().await;
        let allowed = Allowed { pod_security: level, ..Allowed::default() };
        let (mut compared, mut refused) = (0, 0);
        for (pod, taken) in verdicts.into_iter().flatten() {
            let findings = pod_policy::check(pod, &allowed);
            assert_eq!(
                findings.is_empty(),
                taken,
                "{word}: the admission says {taken}, the policy {findings:?} of {pod}"
            );
            compared += 1;
            refused += usize::from(!taken);
        }
        assert!(compared > 150 && refused > 60, "{word}: {compared} compared, {refused} refused");
    }
}
