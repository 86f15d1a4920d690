//! One request on its way through the server: who asks, whether they may, and who answers.

use std::sync::Arc;

use jiff::Timestamp;

use super::answer::{Answer, Content};
use super::errors::{self, Refusal};
use super::request::{Request, Target};
use super::resource::Resource;
use super::service::ApiServer;
use super::state::State;
use super::{discovery, options, paths};
use crate::access::User;
use crate::status::Status;

/// A request that is being handled.
pub(crate) struct Call<'a> {
    pub(crate) server: &'a ApiServer,
    pub(crate) state: &'a mut State,
    pub(crate) request: &'a Request,
    pub(crate) target: Target,
    pub(crate) now: Timestamp,
    pub(crate) user: User,
    /// Whether a version of the future has been waited for.
    pub(crate) waited: bool,
    pub(crate) warnings: Vec<String>,
    /// Whether the object that is sent has labels of its own, before any default.
    pub(crate) labelled: bool,
}

/// The largest body that is read.
pub(super) const LARGEST_BODY: usize = 3 * 1024 * 1024;

impl<'a> Call<'a> {
    pub(crate) fn new(
        server: &'a ApiServer,
        state: &'a mut State,
        request: &'a Request,
        waited: bool,
    ) -> Self {
        let (target, now) = (request.target(), server.now());
        Self {
            server,
            state,
            request,
            target,
            now,
            user: User::default(),
            waited,
            warnings: Vec::new(),
            labelled: false,
        }
    }

    /// Warns once.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Answers the request.
    pub(crate) fn run(&mut self) -> Result<Answer, Refusal> {
        self.user = self.who()?;
        self.may_ask()?;
        if !self.target.resource {
            return paths::answer(self);
        }
        let Target { group, version, plural, .. } = &self.target;
        let Some(resource) = self.state.served(group, version, plural).cloned() else {
            return Err(self.unknown());
        };
        if resource.plural == "namespaces" && resource.group.is_empty() {
            self.target.namespace.clear();
        }
        if let Some(warning) = resource.custom.as_ref().and_then(|custom| custom.deprecated.clone()) {
            self.warn(warning);
        }
        if resource.custom.is_some() {
            self.custom_fits(&resource)?
        } else {
            self.builtin_fits(&resource)?
        }
        options::known(self.request, &self.target)?;
        let before = self.state.store.revision();
        let answer = self.handle(&resource)?;
        if self.state.store.revision() != before {
            self.recount();
        }
        Ok(answer)
    }

    /// What a kind that is not served answers.
    fn unknown(&self) -> Refusal {
        if discovery::is_builtin(&self.target.group) {
            errors::no_such_resource().into()
        } else {
            errors::no_page()
        }
    }

    /// Whether a custom kind has what the path names.
    fn custom_fits(&self, resource: &Resource) -> Result<(), Refusal> {
        let target = &self.target;
        let across = ["list", "watch"].contains(&target.verb.as_str());
        if resource.namespaced == target.namespace.is_empty() && !(resource.namespaced && across) {
            return Err(errors::no_page());
        }
        if !target.subresource.is_empty() {
            if !resource.has(&target.subresource) || !target.rest.is_empty() {
                return Err(errors::not_found(resource, &target.name).into());
            }
            if !["get", "update", "patch"].contains(&target.verb.as_str()) {
                return Err(errors::no_such_verb(resource, &target.verb).into());
            }
        }
        if target.verb.is_empty() {
            return Err(errors::no_such_verb(resource, "").into());
        }
        if target.name.is_empty() && ["update", "patch"].contains(&target.verb.as_str()) {
            return Err(errors::bad_request("name must be provided").into());
        }
        Ok(())
    }

    /// Whether a built-in kind has what the path names.
    fn builtin_fits(&self, resource: &Resource) -> Result<(), Refusal> {
        let target = &self.target;
        let across = ["list", "watch"].contains(&target.verb.as_str());
        let known = target.subresource.is_empty() || resource.has(&target.subresource);
        let whole = resource.namespaced && target.namespace.is_empty() && target.name.is_empty();
        if known && whole && !across {
            return Err(errors::no_such_method().into());
        }
        let placed = resource.namespaced != target.namespace.is_empty() || whole;
        if !known || !target.rest.is_empty() || !placed {
            return Err(errors::no_such_resource().into());
        }
        let named = !target.name.is_empty();
        let fits = match target.verb.as_str() {
            "create" => !named || !target.subresource.is_empty(),
            "update" | "patch" => named,
            "" => false,
            _ => true,
        };
        let served = !target.subresource.is_empty() || resource.verbs.iter().any(|verb| verb == &target.verb);
        if fits && served { Ok(()) } else { Err(errors::no_such_method().into()) }
    }

    fn handle(&mut self, resource: &Arc<Resource>) -> Result<Answer, Refusal> {
        if let Some(answer) = self.review(resource)? {
            return Ok(answer);
        }
        let writes = ["create", "update", "patch"].contains(&self.target.verb.as_str());
        if writes && !resource.modelled {
            return Err(errors::not_implemented(resource.qualified()).into());
        }
        let (verb, subresource) = (self.target.verb.clone(), self.target.subresource.clone());
        match (verb.as_str(), subresource.as_str()) {
            ("list", "") => self.list(resource),
            ("watch", "") => self.watch(resource),
            ("get", "" | "status") => self.get(resource),
            ("create", "") => self.create(resource),
            ("update", "" | "status" | "finalize") => self.put(resource),
            ("patch", "" | "status") => self.patch(resource),
            ("delete", "") => self.delete(resource),
            ("deletecollection", "") => self.delete_all(resource),
            ("get", "log") => self.log(resource),
            _ if self.state.store.get(&resource.family(), &self.key(resource)).is_none() => {
                Err(errors::not_found(resource, &self.target.name).into())
            }
            _ => {
                Err(errors::not_implemented(format_args!("{verb} of {}/{subresource}", resource.qualified()))
                    .into())
            }
        }
    }

    /// Refuses a body that is too large.
    pub(crate) fn body_fits(&self) -> Result<(), Status> {
        if self.request.body.len() > LARGEST_BODY {
            return Err(too_large());
        }
        Ok(())
    }
}

/// The refusal of a body that is too large.
pub(super) fn too_large() -> Status {
    Status::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {LARGEST_BODY}"))
}

/// An answer without a body.
pub(crate) fn nothing(code: u16) -> Answer {
    Answer { code, headers: Vec::new(), content: Content::Nothing }
}
