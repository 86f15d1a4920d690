//! Checks queries and actions of a component against its declared accesses, pinned to the namespaces and the application
//! of one run (docs/decisions/0009-components-act-as-accounts.md). The API server checks what an administrator granted.

use backstay_api::labels;

use super::fields;
use super::violation::ContractViolation;
use crate::contract::{Access, Descriptor, Guard, Json, ObjectRef, Pairs, Request, Scope, Verbs};

/// A verb of an access.
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
    /// Returns the contract's name of the verb.
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

/// The labels that make an object a run's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The label with this run uid.
    Run(String),
    /// The labels of the Go implementation, with namespace and name of a BackupJob.
    Legacy {
        /// Namespace of the BackupJob.
        namespace: String,
        /// Name of the BackupJob.
        name: String,
    },
}

/// The namespaces, application and owners that bound the accesses of one run.
#[derive(Clone, Debug)]
pub struct Pins {
    /// Namespace of the run.
    pub namespace: String,
    /// Uid of the run.
    pub run_uid: String,
    /// The application that the run acts on.
    pub application: ObjectRef,
    /// Owners of the objects that the run may delete: the run, and the run that made its Backup.
    pub owners: Vec<Owner>,
    /// Namespaces other than the run's, by the descriptor's key, with their configured names.
    pub namespaces: Pairs,
}

impl Pins {
    /// Returns the pins of the run of a request. On restore and cleanup the run also owns the objects made for its Backup.
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

    /// Returns whether the run owns an object, by its labels.
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

    /// Returns whether a write of `set` changes the ownership labels of an existing object that the run does not own. A run
    /// may delete its own objects, so it may label only objects that it creates.
    #[must_use]
    pub fn marks(&self, set: &Json, before: &Json) -> bool {
        let foreign = |mark: &str| label(set, mark).is_some() && label(set, mark) != label(before, mark);
        !self.own(before) && MARKS.into_iter().any(foreign)
    }

    /// Substitutes the words in `value`, in one pass: tenants choose the names, so a word inside a name is text.
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
            rest = rest.get(word.map_or(next.len_utf8(), str::len)..).unwrap_or_default();
        }
        text
    }

    fn holds(&self, guard: &Guard, object: &Json) -> bool {
        let Some(found) = object.pointer(&guard.at).and_then(Json::as_str) else { return false };
        // Only the component's `*` is a wildcard, not one in the name of an application.
        match guard.value.strip_suffix('*') {
            Some(beginning) => found.starts_with(&self.in_words(beginning)),
            None => found == self.in_words(&guard.value),
        }
    }
}

/// Words in the value of a guard that tie an object to the run or its application.
const WORDS: [&str; 4] = ["{namespace}", "{run-uid}", "{application}", "{target-namespace}"];

/// Ownership labels.
const MARKS: [&str; 3] = [labels::RUN_UID, labels::OWNED_BY_NAME, labels::OWNED_BY_NAMESPACE];

fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(key).and_then(Json::as_str)
}

/// Returns whether `set` has ownership labels.
#[must_use]
pub fn has_marks(set: &Json) -> bool {
    MARKS.iter().any(|mark| label(set, mark).is_some())
}

/// Returns the first access outside the namespaces of run and target that no guard ties to the tenant. An administrator
/// has to allow it.
#[must_use]
pub fn unguarded(descriptor: &Descriptor) -> Option<&Access> {
    let outside = |access: &&Access| matches!(access.scope, Scope::Cluster | Scope::Named(_));
    descriptor.access.iter().filter(outside).find(|access| !access.guards.iter().any(ties))
}

/// Returns whether a guard holds for objects of one tenant only, whatever other tenants and their applications are called.
///
/// The uid of a run does wherever it is. A namespace does if nothing that a tenant chooses is before it, and a character
/// that no namespace contains, or the end, is behind it: `{namespace}-*` of tenant `a` would be `a-b-…` of tenant `a-b`. The
/// name of an application says nothing about its namespace.
fn ties(guard: &Guard) -> bool {
    let value = guard.value.as_str();
    let whole = |word: &str| {
        let Some((before, after)) = value.split_once(word) else { return false };
        let fixed = !WORDS.iter().any(|word| before.contains(word)) && !before.contains('*');
        fixed && (after.is_empty() || after.starts_with(['.', '/', ':', '_']))
    };
    value.contains("{run-uid}") || whole("{namespace}") || whole("{target-namespace}")
}

/// The result of [`Reach::allows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The write is allowed.
    Yes,
    /// The guards hide the existing object from the accesses that allow the write: to the component it does not exist.
    Hidden,
}

/// The accesses of a component in one run.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a> {
    descriptor: &'a Descriptor,
    pins: &'a Pins,
}

/// The accesses, at least one, that allow a verb on the objects of one kind in one place.
#[derive(Clone, Debug)]
pub struct Reach<'a> {
    first: &'a Access,
    accesses: Vec<&'a Access>,
    pins: &'a Pins,
}

impl<'a> Grants<'a> {
    /// Returns the accesses of `descriptor` in the run that `pins` describes.
    #[must_use]
    pub fn new(descriptor: &'a Descriptor, pins: &'a Pins) -> Self {
        Self { descriptor, pins }
    }

    /// Returns whether this is the run's application, which may always be read.
    #[must_use]
    pub fn is_application(&self, object: &ObjectRef) -> bool {
        *object == self.pins.application
    }

    /// Returns the accesses that allow `verb` on objects of this kind in this namespace (none: cluster-wide).
    ///
    /// # Errors
    /// The component declares no such access, or the host allows it to nobody.
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
        let first = accesses.first().copied().ok_or_else(|| {
            ContractViolation::undeclared(format!(
                "{asked} is not in the component's descriptor: its author has to declare it in `access`"
            ))
        })?;
        Ok(Reach { first, accesses, pins: self.pins })
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

/// Returns whether only the host may access objects of this group.
fn is_the_hosts(group: &str) -> bool {
    matches!(group, "backups.cozystack.io" | "strategy.backups.cozystack.io" | "backstay.dev")
}

impl<'a> Reach<'a> {
    /// Returns the first access, for the kind's plural and version.
    #[must_use]
    pub fn access(&self) -> &'a Access {
        self.first
    }

    /// Returns whether the object has to be read before a write, because an access has guards.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.accesses.iter().any(|a| !a.guards.is_empty())
    }

    /// Returns whether the guards of some access hold for an object. The component sees no other objects.
    #[must_use]
    pub fn shows(&self, object: &Json) -> bool {
        self.accesses.iter().any(|a| self.holds(a, object))
    }

    /// Checks a write of `set`, which turns the object `before`, if it exists, into `after`. One access has to allow all of
    /// the write.
    ///
    /// # Errors
    /// No access allows the write, whatever `before` is.
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

/// Returns the fields that a manifest sets, without the object's identity and the label with the run's uid, which the
/// host adds to a new object.
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
mod tests;
