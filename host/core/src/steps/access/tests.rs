use super::*;
use crate::contract::{Backup, GroupKind, Mode};
use serde_json::json;

fn access(kind: &str, verbs: Verbs) -> Access {
    Access {
        group: if kind == "Cluster" { "db.example.org".into() } else { String::new() },
        version: "v1".into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        scope: Scope::Run,
        verbs,
        fields: Vec::new(),
        guards: Vec::new(),
    }
}

fn descriptor(access: Vec<Access>) -> Descriptor {
    Descriptor {
        name: "x".into(),
        version: "1.0.0".into(),
        kinds: Vec::new(),
        parameters_schema: json!({}),
        options_schema: json!({}),
        access,
        namespaces: [("store".to_owned(), "the-store".to_owned())].into(),
        stages: Vec::new(),
        longest_run: 1,
        restores: Vec::new(),
        target_namespace_option: None,
        traits: crate::contract::Traits::default(),
    }
}

fn pins() -> Pins {
    Pins {
        namespace: "tenant-a".into(),
        run_uid: "u1".into(),
        application: ObjectRef {
            api_version: "apps.cozystack.io/v1alpha1".into(),
            kind: "Postgres".into(),
            namespace: Some("tenant-a".into()),
            name: "orders".into(),
        },
        owners: vec![
            Owner::Run("u1".into()),
            Owner::Legacy { namespace: "tenant-a".into(), name: "j".into() },
        ],
        namespaces: [("store".to_owned(), "renamed".to_owned())].into(),
    }
}

#[test]
fn a_run_with_a_backup_owns_the_objects_made_for_it_too() {
    let object = |kind: &str, name: &str| ObjectRef {
        api_version: "v1".into(),
        kind: kind.into(),
        namespace: Some("tenant-a".into()),
        name: name.into(),
    };
    let request = |backup_of: Option<Option<&str>>| Request {
        mode: Mode::Restore,
        run: object("RestoreJob", "back"),
        run_uid: "u1".into(),
        started_at: 0,
        deadline: 0,
        now: 0,
        strategy_kind: GroupKind::default(),
        strategy: None,
        parameters: Pairs::new(),
        options: None,
        application: object("Postgres", "orders"),
        backup: backup_of.map(|run_uid| Backup {
            name: "nightly".into(),
            uid: "b1".into(),
            run_uid: run_uid.map(Into::into),
            component_version: None,
            application: GroupKind::default(),
            application_name: "orders".into(),
            taken_at: 0,
            metadata: Pairs::new(),
            artifact: None,
            underlying_resources: None,
            private_data: None,
        }),
        namespaces: Pairs::new(),
        inherited: None,
        cancelled: None,
    };
    let (own, made) = (Owner::Run("u1".into()), Owner::Run("u0".into()));
    let legacy = Owner::Legacy { namespace: "tenant-a".into(), name: "nightly".into() };
    assert_eq!(Pins::of(&request(None)).owners, std::slice::from_ref(&own));
    assert_eq!(Pins::of(&request(Some(Some("u0")))).owners, [own.clone(), made]);
    assert_eq!(Pins::of(&request(Some(None))).owners, [own, legacy]);
}

fn get() -> Verbs {
    Verbs { get: true, ..Verbs::default() }
}

#[test]
fn an_undeclared_verb_kind_version_or_place_is_refused() {
    let (d, p) = (descriptor(vec![access("Pod", get())]), pins());
    let grants = Grants::new(&d, &p);
    assert!(grants.reach(Verb::Get, "v1", "Pod", Some("tenant-a")).is_ok());
    for (verb, version, kind, namespace) in [
        (Verb::List, "v1", "Pod", Some("tenant-a")),
        (Verb::Get, "v2", "Pod", Some("tenant-a")),
        (Verb::Get, "apps/v1", "Pod", Some("tenant-a")),
        (Verb::Get, "v1", "Node", Some("tenant-a")),
        (Verb::Get, "v1", "Pod", Some("tenant-b")),
        (Verb::Get, "v1", "Pod", None),
    ] {
        let violation = grants.reach(verb, version, kind, namespace).unwrap_err();
        assert_eq!(violation.reason, "StrategyUndeclaredAccess");
        assert!(violation.message.contains("declare it"), "{violation}");
    }
}

#[test]
fn nobody_gets_the_content_of_secrets_or_the_hosts_own_objects() {
    let all = Verbs { get: true, list: true, watch: true, create: true, keys: true, ..Verbs::default() };
    let own = |group: &str| Access { group: group.into(), ..access("Backup", all) };
    let groups = ["backups.cozystack.io", "strategy.backups.cozystack.io", "backstay.dev"];
    let d = descriptor(groups.into_iter().map(own).chain([access("Secret", all)]).collect());
    let p = pins();
    let grants = Grants::new(&d, &p);
    for group in groups {
        assert!(
            grants.reach(Verb::Get, &format!("{group}/v1"), "Backup", Some("tenant-a")).is_err(),
            "{group}"
        );
    }
    for verb in [Verb::Get, Verb::List, Verb::Watch] {
        assert!(grants.reach(verb, "v1", "Secret", Some("tenant-a")).is_err(), "{verb:?}");
    }
    assert!(grants.reach(Verb::Keys, "v1", "Secret", Some("tenant-a")).is_ok());
    assert!(grants.reach(Verb::Create, "v1", "Secret", Some("tenant-a")).is_ok());
}

#[test]
fn a_named_namespace_is_the_one_in_force() {
    let d = descriptor(vec![Access { scope: Scope::Named("store".into()), ..access("Pod", get()) }]);
    let p = pins();
    let grants = Grants::new(&d, &p);
    assert!(grants.reach(Verb::Get, "v1", "Pod", Some("renamed")).is_ok());
    assert!(grants.reach(Verb::Get, "v1", "Pod", Some("the-store")).is_err());
}

#[test]
fn guards_hide_objects_for_which_they_do_not_hold() {
    let guard = |at: &str, value: &str| Guard { at: at.into(), value: value.into() };
    let guarded = Access {
        guards: vec![guard("/spec/cluster", "{application}"), guard("/metadata/name", "copy-*")],
        ..access("Pod", get())
    };
    let (d, p) = (descriptor(vec![guarded]), pins());
    let reach = Grants::new(&d, &p).reach(Verb::Get, "v1", "Pod", Some("tenant-a")).unwrap();
    assert!(reach.shows(&json!({"metadata": {"name": "copy-1"}, "spec": {"cluster": "orders"}})));
    assert!(!reach.shows(&json!({"metadata": {"name": "copy-1"}, "spec": {"cluster": "other"}})));
    assert!(!reach.shows(&json!({"metadata": {"name": "orig"}, "spec": {"cluster": "orders"}})));
    assert!(!reach.shows(&json!({"metadata": {"name": "copy-1"}})));
}

#[test]
fn a_write_sets_declared_fields_only_and_keeps_the_guards() {
    let patching = Access {
        fields: vec!["/spec/suspend".into()],
        guards: vec![Guard { at: "/spec/of".into(), value: "{application}".into() }],
        ..access("Pod", Verbs { patch: true, ..Verbs::default() })
    };
    let (d, p) = (descriptor(vec![patching]), pins());
    let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
    let of = |name: &str| json!({"metadata": {"name": "p"}, "spec": {"of": name, "suspend": true}});
    let before = of("orders");
    let judge = |set: Json, after: &Json| reach.allows(Verb::Patch, &set, Some(&before), after);
    assert_eq!(judge(json!({"spec": {"suspend": true}}), &of("orders")), Ok(Allowed::Yes));
    let violation = judge(json!({"spec": {"size": 1}}), &of("orders")).unwrap_err();
    assert!(violation.message.contains("/spec/size"), "{violation}");
    assert!(judge(json!({"spec": {"suspend": true}}), &of("other")).is_err());
}

#[test]
fn the_access_that_allows_a_write_is_the_one_whose_guards_hold_before_and_after_it() {
    let patching = |field: &str, guards| Access {
        fields: vec![field.into()],
        guards,
        ..access("Pod", Verbs { patch: true, ..Verbs::default() })
    };
    let tied = vec![Guard { at: "/spec/of".into(), value: "{application}".into() }];
    let (d, p) =
        (descriptor(vec![patching("/metadata/annotations", Vec::new()), patching("/spec", tied)]), pins());
    let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
    assert!(reach.is_guarded());
    let (ours, theirs) = (json!({"spec": {"of": "orders"}}), json!({"spec": {"of": "other"}}));
    let set = json!({"spec": {"of": "orders"}});
    assert_eq!(reach.allows(Verb::Patch, &set, Some(&ours), &ours), Ok(Allowed::Yes));
    assert_eq!(reach.allows(Verb::Patch, &set, Some(&theirs), &ours), Ok(Allowed::Hidden), "to take it over");
    assert!(reach.allows(Verb::Patch, &set, Some(&ours), &theirs).is_err(), "to give it away");
    let note = json!({"metadata": {"annotations": {"a": "b"}}});
    assert_eq!(reach.allows(Verb::Patch, &note, Some(&theirs), &theirs), Ok(Allowed::Yes));
}

#[test]
fn fields_bind_apply_and_patch_and_not_create() {
    let verbs = Verbs { create: true, apply: true, ..Verbs::default() };
    let (d, p) = (descriptor(vec![Access { fields: vec!["/spec".into()], ..access("Pod", verbs) }]), pins());
    let set = json!({"metadata": {"name": "p", "annotations": {"a": "b"}}});
    let judge = |verb| {
        let reach = Grants::new(&d, &p).reach(verb, "v1", "Pod", Some("tenant-a")).unwrap();
        reach.allows(verb, &set, None, &set)
    };
    assert_eq!(judge(Verb::Create), Ok(Allowed::Yes));
    assert!(judge(Verb::Apply).is_err());
}

#[test]
fn words_in_substituted_names_are_text() {
    let mut p = pins();
    let guard = |value: &str| Guard { at: "/metadata/name".into(), value: value.into() };
    let named = |name: &str| json!({"metadata": {"name": name}});
    p.application.name = "*".into();
    assert!(!p.holds(&guard("{application}"), &named("other")));
    assert!(p.holds(&guard("{application}"), &named("*")));
    p.application.name = "{run-uid}".into();
    p.namespace = "{application}".into();
    assert!(p.holds(&guard("{namespace}-{application}-x*"), &named("{application}-{run-uid}-xy")));
    assert!(!p.holds(&guard("{application}"), &named("u1")));
}

#[test]
fn only_objects_that_the_run_creates_or_owns_get_ownership_labels() {
    let p = pins();
    let with = |marks: Json| json!({"metadata": {"labels": marks}});
    let (run, name) = ("backstay.dev/run-uid", "backups.cozystack.io/owned-by.BackupJobName");
    let namespace = "backups.cozystack.io/owned-by.BackupJobNamespace";
    let theirs = with(json!({"a": "b", namespace: "tenant-a"}));
    for mark in [json!({run: "u1"}), json!({run: "another"}), json!({name: "j"})] {
        assert!(p.marks(&with(mark.clone()), &theirs), "{mark}");
        assert!(has_marks(&with(mark)));
    }
    assert!(!p.marks(&with(json!({"a": "c", namespace: "tenant-a"})), &theirs));
    assert!(!p.marks(&with(json!({run: "u1"})), &with(json!({run: "u1"}))));
    assert!(!has_marks(&with(json!({"a": "c"}))));
}

#[test]
fn outside_the_tenants_namespaces_an_access_needs_a_guard_that_ties() {
    let guarded = |scope, value: &str| Access {
        scope,
        guards: vec![Guard { at: "/metadata/name".into(), value: value.into() }],
        ..access("Pod", get())
    };
    let named = || Scope::Named("store".into());
    assert_eq!(unguarded(&descriptor(vec![access("Pod", get())])), None);
    assert_eq!(unguarded(&descriptor(vec![guarded(named(), "{namespace}.*")])), None);
    for tie in [
        "{namespace}",
        "{target-namespace}",
        "{run-uid}",
        "copy-{run-uid}-*",
        "{namespace}.{application}",
        "of_{namespace}/*",
        "{namespace}.*",
    ] {
        assert_eq!(unguarded(&descriptor(vec![guarded(named(), tie)])), None, "{tie}");
        assert_eq!(unguarded(&descriptor(vec![guarded(Scope::Cluster, tie)])), None, "{tie}");
    }
    let ambiguous = [
        "copy-*",
        "{application}",
        "{application}-*",
        "{namespace}-*",
        "{namespace}*",
        "{namespace}-{application}",
        "{target-namespace}-x",
        "{application}.{namespace}",
        "{application}.{namespace}.*",
        "*{namespace}",
        "",
        "namespace",
    ];
    for value in ambiguous {
        assert!(unguarded(&descriptor(vec![guarded(named(), value)])).is_some(), "{value}");
    }
    let both = Access {
        guards: [guarded(named(), "{application}").guards, guarded(named(), "{namespace}").guards].concat(),
        ..guarded(named(), "")
    };
    assert_eq!(unguarded(&descriptor(vec![both])), None, "one guard that ties is enough");
    assert!(
        unguarded(&descriptor(vec![Access { scope: Scope::Cluster, ..access("Node", get()) }])).is_some()
    );
}

#[test]
fn identity_and_the_mark_of_the_run_are_no_fields() {
    let applying = Access {
        fields: vec!["/spec/plugins".into()],
        ..access("Cluster", Verbs { apply: true, ..Verbs::default() })
    };
    let (d, p) = (descriptor(vec![applying]), pins());
    let reach =
        Grants::new(&d, &p).reach(Verb::Apply, "db.example.org/v1", "Cluster", Some("tenant-a")).unwrap();
    let manifest = json!({"apiVersion": "db.example.org/v1", "kind": "Cluster", "metadata": {"name": "c",
        "namespace": "tenant-a", "resourceVersion": "7", "labels": {"backstay.dev/run-uid": "u1"}},
        "spec": {"plugins": []}});
    assert_eq!(reach.allows(Verb::Apply, &manifest, None, &manifest), Ok(Allowed::Yes));
    let more = json!({"metadata": {"name": "c", "annotations": {"a": "b"}}, "spec": {"plugins": []}});
    assert!(
        reach
            .allows(Verb::Apply, &more, None, &more)
            .unwrap_err()
            .message
            .contains("/metadata/annotations/a")
    );
}

#[test]
fn a_patch_does_not_make_an_existing_object_the_runs_own() {
    let patching =
        Access { fields: vec!["/data".into()], ..access("Pod", Verbs { patch: true, ..Verbs::default() }) };
    let (d, p) = (descriptor(vec![patching]), pins());
    let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
    let marking = json!({"metadata": {"labels": {"backstay.dev/run-uid": "u1"}}});
    let violation = reach.allows(Verb::Patch, &marking, None, &json!({})).unwrap_err();
    assert!(violation.message.contains("run-uid"), "{violation}");
}

#[test]
fn accesses_add_up() {
    let patching = |field: &str| Access {
        fields: vec![field.into()],
        ..access("Pod", Verbs { patch: true, ..Verbs::default() })
    };
    let (d, p) = (descriptor(vec![patching("/spec/a"), patching("/spec/b")]), pins());
    let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
    let judge = |set: Json| reach.allows(Verb::Patch, &set, None, &json!({}));
    assert_eq!(judge(json!({"spec": {"b": 1}})), Ok(Allowed::Yes));
    assert!(judge(json!({"spec": {"c": 1}})).is_err());
}

#[test]
fn a_run_owns_objects_with_its_uid_or_the_labels_of_the_go_implementation() {
    let p = pins();
    let with = |marks: Json| json!({"metadata": {"labels": marks}});
    assert!(p.own(&with(json!({"backstay.dev/run-uid": "u1"}))));
    assert!(!p.own(&with(json!({"backstay.dev/run-uid": "u2"}))));
    assert!(!p.own(&json!({"metadata": {}})));
    let name = "backups.cozystack.io/owned-by.BackupJobName";
    let namespace = "backups.cozystack.io/owned-by.BackupJobNamespace";
    assert!(p.own(&with(json!({name: "j", namespace: "tenant-a"}))));
    assert!(!p.own(&with(json!({name: "j", namespace: "tenant-b"}))));
}
