//! What a component may ask and do: its declared accesses, as the host checks them.
//!
//! A breach of them is a fault of the strategy, whatever the cluster holds. What a guard hides is not: the object is
//! as good as absent.

use std::collections::{BTreeMap, BTreeSet};

use backstay_core::contract::{
    Access, Action, Delete, Descriptor, Guard, Json, Mode, ObjectRef, Query, Request, Scope, Selection,
    Verbs, Watch,
};

use crate::world::{Key, RUN_UID_LABEL, leaves};

/// What the Go implementation labels an object of a BackupJob with.
const LEGACY_LABELS: [&str; 2] =
    ["backups.cozystack.io/owned-by.BackupJobName", "backups.cozystack.io/owned-by.BackupJobNamespace"];
/// The host serves none of these.
const HOST_GROUPS: [&str; 3] = ["backups.cozystack.io", "strategy.backups.cozystack.io", "backstay.dev"];

/// What the accesses of a component allow in one run.
pub(super) struct Rules<'r> {
    pub(super) descriptor: &'r Descriptor,
    pub(super) request: &'r Request,
}

/// The accesses that allow something, by whose guards an object is seen.
pub(super) struct Allowed<'r> {
    accesses: Vec<&'r Access>,
    /// The application of the run, which may always be read.
    always: bool,
}

impl<'r> Rules<'r> {
    /// What allows this question.
    pub(super) fn query(&self, query: &Query) -> Result<Allowed<'r>, String> {
        match query {
            Query::Get(get) => {
                let object = &get.object;
                hosts(&object.api_version, &object.kind)?;
                let allowed = self.allowing(object, "get", |v| v.get);
                if *object == self.request.application {
                    return Ok(Allowed { always: true, ..allowed });
                }
                allowed.some(|| format!("get {}", named(object)))
            }
            Query::List(list) => {
                let of = &list.objects;
                hosts(&of.api_version, &of.kind)?;
                if !(1..=500).contains(&list.limit) {
                    return Err(format!(
                        "a list of {} has limit {}; it must be 1 to 500",
                        of.kind, list.limit
                    ));
                }
                self.allowing(&any(of), "list", |v| v.list).some(|| format!("list {}", of.kind))
            }
            Query::Log(log) => {
                if !(1..=200).contains(&log.lines) {
                    return Err(format!("a log query asks for {} lines; it must be 1 to 200", log.lines));
                }
                let pod = object("Pod", &log.pod.namespace, &log.pod.name);
                self.allowing(&pod, "logs", |v| v.logs).some(|| format!("logs of {}", named(&pod)))
            }
            Query::SecretKeys(secret) => {
                let secret = object("Secret", &secret.namespace, &secret.name);
                self.allowing(&secret, "keys", |v| v.keys).some(|| format!("keys of {}", named(&secret)))
            }
            Query::Pod(_) => Ok(Allowed { accesses: Vec::new(), always: true }),
        }
    }

    /// Whether this may be watched.
    pub(super) fn watch(&self, watch: &Watch) -> Result<(), String> {
        let object = match watch {
            Watch::Pod(_) => return Ok(()),
            Watch::Object(object) if *object == self.request.application => return Ok(()),
            Watch::Object(object) => object.clone(),
            Watch::Objects(of) => any(of),
        };
        hosts(&object.api_version, &object.kind)?;
        self.allowing(&object, "watch", |v| v.watch).some(|| format!("watch {}", object.kind)).map(drop)
    }

    /// What allows `action` on `object`. `live` holds the uids read live in this wake, `current` is the object as it is.
    pub(super) fn action(
        &self,
        action: &Action,
        target: &ObjectRef,
        current: Option<&Json>,
        live: &BTreeMap<Key, String>,
    ) -> Result<Allowed<'r>, String> {
        let (verb, has): (&str, fn(&Verbs) -> bool) = match action {
            Action::Create(create) if create.dry_run => ("dry-run", |v| v.dry_run),
            Action::Create(_) => ("create", |v| v.create),
            Action::Apply(_) => ("apply", |v| v.apply),
            Action::Patch(_) => ("patch", |v| v.patch),
            Action::Delete(_) if current.is_none_or(|o| self.owns(o)) => ("delete", |v| v.delete || v.purge),
            Action::Delete(delete) => {
                read_live(delete, live)?;
                ("purge", |v| v.purge)
            }
            Action::RunPod(_) => return Ok(Allowed { accesses: Vec::new(), always: true }),
        };
        hosts(&target.api_version, &target.kind)?;
        let allowed = self.allowing(target, verb, has).some(|| format!("{verb} {}", named(target)))?;
        let set = match action {
            Action::Apply(apply) => leaves(&apply.manifest),
            Action::Patch(patch) => leaves(&patch.body),
            _ => BTreeSet::new(),
        };
        allowed.may_set(&set, matches!(action, Action::Patch(_)), verb, target)?;
        Ok(allowed)
    }

    /// Whether the run, or the run that made its Backup, made this object.
    fn owns(&self, object: &Json) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str();
        let request = self.request;
        match (request.mode, &request.backup) {
            (Mode::Cleanup, Some(backup)) => match &backup.run_uid {
                Some(uid) => label(RUN_UID_LABEL) == Some(uid),
                None => {
                    let namespace = request.run.namespace.as_deref();
                    LEGACY_LABELS.map(label) == [Some(backup.name.as_str()), namespace]
                }
            },
            _ => label(RUN_UID_LABEL) == Some(&request.run_uid),
        }
    }

    fn allowing(&self, object: &ObjectRef, verb: &str, has: fn(&Verbs) -> bool) -> Allowed<'r> {
        let _ = verb;
        let (group, version) = match object.api_version.split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", object.api_version.as_str()),
        };
        let accesses = self.descriptor.access.iter().filter(|a| {
            a.group == group
                && a.version == version
                && a.kind == object.kind
                && has(&a.verbs)
                && self.in_scope(&a.scope, object.namespace.as_deref())
        });
        Allowed { accesses: accesses.collect(), always: false }
    }

    fn in_scope(&self, scope: &Scope, namespace: Option<&str>) -> bool {
        let request = self.request;
        match scope {
            Scope::Run => namespace.is_some() && namespace == request.run.namespace.as_deref(),
            Scope::Target => namespace.is_some() && namespace == request.application.namespace.as_deref(),
            Scope::Cluster => namespace.is_none(),
            Scope::Named(name) => {
                namespace.is_some() && namespace == request.namespaces.get(name).map(String::as_str)
            }
        }
    }

    /// Whether the guards of one access hold for `object`.
    pub(super) fn sees(&self, allowed: &Allowed<'_>, object: &Json) -> bool {
        allowed.always || allowed.accesses.iter().any(|a| a.guards.iter().all(|g| self.holds(g, object)))
    }

    fn holds(&self, guard: &Guard, object: &Json) -> bool {
        let request = self.request;
        let value = guard
            .value
            .replace("{namespace}", request.run.namespace.as_deref().unwrap_or_default())
            .replace("{run-uid}", &request.run_uid)
            .replace("{application}", &request.application.name)
            .replace("{target-namespace}", request.application.namespace.as_deref().unwrap_or_default());
        let found = object.pointer(&guard.at).and_then(Json::as_str);
        match value.strip_suffix('*') {
            Some(prefix) => found.is_some_and(|f| f.starts_with(prefix)),
            None => found == Some(&value),
        }
    }
}

impl<'r> Allowed<'r> {
    fn some(self, what: impl FnOnce() -> String) -> Result<Self, String> {
        match self.accesses.is_empty() {
            true => Err(format!("{} is not declared in the descriptor's access", what())),
            false => Ok(self),
        }
    }

    /// Whether each of these fields is one that may be set.
    fn may_set(
        &self,
        set: &BTreeSet<String>,
        patch: bool,
        verb: &str,
        target: &ObjectRef,
    ) -> Result<(), String> {
        if !patch && self.accesses.iter().any(|a| a.fields.is_empty()) {
            return Ok(());
        }
        let label = format!("/metadata/labels/{}", RUN_UID_LABEL.replace('/', "~1"));
        let identity = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
        let preconditions = ["/metadata/uid", "/metadata/resourceVersion"];
        let fields: Vec<&String> = self.accesses.iter().flat_map(|a| &a.fields).collect();
        let declared = |pointer: &str| {
            fields
                .iter()
                .any(|f| pointer.strip_prefix(f.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/')))
        };
        let free = |pointer: &str| {
            !patch && (identity.contains(&pointer) || preconditions.contains(&pointer) || pointer == label)
        };
        match set.iter().find(|p| !free(p) && !declared(p)) {
            Some(field) => {
                Err(format!("{verb} of {} sets {field}, which is not in access.fields", named(target)))
            }
            None => Ok(()),
        }
    }
}

fn read_live(delete: &Delete, live: &BTreeMap<Key, String>) -> Result<(), String> {
    match live.get(&Key::from(&delete.object)) {
        Some(uid) if *uid == delete.uid => Ok(()),
        _ => Err(format!(
            "purge of {} with uid {} was not preceded by a live read of it in the same wake",
            named(&delete.object),
            delete.uid
        )),
    }
}

/// The host serves none of its own kinds, and no content of Secrets.
fn hosts(api_version: &str, kind: &str) -> Result<(), String> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if HOST_GROUPS.contains(&group) || (group.is_empty() && kind == "Secret") {
        return Err(format!("{kind} of {api_version} is not for components"));
    }
    Ok(())
}

fn any(of: &Selection) -> ObjectRef {
    ObjectRef {
        api_version: of.api_version.clone(),
        kind: of.kind.clone(),
        namespace: of.namespace.clone(),
        name: String::new(),
    }
}

fn object(kind: &str, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

pub(super) fn named(object: &ObjectRef) -> String {
    match &object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.kind, object.name),
        None => format!("{} {}", object.kind, object.name),
    }
}
