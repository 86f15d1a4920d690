//! What a server holds at a moment, in a form that can be written and read back: by it a server goes on where another one ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fading::Fading;
use super::meta;
use super::service::{ApiServer, Options};
use super::state::State;
use super::store::Stored;
use crate::access::Issued;

/// How many revisions and numbers of uids are left out where a server ended without saying so: more than it can have given since
/// the snapshot was made.
const LEFT_OUT: u64 = 1_000_000;

/// What an API server holds: all objects as they are stored, the revision, from where uids go on, and the tokens of
/// ServiceAccounts. By serde it is read and written; its fields are this crate's own.
///
/// It does not hold the past: in a server that is made of it, every older version is too old.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Whether nothing was changed after it.
    ended: bool,
    revision: u64,
    /// The state of the generator of uids and names.
    ids: u64,
    /// How many forms of schemas were numbered.
    forms: u64,
    /// The forms that definitions have.
    definitions: BTreeMap<String, u64>,
    tokens: Vec<Issued>,
    objects: Vec<Kept>,
}

/// A stored object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    group: String,
    resource: String,
    namespace: String,
    name: String,
    /// Under which form of its schema it was written.
    form: u64,
    /// When it goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(with = "shared")]
    object: Arc<Value>,
}

/// Shared objects are written as others are.
mod shared {
    use super::{Arc, Value};

    pub(super) fn serialize<S: serde::Serializer>(object: &Arc<Value>, to: S) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(object.as_ref(), to)
    }

    pub(super) fn deserialize<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Arc<Value>, D::Error> {
        serde::Deserialize::deserialize(from).map(Arc::new)
    }
}

impl Snapshot {
    /// Returns it as the last one: nothing is changed after it, so that a server that is made of it goes on with the very next
    /// revision. If something is, two objects may get the same uid.
    #[must_use]
    pub fn at_the_end(mut self) -> Self {
        self.ended = true;
        self
    }

    /// The revision at which it was made.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Looks whether it can be what a server held.
    fn check(&self) -> Result<(), String> {
        let mut places = BTreeSet::new();
        for kept in &self.objects {
            let (name, resource) = (&kept.name, &kept.resource);
            if !places.insert((&kept.group, resource, &kept.namespace, name)) {
                return Err(format!("{resource} \"{name}\" is there twice"));
            }
            let place = [meta::text(&kept.object, "namespace"), meta::text(&kept.object, "name")];
            if place != [&kept.namespace, name] {
                return Err(format!("{resource} \"{name}\" says that it is \"{}\"", place.join("/")));
            }
            let version = meta::text(&kept.object, "resourceVersion").parse::<u64>();
            if version.is_err() || version.is_ok_and(|version| version > self.revision) {
                return Err(format!("{resource} \"{name}\" has no resourceVersion up to {}", self.revision));
            }
        }
        Ok(())
    }
}

impl ApiServer {
    /// Returns what the server holds now. It takes the lock for as long as it copies pointers to the objects.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let mut state = self.state();
        state.fade(now);
        let custom = state.custom();
        let forms = custom.iter().filter_map(|one| one.custom.as_ref());
        let (revision, ids) = state.mark();
        let objects = state.store.families().flat_map(|family| {
            state.store.family(family).map(|((namespace, name), stored)| Kept {
                group: family.0.clone(),
                resource: family.1.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                form: stored.shape,
                until: state
                    .fading
                    .as_ref()
                    .and_then(|fading| fading.until(family, &(namespace.clone(), name.clone()))),
                object: Arc::clone(&stored.value),
            })
        });
        Snapshot {
            ended: false,
            revision,
            ids,
            forms: state.shapes(),
            definitions: forms.map(|one| (one.definition.clone(), one.shape)).collect(),
            tokens: state.tokens.issued(now),
            objects: objects.collect(),
        }
    }

    /// Returns an API server that goes on from a snapshot: with its objects, kinds and tokens of ServiceAccounts, and what a
    /// new cluster has besides. Everything older than the snapshot is too old for watches and lists (410). Revisions and uids
    /// are never given twice, also if the server of the snapshot changed something after it and did not say so; the seed of
    /// the options does not count.
    ///
    /// # Errors
    /// The snapshot cannot be what a server held; the text says why.
    pub fn going_on(options: Options, snapshot: Snapshot) -> Result<Self, String> {
        snapshot.check()?;
        let left_out = if snapshot.ended { 0 } else { LEFT_OUT };
        let mut state = State::empty(snapshot.ids, options.history);
        state.ids.skip(left_out);
        state.store.begin_at(snapshot.revision.saturating_add(left_out));
        let mut fading = Fading::default();
        for kept in snapshot.objects {
            if kept.until.is_some() {
                fading.set(&(kept.namespace.clone(), kept.name.clone()), kept.until);
            }
            let stored = Stored::new(kept.object, kept.form);
            state.store.seed(&(kept.group, kept.resource), (kept.namespace, kept.name), stored);
        }
        state.fading = Some(fading);
        state.go_on(snapshot.forms, &snapshot.definitions, options.clock.now());
        for token in snapshot.tokens {
            state.tokens.accept(token);
        }
        Ok(Self::holding(state, options))
    }

    /// What is another one after each change.
    pub(crate) fn mark(&self) -> (u64, u64) {
        self.state().mark()
    }
}
