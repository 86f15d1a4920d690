//! Deletes.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::answer::{Answer, Item};
use super::call::Call;
use super::errors::{self, Refusal};
use super::kind::Write;
use super::options::{self, DeleteOptions, WriteOptions};
use super::resource::Resource;
use super::store::Key;
use super::update::may_go;
use super::{clock, definitions, meta, view};
use crate::status::Status;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const PRESERVED: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
    remove them or set propagationPolicy=Orphan to suppress this warning";

/// What a delete did.
pub(crate) struct Deleted {
    /// The object as it is, or as it was last.
    object: Arc<Value>,
    gone: bool,
}

impl Call<'_> {
    /// Answers a DELETE of one object.
    pub(crate) fn delete(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        self.body_fits()?;
        let options = options::delete(self.request)?;
        self.warn_of_jobs(resource, &options);
        let key = self.key(resource);
        let deleted = self.remove(resource, &key, &options)?;
        if deleted.gone && !resource.returns_deleted {
            let mut details = errors::details(&key.1, &resource.group, &resource.plural);
            details.insert("uid".into(), meta::text(&deleted.object, "uid").into());
            return Ok(Answer::new(
                200,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": details}),
            ));
        }
        let code = if !deleted.gone && options.orphan == Some(false) { 202 } else { 200 };
        self.answer(code, resource, &look, &deleted.object)
    }

    /// Answers a DELETE of all that is selected.
    pub(crate) fn delete_all(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        self.body_fits()?;
        let selection = options::list(self.request, false)?;
        let options = options::delete(self.request)?;
        self.selectable(resource, &selection.fields)?;
        self.warn_of_jobs(resource, &options);
        let selected = match self.select(resource, &selection)? {
            Ok(selected) => selected,
            Err(expired) => return Ok(Answer::new(410, expired)),
        };
        for Item { object, .. } in &selected.items {
            let key = (meta::text(object, "namespace").to_owned(), meta::text(object, "name").to_owned());
            self.remove(resource, &key, &options)?;
        }
        Ok(Answer::new(200, selected.shown(&look, resource)?))
    }

    fn warn_of_jobs(&mut self, resource: &Resource, options: &DeleteOptions) {
        let silent = options.orphan.is_none() && options.propagation.is_none();
        if silent && resource.qualified() == "jobs.batch" {
            self.warn(PRESERVED);
        }
    }

    /// Deletes an object, or marks it while something holds it.
    pub(crate) fn remove(
        &mut self,
        resource: &Arc<Resource>,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deleted, Refusal> {
        let family = resource.family();
        let stored = self.state.store.get(&family, key);
        let current = stored.map(|stored| view::present(resource, stored));
        let current = current.ok_or_else(|| errors::not_found(resource, &key.1))?;
        let of_namespace = resource.qualified() == "namespaces";
        if of_namespace {
            own_preconditions(resource, &key.1, &current, options)?
        }
        preconditions(resource, &key.1, &current, options)?;
        let written = WriteOptions { dry: options.dry, ..WriteOptions::default() };
        let write = Write {
            resource,
            subresource: "",
            operation: "DELETE",
            name: &key.1,
            is_patch: false,
            options: &written,
            old: Some(&current),
        };
        self.admit(&write, None)?;
        if of_namespace {
            return self.remove_namespace(resource, key, &current, options);
        }
        let mut object = (*current).clone();
        let grace = self.grace(resource, &mut object, options)?;
        if grace == Grace::Pending {
            return Ok(Deleted { object: current, gone: false });
        }
        definitions::hold(resource, &mut object);
        let finalizers = finalizers(resource, &object, options);
        meta::set_finalizers(&mut object, &finalizers);
        if grace == Grace::None && !finalizers.is_empty() {
            self.mark(resource, &mut object);
        }
        if !meta::terminating(&object) || may_go(&object) {
            let emptied = grace == Grace::None && !meta::finalizers(&current).is_empty();
            if let (true, Some(_)) = (emptied, &options.version) {
                return Err(self.lost_version(resource, key, &current).into());
            }
            if emptied && !options.dry {
                // What is answered is what was stored.
                object = (*current).clone();
            }
            if !options.dry {
                if grace == Grace::Set {
                    // A Pod is marked before it goes, even if it goes at once.
                    self.store(resource, key.clone(), object.clone(), false)?;
                }
                self.state.store.commit(&family, key.clone(), None);
                // What is answered has the version of the deletion.
                let version = self.state.store.revision().to_string();
                meta::set(&mut object, "resourceVersion", Some(version.into()));
                definitions::react(self, &family, &key.1);
            }
            return Ok(Deleted { object: object.into(), gone: true });
        }
        let object = self.store(resource, key.clone(), object, options.dry)?;
        Ok(Deleted { object, gone: false })
    }

    /// What a delete on condition of a version answers that takes out the last finalizer: it compares with a version that it has not
    /// kept.
    fn lost_version(&self, resource: &Resource, (namespace, name): &Key, current: &Value) -> Status {
        let (key, own) = (resource.registry_key(namespace, name), meta::text(current, "resourceVersion"));
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: ResourceVersion in precondition: , ResourceVersion in object meta: {own}"
        );
        errors::conflict(resource, name, &why)
    }

    /// Marks an object that goes when nothing holds it.
    fn mark(&self, resource: &Resource, object: &mut Value) {
        let graceful = definitions::is_graceful(resource);
        if graceful
            && meta::get(object, "deletionGracePeriodSeconds").is_none()
            && meta::get(object, "generation").is_some()
        {
            meta::next_generation(object);
        }
        if !meta::terminating(object) {
            meta::set(object, "deletionTimestamp", Some(clock::seconds(self.now).into()));
        }
        if graceful {
            meta::set(object, "deletionGracePeriodSeconds", Some(0.into()));
        }
    }

    /// A Pod on a node goes when its node has ended it, or when its time is over.
    fn grace(
        &self,
        resource: &Resource,
        object: &mut Value,
        options: &DeleteOptions,
    ) -> Result<Grace, Status> {
        if resource.qualified() != "pods" {
            return Ok(Grace::None);
        }
        let left = meta::get(object, "deletionGracePeriodSeconds").and_then(Value::as_i64);
        if meta::terminating(object) {
            let Some(left) = left.filter(|left| *left != 0) else { return Ok(Grace::None) };
            let wanted = options.grace.map(|wanted| if wanted < 0 { 1 } else { wanted });
            let Some(wanted) = wanted.filter(|wanted| *wanted < left) else {
                return Ok(Grace::Pending);
            };
            let time = clock::parsed(meta::text(object, "deletionTimestamp")).unwrap_or(self.now);
            let time = time.saturating_add(SignedDuration::from_secs(wanted - left)).unwrap_or(time);
            meta::set(object, "deletionTimestamp", Some(clock::seconds(time).into()));
            meta::set(object, "deletionGracePeriodSeconds", Some(wanted.into()));
            return Ok(Grace::Set);
        }
        let field = |path: &str| object.pointer(path).filter(|value| !value.is_null());
        let phase = field("/status/phase").and_then(Value::as_str).unwrap_or_default();
        let bound = field("/spec/nodeName").is_some_and(|node| node != "");
        let own = field("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
        let period =
            if !bound || ["Failed", "Succeeded"].contains(&phase) { 0 } else { options.grace.unwrap_or(own) };
        let period = if period < 0 { 1 } else { period };
        let time = self.now.saturating_add(SignedDuration::from_secs(period)).unwrap_or(self.now);
        if meta::get(object, "generation").is_some() {
            meta::next_generation(object);
        }
        meta::set(object, "deletionTimestamp", Some(clock::seconds(time).into()));
        meta::set(object, "deletionGracePeriodSeconds", Some(period.into()));
        Ok(Grace::Set)
    }

    /// A namespace ends when what is in it has ended: it is only marked.
    fn remove_namespace(
        &mut self,
        resource: &Arc<Resource>,
        key: &Key,
        current: &Arc<Value>,
        options: &DeleteOptions,
    ) -> Result<Deleted, Refusal> {
        if ["default", "kube-system", "kube-public"].contains(&key.1.as_str()) {
            return Err(errors::forbidden(resource, &key.1, "this namespace may not be deleted").into());
        }
        let mut object = (**current).clone();
        if !meta::terminating(&object) {
            meta::set(&mut object, "deletionTimestamp", Some(clock::seconds(self.now).into()));
        }
        object["status"]["phase"] = "Terminating".into();
        let finalizers = finalizers(resource, current, options);
        meta::set_finalizers(&mut object, &finalizers);
        if may_go(&object) {
            if !options.dry {
                self.state.store.commit(&resource.family(), key.clone(), None);
            }
            return Ok(Deleted { object: object.into(), gone: true });
        }
        let object = self.store(resource, key.clone(), object, options.dry)?;
        Ok(Deleted { object, gone: false })
    }
}

/// What a period of grace means for a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// The kind has none.
    None,
    /// It has been set.
    Set,
    /// It is running, and cannot be made longer.
    Pending,
}

/// Namespaces have preconditions of their own, with words of their own.
fn own_preconditions(
    resource: &Resource,
    name: &str,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let wanted = [("UID", "uid", &options.uid), ("ResourceVersion", "resourceVersion", &options.version)];
    for (what, field, wanted) in wanted {
        let own = meta::text(current, field);
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != own) {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {own}"
            );
            return Err(errors::conflict(resource, name, &why));
        }
    }
    Ok(())
}

fn preconditions(
    resource: &Resource,
    name: &str,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let own = |field: &str| meta::text(current, field);
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != own("uid")) {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            own("uid")
        );
        return Err(errors::precondition(resource, name, &why));
    }
    if let Some(version) = options.version.as_deref().filter(|version| *version != own("resourceVersion")) {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The \
             object might have been modified",
            own("resourceVersion")
        );
        return Err(errors::precondition(resource, name, &why));
    }
    Ok(())
}

/// The finalizers after a delete: that of its propagation policy is added, that of another one taken away.
fn finalizers(resource: &Resource, object: &Value, options: &DeleteOptions) -> Vec<String> {
    let there = meta::finalizers(object);
    let named = there.iter().find(|one| [ORPHAN, FOREGROUND].contains(one)).copied();
    let collected = resource.plural != "events";
    let policy = match (options.orphan, options.propagation.as_deref()) {
        _ if !collected => None,
        (Some(true), _) | (None, Some("Orphan")) => Some(ORPHAN),
        (None, Some("Foreground")) => Some(FOREGROUND),
        (Some(false), _) | (None, Some("Background")) => None,
        // Jobs of batch/v1 leave their Pods behind by default.
        _ => named.or((resource.qualified() == "jobs.batch").then_some(ORPHAN)),
    };
    if policy == named {
        return there.into_iter().map(str::to_owned).collect();
    }
    let others = there.iter().filter(|one| ![ORPHAN, FOREGROUND].contains(one));
    others.chain(policy.iter()).map(|one| (*one).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(finalizers: Value, propagation: Option<&str>) -> Vec<String> {
        let object = json!({"metadata": {"finalizers": finalizers}});
        let options =
            DeleteOptions { propagation: propagation.map(str::to_owned), ..DeleteOptions::default() };
        super::finalizers(&Resource::default(), &object, &options)
    }

    #[test]
    fn background_takes_an_earlier_policy_out_and_no_policy_leaves_it() {
        assert_eq!(after(json!(["foregroundDeletion", "a/b"]), Some("Background")), ["a/b"]);
        assert_eq!(after(json!(["foregroundDeletion", "a/b"]), None), ["foregroundDeletion", "a/b"]);
    }

    #[test]
    fn the_finalizer_of_a_policy_comes_last() {
        assert_eq!(after(json!(["a/b"]), Some("Orphan")), ["a/b", "orphan"]);
    }
}
