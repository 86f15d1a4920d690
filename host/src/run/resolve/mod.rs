//! The inputs of a run that has not begun, each settled once.
//!
//! Nothing is written here. An input that may still appear blocks the run; one that can never become right fails it with a
//! message that says what to change.

mod class;
pub(crate) mod lock;
mod strategy;

use backstay_api::conditions::reasons;
use backstay_api::{Backup, ComponentPin, FreeForm, TypedRef, phase};
use backstay_core::backup::{completed, parameters, restore_target};
use backstay_core::component::{Pin, Served, Unfit, may_restore};
use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef};
use backstay_core::inputs;
use backstay_core::object_name;
use backstay_core::revision::Revision;
use backstay_core::strategy_kind::strategy_kind;
use backstay_engine::Component;
use kube::ResourceExt;

use super::not_done::NotDone;
use super::{application, hold};
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::context::Context;
use crate::state::run::{Run, RunSpec};

/// The inputs of a run.
pub(crate) struct Inputs {
    /// The strategy object, as the class entry or the Backup names it.
    pub strategy_ref: TypedRef,
    /// Its kind.
    pub kind: GroupKind,
    /// The component that serves it.
    pub component: Component,
    /// The strategy's spec and the parameters, as the run pins them.
    pub revision: Revision,
    /// The application acted on, as the user names it.
    pub application: TypedRef,
    /// The application acted on, as the API server serves it.
    pub application_ref: ObjectRef,
    /// The Backup, on restore and clean-up.
    pub backup: Option<Backup>,
    /// `RestoreJob.spec.options`.
    pub options: Option<FreeForm>,
    /// On restore: the strategy is the one of the time of the backup.
    pub pinned: bool,
}

/// Settles the inputs of a run that has not begun, and acquires its lock on the application.
///
/// # Errors
/// Why the run cannot begin now, or ever.
pub(crate) async fn resolve(run: &Run, ctx: &Context) -> Result<Inputs, NotDone> {
    let inputs = match &run.spec {
        RunSpec::Backup(spec) => {
            let (class, application) = (&spec.backup_class_name, &spec.application_ref);
            named("spec.backupClassName", class)?;
            named("spec.applicationRef.name", &application.name)?;
            let (strategy_ref, parameters) = class::current_entry(class, application, ctx).await?;
            let source = format!("BackupClass {class:?}");
            named(&format!("strategyRef.name in {source}"), &strategy_ref.name)?;
            let Some(kind) = strategy_kind(&strategy_ref) else { return Err(nobodys(run, &source, ctx)) };
            let component = component(&kind, ctx)?;
            hold::check(run, ctx)?;
            // A run of another controller is left alone before this.
            inputs::backup_job(spec)?;
            inputs::pairs(&format!("parameters of {source}"), &parameters)?;
            let revision =
                strategy::current(&strategy_ref, &kind, &component, parameters, &source, ctx).await?;
            Inputs {
                application_ref: application::reference(run, application, &kind, &component, &ctx.cluster)
                    .await?,
                application: application.clone(),
                strategy_ref,
                kind,
                component,
                revision,
                backup: None,
                options: None,
                pinned: true,
            }
        }
        RunSpec::Restore(spec) => {
            named("spec.backupRef.name", &spec.backup_ref.name)?;
            if let Some(target) = spec.target_application_ref.as_ref().filter(|t| !t.name.is_empty()) {
                named("spec.targetApplicationRef.name", &target.name)?;
            }
            let backup = backup(run, &spec.backup_ref.name, ctx).await?;
            inputs::restore_job(spec)?;
            inputs::backup(&backup)?;
            let target = restore_target(&backup.spec.application_ref, spec.target_application_ref.as_ref());
            of_backup(run, &backup, target, spec.options.clone(), ctx).await?
        }
        RunSpec::Cleanup(backup) => {
            inputs::backup(backup)?;
            of_backup(run, backup, backup.spec.application_ref.clone(), None, ctx).await?
        }
    };
    lock::acquire(run, &inputs.application, &inputs.application_ref, &inputs.kind, ctx).await?;
    Ok(inputs)
}

/// Checks a name before it becomes a part of a URL.
///
/// # Errors
/// The run fails.
fn named(field: &str, name: &str) -> Result<(), NotDone> {
    object_name::check(field, name).map_err(|message| {
        NotDone::failed(reasons::INVALID_REFERENCE, format!("{message}; correct it in a new run"))
    })
}

/// What a run that has not begun waits for, as far as the watches show it.
pub(crate) enum AwaitedLock {
    /// The run does not wait for a lock.
    None,
    /// The lock on this application, for a strategy of this kind.
    On(TypedRef, GroupKind),
    /// A lock on an application that its Backup names.
    OfBackup,
}

/// Returns which lock a run waits for. Asks the API server for nothing.
pub(crate) fn awaited_lock(run: &Run, ctx: &Context) -> AwaitedLock {
    let waits = |c: &backstay_api::Condition| c.reason == reasons::TARGET_BUSY;
    if run.status.run.is_some() || !run.status.ready().is_some_and(waits) {
        return AwaitedLock::None;
    }
    let (application, strategy) = match &run.spec {
        RunSpec::Backup(spec) => match class::entry(&spec.backup_class_name, &spec.application_ref, ctx) {
            Ok((strategy, _)) => (spec.application_ref.clone(), strategy),
            Err(_) => return AwaitedLock::None,
        },
        RunSpec::Restore(_) => return AwaitedLock::OfBackup,
        RunSpec::Cleanup(backup) => (backup.spec.application_ref.clone(), backup.spec.strategy_ref.clone()),
    };
    strategy_kind(&strategy).map_or(AwaitedLock::None, |kind| AwaitedLock::On(application, kind))
}

/// A reference to a strategy without a group belongs to no controller: the run is left alone, as by the Go implementation, with
/// an Event that says so.
fn nobodys(run: &Run, source: &str, ctx: &Context) -> NotDone {
    let note = format!(
        "{source} names a strategy without strategyRef.apiGroup, so no controller knows this {} as its own; set the group, such as {}",
        run.object.kind,
        backstay_api::STRATEGY_GROUP
    );
    ctx.notices.warn(run, reasons::NO_STRATEGY_GROUP, &note);
    NotDone::NotOurs
}

/// Returns the component that serves a strategy kind.
fn component(kind: &GroupKind, ctx: &Context) -> Result<Component, NotDone> {
    match ctx.components.registry.serving(kind) {
        Served::By(component) => Ok(component.clone()),
        Served::Foreign => Err(NotDone::NotOurs),
        Served::Missing => {
            let message = format!(
                "strategy Kind {:?} is not served by any loaded component (served: {}); put its component into the components folder of the controller",
                kind.kind,
                ctx.components.registry.kinds()
            );
            Err(NotDone::Blocked {
                reason: reasons::COMPONENT_MISSING,
                message: message.clone(),
                bounded: true,
                give_up: Some((reasons::COMPONENT_MISSING, message)),
            })
        }
    }
}

/// Reads the Backup that a RestoreJob names.
async fn find_backup(run: &Run, name: &str, ctx: &Context) -> Result<Option<Backup>, ApiError> {
    let api = Api::<Backup>::namespaced(ctx.cluster.client.clone(), run.namespace());
    let doing = || format!("reading Backup \"{}/{name}\"", run.namespace());
    Ok(api.get_opt(name).await.map_err(|e| ApiError::new(doing(), e))?.map(completed))
}

/// Returns the Backup that a RestoreJob names, if it can be restored.
async fn backup(run: &Run, name: &str, ctx: &Context) -> Result<Backup, NotDone> {
    let Some(backup) = find_backup(run, name, ctx).await? else {
        let message = format!(
            "failed to get Backup: \"{}/{name}\" not found; name an existing Backup of this namespace in spec.backupRef",
            run.namespace()
        );
        return Err(NotDone::failed(reasons::BACKUP_NOT_FOUND, message));
    };
    match strategy_kind(&backup.spec.strategy_ref) {
        None => return Err(nobodys(run, &format!("Backup {name:?}"), ctx)),
        Some(kind) if matches!(ctx.components.registry.serving(&kind), Served::Foreign) => {
            return Err(NotDone::NotOurs);
        }
        Some(_) => {}
    }
    if backup.metadata.deletion_timestamp.is_some() {
        return Err(NotDone::failed(
            reasons::BACKUP_NOT_FOUND,
            format!("Backup {name:?} is being deleted; restore another one"),
        ));
    }
    match backup.status.as_ref().and_then(|s| s.phase.as_deref()) {
        Some(phase::FAILED) => Err(NotDone::failed(
            reasons::BACKUP_FAILED_PHASE,
            format!("Backup {name:?} is in phase Failed and cannot be restored; choose one in phase Ready"),
        )),
        Some(phase::PENDING) => {
            let message = format!(
                "Backup {name:?} is in phase Pending; wait until it is Ready, or restore another one"
            );
            Err(NotDone::blocked(reasons::BACKUP_NOT_READY, message))
        }
        Some(phase::READY) => Ok(backup),
        _ => {
            let note = format!("Backup {name:?} has no phase; it is restored all the same");
            ctx.notices.warn(run, reasons::BACKUP_PHASE_UNKNOWN, &note);
            Ok(backup)
        }
    }
}

/// Settles the inputs of a run on an existing Backup: with the strategy at the time of the backup, if that is pinned.
async fn of_backup(
    run: &Run,
    backup: &Backup,
    application: TypedRef,
    options: Option<FreeForm>,
    ctx: &Context,
) -> Result<Inputs, NotDone> {
    let title = backup.metadata.name.as_deref().unwrap_or_default();
    named(&format!("spec.applicationRef.name of Backup {title:?}"), &application.name)?;
    named(&format!("spec.strategyRef.name of Backup {title:?}"), &backup.spec.strategy_ref.name)?;
    let kind = strategy_kind(&backup.spec.strategy_ref).ok_or(NotDone::NotOurs)?;
    let component = component(&kind, ctx)?;
    hold::check(run, ctx)?;
    let descriptor = component.descriptor();
    let able = match run.mode {
        Mode::Cleanup => descriptor.traits.cleanup,
        _ => descriptor.traits.restore,
    };
    if !able {
        let unfit = Unfit::Mode { loaded: descriptor.name.clone(), mode: run.mode.as_str() };
        return Err(NotDone::failed(reasons::COMPONENT_MISSING, unfit.to_string()));
    }
    if run.mode == Mode::Restore {
        let source = &backup.spec.application_ref;
        application::check_kind(source, &kind, &component)?;
        application::check_application(run, &application)?;
        application::check_kind(&application, &kind, &component)?;
        application::check_target(&application, source, &kind, &component)?;
    }
    let status = backup.status.clone().unwrap_or_default();
    let pin = status.component.as_ref().map(|p: &ComponentPin| Pin {
        name: &p.name,
        version: &p.version,
        digest: &p.digest,
    });
    if let Err(unfit) = may_restore(&kind, pin, descriptor, component.digest()) {
        return Err(NotDone::blocked(reasons::COMPONENT_MISSING, unfit.to_string()));
    }
    let (revision, pinned) = match &status.strategy_revision {
        Some(name) => {
            named(&format!("status.strategyRevision of Backup {title:?}"), name)?;
            let revision = ctx.records.revisions.get(name).await?;
            if (&revision.kind, &revision.name) != (&kind, &backup.spec.strategy_ref.name) {
                let message = format!(
                    "Backup {:?} pins strategy revision {name:?}, which is of {} {:?} and not of its own strategy; restore another Backup",
                    backup.name_any(),
                    revision.kind,
                    revision.name
                );
                return Err(NotDone::failed(reasons::STRATEGY_SNAPSHOT_CORRUPT, message));
            }
            (revision, true)
        }
        None => {
            let strategy = &backup.spec.strategy_ref;
            let own = parameters(backup);
            let found = strategy::current(strategy, &kind, &component, own.clone(), "Backup", ctx).await;
            let revision = match found {
                // Such a component finds all it needs in the Backup.
                Err(NotDone::Blocked { .. } | NotDone::Failed { .. })
                    if !descriptor.traits.strategy_on_restore =>
                {
                    Revision {
                        kind: kind.clone(),
                        name: strategy.name.clone(),
                        spec: Json::Null,
                        parameters: own,
                    }
                }
                found => found?,
            };
            (revision, false)
        }
    };
    let application_ref = application::reference(run, &application, &kind, &component, &ctx.cluster).await?;
    Ok(Inputs {
        strategy_ref: backup.spec.strategy_ref.clone(),
        kind,
        component,
        revision,
        application,
        application_ref,
        backup: Some(backup.clone()),
        options,
        pinned,
    })
}
