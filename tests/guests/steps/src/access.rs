//! The declared accesses of the guest.

use backstay_sdk::{Access, Guard, Mode, Scope, Stage, Verbs};

pub(crate) fn declared() -> Vec<Access> {
    let access = |group: &str, kind: &str, plural: &str, verbs: Verbs| Access {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        scope: Scope::Run,
        verbs,
        fields: Vec::new(),
        guards: Vec::new(),
    };
    let none = Verbs::default;
    let read = || Verbs { get: true, list: true, watch: true, ..none() };
    vec![
        Access {
            fields: vec!["/data".to_owned()],
            ..access(
                "",
                "ConfigMap",
                "configmaps",
                Verbs {
                    create: true,
                    dry_run: true,
                    apply: true,
                    patch: true,
                    delete: true,
                    purge: true,
                    ..read()
                },
            )
        },
        // A guard ties the names to the application's. The tests do not grant the purge.
        Access {
            guards: vec![Guard { at: "/metadata/name".to_owned(), value: "{application}-*".to_owned() }],
            ..access(
                "coordination.k8s.io",
                "Lease",
                "leases",
                Verbs { create: true, apply: true, delete: true, purge: true, ..read() },
            )
        },
        access("", "Pod", "pods", Verbs { get: true, list: true, logs: true, ..none() }),
        access("", "Secret", "secrets", Verbs { keys: true, create: true, apply: true, ..none() }),
        // Every run may read these, and write those whose names begin with the application's.
        access(
            "networking.k8s.io",
            "NetworkPolicy",
            "networkpolicies",
            Verbs { get: true, list: true, ..none() },
        ),
        Access {
            fields: vec!["/metadata/labels".to_owned()],
            guards: vec![Guard { at: "/metadata/name".to_owned(), value: "{application}-*".to_owned() }],
            ..access(
                "networking.k8s.io",
                "NetworkPolicy",
                "networkpolicies",
                Verbs { patch: true, purge: true, ..none() },
            )
        },
        // Declared, but not granted in the tests.
        access("apps", "Deployment", "deployments", Verbs { get: true, list: true, create: true, ..none() }),
        // Declared, but unknown to the API server.
        access("ghost.example.org", "Ghost", "ghosts", Verbs { create: true, ..read() }),
        Access { scope: Scope::Cluster, ..access("", "Node", "nodes", Verbs { list: true, ..none() }) },
    ]
}

pub(crate) fn stages() -> Vec<Stage> {
    let stage = |mode, name: &str, keeps_checkpoint| Stage {
        mode,
        name: name.to_owned(),
        about: "does what the spec says".to_owned(),
        keeps_checkpoint,
    };
    let mut stages = Vec::new();
    for mode in [Mode::Backup, Mode::Restore, Mode::Cleanup] {
        stages.push(stage(mode, "safe", false));
        stages.push(stage(mode, "gone", mode == Mode::Restore));
        stages.push(stage(mode, "later", false));
    }
    stages
}
