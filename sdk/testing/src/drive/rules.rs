//! The host's own checks of questions and actions: declared accesses, and the rule of purges.
//!
//! A violation is an error of the strategy, whatever the cluster holds. An object that a guard hides is no violation:
//! the strategy sees it as missing.

use std::collections::BTreeMap;

use backstay_core::contract::{
    Action, Answer, Content, Delete, Descriptor, Diagnostic, Json, ObjectRef, Query, Watch,
};
use backstay_core::steps::{ContractViolation, Grants, Pins, Reach, Verb};

use crate::world::{Key, uid};

/// A rule of the contract that the strategy broke, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl From<ContractViolation> for Broken {
    fn from(breach: ContractViolation) -> Self {
        Self(format!("{}: {}", breach.reason, breach.message))
    }
}

/// The accesses of a component in one run.
pub(super) struct Rules<'r> {
    pub(super) descriptor: &'r Descriptor,
    pub(super) pins: &'r Pins,
}

impl<'r> Rules<'r> {
    /// Returns the accesses whose guards decide what the answer shows; `None` if it is always shown.
    pub(super) fn query(&self, query: &Query) -> Result<Option<Reach<'r>>, Broken> {
        let grants = Grants::new(self.descriptor, self.pins);
        let reach = match query {
            Query::Get(get) if grants.is_application(&get.object) => return Ok(None),
            Query::Pod(_) => return Ok(None),
            Query::Get(get) => self.reach(Verb::Get, &get.object)?,
            Query::List(list) => {
                let of = &list.objects;
                grants.reach(Verb::List, &of.api_version, &of.kind, of.namespace.as_deref())?
            }
            Query::Log(log) => grants.reach(Verb::Logs, "v1", "Pod", Some(&log.pod.namespace))?,
            Query::SecretKeys(secret) => grants.reach(Verb::Keys, "v1", "Secret", Some(&secret.namespace))?,
        };
        Ok(Some(reach))
    }

    /// Checks whether the component may watch this.
    pub(super) fn watch(&self, watch: &Watch) -> Result<(), Broken> {
        let grants = Grants::new(self.descriptor, self.pins);
        match watch {
            Watch::Pod(_) => {}
            Watch::Object(object) if grants.is_application(object) => {}
            Watch::Object(object) => drop(self.reach(Verb::Watch, object)?),
            Watch::Objects(of) => {
                grants.reach(Verb::Watch, &of.api_version, &of.kind, of.namespace.as_deref())?;
            }
        }
        Ok(())
    }

    /// Returns the access that allows `action` on `object`, whose present content is `current`; `None` for a pod.
    /// `live` holds the uids that were read live in this wake.
    pub(super) fn action(
        &self,
        action: &Action,
        object: &ObjectRef,
        current: Option<&Json>,
        live: &BTreeMap<Key, String>,
    ) -> Result<Option<(Verb, Reach<'r>)>, Broken> {
        let verb = match action {
            Action::RunPod(_) => return Ok(None),
            Action::Create(create) if create.dry_run => Verb::DryRun,
            Action::Create(_) => Verb::Create,
            Action::Apply(_) => Verb::Apply,
            Action::Patch(_) => Verb::Patch,
            Action::Delete(delete) => match current {
                Some(current) if self.pins.own(current) => Verb::Delete,
                Some(_) => {
                    read_live(delete, live)?;
                    Verb::Purge
                }
                // The object is gone, so either verb allows the delete.
                None if self.reach(Verb::Delete, object).is_ok() => Verb::Delete,
                None => Verb::Purge,
            },
        };
        Ok(Some((verb, self.reach(verb, object)?)))
    }

    fn reach(&self, verb: Verb, object: &ObjectRef) -> Result<Reach<'r>, Broken> {
        let grants = Grants::new(self.descriptor, self.pins);
        Ok(grants.reach(verb, &object.api_version, &object.kind, object.namespace.as_deref())?)
    }
}

/// Checks that the pod policy of the host found nothing.
pub(super) fn pods_allowed(findings: &[Diagnostic]) -> Result<(), Broken> {
    let found: Vec<_> = findings.iter().map(|d| format!("{}: {}", d.at, d.message)).collect();
    if found.is_empty() { Ok(()) } else { Err(Broken(format!("PodPolicyViolation: {}", found.join("; ")))) }
}

fn read_live(delete: &Delete, live: &BTreeMap<Key, String>) -> Result<(), Broken> {
    match live.get(&Key::from(&delete.object)) {
        Some(uid) if *uid == delete.uid => Ok(()),
        _ => Err(Broken(format!(
            "purge of {} with uid {} was not preceded by a live read of it in the same wake",
            named(&delete.object),
            delete.uid
        ))),
    }
}

/// Records the uids in the answer of a live read.
pub(super) fn seen_live(live: &mut BTreeMap<Key, String>, answer: &Answer) {
    let (objects, api_version, kind) = match (&answer.query, &answer.value) {
        (Query::Get(get), value) if get.live => {
            live.remove(&Key::from(&get.object));
            let Ok(Content::Object(object)) = value else { return };
            (std::slice::from_ref(object), &get.object.api_version, &get.object.kind)
        }
        (Query::List(list), Ok(Content::Objects(found))) if list.live => {
            (&found.items[..], &list.objects.api_version, &list.objects.kind)
        }
        _ => return,
    };
    for object in objects {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = Key {
            api_version: api_version.clone(),
            kind: kind.clone(),
            namespace: text("namespace"),
            name: text("name"),
        };
        live.insert(key, uid(object).unwrap_or_default().to_owned());
    }
}

pub(super) fn named(object: &ObjectRef) -> String {
    match &object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.kind, object.name),
        None => format!("{} {}", object.kind, object.name),
    }
}
