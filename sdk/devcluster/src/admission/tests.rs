use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::*;
use crate::access::User;

/// Objects by resource, namespace and name.
#[derive(Default)]
struct Store(BTreeMap<(String, String, String), Arc<Value>>);

impl Store {
    fn add(&mut self, resource: &str, object: Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        self.0.insert((resource.to_owned(), text("namespace"), text("name")), Arc::new(object));
    }

    /// A policy of these expressions for one resource, and its binding.
    fn policy(&mut self, resource: &str, spec: &Value, actions: &Value) {
        let mut policy = json!({"failurePolicy": "Fail", "matchConstraints": {"resourceRules":
            [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": [resource]}]}});
        for (name, value) in spec.as_object().expect("a spec") {
            policy[name] = value.clone();
        }
        self.add("validatingadmissionpolicies", json!({"metadata": {"name": "p"}, "spec": policy}));
        let binding = json!({"policyName": "p", "validationActions": actions});
        self.add("validatingadmissionpolicybindings", json!({"metadata": {"name": "b"}, "spec": binding}));
    }
}

impl Objects for Store {
    fn get(&self, _: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.get(&(resource.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    fn list(&self, _: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let of = |key: &(String, String, String)| {
            key.0 == resource && namespace.is_none_or(|namespace| key.1 == namespace)
        };
        self.0.iter().filter(|(key, _)| of(key)).map(|(_, object)| object.clone()).collect()
    }
}

/// What a test asks for; the rest is as for a ConfigMap `v` in the namespace `ns`.
struct Ask<'a> {
    store: &'a Store,
    user: User,
    operation: &'a str,
    group: &'a str,
    resource: &'a str,
    subresource: &'a str,
    object: Option<Value>,
    old: Option<Value>,
}

impl<'a> Ask<'a> {
    fn create(store: &'a Store, resource: &'a str, object: Value) -> Self {
        let user = User::new("user-a", &[]);
        Self {
            store,
            user,
            operation: "CREATE",
            group: "",
            resource,
            subresource: "",
            object: Some(object),
            old: None,
        }
    }

    fn with<T>(&self, run: impl FnOnce(&Request) -> T) -> T {
        let request = Request {
            user: &self.user,
            operation: self.operation,
            group: self.group,
            version: "v1",
            versions: &["v1"],
            resource: self.resource,
            subresource: self.subresource,
            kind: "Kind",
            namespace: "ns",
            name: "v",
            object: self.object.as_ref(),
            old: self.old.as_ref(),
            dry_run: false,
            options: &Value::Null,
            resource_of: &|_, kind| Some((format!("{}s", kind.to_lowercase()), true)),
        };
        run(&request)
    }

    fn validate(&self) -> Result<Vec<String>, Status> {
        self.with(|request| validate(self.store, request))
    }

    fn refused(&self) -> String {
        self.validate().expect_err("it is refused").message
    }
}

fn ask_policy(spec: &Value) -> String {
    let mut store = Store::default();
    store.policy("configmaps", spec, &json!(["Deny"]));
    let text =
        Ask::create(&store, "configmaps", json!({"metadata": {"name": "v"}, "data": {"a": "b"}})).refused();
    let before =
        "configmaps \"v\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ";
    text.strip_prefix(before).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_policy_says_why_it_denies() {
    let plain = "object.data.a != 'b'";
    for (spec, want) in [
        (json!({"validations": [{"expression": plain}]}), format!("failed expression: {plain}")),
        (json!({"validations": [{"expression": plain, "messageExpression": "'a\\nb'", "message": "m"}]}), "m".to_owned()),
        (json!({"validations": [{"expression": "object.data.x == 'b'"}]}), "expression 'object.data.x == 'b'' resulted in error: no such key: x".to_owned()),
        (json!({"validations": [{"expression": "object.data.a > 5"}]}), "expression 'object.data.a > 5' resulted in error: no such overload".to_owned()),
        (
            json!({"matchConditions": [{"name": "c", "expression": "object.data.x == 'b'"}], "validations": [{"expression": plain}]}),
            "expression 'object.data.x == 'b'' resulted in error: no such key: x".to_owned(),
        ),
        (
            json!({"variables": [{"name": "x", "expression": "object.data.zz"}], "validations": [{"expression": "variables.x == 'b'"}]}),
            "expression 'variables.x == 'b'' resulted in error: composited variable \"x\" fails to evaluate: no such key: zz".to_owned(),
        ),
        (
            json!({"validations": [{"expression": "false", "messageExpression": "request.operation + request.name + request.userInfo.username + string(has(request.subResource))"}]}),
            "CREATEvuser-afalse".to_owned(),
        ),
    ] {
        assert_eq!(ask_policy(&spec), want);
    }
}

#[test]
fn a_policy_warns_or_is_passed_by() {
    let mut store = Store::default();
    store.policy(
        "configmaps",
        &json!({"validations": [{"expression": "false", "message": "m"}]}),
        &json!(["Warn", "Audit"]),
    );
    let warned = Ask::create(&store, "configmaps", json!({})).validate();
    assert_eq!(
        warned,
        Ok(vec!["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': m".to_owned()])
    );
    store.policy(
        "configmaps",
        &json!({"failurePolicy": "Ignore", "validations": [{"expression": "object.x == 1"}]}),
        &json!(["Deny"]),
    );
    assert_eq!(Ask::create(&store, "configmaps", json!({})).validate(), Ok(Vec::new()));
    store.policy("configmaps/status", &json!({"validations": [{"expression": "false"}]}), &json!(["Deny"]));
    assert_eq!(Ask::create(&store, "configmaps", json!({})).validate(), Ok(Vec::new()));
}

#[test]
fn a_policy_with_what_is_not_modelled_is_refused_when_it_is_written() {
    let write = |expression: &str| {
        let policy =
            json!({"metadata": {"name": "x"}, "spec": {"validations": [{"expression": expression}]}});
        let store = Store::default();
        Ask {
            group: "admissionregistration.k8s.io",
            ..Ask::create(&store, "validatingadmissionpolicies", policy)
        }
        .validate()
    };
    assert_eq!(write("object.a.all(k, v, v == k) && has(object.b)"), Ok(Vec::new()));
    assert_eq!(write("isQuantity(object.a)").map_err(|status| status.code), Err(501));
    let text = |expression: &str| write(expression).expect_err("it is refused").message;
    let before = "ValidatingAdmissionPolicy.admissionregistration.k8s.io \"x\" is invalid: spec.validations[0].expression: Invalid value: ";
    assert_eq!(
        text("object.data.a"),
        format!("{before}\"object.data.a\": must evaluate to bool but got dyn")
    );
    let undeclared = write("undeclared.x == 1").expect_err("it is not there");
    let want = "ValidatingAdmissionPolicy.admissionregistration.k8s.io \"x\" is invalid: spec.validations[0].expression: Invalid value: \
        \"undeclared.x == 1\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'undeclared' (in container '')\n | \
        undeclared.x == 1\n | ^";
    assert_eq!((undeclared.code, undeclared.message.as_str()), (422, want));
}

#[test]
fn the_authorizer_asks_for_the_user() {
    let expression = "authorizer.group('g').resource('r').namespace(request.namespace).check('repair').allowed() || object.free";
    let mut store = Store::default();
    store.policy("configmaps", &json!({"validations": [{"expression": expression}]}), &json!(["Deny"]));
    let ask = |user: User, free: bool| {
        Ask { user, ..Ask::create(&store, "configmaps", json!({"free": free})) }.validate().is_ok()
    };
    assert_eq!(
        (ask(User::administrator(), false), ask(User::new("a", &[]), false), ask(User::new("a", &[]), true)),
        (true, false, true)
    );
}

#[test]
fn limits_are_filled_in_and_bound() {
    let mut store = Store::default();
    let item = json!({"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "64Mi"}, "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "250m"}});
    store.add(
        "limitranges",
        json!({"metadata": {"namespace": "ns", "name": "l"}, "spec": {"limits": [item]}}),
    );
    let pod = |resources: Value| json!({"metadata": {"name": "v"}, "spec": {"containers": [{"name": "main", "resources": resources}]}});
    let mut filled = pod(json!({"requests": {"memory": "64Mi"}}));
    Ask::create(&store, "pods", filled.clone()).with(|request| mutate(&store, request, &mut filled));
    assert_eq!(
        filled["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "250m", "memory": "64Mi"}})
    );
    let told = "LimitRanger plugin set: cpu request for container main; cpu limit for container main";
    assert_eq!(filled["metadata"]["annotations"]["kubernetes.io/limit-ranger"], told);
    let both = json!({"cpu": "2", "memory": "1Mi"});
    let refused = Ask::create(&store, "pods", pod(json!({"limits": both, "requests": both}))).refused();
    let want = "pods \"v\" is forbidden: [minimum memory usage per Container is 64Mi, but request is 1Mi, maximum cpu usage per Container is 1, but limit is 2]";
    assert_eq!(refused, want);
}

#[test]
fn quotas_count_what_is_there() {
    let mut store = Store::default();
    let hard = json!({"pods": "1", "requests.cpu": "500m", "count/jobs.batch": "1"});
    store
        .add("resourcequotas", json!({"metadata": {"namespace": "ns", "name": "q"}, "spec": {"hard": hard}}));
    let pod = |cpu: Option<&str>| {
        let requests = cpu.map(|cpu| json!({"cpu": cpu}));
        json!({"metadata": {"namespace": "ns", "name": "one"}, "spec": {"containers": [{"name": "main", "resources": {"requests": requests}}]}})
    };
    assert_eq!(
        Ask::create(&store, "pods", pod(None)).refused(),
        "pods \"v\" is forbidden: failed quota: q: must specify requests.cpu for: main"
    );
    store.add("pods", pod(Some("250m")));
    let want = "pods \"v\" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=300m, used: pods=1,requests.cpu=250m, limited: pods=1,requests.cpu=500m";
    assert_eq!(Ask::create(&store, "pods", pod(Some("300m"))).refused(), want);
    assert_eq!(Ask { group: "batch", ..Ask::create(&store, "jobs", json!({})) }.validate(), Ok(Vec::new()));
    let quota = store.get("", "resourcequotas", "ns", "q").expect("the quota");
    assert_eq!(
        quota_status(&store, &quota)["used"],
        json!({"pods": "1", "requests.cpu": "250m", "count/jobs.batch": "0"})
    );
}

/// The policies of this repository.
fn deployed(name: &str) -> Store {
    let path = format!("{}/../../deploy/admission/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the file");
    let mut store = Store::default();
    for document in text.split("\n---\n").skip(1) {
        let object = crate::schema::decode(document.as_bytes(), true).expect("YAML").object;
        let policy = object["kind"] == "ValidatingAdmissionPolicy";
        if policy {
            assert_eq!(check::check("validatingadmissionpolicies", &object), Ok(()), "{name}");
        }
        store.add(
            if policy { "validatingadmissionpolicies" } else { "validatingadmissionpolicybindings" },
            object,
        );
    }
    store
}

#[test]
fn marks_are_for_the_controller() {
    let store = deployed("backstay-marks");
    let run = |label: bool| json!({"metadata": {"name": "v", "labels": if label { json!({"backstay.dev/run-uid": "u"}) } else { json!({}) }}});
    let ask = |user: User, label| Ask {
        user,
        group: "backups.cozystack.io",
        ..Ask::create(&store, "backupjobs", run(label))
    };
    assert_eq!(ask(User::new("a", &[]), false).validate(), Ok(Vec::new()));
    assert_eq!(ask(User::service_account("backstay-system", "backstay"), true).validate(), Ok(Vec::new()));
    assert_eq!(ask(User::administrator(), true).validate(), Ok(Vec::new()));
    let refused = ask(User::new("a", &[]), true).validate().expect_err("it is marked");
    assert_eq!(refused.code, 403);
    assert!(
        refused.message.ends_with("metadata.labels: only the controller writes backstay.dev/run-uid"),
        "{}",
        refused.message
    );
}

#[test]
fn bounds_of_options_hold_at_each_level() {
    let store = deployed("backstay-bounds");
    let ask = |options: Value| Ask {
        group: "backups.cozystack.io",
        ..Ask::create(&store, "restorejobs", json!({"metadata": {"name": "v"}, "spec": {"options": options}}))
    };
    let deep = |levels: usize| (0..levels).fold(json!("text"), |inner, _| json!({"a": inner}));
    assert_eq!(ask(deep(16)).validate(), Ok(Vec::new()));
    assert!(ask(deep(17)).refused().ends_with("at most 16 levels are allowed"));
    assert!(ask(json!({"a": ["x".repeat(4097)]})).refused().ends_with("at most 4096 characters are allowed"));
    assert!(ask(json!({"a": {"b": vec![0; 257]}})).refused().ends_with("at most 256 entries are allowed"));
}

#[test]
fn the_spec_of_a_run_that_has_begun_stays() {
    let store = deployed("backstay-begun-runs");
    let run = |phase: &str, size: i64| json!({"metadata": {"name": "v"}, "spec": {"size": size}, "status": {"phase": phase}});
    let ask = |phase: &str, size| {
        let (object, old) = (Some(run(phase, size)), Some(run(phase, 1)));
        Ask {
            operation: "UPDATE",
            group: "backups.cozystack.io",
            object,
            old,
            ..Ask::create(&store, "backupjobs", json!({}))
        }
    };
    assert_eq!(
        (ask("Pending", 2).validate(), ask("Running", 1).validate()),
        (Ok(Vec::new()), Ok(Vec::new()))
    );
    assert!(ask("Running", 2).refused().contains(
        "the spec of a run that has begun is immutable, and this one is Running: create another Kind"
    ));
}

#[test]
fn the_other_policies_of_this_repository_run() {
    let owner =
        json!({"apiVersion": "backups.cozystack.io/v1", "kind": "BackupJob", "uid": "u", "name": "n"});
    let job = json!({"metadata": {"name": "v", "ownerReferences": [owner]}, "spec": {"template": {"metadata": {}}}});
    let store = deployed("backstay-jobs");
    assert!(
        Ask { group: "batch", ..Ask::create(&store, "jobs", job) }
            .refused()
            .contains("only the controller makes Jobs that are owned")
    );
    let store = deployed("backstay-pods");
    let pod = json!({"metadata": {"name": "v", "labels": {"backstay.dev/run-uid": "u"}, "ownerReferences": [{"kind": "Job", "apiVersion": "batch/v1", "controller": true}]}});
    let ask = |user| Ask { user, ..Ask::create(&store, "pods", pod.clone()) };
    assert_eq!(ask(User::service_account("kube-system", "job-controller")).validate(), Ok(Vec::new()));
    assert!(
        ask(User::new("a", &[]))
            .refused()
            .contains("only the controller's Jobs have pods with backstay.dev/run-uid")
    );
    let store = deployed("backstay-backups");
    assert!(
        Ask { group: "backups.cozystack.io", ..Ask::create(&store, "backups", json!({"spec": {}})) }
            .refused()
            .contains("would need the verb repair")
    );
    let store = deployed("backstay-statuses");
    let status = Ask {
        operation: "UPDATE",
        group: "backups.cozystack.io",
        subresource: "status",
        old: Some(json!({})),
        ..Ask::create(&store, "plans", json!({}))
    };
    assert!(status.refused().contains("only the controller writes the status of plans; user-a would need"));
}
