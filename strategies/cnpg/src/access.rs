//! The accesses that the strategy declares, by kind.

use backstay_sdk::{Access, Guard, Scope, Verbs};

const GET: Verbs = Verbs {
    get: true,
    list: false,
    watch: false,
    create: false,
    dry_run: false,
    apply: false,
    patch: false,
    delete: false,
    purge: false,
    logs: false,
    keys: false,
};
const SEEN: Verbs = Verbs { watch: true, ..GET };
const LISTED: Verbs = Verbs { list: true, ..SEEN };

/// Returns all accesses. They are in the run's namespace; writes and purges reach only objects of the run's
/// application.
pub(crate) fn list() -> Vec<Access> {
    let own_cluster = ("/metadata/name", "postgres-{application}");
    let of_cluster = ("/metadata/labels/cnpg.io~1cluster", "postgres-{application}");
    let helm = "helm.toolkit.fluxcd.io";
    vec![
        Access {
            verbs: Verbs { apply: true, purge: true, ..SEEN },
            fields: owned(&["/spec/plugins"]),
            guards: guards(&[own_cluster]),
            ..kind("postgresql.cnpg.io", "v1", "Cluster", "clusters")
        },
        Access {
            verbs: Verbs { create: true, delete: true, ..SEEN },
            ..kind("postgresql.cnpg.io", "v1", "Backup", "backups")
        },
        Access {
            verbs: Verbs { apply: true, ..SEEN },
            fields: owned(&["/metadata/ownerReferences", "/spec"]),
            guards: guards(&[own_cluster]),
            ..kind("barmancloud.cnpg.io", "v1", "ObjectStore", "objectstores")
        },
        // A copy reads the archive of another application.
        Access { verbs: GET, ..kind("barmancloud.cnpg.io", "v1", "ObjectStore", "objectstores") },
        Access {
            verbs: Verbs { patch: true, ..SEEN },
            fields: owned(&[
                "/spec/suspend",
                "/metadata/annotations/backstay.dev~1suspended-by",
                "/metadata/annotations/reconcile.fluxcd.io~1requestedAt",
                "/metadata/annotations/reconcile.fluxcd.io~1forceAt",
            ]),
            guards: guards(&[own_cluster]),
            ..kind(helm, "v2", "HelmRelease", "helmreleases")
        },
        Access {
            verbs: Verbs { patch: true, ..SEEN },
            fields: owned(&["/spec/bootstrap", "/spec/backup", "/spec/databases", "/spec/users"]),
            guards: guards(&[("/metadata/name", "{application}")]),
            ..kind("apps.cozystack.io", "v1alpha1", "Postgres", "postgreses")
        },
        Access {
            verbs: Verbs { purge: true, ..LISTED },
            guards: guards(&[of_cluster]),
            ..kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
        },
        Access {
            verbs: Verbs { logs: true, ..LISTED },
            guards: guards(&[of_cluster]),
            ..kind("", "v1", "Pod", "pods")
        },
        Access { verbs: Verbs { keys: true, ..Verbs::default() }, ..kind("", "v1", "Secret", "secrets") },
    ]
}

fn kind(group: &str, version: &str, kind: &str, plural: &str) -> Access {
    Access {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        scope: Scope::Run,
        verbs: Verbs::default(),
        fields: Vec::new(),
        guards: Vec::new(),
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

fn guards(guards: &[(&str, &str)]) -> Vec<Guard> {
    guards.iter().map(|(at, value)| Guard { at: (*at).to_owned(), value: (*value).to_owned() }).collect()
}
