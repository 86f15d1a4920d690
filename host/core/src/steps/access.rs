//! What a component may ask for and do: its declared accesses, pinned to the namespaces and the application of one run
//! (architecture.md 5). What an administrator granted is decided by the API server, not here.

use backstay_api::labels;

use super::fields;
use super::violation::ContractViolation;
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
mod tests;
