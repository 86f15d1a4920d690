use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

/// Objects by resource, namespace and name.
#[derive(Default)]
struct Store(BTreeMap<(String, String, String), Arc<Value>>);

impl Store {
    fn new() -> Self {
        let mut store = Self::default();
        for role in first_roles() {
            store.add(role);
        }
        store
    }

    fn add(&mut self, object: Value) {
        let resource = format!("{}s", object["kind"].as_str().expect("a kind").to_lowercase());
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        self.0.insert((resource, text("namespace"), text("name")), Arc::new(object));
    }

    fn role(&mut self, name: &str, rules: Value) {
        self.add(json!({"kind": "Role", "metadata": {"namespace": "ns", "name": name}, "rules": rules}));
    }

    fn bind(&mut self, name: &str, kind: &str, role: &str, subject: Value) {
        let reference = json!({"kind": kind, "name": role});
        self.add(json!({"kind": "RoleBinding", "metadata": {"namespace": "ns", "name": name}, "roleRef": reference, "subjects": [subject]}));
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

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            name.parse::<HeaderName>().expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        );
    }
    headers
}

fn get<'a>(resource: &'a str, name: &'a str) -> Attributes<'a> {
    Attributes { verb: "get", namespace: "ns", resource, name, ..Attributes::default() }
}

#[test]
fn an_impersonated_service_account_has_the_groups_that_it_would_have() {
    let acting = user(
        &headers(&[("Impersonate-User", "system:serviceaccount:ns:a")]),
        "/",
        User::administrator(),
        &Store::new(),
    );
    assert_eq!(acting, Ok(User::service_account("ns", "a")));
}

#[test]
fn groups_that_are_given_are_taken_alone_and_all_are_authenticated() {
    let given = [
        ("Impersonate-User", "a"),
        ("Impersonate-Group", "g"),
        ("Impersonate-Group", "h"),
        ("Impersonate-Extra-Scopes%2fX", "s"),
        ("Impersonate-Uid", "u"),
    ];
    let acting =
        user(&headers(&given), "/", User::administrator(), &Store::new()).expect("the administrator may");
    let want = json!({"username": "a", "uid": "u", "groups": ["g", "h", "system:authenticated"], "extra": {"scopes/x": ["s"]}});
    assert_eq!(acting.info(), want);
}

#[test]
fn groups_without_a_user_are_an_error_in_plain_text() {
    let acting = user(
        &headers(&[("Impersonate-Group", "a"), ("Impersonate-Uid", "x")]),
        "/p?q",
        User::administrator(),
        &Store::new(),
    );
    let words = "Internal Server Error: \"/p?q\": requested [{Group  a    } {UID  x  authentication.k8s.io/v1  }] without impersonating a user\n";
    assert_eq!(acting, Err(Denial::Text(500, words.to_owned())));
}

#[test]
fn each_part_of_who_one_wants_to_be_is_a_right_of_its_own() {
    for (headers_, words) in [
        (
            &[("Impersonate-User", "b")][..],
            "users \"b\" is forbidden: User \"a\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
        ),
        (
            &[("Impersonate-User", "system:serviceaccount:default:x")],
            "serviceaccounts \"x\" is forbidden: User \"a\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"default\"",
        ),
    ] {
        match user(&headers(headers_), "/", User::new("a", &[]), &Store::new()) {
            Err(Denial::Status(status)) => assert_eq!((status.code, status.message.as_str()), (403, words)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rules_name_resources_names_and_subresources() {
    let mut store = Store::new();
    store.role(
        "r",
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["one"]},
            {"apiGroups": [""], "resources": ["*/status"], "verbs": ["get"]}, {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["*"]}]),
    );
    store.bind("b", "Role", "r", json!({"kind": "ServiceAccount", "name": "a"}));
    let account = User::service_account("ns", "a");
    let status = Attributes { subresource: "status", ..get("jobs", "j") };
    let logs = Attributes { subresource: "log", ..get("pods", "p") };
    for (asked, may) in [
        (get("configmaps", "one"), true),
        (get("configmaps", "two"), false),
        (get("configmaps", ""), false),
        (status, true),
        (logs, true),
        (get("pods", "p"), false),
    ] {
        assert_eq!(authorize(&store, &account, &asked).is_ok(), may, "{asked:?}");
    }
    assert!(authorize(&store, &account, &Attributes { namespace: "other", ..status }).is_err());
}

#[test]
fn a_refusal_names_the_roles_that_are_not_there() {
    let mut store = Store::new();
    store.bind("b", "Role", "nope", json!({"kind": "User", "name": "a"}));
    store.bind("c", "ClusterRole", "nope2", json!({"kind": "Group", "name": "system:authenticated"}));
    let asked = get("secrets", "");
    let words = authorize(&store, &User::new("a", &[]), &asked).expect_err("nothing is allowed");
    let want = "secrets is forbidden: User \"a\" cannot get resource \"secrets\" in API group \"\" in the namespace \"ns\": RBAC: \
        [role.rbac.authorization.k8s.io \"nope\" not found, clusterrole.rbac.authorization.k8s.io \"nope2\" not found]";
    assert_eq!(asked.forbidden(&words).message, want);
}

#[test]
fn paths_are_allowed_by_the_default_roles() {
    let store = Store::new();
    let path = |path| Attributes { verb: "get", path, ..Attributes::default() };
    for (user, asked, may) in [
        (User::anonymous(), "/version", true),
        (User::anonymous(), "/apis", false),
        (User::new("a", &[]), "/apis/batch/v1", true),
        (User::new("a", &[]), "/metrics", false),
    ] {
        assert_eq!(authorize(&store, &user, &path(asked)).is_ok(), may, "{asked}");
    }
    let words = authorize(&store, &User::anonymous(), &path("/apis")).expect_err("it is refused");
    let status = path("/apis").forbidden(&words);
    assert_eq!(
        (status.message.as_str(), status.details),
        ("forbidden: User \"system:anonymous\" cannot get path \"/apis\"", Some(serde_json::Map::new()))
    );
}

#[test]
fn an_aggregated_role_has_the_rules_of_those_it_selects() {
    let mut store = Store::new();
    store.add(json!({"kind": "ClusterRole", "metadata": {"name": "sum"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "1"}}]}}));
    store.add(json!({"kind": "ClusterRole", "metadata": {"name": "part", "labels": {"part": "1"}}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}));
    store.bind("b", "ClusterRole", "sum", json!({"kind": "User", "name": "a"}));
    assert_eq!(authorize(&store, &User::new("a", &[]), &get("secrets", "s")), Ok(()));
}

#[test]
fn rights_that_one_lacks_are_not_given() {
    let mut store = Store::new();
    store.role("own", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]));
    store.bind("b", "Role", "own", json!({"kind": "User", "name": "a"}));
    let user = User::new("a", &[]);
    let role =
        |rules: Value| json!({"kind": "Role", "metadata": {"name": "t", "namespace": "ns"}, "rules": rules});
    let names = json!([{"apiGroups": ["", "b"], "resources": ["configmaps"], "resourceNames": ["m"], "verbs": ["get", "list"]}]);
    let refused = escalation(&store, &user, "roles", &role(names), None).expect_err("too much");
    let want = "roles.rbac.authorization.k8s.io \"t\" is forbidden: user \"a\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC \
        permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"configmaps\"], ResourceNames:[\"m\"], Verbs:[\"list\"]}\n\
        {APIGroups:[\"b\"], Resources:[\"configmaps\"], ResourceNames:[\"m\"], Verbs:[\"get\" \"list\"]}";
    assert_eq!(refused.message, want);
    let own = role(
        json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["m"], "verbs": ["get"]}]),
    );
    assert_eq!(escalation(&store, &user, "roles", &own, None), Ok(()));
    let binding = |role: &str| json!({"metadata": {"name": "t", "namespace": "ns"}, "roleRef": {"kind": "Role", "name": role}});
    assert_eq!(escalation(&store, &user, "rolebindings", &binding("own"), None), Ok(()));
    assert_eq!(
        escalation(&store, &user, "rolebindings", &binding("none"), None).map_err(|status| status.code),
        Err(404)
    );
}

#[test]
fn a_review_says_by_which_binding() {
    let mut store = Store::new();
    store.role("r", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]));
    store.bind("b", "Role", "r", json!({"kind": "ServiceAccount", "name": "a"}));
    let object =
        json!({"spec": {"resourceAttributes": {"namespace": "ns", "verb": "get", "resource": "configmaps"}}});
    let now = Timestamp::UNIX_EPOCH;
    let account = User::service_account("ns", "a");
    let answer = review(&store, &account, "selfsubjectaccessreviews", object, now)
        .expect("a review")
        .expect("an answer");
    assert_eq!(
        answer["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"b/ns\" of Role \"r\" to ServiceAccount \"a/ns\""})
    );
    let refused = review(&store, &account, "selfsubjectaccessreviews", json!({}), now)
        .expect("a review")
        .expect_err("nothing asked");
    let want = ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
    assert_eq!((refused.code, refused.message.as_str()), (422, want));
}

#[test]
fn a_token_ends_with_its_time_and_with_its_account() {
    let mut store = Store::new();
    let account = json!({"kind": "ServiceAccount", "metadata": {"namespace": "ns", "name": "a", "uid": "u"}});
    store.add(account.clone());
    let (mut tokens, now) = (Tokens::default(), Timestamp::UNIX_EPOCH);
    let answer =
        tokens.request(&account, &json!({"spec": {"expirationSeconds": 600}}), "id", now).expect("a token");
    let sent = headers(&[(
        "Authorization",
        &format!("Bearer {}", answer["status"]["token"].as_str().expect("a token")),
    )]);
    let found = tokens.authenticate(&sent, &store, now).expect("it is known").expect("a user");
    assert_eq!((found.name.as_str(), found.uid.as_str()), ("system:serviceaccount:ns:a", "u"));
    let later = "1970-01-01T00:10:00Z".parse().expect("a time");
    assert_eq!(tokens.authenticate(&sent, &store, later).map_err(|status| status.code), Err(401));
    assert_eq!(tokens.authenticate(&sent, &Store::new(), now).map_err(|status| status.code), Err(401));
    assert_eq!(tokens.authenticate(&headers(&[("Authorization", "Basic eDp5")]), &store, now), Ok(None));
}
