//! The inputs of a run that has begun: its record, and the strategy as it was then.

use backstay_api::conditions::reasons;
use backstay_api::{ComponentPin, RunRecord, TypedRef};
use backstay_core::component::Served;
use backstay_core::contract::{GroupKind, ObjectRef};
use backstay_core::revision::Revision;
use backstay_core::strategy_kind::strategy_kind;
use backstay_engine::Component;

use super::not_done::NotDone;
use crate::components::registry::Registry;
use crate::records::revisions::Revisions;
use crate::state::run::Run;

/// The inputs of a run that has begun.
pub(crate) struct Pinned {
    /// The run's record of its inputs.
    pub record: RunRecord,
    /// Kind of the strategy.
    pub kind: GroupKind,
    /// The component that serves that kind now: a controller that was upgraded midway goes on with its new component.
    pub component: Component,
    /// The strategy and its parameters.
    pub revision: Revision,
    /// The application.
    pub application: ObjectRef,
}

/// Returns the component as it is recorded.
pub(crate) fn pin_of(component: &Component) -> ComponentPin {
    let descriptor = component.descriptor();
    ComponentPin {
        name: descriptor.name.clone(),
        version: descriptor.version.clone(),
        digest: component.digest().to_owned(),
    }
}

/// Loads the inputs that the record of a run names.
///
/// # Errors
/// The run is blocked without its component; it fails without its revision.
pub(crate) async fn load(run: &Run, registry: &Registry, revisions: &Revisions) -> Result<Pinned, NotDone> {
    let Some(record) = run.status.run.clone() else {
        return Err(NotDone::failed(reasons::INVALID_STRATEGY, "the run has no record of its inputs"));
    };
    let strategy: &TypedRef = record.strategy_ref.as_ref().ok_or(NotDone::NotOurs)?;
    let kind = strategy_kind(strategy).ok_or(NotDone::NotOurs)?;
    let Served::By(component) = registry.serving(&kind) else {
        return Err(NotDone::blocked(
            reasons::COMPONENT_MISSING,
            format!(
                "strategy Kind {:?} was served when the run began and is not now (served: {}); put its component back",
                kind.kind,
                registry.kinds()
            ),
        ));
    };
    let component = component.clone();
    let revision = revisions.get(record.strategy_revision.as_deref().unwrap_or_default()).await?;
    let application = ObjectRef {
        api_version: record.application_version.clone().unwrap_or_default(),
        kind: record.application_ref.kind.clone(),
        namespace: (record.application_cluster_scoped != Some(true)).then(|| run.namespace().to_owned()),
        name: record.application_ref.name.clone(),
    };
    Ok(Pinned { record: *record, kind, component, revision, application })
}
