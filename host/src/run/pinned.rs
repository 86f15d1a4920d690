//! What a run that has begun works with: its record, and the strategy as it was then.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{ComponentPin, RunRecord, TypedRef};
use backstay_core::component::Served;
use backstay_core::contract::{GroupKind, ObjectRef};
use backstay_core::revision::Revision;
use backstay_core::strategy_kind::strategy_kind;
use backstay_engine::Component;

use super::halt::Halt;
use super::object::Run;
use crate::context::Context;

/// See the module.
pub(super) struct Pinned {
    pub record: RunRecord,
    pub kind: GroupKind,
    pub component: Component,
    pub revision: Revision,
    pub application: ObjectRef,
}

impl Pinned {
    /// The component that is at work, as it is written down.
    pub(super) fn pin(&self) -> ComponentPin {
        let descriptor = self.component.descriptor();
        ComponentPin {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: self.component.digest().to_owned(),
        }
    }
}

/// Loads what the record of a run names. The component is the one that serves the kind now: a controller that was
/// upgraded midway goes on with its new one.
pub(super) async fn load(run: &Run, ctx: &Arc<Context>) -> Result<Pinned, Halt> {
    let Some(record) = run.status.run.clone() else {
        return Err(Halt::fail(reasons::INVALID_STRATEGY, "the run has no record of its inputs"));
    };
    let strategy: &TypedRef = record.strategy_ref.as_ref().ok_or(Halt::Leave)?;
    let kind = strategy_kind(strategy).ok_or(Halt::Leave)?;
    let Served::By(component) = ctx.registry.serving(&kind) else {
        return Err(Halt::wait(
            reasons::COMPONENT_MISSING,
            format!(
                "strategy Kind {:?} was served when the run began and is not now (served: {}); put its component back",
                kind.kind,
                ctx.registry.kinds()
            ),
        ));
    };
    let component = component.clone();
    let name = record.strategy_revision.clone().unwrap_or_default();
    let revision = ctx.revisions.read(&ctx.client, &ctx.settings.namespace, &name).await?;
    let application = ObjectRef {
        api_version: record.application_version.clone().unwrap_or_default(),
        kind: record.application_ref.kind.clone(),
        namespace: Some(run.namespace().to_owned()),
        name: record.application_ref.name.clone(),
    };
    Ok(Pinned { record: *record, kind, component, revision, application })
}
