//! What all steps of a wake share: the run, its component's client, and what the component may touch.

use std::sync::Arc;

use backstay_api::TypedRef;
use backstay_api::conditions::reasons;
use backstay_core::contract::{Access, GroupKind, Request, Scope, Verbs};
use backstay_core::resource::{Grants, Pins};
use backstay_core::turns::Target;
use kube::Client;

use crate::api_error::ApiError;
use crate::context::Context;
use crate::run::object::Run;
use crate::run::pinned::Pinned;
use crate::run::{Halt, resolve};

/// See the module.
pub(super) struct Scene<'a> {
    pub run: &'a Run,
    pub pinned: &'a Pinned,
    pub request: &'a Request,
    pub pins: &'a Pins,
    pub grants: Grants<'a>,
    /// Acts as the component.
    pub client: Client,
    pub ctx: &'a Arc<Context>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        run: &'a Run,
        pinned: &'a Pinned,
        request: &'a Request,
        pins: &'a Pins,
        ctx: &'a Arc<Context>,
    ) -> Self {
        let descriptor = pinned.component.descriptor();
        let client = ctx.accounts.of(&descriptor.name);
        Self { run, pinned, request, pins, grants: Grants::new(descriptor, pins), client, ctx }
    }

    /// Name of the component.
    pub(super) fn component(&self) -> &str {
        &self.pinned.component.descriptor().name
    }

    /// How the application is read: every component may read it.
    pub(super) async fn application_access(&self) -> Result<Access, Halt> {
        let reference: &TypedRef = &self.pinned.record.application_ref;
        let found = self.ctx.discovery.kind(&self.ctx.client, reference).await;
        let doing = || format!("looking up how kind {} is served", reference.kind);
        let kind = found.map_err(|e| ApiError::new(doing(), e))?;
        let Some(kind) = kind else { return Err(resolve::not_found(self.run, reference)) };
        Ok(Access {
            group: kind.resource.group,
            version: kind.resource.version,
            kind: kind.resource.kind,
            plural: kind.resource.plural,
            scope: Scope::Run,
            verbs: Verbs { get: true, ..Verbs::default() },
            fields: Vec::new(),
            guards: Vec::new(),
        })
    }
}

/// The target of a run, as turns and what is left behind know it.
pub(super) fn target(run: &Run) -> Result<Target, Halt> {
    let Some(record) = &run.status.run else {
        return Err(Halt::fail(reasons::INVALID_STRATEGY, "the run has no record of its inputs"));
    };
    let application = &record.application_ref;
    Ok(Target {
        namespace: run.namespace().to_owned(),
        kind: GroupKind { group: application.group().to_owned(), kind: application.kind.clone() },
        name: application.name.clone(),
    })
}
