//! What a component may ask for and do: its declared accesses, pinned to the namespaces and the application of one run
//! (architecture.md 5). What an administrator granted is decided by the API server, not here.

use backstay_api::labels;

use super::{ContractViolation, fields};
use crate::contract::{Access, Descriptor, Guard, Json, ObjectRef, Pairs, Request, Scope, Verbs};

/// What may be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    DryRun,
    Apply,
    Patch,
    Delete,
    Purge,
    Logs,
    Keys,
}

impl Verb {
    /// As the contract calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::DryRun => "dry-run",
            Self::Apply => "apply",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Purge => "purge",
            Self::Logs => "logs",
            Self::Keys => "keys",
        }
    }

    fn is_in(self, verbs: &Verbs) -> bool {
        match self {
            Self::Get => verbs.get,
            Self::List => verbs.list,
            Self::Watch => verbs.watch,
            Self::Create => verbs.create,
            Self::DryRun => verbs.dry_run,
            Self::Apply => verbs.apply,
            Self::Patch => verbs.patch,
            Self::Delete => verbs.delete,
            Self::Purge => verbs.purge,
            Self::Logs => verbs.logs,
            Self::Keys => verbs.keys,
        }
    }

    fn shows_content(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Whose mark an object has to bear so that a run owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The run with this uid.
    Run(String),
    /// The BackupJob of this namespace and name, of the Go implementation.
    Legacy {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What a run is pinned to. Settled by the host before the guest is asked.
#[derive(Clone, Debug)]
pub struct Pins {
    /// Namespace of the run.
    pub namespace: String,
    /// Uid of the run.
    pub run_uid: String,
    /// The application acted on.
    pub application: ObjectRef,
    /// Who owns what the run may delete: the run, and the run that made its Backup.
    pub owners: Vec<Owner>,
    /// Namespaces outside the run's, with the names in force.
    pub namespaces: Pairs,
}

impl Pins {
    /// The pins of the run that a call is made for. On restore and cleanup it also owns what was made for its Backup.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let namespace = request.run.namespace.clone().unwrap_or_default();
        let made_for_backup = request.backup.as_ref().map(|backup| match &backup.run_uid {
            Some(uid) => Owner::Run(uid.clone()),
            None => Owner::Legacy { namespace: namespace.clone(), name: backup.name.clone() },
        });
        Self {
            run_uid: request.run_uid.clone(),
            application: request.application.clone(),
            owners: [Owner::Run(request.run_uid.clone())].into_iter().chain(made_for_backup).collect(),
            namespaces: request.namespaces.clone(),
            namespace,
        }
    }

    fn target_namespace(&self) -> &str {
        self.application.namespace.as_deref().unwrap_or(&self.namespace)
    }

    /// Whether the run owns an object, by its labels.
    #[must_use]
    pub fn own(&self, object: &Json) -> bool {
        let label = |key: &str| label(object, key);
        self.owners.iter().any(|owner| match owner {
            Owner::Run(uid) => !uid.is_empty() && label(labels::RUN_UID) == Some(uid),
            Owner::Legacy { namespace, name } => {
                label(labels::OWNED_BY_NAME) == Some(name)
                    && label(labels::OWNED_BY_NAMESPACE) == Some(namespace)
            }
        })
    }

    /// Whether a write that sets `set` marks an object that is there, and that the run does not own, as somebody's own:
    /// what a run owns it may delete, so only what it makes gets a mark.
    #[must_use]
    pub fn marks(&self, set: &Json, before: &Json) -> bool {
        let foreign = |mark: &str| label(set, mark).is_some() && label(set, mark) != label(before, mark);
        !self.own(before) && MARKS.into_iter().any(foreign)
    }

    /// `value` with the words in it replaced, in one pass: what a word stands for is a tenant's to choose, and is text.
    fn in_words(&self, value: &str) -> String {
        let mut text = String::new();
        let mut rest = value;
        while let Some(next) = rest.chars().next() {
            let word = WORDS.into_iter().find(|word| rest.starts_with(word));
            match word {
                Some("{namespace}") => text.push_str(&self.namespace),
                Some("{run-uid}") => text.push_str(&self.run_uid),
                Some("{application}") => text.push_str(&self.application.name),
                Some(_) => text.push_str(self.target_namespace()),
                None => text.push(next),
            }
            rest = &rest[word.map_or(next.len_utf8(), str::len)..];
        }
        text
    }

    fn holds(&self, guard: &Guard, object: &Json) -> bool {
        let Some(found) = object.pointer(&guard.at).and_then(Json::as_str) else { return false };
        // The component's own `*`, and not one in the name of an application.
        match guard.value.strip_suffix('*') {
            Some(beginning) => found.starts_with(&self.in_words(beginning)),
            None => found == self.in_words(&guard.value),
        }
    }
}

/// Words in the value of a guard that tie an object to the run or its application.
const WORDS: [&str; 4] = ["{namespace}", "{run-uid}", "{application}", "{target-namespace}"];

/// Labels that say whose an object is.
const MARKS: [&str; 3] = [labels::RUN_UID, labels::OWNED_BY_NAME, labels::OWNED_BY_NAMESPACE];

fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(key).and_then(Json::as_str)
}

/// Whether a write that sets `set` says whose the object is.
#[must_use]
pub fn has_marks(set: &Json) -> bool {
    MARKS.iter().any(|mark| label(set, mark).is_some())
}

/// The first access outside the namespaces of run and target that no guard ties to the tenant: it needs an
/// administrator's word.
#[must_use]
pub fn unguarded(descriptor: &Descriptor) -> Option<&Access> {
    let ties = |guard: &Guard| WORDS.iter().any(|word| guard.value.contains(word));
    descriptor
        .access
        .iter()
        .find(|a| matches!(a.scope, Scope::Cluster | Scope::Named(_)) && !a.guards.iter().any(ties))
}

/// What the accesses say of a write that the component declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It may be made.
    Yes,
    /// The object as it is is hidden from the accesses that allow such a write: to the component it is not there.
    Hidden,
}

/// A component's accesses in one run.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a> {
    descriptor: &'a Descriptor,
    pins: &'a Pins,
}

/// The accesses that allow one verb on the objects of one kind in one place. There is at least one.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    accesses: Vec<&'a Access>,
    pins: &'a Pins,
}

impl<'a> Grants<'a> {
    /// The accesses of `descriptor` in the run that `pins` describes.
    #[must_use]
    pub fn new(descriptor: &'a Descriptor, pins: &'a Pins) -> Self {
        Self { descriptor, pins }
    }

    /// Whether this is the run's application, which may always be read.
    #[must_use]
    pub fn is_application(&self, object: &ObjectRef) -> bool {
        *object == self.pins.application
    }

    /// The accesses that allow `verb` on objects of this kind in this namespace (none: cluster-wide).
    ///
    /// # Errors
    /// No access does: the component asks for what it did not declare, or for what nobody gets.
    pub fn reach(
        &self,
        verb: Verb,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Reach<'a>, ContractViolation> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let place = namespace.map_or("cluster-wide".to_owned(), |n| format!("in namespace {n:?}"));
        let asked = format!("{} of {kind} ({api_version}) {place}", verb.as_str());
        if is_the_hosts(group) {
            return Err(ContractViolation::undeclared(format!(
                "{asked} is allowed to nobody: group {group} is the host's"
            )));
        }
        if verb.shows_content() && group.is_empty() && kind == "Secret" {
            return Err(ContractViolation::undeclared(format!(
                "{asked} is allowed to nobody: ask for the Secret's keys"
            )));
        }
        let of_kind = |a: &&Access| a.group == group && a.version == version && a.kind == kind;
        let allows = |a: &&Access| verb.is_in(&a.verbs) && self.here(&a.scope, namespace);
        let accesses: Vec<_> = self.descriptor.access.iter().filter(of_kind).filter(allows).collect();
        if accesses.is_empty() {
            return Err(ContractViolation::undeclared(format!(
                "{asked} is not in the component's descriptor: its author has to declare it in `access`"
            )));
        }
        Ok(Reach { accesses, pins: self.pins })
    }

    fn here(&self, scope: &Scope, namespace: Option<&str>) -> bool {
        match (scope, namespace) {
            (Scope::Cluster, None) => true,
            (Scope::Run, Some(namespace)) => namespace == self.pins.namespace,
            (Scope::Target, Some(namespace)) => namespace == self.pins.target_namespace(),
            (Scope::Named(name), Some(namespace)) => {
                self.pins.namespaces.get(name).is_some_and(|named| named == namespace)
            }
            _ => false,
        }
    }
}

/// The groups whose objects the host keeps for itself.
fn is_the_hosts(group: &str) -> bool {
    matches!(group, "backups.cozystack.io" | "strategy.backups.cozystack.io" | "backstay.dev")
}

impl<'a> Reach<'a> {
    /// How the API server serves the kind, as declared.
    #[must_use]
    pub fn access(&self) -> &'a Access {
        self.accesses[0]
    }

    /// Whether what is there has to be read before it is changed, because a guard says something about it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.accesses.iter().any(|a| !a.guards.is_empty())
    }

    /// Whether the guards of some access hold for an object. One for which they do not is not shown.
    #[must_use]
    pub fn shows(&self, object: &Json) -> bool {
        self.accesses.iter().any(|a| self.holds(a, object))
    }

    /// Checks a write: `set` is the part that is written, `before` the object as it is, if it is there, and `after` as it
    /// would become. One access has to allow all of it.
    ///
    /// # Errors
    /// No access does, whatever is there.
    pub fn allows(
        &self,
        verb: Verb,
        set: &Json,
        before: Option<&Json>,
        after: &Json,
    ) -> Result<Allowed, ContractViolation> {
        let mut hidden = false;
        let mut why = String::new();
        for access in &self.accesses {
            let outside = match verb {
                Verb::Apply | Verb::Patch if !access.fields.is_empty() => {
                    fields::outside(&stripped(verb, set), &access.fields)
                }
                _ => None,
            };
            match outside {
                Some(at) => why = format!("it sets {at}, which is not among the declared fields"),
                None if before.is_some_and(|before| !self.holds(access, before)) => hidden = true,
                None if !self.holds(access, after) => "a declared guard does not hold".clone_into(&mut why),
                None => return Ok(Allowed::Yes),
            }
        }
        if hidden {
            return Ok(Allowed::Hidden);
        }
        let (kind, name) = (&self.access().kind, after["metadata"]["name"].as_str().unwrap_or_default());
        Err(ContractViolation::undeclared(format!(
            "{} of {kind} {name:?} is not in the component's descriptor: {why}",
            verb.as_str()
        )))
    }

    fn holds(&self, access: &Access, object: &Json) -> bool {
        access.guards.iter().all(|guard| self.pins.holds(guard, object))
    }
}

/// What a manifest sets, without what only says which object it is, and without the mark of the run, which an object gets
/// when it is made.
fn stripped(verb: Verb, manifest: &Json) -> Json {
    let mut set = manifest.clone();
    let Some(fields) = set.as_object_mut() else { return set };
    fields.remove("apiVersion");
    fields.remove("kind");
    if let Some(meta) = fields.get_mut("metadata").and_then(Json::as_object_mut) {
        for identity in ["name", "namespace", "uid", "resourceVersion"] {
            meta.remove(identity);
        }
        if verb != Verb::Patch
            && let Some(marks) = meta.get_mut("labels").and_then(Json::as_object_mut)
        {
            marks.remove(labels::RUN_UID);
        }
    }
    set
}

#[cfg(test)]
mod tests {
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
    fn a_run_with_a_backup_owns_what_was_made_for_that_too() {
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
    fn what_is_not_declared_is_refused_by_verb_kind_version_and_place() {
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
            let breach = grants.reach(verb, version, kind, namespace).unwrap_err();
            assert_eq!(breach.reason, "StrategyUndeclaredAccess");
            assert!(breach.message.contains("declare it"), "{breach}");
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
    fn guards_hide_what_they_do_not_hold_for() {
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
        let breach = judge(json!({"spec": {"size": 1}}), &of("orders")).unwrap_err();
        assert!(breach.message.contains("/spec/size"), "{breach}");
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
        let (d, p) = (
            descriptor(vec![patching("/metadata/annotations", Vec::new()), patching("/spec", tied)]),
            pins(),
        );
        let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
        assert!(reach.is_guarded());
        let (ours, theirs) = (json!({"spec": {"of": "orders"}}), json!({"spec": {"of": "other"}}));
        let set = json!({"spec": {"of": "orders"}});
        assert_eq!(reach.allows(Verb::Patch, &set, Some(&ours), &ours), Ok(Allowed::Yes));
        assert_eq!(
            reach.allows(Verb::Patch, &set, Some(&theirs), &ours),
            Ok(Allowed::Hidden),
            "to take it over"
        );
        assert!(reach.allows(Verb::Patch, &set, Some(&ours), &theirs).is_err(), "to give it away");
        let note = json!({"metadata": {"annotations": {"a": "b"}}});
        assert_eq!(reach.allows(Verb::Patch, &note, Some(&theirs), &theirs), Ok(Allowed::Yes));
    }

    #[test]
    fn fields_bind_apply_and_patch_and_not_create() {
        let verbs = Verbs { create: true, apply: true, ..Verbs::default() };
        let (d, p) =
            (descriptor(vec![Access { fields: vec!["/spec".into()], ..access("Pod", verbs) }]), pins());
        let set = json!({"metadata": {"name": "p", "annotations": {"a": "b"}}});
        let judge = |verb| {
            let reach = Grants::new(&d, &p).reach(verb, "v1", "Pod", Some("tenant-a")).unwrap();
            reach.allows(verb, &set, None, &set)
        };
        assert_eq!(judge(Verb::Create), Ok(Allowed::Yes));
        assert!(judge(Verb::Apply).is_err());
    }

    #[test]
    fn what_a_word_of_a_guard_stands_for_is_text() {
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
    fn only_what_a_run_makes_or_owns_gets_a_mark() {
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
        assert!(unguarded(&descriptor(vec![guarded(named(), "copy-*")])).is_some());
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
    fn a_patch_does_not_mark_what_is_there_as_the_runs_own() {
        let patching = Access {
            fields: vec!["/data".into()],
            ..access("Pod", Verbs { patch: true, ..Verbs::default() })
        };
        let (d, p) = (descriptor(vec![patching]), pins());
        let reach = Grants::new(&d, &p).reach(Verb::Patch, "v1", "Pod", Some("tenant-a")).unwrap();
        let marking = json!({"metadata": {"labels": {"backstay.dev/run-uid": "u1"}}});
        let breach = reach.allows(Verb::Patch, &marking, None, &json!({})).unwrap_err();
        assert!(breach.message.contains("run-uid"), "{breach}");
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
    fn a_run_owns_what_bears_its_uid_or_the_marks_of_the_go_implementation() {
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
}
