//! Creates.

use std::sync::Arc;

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::errors::{self, Refusal, bad_request};
use super::kind::Write;
use super::options::{self, WriteOptions};
use super::resource::Resource;
use super::{clock, decode, definitions, kind, meta, state, view};
use crate::kinds::metadata;
use crate::schema::go;
use crate::status::Status;

impl Call<'_> {
    /// Answers a POST.
    pub(crate) fn create(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let look = self.look(resource)?;
        let options = options::write(self.request, "CreateOptions", false)?;
        let mut sent = decode::object(self, resource, options.validation)?;
        decode::mind(self, resource, &sent, options.validation)?;
        self.labelled = sent.labelled;
        // Nobody owns what a client cannot set.
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            if sent.object.get("metadata").is_some_and(|metadata| metadata.get(field).is_some()) {
                meta::set(&mut sent.object, field, None);
            }
        }
        let made = self.insert(resource, sent.object, &options, false)?;
        self.answer(201, resource, &look, &made)
    }

    /// Puts an object into the namespace of the path.
    pub(crate) fn place(&self, resource: &Resource, object: &mut Value) -> Result<(), Status> {
        if !resource.namespaced {
            meta::set(object, "namespace", None);
            return Ok(());
        }
        match meta::text(object, "namespace") {
            "" => meta::set(object, "namespace", Some(self.target.namespace.clone().into())),
            own if own == self.target.namespace => {}
            _ => {
                let message =
                    "the namespace of the provided object does not match the namespace sent on the request";
                return Err(bad_request(message));
            }
        }
        Ok(())
    }

    /// Refuses what is made in a namespace that is not there or goes.
    fn namespace_open(&self, resource: &Resource, name: &str) -> Result<(), Status> {
        let namespace = &self.target.namespace;
        if !resource.namespaced {
            return Ok(());
        }
        let key = (String::new(), namespace.clone());
        let Some(stored) = self.state.store.get(&state::namespaces(), &key) else {
            let message = format!("namespaces \"{namespace}\" not found");
            let details = errors::details(namespace, "", "namespaces");
            return Err(Status::new(404, "NotFound", message).with(Value::Object(details)));
        };
        let phase = stored.value.get("status").and_then(|status| status.get("phase")).and_then(Value::as_str);
        if phase != Some("Terminating") {
            return Ok(());
        }
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = errors::forbidden(resource, name, &why);
        let cause = serde_json::json!([{"reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"), "field": "metadata.namespace"}]);
        if let Some(details) = &mut status.details {
            details.insert("causes".into(), cause);
        }
        Err(status)
    }

    /// Makes an object: by a POST, by an apply or by a PUT of what is not there. `applied` says that its fields have
    /// their owners already.
    pub(crate) fn insert(
        &mut self,
        resource: &Arc<Resource>,
        mut object: Value,
        options: &WriteOptions,
        applied: bool,
    ) -> Result<Arc<Value>, Refusal> {
        if resource.custom.as_ref().is_some_and(|custom| custom.terminating) {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(errors::forbidden(resource, decode::name(&object), why).into());
        }
        self.place(resource, &mut object)?;
        let version = meta::text(&object, "resourceVersion").to_owned();
        if !applied {
            // What only the server sets belongs to nobody.
            for field in
                ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]
            {
                meta::set(&mut object, field, None);
            }
            self.own(resource, None, &mut object, options, "");
        }
        self.warn_of_owners(&mut object);
        let asked = decode::name(&object).to_owned();
        self.namespace_open(resource, &asked)?;
        self.name(&mut object);
        let name = decode::name(&object).to_owned();
        let write = Write {
            resource,
            subresource: "",
            operation: "CREATE",
            name: &name,
            is_patch: applied,
            options,
            old: None,
        };
        self.mutate(&write, &mut object);
        self.may_give(resource, &object, None)?;
        let unlabelled = unlabelled(resource, &object);
        let lacks = unlabelled || resource.qualified() == "persistentvolumeclaims";
        let shape = if lacks { super::store::WITHOUT_DEFAULTS } else { resource.shape() };
        self.prepare_new(resource, &mut object);
        if unlabelled {
            let mut plain = object.clone();
            meta::set(&mut plain, "labels", None);
            self.check(&write, &plain)?;
        } else {
            self.check(&write, &object)?;
        }
        self.admit(&write, Some(&object))?;
        let key =
            (if resource.namespaced { self.target.namespace.clone() } else { String::new() }, name.clone());
        let family = resource.family();
        if version.parse::<u64>().is_ok_and(|version| version != 0) && !applied && !options.dry {
            return Err(errors::internal("resourceVersion should not be set on objects to be created").into());
        }
        if let Some(there) = self.state.store.get(&family, &key) {
            return Err(errors::already_exists(resource, &name, meta::terminating(&there.value)).into());
        }
        self.fits_etcd(&object)?;
        if options.dry {
            meta::set(
                &mut object,
                "resourceVersion",
                Some(version).filter(|version| !version.is_empty()).map(Value::from),
            );
            return Ok(Arc::new(object));
        }
        let stored = view::stored(resource, object);
        let Some(stored) = self.state.store.commit(&family, key, Some((stored, shape))) else {
            return Err(errors::internal("nothing was stored").into());
        };
        let made = view::present(resource, &stored);
        definitions::react(self, &family, &name);
        Ok(made)
    }

    /// Warns of owners that are named twice, and takes them out.
    pub(crate) fn warn_of_owners(&mut self, object: &mut Value) {
        if let Some(warning) = metadata::dedup_owners(meta::of(object)) {
            self.warn(warning);
        }
    }

    /// What etcd would not take.
    pub(crate) fn fits_etcd(&self, object: &Value) -> Result<(), Status> {
        const LARGEST: usize = 1_572_864;
        if self.request.body.len() > LARGEST / 2 && go::body(object).len() > LARGEST {
            return Err(errors::internal("etcdserver: request is too large"));
        }
        Ok(())
    }

    /// Gives an object a name if it leaves that to the server.
    fn name(&mut self, object: &mut Value) {
        let prefix = meta::text(object, "generateName").to_owned();
        if decode::name(object).is_empty() && !prefix.is_empty() {
            let name = self.state.ids.name(&prefix);
            meta::set(object, "name", Some(name.into()));
        }
    }

    fn prepare_new(&mut self, resource: &Arc<Resource>, object: &mut Value) {
        if resource.has("status") && resource.custom.is_some() {
            object.as_object_mut().map(|object| object.remove("status"));
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"] {
            meta::set(object, field, None);
        }
        let uid = self.state.ids.uid();
        meta::set(object, "uid", Some(uid.into()));
        meta::set(object, "creationTimestamp", Some(clock::seconds(self.now).into()));
        if resource.generation {
            meta::set(object, "generation", Some(1.into()));
        }
        let labels = meta::get(object, "labels")
            .cloned()
            .filter(|_| self.labelled && resource.qualified() == "jobs.batch");
        kind::prepare(resource, "", object, None);
        if labels.is_some() {
            // A Job shares the labels of its template only if it has none of its own.
            meta::set(object, "labels", labels);
        }
        meta::tidy(object);
    }
}

/// Whether it is a Job without labels: those of its template, which the API server makes, are its own by default, but only once it
/// has been read. So they are not checked, and the first write after its creation stores them, whatever it is. With the phase of a
/// claim it is the same.
fn unlabelled(resource: &Resource, object: &Value) -> bool {
    let none = |pointer: &str| {
        object.pointer(pointer).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
    };
    resource.qualified() == "jobs.batch" && none("/metadata/labels") && none("/spec/template/metadata/labels")
}
