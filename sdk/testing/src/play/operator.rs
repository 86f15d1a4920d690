//! Operators of a script: what they do about an object, each time that it changes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use backstay::trial::Admin;
use backstay_core::contract::Json;
use devcluster::api::Served;
use devcluster::client::{Change, Informer, Key, Refused, key};
use serde_json::json;
use tokio::time::Instant;

use super::journal::Journal;

/// Changes of one script after which it is taken for endless.
const MOST: u32 = 1000;

/// What an operator does about an object. A JSON value is the status that it writes.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Reaction {
    after: Duration,
    status: Option<Json>,
    patch: Option<Json>,
    makes: Vec<Json>,
    applies: Vec<Json>,
    deletes: bool,
}

impl Reaction {
    /// It does nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// It writes these fields of the status, by a merge patch: null removes a field.
    pub fn status(status: Json) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// It writes these fields outside of the status, by a merge patch: null removes a field.
    pub fn patch(patch: Json) -> Self {
        Self { patch: Some(patch), ..Self::default() }
    }

    /// It makes this object, unless there is one of its name.
    pub fn make(object: Json) -> Self {
        Self::default().and_make(object)
    }

    /// It applies this object: the fields that it names, whoever had them.
    pub fn apply(object: Json) -> Self {
        Self::default().and_apply(object)
    }

    /// It deletes the object.
    pub fn delete() -> Self {
        Self { deletes: true, ..Self::default() }
    }

    /// It writes these fields outside of the status, too.
    pub fn and_patch(mut self, patch: Json) -> Self {
        self.patch = Some(patch);
        self
    }

    /// It writes these fields of the status, too.
    pub fn and_status(mut self, status: Json) -> Self {
        self.status = Some(status);
        self
    }

    /// It makes this object, too, unless there is one of its name.
    pub fn and_make(mut self, object: Json) -> Self {
        self.makes.push(object);
        self
    }

    /// It applies this object, too: the fields that it names, whoever had them.
    pub fn and_apply(mut self, object: Json) -> Self {
        self.applies.push(object);
        self
    }

    /// It does so after this time, unless the object changes before: then that counts.
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    fn is_nothing(&self) -> bool {
        self == &Self { after: self.after, ..Self::default() }
    }
}

impl From<Json> for Reaction {
    fn from(status: Json) -> Self {
        Self::status(status)
    }
}

impl<R: Into<Self>> From<Option<R>> for Reaction {
    fn from(reaction: Option<R>) -> Self {
        reaction.map_or_else(Self::nothing, Into::into)
    }
}

/// Decides what to do about an object.
pub(super) type React = Box<dyn FnMut(&Json) -> Reaction + Send>;

/// The script for one kind.
pub(super) struct Operator {
    /// As in `Backup.postgresql.cnpg.io`.
    pub(super) kind: String,
    pub(super) react: React,
}

/// An operator at work.
pub(super) struct AtWork {
    operator: Operator,
    admin: Admin,
    served: Served,
    namespace: String,
    journal: Journal,
    changes: u32,
}

impl AtWork {
    /// An operator of the objects in this namespace, or of all where the kind has none.
    pub(super) fn new(
        operator: Operator,
        admin: Admin,
        served: Served,
        namespace: String,
        journal: Journal,
    ) -> Self {
        Self { operator, admin, served, namespace, journal, changes: 0 }
    }

    /// Works for as long as it is polled.
    ///
    /// # Panics
    /// The API server refuses what the script says, or the script never comes to an end.
    pub(super) async fn run(mut self) -> Infallible {
        let place = self.served.path(&self.namespace);
        let mut informer = Informer::new(self.admin.api().clone(), &place, "");
        let mut due: BTreeMap<Key, (Instant, Reaction)> = BTreeMap::new();
        loop {
            let next =
                due.iter().min_by_key(|(key, (at, _))| (*at, *key)).map(|(key, (at, _))| (key.clone(), *at));
            let pause = async {
                match &next {
                    Some((_, at)) => tokio::time::sleep_until(*at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                change = informer.next() => match change {
                    Change::Applied(object) => {
                        let reaction = (self.operator.react)(&object);
                        due.remove(&key(&object));
                        if !reaction.is_nothing() {
                            due.insert(key(&object), (Instant::now() + reaction.after, reaction));
                        }
                    }
                    Change::Deleted(object) => drop(due.remove(&key(&object))),
                    Change::Synced => {}
                },
                () = pause => {
                    let Some((key, _)) = next else { continue };
                    if let (Some((_, reaction)), Some(object)) = (due.remove(&key), informer.objects().get(&key)) {
                        self.carry_out(&object.clone(), reaction).await;
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, object: &Json, reaction: Reaction) {
        let (namespace, name) = key(object);
        let path = format!("{}/{name}", self.served.path(&namespace));
        for made in &reaction.makes {
            self.make(made, &namespace).await;
        }
        for applied in &reaction.applies {
            self.apply(applied, &namespace).await;
        }
        let uid = json!({"uid": object["metadata"]["uid"]});
        if let Some(mut patch) = reaction.patch {
            if let Some(fields) = patch.as_object_mut() {
                let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
                if let Some(metadata) = metadata.as_object_mut() {
                    metadata.insert("uid".to_owned(), object["metadata"]["uid"].clone());
                }
            }
            let written = self.admin.api().merge(&path, patch).await;
            self.wrote("changed", object, written);
        }
        if let Some(status) = reaction.status {
            let path = if self.served.status { format!("{path}/status") } else { path.clone() };
            let told = format!("status {status} of");
            let written = self.admin.api().merge(&path, json!({"metadata": uid, "status": status})).await;
            self.wrote(&told, object, written);
        }
        if reaction.deletes {
            let written = self.admin.api().delete(&path, json!({"preconditions": uid})).await;
            self.wrote("deleted", object, written);
        }
    }

    async fn make(&mut self, made: &Json, namespace: &str) {
        let place = made["metadata"]["namespace"].as_str().unwrap_or(namespace);
        let path = self.path(made, place);
        let path = path.rsplit_once('/').map_or("", |(all, _)| all);
        let written = self.admin.api().create(path, made.clone()).await;
        self.wrote("made", made, written);
    }

    async fn apply(&mut self, applied: &Json, namespace: &str) {
        let path = self.path(applied, namespace);
        let before = self.admin.api().get(&path).await.unwrap_or_default();
        match self.admin.apply(applied, namespace).await {
            Ok(now) if version(&now) == version(&before) => {}
            Ok(now) => self.wrote("applied", applied, Ok(now)),
            Err(error) => panic!("what the operator of {} applies is refused: {error:#}", self.operator.kind),
        }
    }

    fn path(&self, object: &Json, namespace: &str) -> String {
        match self.admin.path(object, namespace) {
            Ok(Some(path)) => path,
            Ok(None) => panic!(
                "the operator of {} writes an object of a kind that is not served: {object}",
                self.operator.kind
            ),
            Err(error) => {
                panic!("the operator of {} writes what is no object: {error:#}", self.operator.kind)
            }
        }
    }

    /// Notes a write. One of an object that was written or deleted in between has no effect: the next look decides anew.
    fn wrote(&mut self, what: &str, object: &Json, written: Result<Json, Refused>) {
        let kind = &self.operator.kind;
        match written {
            Ok(now) if version(&now) == version(object) => return,
            Ok(_) => {}
            Err(refused) if refused.is_absent() || refused.is_conflict() => return,
            Err(refused) => panic!("what the operator of {kind} does is refused: {refused}"),
        }
        self.journal.say(&format!(
            "  operator of {kind}: {what} {} {}",
            object["kind"].as_str().unwrap_or_default(),
            object["metadata"]["name"].as_str().unwrap_or_default()
        ));
        self.changes += 1;
        assert!(
            self.changes < MOST,
            "the operator of {kind} has changed objects {MOST} times: what it does has to depend on what it has done\n{}",
            self.journal.lines().join("\n")
        );
    }
}

fn version(object: &Json) -> &Json {
    &object["metadata"]["resourceVersion"]
}
