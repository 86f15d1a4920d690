//! Who owns what after a write.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    Manager,
    entries::{Entry, Id, Managed},
    merge::{Comparison, compare, merge, same},
    set::{Element, Set},
    shape::Shape,
    typed::{check, held, with_named, without},
};
use crate::{schema::Schema, status::Status};

/// Fields of metadata, and what they are in, that nobody owns.
static NOBODYS: LazyLock<Set> = LazyLock::new(|| {
    let names = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let field = |name: &str| Element::Field(name.to_owned());
    let mut fields = Set::default();
    for name in ["apiVersion", "kind", "metadata"] {
        fields.insert(&[field(name)]);
    }
    for name in names {
        fields.insert(&[field("metadata"), field(name)]);
    }
    fields
});

/// Why ownership could not be told.
pub(super) enum Fault {
    /// The object does not fit a version's schema; the words of the API server.
    Unfit(String),
    /// Others own what is applied.
    Conflicts(Vec<(Id, Set)>),
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let conflicts = match fault {
            Fault::Unfit(words) => return Self::new(500, "", words),
            Fault::Conflicts(conflicts) => conflicts,
        };
        let all: Vec<_> = conflicts.iter().map(|(id, fields)| (id.words(), fields.paths())).collect();
        let text = match all.as_slice() {
            [(who, paths)] if paths.len() == 1 => {
                format!("1 conflict: conflict with {who}: {}", paths.concat())
            }
            _ => {
                let lines =
                    all.iter().map(|(who, paths)| format!("conflicts with {who}:\n- {}", paths.join("\n- ")));
                let count: usize = all.iter().map(|(_, paths)| paths.len()).sum();
                format!("{count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
            }
        };
        let cause = |who: &str, path| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path});
        let causes: Vec<_> =
            all.iter().flat_map(|(who, paths)| paths.iter().map(|path| cause(who, path))).collect();
        Self::new(409, "Conflict", format!("Apply failed with {text}")).with(json!({"causes": causes}))
    }
}

/// A write of one manager, by the schemas of the kind's versions.
pub(super) struct Updater<'a> {
    schema: &'a Schema,
    by: &'a Manager<'a>,
    reset: Set,
}

impl<'a> Updater<'a> {
    /// Returns the updater of a write.
    pub(super) fn new(schema: &'a Schema, by: &'a Manager<'a>) -> Self {
        let mut reset = Set::default();
        for path in by.reset {
            let path: Vec<_> = path.split('.').map(|name| Element::Field(name.to_owned())).collect();
            reset.insert(&path);
        }
        Self { schema, by, reset }
    }

    fn own(&self) -> Shape<'a> {
        Shape::Object(self.schema)
    }

    /// Returns the schema of a version after a check that the object fits it; none if a built-in kind has no such version, which is an
    /// error for others.
    fn version(&self, version: &str, object: &Value, words: &str) -> Result<Option<Shape<'a>>, Fault> {
        if version == self.by.api_version {
            return Ok(Some(self.own()));
        }
        let Some((_, schema)) = self.by.versions.iter().find(|(name, _)| *name == version) else {
            let wrong = format!("{words}request to convert CR to an invalid group/version: {version}");
            return if self.by.built_in { Ok(None) } else { Err(Fault::Unfit(wrong)) };
        };
        let shape = Shape::Object(schema);
        check(shape, object, true).map_err(|fault| Fault::Unfit(format!("{words}{fault}")))?;
        Ok(Some(shape))
    }

    /// Takes from the managers what has changed under them.
    fn change(
        &self,
        old: &Value,
        new: &Value,
        managed: &mut Managed,
        but: Option<&Id>,
        force: bool,
    ) -> Result<Comparison, Fault> {
        let compared = compare(self.own(), old, new);
        let mut versions = BTreeMap::from([(self.by.api_version.to_owned(), Some(self.changes(&compared)))]);
        for entry in managed.values() {
            if !versions.contains_key(&entry.version) {
                self.version(&entry.version, old, "failed to convert old object: ")?;
                let shape = self.version(&entry.version, new, "failed to convert new object: ")?;
                let changes = shape.map(|shape| self.changes(&compare(shape, old, new)));
                versions.insert(entry.version.clone(), changes);
            }
        }
        let mut conflicts = Vec::new();
        for (id, entry) in managed.iter_mut().filter(|(id, _)| Some(*id) != but) {
            let Some((written, removed)) = versions.get(&entry.version).and_then(Option::as_ref) else {
                entry.fields = Set::default();
                continue;
            };
            let taken = entry.fields.intersection(written);
            entry.fields.subtract(&taken);
            entry.fields.subtract(removed);
            if !taken.is_empty() {
                conflicts.push((id.clone(), taken));
            }
        }
        if !force && !conflicts.is_empty() {
            return Err(Fault::Conflicts(conflicts));
        }
        managed.retain(|_, entry| !entry.fields.is_empty());
        Ok(compared)
    }

    /// Returns which fields have been written, and which removed, of those that this way of writing changes.
    fn changes(&self, compared: &Comparison) -> (Set, Set) {
        let mut compared = compared.without(&self.reset);
        compared.modified.add(&compared.added);
        (compared.modified, compared.removed)
    }

    fn check(&self, object: &Value, what: &str) -> Result<(), Fault> {
        check(self.own(), object, true)
            .map_err(|fault| Fault::Unfit(format!("failed to convert {what} object to smd typed: {fault}")))
    }

    /// Gives to an updater what it has changed.
    pub(super) fn update(
        &self,
        old: &Value,
        new: &Value,
        managed: &mut Managed,
        name: &str,
    ) -> Result<(), Fault> {
        self.check(new, "new")?;
        self.check(old, "live")?;
        let compared = self.change(old, new, managed, None, true)?;
        let mut changed = compared.modified;
        changed.add(&compared.added);
        changed.subtract(&compared.removed);
        let mut fields = changed.without(&self.reset);
        fields.subtract(&NOBODYS);
        if !fields.is_empty() {
            let version = self.by.api_version.to_owned();
            let id = Id {
                name: name.to_owned(),
                applies: false,
                version: version.clone(),
                subresource: self.by.subresource.to_owned(),
            };
            let before = managed.remove(&id).unwrap_or_default().fields;
            managed.insert(id, Entry { version, fields: fields.union(&before), time: Some(self.time()) });
        }
        super::entries::cap(managed);
        Ok(())
    }

    /// Merges what is applied into the live object; none if that changes nothing.
    pub(super) fn apply(
        &self,
        live: &Value,
        applied: &Value,
        managed: &mut Managed,
        force: bool,
    ) -> Result<Option<Value>, Fault> {
        let name = self.by.name.to_owned();
        let id =
            Id { name, applies: true, version: String::new(), subresource: self.by.subresource.to_owned() };
        for entry in managed.values() {
            self.version(&entry.version, live, "")?;
        }
        let merged = merge(self.own(), Some(live), Some(applied)).unwrap_or(Value::Null);
        let last = managed.get(&id).cloned();
        let fields = held(self.own(), applied).without(&self.reset);
        let time = last.as_ref().and_then(|entry| entry.time.clone());
        managed.insert(id.clone(), Entry { version: self.by.api_version.to_owned(), fields, time });
        let merged = self.prune(merged, managed, last.as_ref())?;
        self.change(live, &merged, managed, Some(&id), force)?;
        let changes = !same(live, &merged);
        if let Some(entry) = managed.get_mut(&id) {
            entry.fields.subtract(&NOBODYS);
            if changes {
                entry.time = Some(self.time());
            }
        }
        managed.retain(|_, entry| !entry.fields.is_empty());
        Ok(changes.then_some(merged))
    }

    /// Takes out what the applier applied last time, does not apply now, and nobody else owns.
    fn prune(&self, merged: Value, managed: &Managed, last: Option<&Entry>) -> Result<Value, Fault> {
        let Some(last) = last.filter(|last| !last.fields.is_empty()) else { return Ok(merged) };
        let words = "failed to prune fields: failed to convert merged object to last applied version: ";
        let Some(shape) = self.version(&last.version, &merged, words)? else { return Ok(merged) };
        let last_fields = with_named(shape, &last.fields);
        let mut pruned = without(shape, &merged, &last_fields);
        let mut owned: BTreeMap<&str, Set> = BTreeMap::new();
        for entry in managed.values() {
            let all = owned.entry(&entry.version).or_default();
            *all = all.union(&entry.fields);
        }
        let first = owned.remove_entry(last.version.as_str());
        for (version, fields) in first.into_iter().chain(owned) {
            let words = "failed to prune fields: failed add back owned items: failed to convert merged object at version ";
            let words = format!("{words}{version}: ");
            let Some(shape) = self.version(version, &merged, &words)? else { continue };
            let all = |value: &Value| with_named(shape, &held(shape, value));
            let kept = all(&pruned).union(&with_named(shape, &fields));
            pruned = without(shape, &merged, &all(&merged).difference(&kept));
        }
        let all = |value: &Value| with_named(shape, &held(shape, value));
        let gone = all(&merged).difference(&all(&pruned)).intersection(&last_fields);
        Ok(without(shape, &merged, &gone))
    }

    fn time(&self) -> String {
        self.by.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}
