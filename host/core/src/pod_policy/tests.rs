use super::bounds::matches;
use super::walk::CONTAINERS;
use super::*;
use crate::contract::Json;
use crate::contract::ObjectRef;
use serde_json::json;

fn refused(template: &Json) -> Vec<String> {
    check(template, &Allowed::default()).into_iter().map(|d| d.at).collect()
}

#[test]
fn names_outside_the_bounds_are_refused() {
    let allowed: Allowed = serde_json::from_value(json!({
        "serviceAccounts": ["default"], "secrets": ["store", "*-backup"], "images": ["reg.example.org/backup/*"]
    }))
    .unwrap();
    let template = json!({"spec": {
        "serviceAccountName": "admin",
        "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [{"image": "reg.example.org/backup/dump:1"}],
        "containers": [{"image": "docker.io/evil", "envFrom": [{"secretRef": {"name": "store"}}, {"secretRef": {"name": "root"}}],
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db-superuser", "key": "password"}}}]}],
        "volumes": [{"name": "a", "secret": {"secretName": "db-backup"}},
            {"name": "b", "secret": {"secretName": "tls"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "token"}}]}},
            {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
            {"name": "e", "azureFile": {"secretName": "share"}}]
    }});
    let mut refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
    refused.sort();
    assert_eq!(
        refused,
        [
            "/spec/containers/0/env/0/valueFrom/secretKeyRef",
            "/spec/containers/0/envFrom/1/secretRef",
            "/spec/containers/0/image",
            "/spec/imagePullSecrets/0/name",
            "/spec/serviceAccountName",
            "/spec/volumes/1/secret/secretName",
            "/spec/volumes/2/projected/sources/0/secret",
            "/spec/volumes/3/csi/nodePublishSecretRef",
            "/spec/volumes/4/azureFile/secretName",
        ]
    );
}

#[test]
fn a_pod_that_names_no_account_uses_the_default_one() {
    let allowed = Allowed { service_accounts: Some(vec!["backup".into()]), ..Allowed::default() };
    assert_eq!(check(&json!({"spec": {"containers": []}}), &allowed).len(), 1);
    let template = json!({"spec": {"serviceAccountName": "backup"}});
    assert!(check(&template, &allowed).is_empty());
}

#[test]
fn the_older_field_of_an_account_counts_where_the_newer_one_is_empty() {
    let allowed = Allowed { service_accounts: Some(vec!["default".into()]), ..Allowed::default() };
    let template = json!({"spec": {"serviceAccountName": "", "serviceAccount": "admin"}});
    let refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
    assert_eq!(refused, ["/spec/serviceAccount"]);
}

#[test]
fn the_bound_on_images_holds_for_image_volumes() {
    let allowed = Allowed { images: Some(vec!["good/*".into()]), ..Allowed::default() };
    let template = json!({"spec": {"containers": [{"image": "good/a"}],
        "volumes": [{"name": "a", "image": {"reference": "good/b"}}, {"name": "b", "image": {"reference": "bad"}}]}});
    let refused: Vec<_> = check(&template, &allowed).into_iter().map(|d| d.at).collect();
    assert_eq!(refused, ["/spec/volumes/1/image/reference"]);
}

#[test]
fn a_star_matches_any_text() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "ab", false),
        ("a*b*c", "a-b-c", true),
        ("a*a", "a", false),
        ("*", "", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn an_ordinary_pod_is_allowed() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i",
        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}}}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "x"}}]}});
    assert_eq!(refused(&template), Vec::<String>::new());
}

#[test]
fn host_namespaces_are_refused_all_at_once() {
    let template = json!({"spec": {"hostNetwork": true, "hostPID": true, "hostIPC": true, "containers": []}});
    assert_eq!(refused(&template), ["/spec/hostNetwork", "/spec/hostPID", "/spec/hostIPC"]);
}

#[test]
fn host_path_and_host_port_are_refused() {
    let template = json!({"spec": {"volumes": [{"name": "a"}, {"name": "b", "hostPath": {"path": "/"}}],
        "containers": [{"ports": [{"containerPort": 1, "hostPort": 80}]}]}});
    assert_eq!(refused(&template), ["/spec/volumes/1/hostPath", "/spec/containers/0/ports/0/hostPort"]);
}

#[test]
fn privilege_in_every_kind_of_container_is_refused() {
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        let template = json!({"spec": {kind: [{"securityContext": {"privileged": true,
            "capabilities": {"add": ["SYS_ADMIN"]}, "procMount": "Unmasked",
            "seccompProfile": {"type": "Unconfined"}}}]}});
        assert_eq!(refused(&template).len(), 4, "{kind}");
    }
}

/// Puts `value` at a rule's path into a pod that is allowed, and returns the pod with the place of the value.
fn with(path: &[&str], kind: &str, value: Json) -> (Json, String) {
    let (mut inner, mut place) = (value, Vec::new());
    for part in path.iter().rev() {
        let key = match *part {
            "containers" => kind.to_owned(),
            part => part.replace('*', "x"),
        };
        inner = if *part == "*" { json!([inner]) } else { json!({ key.clone(): inner }) };
        place.push(if *part == "*" { "0".to_owned() } else { walk::escaped(&key) });
    }
    place.reverse();
    (inner, format!("/{}", place.join("/")))
}

/// Values of every type, and texts that no rule allows.
fn wrong() -> [Json; 8] {
    [
        json!(true),
        json!(7),
        json!(0.5),
        json!("bad"),
        json!("Unconfined"),
        json!([1]),
        json!({"a": 1}),
        json!("system-x"),
    ]
}

#[test]
fn every_field_of_the_standard_is_judged_in_every_list_of_containers() {
    let mut judged = 0;
    for rule in BASELINE.iter().chain(&BEYOND) {
        for path in rule.fields {
            for kind in CONTAINERS {
                for value in wrong().into_iter().filter(|value| !rule.values.allow(value)) {
                    let (template, at) = with(path, kind, value);
                    assert!(refused(&template).contains(&at), "{at} of {template}");
                    judged += 1;
                }
                let allowed = match rule.values {
                    Values::Texts(texts) => texts.iter().map(|t| json!(t.replace('*', "x"))).collect(),
                    Values::False => vec![json!(false)],
                    Values::Zero => vec![json!(0)],
                    Values::NotBeginningWith(_) => vec![json!("batch")],
                    Values::Nothing | Values::NotZero => vec![],
                };
                for value in allowed.into_iter().chain([Json::Null]) {
                    let (template, _) = with(path, kind, value);
                    assert_eq!(refused(&template), Vec::<String>::new(), "{template}");
                }
            }
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn a_value_on_the_way_to_a_field_that_is_no_map_and_no_list_is_refused_by_policy_and_shape() {
    for rule in BASELINE.iter().chain(&BEYOND) {
        for path in rule.fields {
            for end in 1..path.len() {
                let (template, _) = with(&path[..end], "containers", json!("text"));
                assert!(!check(&template, &Allowed::default()).is_empty(), "{template}");
                assert!(shape(&template).is_err(), "{template}");
            }
        }
    }
}

#[test]
fn the_shape_is_that_of_a_pod_template_and_the_error_names_the_place() {
    for (template, at) in [
        (json!("text"), ""),
        (json!({"spec": "text"}), "/spec"),
        (json!({"spec": [1]}), "/spec"),
        (json!({"spec": {"restartPolicy": 1}}), "/spec/restartPolicy"),
        (json!({"spec": {}, "metadata": 1}), "/metadata"),
        (json!({"spec": {}, "metadata": {"labels": []}}), "/metadata/labels"),
        (json!({"spec": {}, "metadata": {"labels": {"a/b": 1}}}), "/metadata/labels/a~1b"),
        (json!({"spec": {}, "metadata": {"annotations": "a"}}), "/metadata/annotations"),
        (json!({"spec": {"containers": {}}}), "/spec/containers"),
        (json!({"spec": {"containers": [1]}}), "/spec/containers/0"),
        (json!({"spec": {"volumes": "all"}}), "/spec/volumes"),
        (json!({"spec": {"initContainers": [{"ports": 80}]}}), "/spec/initContainers/0/ports"),
    ] {
        assert_eq!(shape(&template).map_err(|wrong| wrong.at), Err(at.to_owned()), "{template}");
    }
    let null = json!({"metadata": {"labels": null, "annotations": {"a": null}},
        "spec": {"containers": null, "restartPolicy": null, "securityContext": null, "future": 1}});
    for sound in [null, json!({}), json!({"spec": null})] {
        assert_eq!(shape(&sound), Ok(()), "{sound}");
    }
}

fn hardened() -> Json {
    json!({"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}],
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b"}, {"name": "c", "persistentVolumeClaim": {"claimName": "x"}}]}})
}

fn restricted(template: &Json) -> Vec<String> {
    let allowed = Allowed { pod_security: Level::Restricted, ..Allowed::default() };
    check(template, &allowed).into_iter().map(|d| d.at).collect()
}

#[test]
fn restricted_requires_what_hardens_a_pod_and_baseline_does_not() {
    assert_eq!(restricted(&hardened()), Vec::<String>::new());
    let bare = json!({"spec": {"containers": [{"name": "c"}]}});
    assert_eq!(refused(&bare), Vec::<String>::new());
    let of = |field: &str| format!("/spec/containers/0/securityContext/{field}");
    assert_eq!(
        restricted(&bare),
        ["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile/type", "capabilities/drop"].map(of)
    );
}

#[test]
fn restricted_refuses_root_other_capabilities_and_other_volumes() {
    for (pointer, value, at) in [
        ("/spec/securityContext/runAsNonRoot", json!(false), "/spec/securityContext/runAsNonRoot"),
        ("/spec/securityContext/runAsUser", json!(0), "/spec/securityContext/runAsUser"),
        (
            "/spec/containers/0/securityContext/runAsUser",
            json!(0),
            "/spec/containers/0/securityContext/runAsUser",
        ),
        (
            "/spec/containers/0/securityContext/runAsNonRoot",
            json!(false),
            "/spec/containers/0/securityContext/runAsNonRoot",
        ),
        (
            "/spec/containers/0/securityContext/capabilities/add",
            json!(["CHOWN"]),
            "/spec/containers/0/securityContext/capabilities/add/0",
        ),
        (
            "/spec/containers/0/securityContext/capabilities/drop",
            json!(["KILL"]),
            "/spec/containers/0/securityContext/capabilities/drop",
        ),
        (
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
        ),
        ("/spec/volumes", json!([{"name": "n", "nfs": {"server": "s", "path": "/"}}]), "/spec/volumes/0/nfs"),
        ("/spec/volumes", json!([{"name": "n", "future": {}}]), "/spec/volumes/0"),
    ] {
        let mut template = hardened();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        template.pointer_mut(parent).unwrap()[key] = value;
        assert!(restricted(&template).contains(&at.to_owned()), "{pointer}: {:?}", restricted(&template));
        assert_eq!(refused(&template), Vec::<String>::new(), "{pointer} is allowed at baseline");
    }
}

fn object(api_version: &str, kind: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: Some("n".into()),
        name: "x".into(),
    }
}

#[test]
fn templates_inside_objects_are_judged_by_the_same_rules() {
    let pod = json!({"spec": {"hostNetwork": true}});
    for (api_version, kind, place) in [
        ("v1", "Pod", ""),
        ("v1", "PodTemplate", "/template"),
        ("v1", "ReplicationController", "/spec/template"),
        ("apps/v1", "Deployment", "/spec/template"),
        ("apps/v1", "ReplicaSet", "/spec/template"),
        ("apps/v1", "StatefulSet", "/spec/template"),
        ("apps/v1beta1", "DaemonSet", "/spec/template"),
        ("batch/v1", "Job", "/spec/template"),
        ("batch/v1", "CronJob", "/spec/jobTemplate/spec/template"),
    ] {
        let of = object(api_version, kind);
        let manifest = place
            .split('/')
            .skip(1)
            .collect::<Vec<_>>()
            .iter()
            .rev()
            .fold(pod.clone(), |inner, key| json!({ *key: inner }));
        let at: Vec<_> =
            judge_change(&of, &manifest, None, &manifest, &UNBOUNDED).into_iter().map(|d| d.at).collect();
        assert_eq!(at, [format!("{place}/spec/hostNetwork")], "{kind}");
        assert!(holds_pods(&of));
    }
    assert!(!holds_pods(&object("v1", "ConfigMap")) && !holds_pods(&object("example.org/v1", "Deployment")));
}

#[test]
fn a_write_is_judged_by_what_it_brings_in_and_not_by_what_was_there() {
    let of = object("apps/v1", "Deployment");
    let deployment =
        |replicas: u32, spec: Json| json!({"spec": {"replicas": replicas, "template": {"spec": spec}}});
    let theirs = json!({"hostNetwork": true, "containers": [{"image": "bad"}]});
    let judge = |set: Json, before: &Json, after: &Json, allowed: &Allowed| {
        judge_change(&of, &set, Some(before), after, allowed).into_iter().map(|d| d.at).collect::<Vec<_>>()
    };
    let images = Allowed { images: Some(vec!["good".into()]), ..Allowed::default() };
    let (before, after) = (deployment(1, theirs.clone()), deployment(0, theirs));
    assert_eq!(judge(json!({"spec": {"replicas": 0}}), &before, &after, &images), Vec::<String>::new());
    let worse =
        deployment(1, json!({"hostNetwork": true, "hostPID": true, "containers": [{"image": "bad"}]}));
    let set = json!({"spec": {"template": {"spec": {"hostPID": true}}}});
    assert_eq!(judge(set.clone(), &before, &worse, &images), ["/spec/template/spec/hostPID"]);
    // What the write sets counts even where the merged object is not what the API server makes of it.
    assert_eq!(judge(set, &before, &before, &images), ["/spec/template/spec/hostPID"]);
}
