//! Builds the RBAC objects that a component asks for, which an administrator applies, as they are or cut down.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::contract::{Access, Descriptor, Scope, Verbs};

/// Rights by API group and resource.
type Rights<'a> = BTreeMap<(String, String), BTreeSet<&'a str>>;

/// Returns the ServiceAccount of a component, in the controller's namespace, with the roles and bindings that its
/// descriptor asks for. With `purge` these are only the rights to purge, without it all others.
///
/// The ClusterRole is bound in all namespaces; the controller holds each run to its own. RoleBindings in its place limit
/// the component further.
#[must_use]
pub fn rbac(descriptor: &Descriptor, namespace: &str, purge: bool) -> Vec<Value> {
    let account = format!("backstay-{}", descriptor.name);
    let role = format!("backstay-strategy-{}{}", descriptor.name, if purge { "-purge" } else { "" });
    let subject = json!([{"kind": "ServiceAccount", "name": account, "namespace": namespace}]);
    let mut objects = Vec::new();
    if !purge {
        objects.push(json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": account, "namespace": namespace}}));
    }
    let of_runs = |a: &&Access| !matches!(a.scope, Scope::Named(_));
    let rules = rules(descriptor.access.iter().filter(of_runs), purge);
    if !rules.is_empty() {
        objects.extend(bound("ClusterRole", &role, None, &rules, &subject));
    }
    for (name, place) in &descriptor.namespaces {
        let here = |a: &&Access| a.scope == Scope::Named(name.clone());
        let rules = self::rules(descriptor.access.iter().filter(here), purge);
        if !rules.is_empty() {
            objects.extend(bound("Role", &role, Some(place), &rules, &subject));
        }
    }
    objects
}

fn bound(kind: &str, name: &str, namespace: Option<&String>, rules: &[Value], subject: &Value) -> [Value; 2] {
    let meta = match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    let api = "rbac.authorization.k8s.io/v1";
    [
        json!({"apiVersion": api, "kind": kind, "metadata": meta, "rules": rules}),
        json!({"apiVersion": api, "kind": format!("{kind}Binding"), "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, "subjects": subject}),
    ]
}

fn rules<'a>(accesses: impl Iterator<Item = &'a Access>, purge: bool) -> Vec<Value> {
    let mut rights = Rights::new();
    for access in accesses {
        for (resource, verbs) in wanted(&access.verbs, &access.plural, purge) {
            rights.entry((access.group.clone(), resource)).or_default().extend(verbs);
        }
    }
    // Resources of one group with the same rights share a rule.
    let mut shared: BTreeMap<(String, BTreeSet<&str>), Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in rights {
        shared.entry((group, verbs)).or_default().push(resource);
    }
    let rule =
        |((group, verbs), resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    shared.into_iter().map(rule).collect()
}

/// Returns the verbs of Kubernetes that the contract's verbs need, by resource.
fn wanted(verbs: &Verbs, plural: &str, purge: bool) -> Vec<(String, Vec<&'static str>)> {
    if purge {
        return if verbs.purge {
            vec![(plural.to_owned(), vec!["get", "delete", "purge"])]
        } else {
            Vec::new()
        };
    }
    let needed: [(bool, &[&str]); 9] = [
        (verbs.get, &["get"]),
        (verbs.list, &["list"]),
        // A watch begins with a list.
        (verbs.watch, &["list", "watch"]),
        // An existing object of the name is read.
        (verbs.create || verbs.dry_run, &["get", "create"]),
        (verbs.apply, &["get", "create", "patch"]),
        (verbs.patch, &["get", "patch"]),
        // The owner of the object is read.
        (verbs.delete, &["get", "delete"]),
        (verbs.keys, &["get"]),
        (verbs.logs, &["get"]),
    ];
    let own: Vec<_> =
        needed.iter().filter(|(on, _)| *on).flat_map(|(_, verbs)| verbs.iter().copied()).collect();
    let mut rights = vec![(plural.to_owned(), own)];
    if verbs.logs {
        rights.push((format!("{plural}/log"), vec!["get"]));
    }
    rights.retain(|(_, verbs)| !verbs.is_empty());
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Traits;

    fn descriptor() -> Descriptor {
        let access = |kind: &str, plural: &str, scope, verbs| Access {
            group: if kind == "Cluster" { "db.example.org".into() } else { String::new() },
            version: "v1".into(),
            kind: kind.into(),
            plural: plural.into(),
            scope,
            verbs,
            fields: Vec::new(),
            guards: Vec::new(),
        };
        let no = Verbs::default();
        Descriptor {
            name: "x".into(),
            version: "1.0.0".into(),
            kinds: Vec::new(),
            parameters_schema: json!({}),
            options_schema: json!({}),
            access: vec![
                access(
                    "Cluster",
                    "clusters",
                    Scope::Run,
                    Verbs { get: true, watch: true, purge: true, ..no },
                ),
                access("Pod", "pods", Scope::Run, Verbs { list: true, logs: true, ..no }),
                access("Secret", "secrets", Scope::Target, Verbs { keys: true, ..no }),
                access("ConfigMap", "configmaps", Scope::Named("store".into()), Verbs { apply: true, ..no }),
            ],
            namespaces: [("store".to_owned(), "the-store".to_owned())].into(),
            stages: Vec::new(),
            longest_run: 1,
            restores: Vec::new(),
            target_namespace_option: None,
            traits: Traits::default(),
        }
    }

    #[test]
    fn a_component_gets_an_account_and_its_declared_rights_without_purge() {
        let objects = rbac(&descriptor(), "backstay-system", false);
        let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]);
        assert_eq!(objects[0]["metadata"], json!({"name": "backstay-x", "namespace": "backstay-system"}));
        assert_eq!(
            objects[1]["rules"],
            json!([
                {"apiGroups": [""], "resources": ["pods/log", "secrets"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
                {"apiGroups": ["db.example.org"], "resources": ["clusters"], "verbs": ["get", "list", "watch"]},
            ])
        );
        assert_eq!(objects[3]["metadata"]["namespace"], "the-store");
        assert_eq!(objects[4]["subjects"][0]["name"], "backstay-x");
    }

    #[test]
    fn purge_is_a_separate_grant() {
        let objects = rbac(&descriptor(), "backstay-system", true);
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["metadata"]["name"], "backstay-strategy-x-purge");
        assert_eq!(
            objects[0]["rules"],
            json!([{"apiGroups": ["db.example.org"], "resources": ["clusters"], "verbs": ["delete", "get", "purge"]}])
        );
    }
}
