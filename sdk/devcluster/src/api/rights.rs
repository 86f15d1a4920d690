//! Who asks, what they may do, and what else is asked before an object is stored.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::decode;
use super::errors::Refusal;
use super::kind::Write;
use super::options::{self, Validation, WriteOptions};
use super::resource::Resource;
use crate::access::{self, Attributes, Denial, Objects as _, User};
use crate::admission;
use crate::fields::{self, Manager};
use crate::status::Status;

impl Call<'_> {
    /// Who asks: by a token, or as whom they act.
    pub(crate) fn who(&self) -> Result<User, Refusal> {
        let headers = &self.request.headers;
        let known = self.state.tokens.authenticate(headers, &*self.state, self.now)?;
        let nobody =
            || if self.server.credentials().open { User::administrator() } else { User::anonymous() };
        access::user(headers, &self.request.path, known.unwrap_or_else(nobody), &*self.state).map_err(
            |denial| match denial {
                Denial::Status(status) => Refusal::Status(status),
                Denial::Text(code, text) => Refusal::Text(code, text),
            },
        )
    }

    /// Whether they may do what they ask for.
    pub(crate) fn may_ask(&self) -> Result<(), Status> {
        self.may(&self.target.verb)
    }

    /// Whether they may do this with what they ask for.
    pub(crate) fn may(&self, verb: &str) -> Result<(), Status> {
        let target = &self.target;
        let selected = self
            .request
            .parameter("fieldSelector")
            .and_then(|text| super::select::Fields::parse(text).ok())
            .filter(|_| ["list", "watch"].contains(&verb));
        let selected = selected.as_ref().and_then(|fields| fields.exactly("metadata.name"));
        let path = if target.resource { "" } else { self.request.path.as_str() };
        let asked = Attributes {
            verb,
            namespace: &target.namespace,
            group: &target.group,
            resource: &target.plural,
            subresource: &target.subresource,
            name: if target.name.is_empty() { selected.unwrap_or_default() } else { &target.name },
            path,
        };
        access::authorize(&*self.state, &self.user, &asked).map_err(|words| asked.forbidden(&words))
    }

    /// Whether they may give the rights that a role or a binding gives.
    pub(crate) fn may_give(
        &self,
        resource: &Resource,
        new: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        if resource.group != "rbac.authorization.k8s.io" {
            return Ok(());
        }
        access::escalation(&*self.state, &self.user, &resource.plural, new, old)
    }

    /// Answers what is not stored: reviews, and requests for tokens.
    pub(crate) fn review(&mut self, resource: &Arc<Resource>) -> Result<Option<Answer>, Refusal> {
        if self.target.verb != "create" {
            return Ok(None);
        }
        if resource.qualified() == "serviceaccounts" && self.target.subresource == "token" {
            return self.token(resource).map(Some);
        }
        let reviewed = ["authentication.k8s.io", "authorization.k8s.io"].contains(&resource.group.as_str());
        if !reviewed {
            return Ok(None);
        }
        let options = options::write(self.request, "CreateOptions", false)?;
        let mut sent = decode::object(self, resource, Validation::Warn)?;
        self.place(resource, &mut sent.object)?;
        self.own(resource, None, &mut sent.object, &options, "");
        match access::review(&*self.state, &self.user, &resource.plural, sent.object, self.now) {
            Some(answer) => Ok(Some(Answer::new(201, answer?))),
            None => Ok(None),
        }
    }

    fn token(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        let key = self.key(resource);
        let account = self.state.store.get(&resource.family(), &key);
        let account = account.ok_or_else(|| super::errors::not_found(resource, &key.1))?;
        let account = Arc::clone(&account.value);
        let mut request: Value =
            crate::schema::decode(&self.request.body, false).map_err(super::errors::bad_request)?.object;
        let options = options::write(self.request, "CreateOptions", false)?;
        if let Some(request) = request.as_object_mut()
            && let Some(spec) = request.entry("spec").or_insert_with(|| json!({})).as_object_mut()
        {
            spec.entry("expirationSeconds").or_insert_with(|| 3600.into());
        }
        let group = "authentication.k8s.io";
        if let Some(schema) = crate::kinds::builtin(group, "v1", "TokenRequest") {
            let (name, api_version, time) = (&self.manager(&options), &format!("{group}/v1"), self.now);
            let (subresource, versions, reset) = ("token", &[][..], &[][..]);
            let by = Manager { name, api_version, subresource, time, versions, reset, built_in: true };
            fields::updated(schema, None, &mut request, &by);
        }
        let id = self.state.ids.uid();
        Ok(Answer::new(201, self.state.tokens.request(&account, &request, &id, self.now)?))
    }

    /// Changes what is to be stored as admission does.
    pub(crate) fn mutate(&self, write: &Write<'_>, object: &mut Value) {
        if !admission::mutates(&write.resource.plural) {
            return;
        }
        let asked = object.clone();
        self.with_admission(write, Some(&asked), |request| admission::mutate(&*self.state, request, object));
    }

    /// Asks admission, after all other checks.
    pub(crate) fn admit(&mut self, write: &Write<'_>, object: Option<&Value>) -> Result<(), Status> {
        let warnings =
            self.with_admission(write, object, |request| admission::validate(&*self.state, request))?;
        warnings.into_iter().for_each(|warning| self.warn(warning));
        Ok(())
    }

    /// Writes into the quotas of the namespace what is used now, where that has changed.
    pub(crate) fn recount(&mut self) {
        let namespace = self.target.namespace.clone();
        if namespace.is_empty() {
            return;
        }
        for quota in self.state.list("", "resourcequotas", Some(&namespace)) {
            let status = admission::quota_status(&*self.state, &quota);
            let name = quota.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            if quota.get("status") != Some(&status) {
                let mut counted = Value::clone(&quota);
                counted["status"] = status;
                let (family, key) =
                    ((String::new(), "resourcequotas".to_owned()), (namespace.clone(), name.to_owned()));
                self.state.store.commit(&family, key, Some((counted, 0)));
            }
        }
    }

    fn with_admission<T>(
        &self,
        write: &Write<'_>,
        object: Option<&Value>,
        act: impl FnOnce(&admission::Request<'_>) -> T,
    ) -> T {
        let Write { resource, subresource, operation, name, options, old, .. } = write;
        // Who deletes a collection names nothing.
        let name = if self.target.verb == "deletecollection" { &"" } else { name };
        let served = self.state.versions(resource);
        let versions: Vec<&str> = served.iter().map(|one| one.version.as_str()).collect();
        let namespace = if resource.qualified() == "namespaces" { *name } else { &self.target.namespace };
        let lookup = |version: &str, kind: &str| {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            self.state.of_kind(group, version, kind).map(|one| (one.plural.clone(), one.namespaced))
        };
        act(&admission::Request {
            user: &self.user,
            operation,
            group: &resource.group,
            version: &resource.version,
            versions: &versions,
            resource: &resource.plural,
            subresource,
            kind: &resource.kind,
            namespace,
            name,
            object,
            old: old.map(AsRef::as_ref),
            dry_run: options.dry,
            options: &options_object(operation, options),
            resource_of: &lookup,
        })
    }
}

/// The object of the options of a write.
fn options_object(operation: &str, options: &WriteOptions) -> Value {
    let kind = match operation {
        "CREATE" => "CreateOptions",
        "UPDATE" => "UpdateOptions",
        _ => "DeleteOptions",
    };
    let mut object = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if options.dry {
        object["dryRun"] = json!(["All"]);
    }
    if !options.manager.is_empty() {
        object["fieldManager"] = options.manager.clone().into();
    }
    object
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::request::Request;
    use super::super::service::{ApiServer, Options};
    use super::*;

    fn code(server: &ApiServer, method: Method, path: &str, user: Option<&str>) -> u16 {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(user) = user {
            request = request.header("Impersonate-User", user);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let answer = server.answer(&Request::new(&parts, bytes::Bytes::new()), false);
        answer.expect("no version of the future").status().as_u16()
    }

    fn set(server: &ApiServer, kind: &str, metadata: Value, more: Value) {
        let mut object =
            json!({"apiVersion": access::RBAC.to_owned() + "/v1", "kind": kind, "metadata": metadata});
        let fields = object.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().expect("an object"));
        server.set(object).expect("a kind that is served");
    }

    #[test]
    fn rights_that_are_kept_change_with_the_next_call() {
        let server = ApiServer::default();
        let asked = |server: &ApiServer, user: &str| {
            code(server, Method::GET, "/api/v1/namespaces/default/secrets", Some(user))
        };
        let role = |server: &ApiServer, labels: Value, verb: &str| {
            let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": [verb]}]);
            set(server, "ClusterRole", json!({"name": "part", "labels": labels}), json!({"rules": rules}));
        };
        let bind = |server: &ApiServer, user: &str| {
            let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "whole"},
                "subjects": [{"kind": "User", "name": user}]});
            set(server, "RoleBinding", json!({"namespace": "default", "name": "b"}), binding);
        };
        assert_eq!(asked(&server, "a"), 403);
        bind(&server, "a");
        assert_eq!(asked(&server, "a"), 403, "there is no such role");
        let selectors = json!([{"matchLabels": {"part": "yes"}}]);
        let aggregation = json!({"aggregationRule": {"clusterRoleSelectors": selectors}});
        set(&server, "ClusterRole", json!({"name": "whole"}), aggregation);
        assert_eq!(asked(&server, "a"), 403, "the role has no rules");
        role(&server, json!({"part": "yes"}), "list");
        assert_eq!(asked(&server, "a"), 200, "a role that it aggregates is new");
        role(&server, json!({"part": "yes"}), "get");
        assert_eq!(asked(&server, "a"), 403, "that role has other rules");
        role(&server, json!({"part": "yes"}), "*");
        assert_eq!((asked(&server, "a"), asked(&server, "b")), (200, 403));
        role(&server, json!({}), "*");
        assert_eq!(asked(&server, "a"), 403, "that role is not selected any more");
        role(&server, json!({"part": "yes"}), "*");
        bind(&server, "b");
        assert_eq!((asked(&server, "a"), asked(&server, "b")), (403, 200), "another one is bound");
        let fork = server.fork(Options::default());
        role(&fork, json!({}), "*");
        assert_eq!((asked(&server, "b"), asked(&fork, "b")), (200, 403), "a fork has rights of its own");
        let binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/b";
        assert_eq!(code(&server, Method::DELETE, binding, None), 200);
        assert_eq!(asked(&server, "b"), 403, "the binding is gone");
    }
}
