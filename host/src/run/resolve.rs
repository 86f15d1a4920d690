//! From what the user asked for to the inputs of a run, each settled once (lifecycle.md 5, 6, 7; R6).
//!
//! Nothing is written here. What is missing but may appear is a wait; what can never become right is a failure that says
//! what to change.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{Backup, BackupClass, ComponentPin, LocalRef, TypedRef, phase};
use backstay_core::backup::{parameters, restore_target};
use backstay_core::component::{Pin, Served, Unfit, may_restore};
use backstay_core::contract::{GroupKind, Json, Mode, ObjectRef, Pairs};
use backstay_core::revision::Revision;
use backstay_core::strategy_kind::{strategy_kind, waits_for_strategy};
use backstay_engine::Component;
use kube::{Api, ResourceExt};

use super::halt::{Halt, in_words};
use super::object::{Asked, Run};
use crate::api_error::ApiError;
use crate::context::Context;

/// What a run begins with.
pub(super) struct Inputs {
    /// The strategy object, as its class entry or the Backup names it.
    pub strategy_ref: TypedRef,
    /// Its kind.
    pub kind: GroupKind,
    /// The component that serves it.
    pub component: Component,
    /// The strategy's spec and the parameters, as they are pinned.
    pub revision: Revision,
    /// The application acted on, as the user names it.
    pub application: TypedRef,
    /// The application acted on, as the API server serves it.
    pub application_ref: ObjectRef,
    /// On restore and clean-up.
    pub backup: Option<(LocalRef, String)>,
    /// `RestoreJob.spec.options`.
    pub options: Option<Json>,
    /// On restore: whether the strategy is the one of the backup.
    pub pinned: bool,
}

/// Settles the inputs of a run that has not begun.
pub(super) async fn inputs(run: &Run, ctx: &Arc<Context>) -> Result<Inputs, Halt> {
    let inputs = match &run.asked {
        Asked::Backup(spec) => {
            let (strategy_ref, parameters) =
                match class_entry(&spec.backup_class_name, &spec.application_ref, ctx) {
                    // The watch may be behind: what ends a run is asked of the API server.
                    Err(Halt::Fail { .. }) => {
                        current_class_entry(&spec.backup_class_name, &spec.application_ref, ctx).await?
                    }
                    known => known?,
                };
            let whose = format!("BackupClass {:?}", spec.backup_class_name);
            let Some(kind) = strategy_kind(&strategy_ref) else { return Err(nobodys(run, &whose, ctx)) };
            let component = component(&kind, ctx)?;
            let revision =
                current_strategy(&strategy_ref, &kind, &component, parameters, &whose, ctx).await?;
            let application = spec.application_ref.clone();
            let application_ref = application_ref(run, &application, &kind, &component, ctx).await?;
            Inputs {
                strategy_ref,
                kind,
                component,
                revision,
                application,
                application_ref,
                backup: None,
                options: None,
                pinned: true,
            }
        }
        Asked::Restore(spec) => {
            let backup = backup(run, &spec.backup_ref.name, ctx).await?;
            let target = restore_target(&backup.spec.application_ref, spec.target_application_ref.as_ref());
            of_backup(run, &backup, target, spec.options.clone(), ctx).await?
        }
        Asked::Cleanup(backup) => {
            of_backup(run, backup, backup.spec.application_ref.clone(), None, ctx).await?
        }
    };
    if let Err(before) = ctx.turns.claim(run, &inputs.application, &inputs.kind) {
        let message = format!("waiting for {} to finish with {}", before.run, title(&inputs.application_ref));
        return Err(Halt::Wait { reason: reasons::TARGET_BUSY, message, bounded: false, give_up: None });
    }
    Ok(inputs)
}

/// The application that a run which has not begun wants its turn on, and its strategy kind, as far as they can be told now;
/// `None` for one that does not wait for a turn.
///
/// # Errors
/// The API server's.
pub async fn waiting_turn(run: &Run, ctx: &Context) -> Result<Option<(TypedRef, GroupKind)>, ApiError> {
    let waits = |c: &backstay_api::Condition| c.reason == reasons::TARGET_BUSY;
    if run.status.run.is_some() || !run.status.ready().is_some_and(waits) {
        return Ok(None);
    }
    let (application, strategy) = match &run.asked {
        Asked::Backup(spec) => {
            let Ok((strategy, _)) = class_entry(&spec.backup_class_name, &spec.application_ref, ctx) else {
                return Ok(None);
            };
            (spec.application_ref.clone(), strategy)
        }
        Asked::Restore(spec) => {
            let Some(backup) = find_backup(run, &spec.backup_ref.name, ctx).await? else { return Ok(None) };
            let target = restore_target(&backup.spec.application_ref, spec.target_application_ref.as_ref());
            (target, backup.spec.strategy_ref)
        }
        Asked::Cleanup(backup) => (backup.spec.application_ref.clone(), backup.spec.strategy_ref.clone()),
    };
    Ok(strategy_kind(&strategy).map(|kind| (application, kind)))
}

/// The entry of a BackupClass for the application: the strategy it names, and its parameters.
fn class_entry(class: &str, application: &TypedRef, ctx: &Context) -> Result<(TypedRef, Pairs), Halt> {
    let Some(found) = ctx.caches.class(class) else {
        return Err(Halt::Wait {
            reason: reasons::BACKUP_CLASS_NOT_FOUND,
            message: format!("BackupClass {class:?} not found; the platform may still be bootstrapping"),
            bounded: true,
            give_up: Some((
                reasons::BACKUP_CLASS_NOT_FOUND,
                format!(
                    "BackupClass {class:?} did not appear within {}; create it, or name another in spec.backupClassName of a new BackupJob",
                    in_words(ctx.settings.wait_deadline)
                ),
            )),
        });
    };
    entry_of(&found, application)
}

/// The same of the class as it is now.
async fn current_class_entry(
    class: &str,
    application: &TypedRef,
    ctx: &Context,
) -> Result<(TypedRef, Pairs), Halt> {
    let api = Api::<BackupClass>::all(ctx.client.clone());
    let found = api.get_opt(class).await;
    match found.map_err(|e| ApiError::new(format!("reading BackupClass {class:?}"), e))? {
        Some(found) => entry_of(&found, application),
        // It has just gone: the watch will say so.
        None => class_entry(class, application, ctx),
    }
}

fn entry_of(found: &BackupClass, application: &TypedRef) -> Result<(TypedRef, Pairs), Halt> {
    let class = found.name_any();
    let Some(entry) = found.spec.binding(application.group(), &application.kind) else {
        return Err(Halt::fail(
            reasons::NO_MATCHING_STRATEGY,
            format!(
                "BackupClass {class:?} does not bind a strategy for Kind {:?}; see docs/operations/backup-classes.md: add an entry for {} of {} to it, then create the BackupJob anew",
                application.kind,
                application.kind,
                application.group()
            ),
        ));
    };
    Ok((entry.strategy_ref.clone(), entry.parameters.clone().unwrap_or_default()))
}

/// A reference to a strategy without a group is nobody's: the run is left alone, as the Go implementation does, but not
/// in silence.
fn nobodys(run: &Run, whose: &str, ctx: &Context) -> Halt {
    let note = format!(
        "{whose} names a strategy without strategyRef.apiGroup, so no controller knows this {} as its own; set the group, such as {}",
        run.object.kind,
        backstay_api::STRATEGY_GROUP
    );
    ctx.warn(run, reasons::NO_STRATEGY_GROUP, &note);
    Halt::Leave
}

/// The component that serves a strategy kind.
fn component(kind: &GroupKind, ctx: &Context) -> Result<Component, Halt> {
    match ctx.registry.serving(kind) {
        Served::By(component) => Ok(component.clone()),
        Served::Foreign => Err(Halt::Leave),
        Served::Missing => {
            let message = format!(
                "strategy Kind {:?} is not served by any loaded component (served: {}); put its component into the components folder of the controller",
                kind.kind,
                ctx.registry.kinds()
            );
            Err(Halt::Wait {
                reason: reasons::COMPONENT_MISSING,
                message: message.clone(),
                bounded: true,
                give_up: Some((reasons::COMPONENT_MISSING, message)),
            })
        }
    }
}

/// The strategy as it is now.
async fn current_strategy(
    strategy: &TypedRef,
    kind: &GroupKind,
    component: &Component,
    parameters: Pairs,
    whose: &str,
    ctx: &Context,
) -> Result<Revision, Halt> {
    let served = component.descriptor().serves(kind).ok_or(Halt::Leave)?;
    let found = ctx
        .caches
        .strategy(&ctx.client, served, &strategy.name)
        .await
        .map_err(|e| ApiError::new(format!("reading strategy {} {:?}", kind.kind, strategy.name), e))?;
    let Some(spec) = found else {
        if !waits_for_strategy(kind) {
            return Err(Halt::fail(
                reasons::STRATEGY_NOT_FOUND,
                format!(
                    "{} strategy not found: {}; create it, or correct strategyRef in {whose}",
                    kind.kind, strategy.name
                ),
            ));
        }
        let waited = ctx.settings.wait_deadline.as_secs();
        return Err(Halt::Wait {
            reason: reasons::STRATEGY_NOT_READY,
            message: format!(
                "Strategy {:?} referenced by {whose} is not yet provisioned; the platform may still be initialising backup storage",
                strategy.name
            ),
            bounded: true,
            give_up: Some((
                reasons::STRATEGY_NOT_READY,
                format!(
                    "Strategy {:?} referenced by {whose} was not provisioned within {}m{}s; check the strategyRef name or the platform backup-storage bootstrap",
                    strategy.name,
                    waited / 60,
                    waited % 60
                ),
            )),
        });
    };
    Ok(Revision { kind: kind.clone(), name: strategy.name.clone(), spec, parameters })
}

/// The Backup that a RestoreJob names.
async fn find_backup(run: &Run, name: &str, ctx: &Context) -> Result<Option<Backup>, ApiError> {
    let api = Api::<Backup>::namespaced(ctx.client.clone(), run.namespace());
    let doing = || format!("reading Backup \"{}/{name}\"", run.namespace());
    api.get_opt(name).await.map_err(|e| ApiError::new(doing(), e))
}

/// The Backup that a RestoreJob names, if it can be restored from.
async fn backup(run: &Run, name: &str, ctx: &Context) -> Result<Backup, Halt> {
    let Some(backup) = find_backup(run, name, ctx).await? else {
        let message = format!(
            "failed to get Backup: \"{}/{name}\" not found; name an existing Backup of this namespace in spec.backupRef",
            run.namespace()
        );
        return Err(Halt::fail(reasons::BACKUP_NOT_FOUND, message));
    };
    match strategy_kind(&backup.spec.strategy_ref) {
        None => return Err(nobodys(run, &format!("Backup {name:?}"), ctx)),
        Some(kind) if matches!(ctx.registry.serving(&kind), Served::Foreign) => return Err(Halt::Leave),
        Some(_) => {}
    }
    if backup.metadata.deletion_timestamp.is_some() {
        return Err(Halt::fail(
            reasons::BACKUP_NOT_FOUND,
            format!("Backup {name:?} is being deleted; restore another one"),
        ));
    }
    match backup.status.as_ref().and_then(|s| s.phase.as_deref()) {
        Some(phase::FAILED) => Err(Halt::fail(
            reasons::BACKUP_FAILED_PHASE,
            format!("Backup {name:?} is in phase Failed and cannot be restored; choose one in phase Ready"),
        )),
        Some(phase::PENDING) => {
            let message = format!(
                "Backup {name:?} is in phase Pending; wait until it is Ready, or restore another one"
            );
            Err(Halt::wait(reasons::BACKUP_NOT_READY, message))
        }
        Some(phase::READY) => Ok(backup),
        _ => {
            let note = format!("Backup {name:?} has no phase; it is restored all the same");
            ctx.warn(run, reasons::BACKUP_PHASE_UNKNOWN, &note);
            Ok(backup)
        }
    }
}

/// The inputs of a run on an existing Backup: the strategy as it was when the backup was made, if that was kept.
async fn of_backup(
    run: &Run,
    backup: &Backup,
    application: TypedRef,
    options: Option<Json>,
    ctx: &Arc<Context>,
) -> Result<Inputs, Halt> {
    let kind = strategy_kind(&backup.spec.strategy_ref).ok_or(Halt::Leave)?;
    let component = component(&kind, ctx)?;
    let descriptor = component.descriptor();
    let able = match run.mode {
        Mode::Cleanup => descriptor.traits.cleanup,
        _ => descriptor.traits.restore,
    };
    if !able {
        let unfit = Unfit::Mode { loaded: descriptor.name.clone(), mode: run.mode.as_str() };
        return Err(Halt::fail(reasons::COMPONENT_MISSING, unfit.to_string()));
    }
    if run.mode == Mode::Restore {
        can_act_on(&backup.spec.application_ref, &kind, &component)?;
    }
    let status = backup.status.clone().unwrap_or_default();
    let pin = status.component.as_ref().map(|p: &ComponentPin| Pin {
        name: &p.name,
        version: &p.version,
        digest: &p.digest,
    });
    if let Err(unfit) = may_restore(&kind, pin, descriptor, component.digest()) {
        return Err(Halt::wait(reasons::COMPONENT_MISSING, unfit.to_string()));
    }
    let (revision, pinned) = match &status.strategy_revision {
        Some(name) => {
            let revision = ctx.revisions.read(&ctx.client, &ctx.settings.namespace, name).await?;
            (revision, true)
        }
        None => {
            let strategy = &backup.spec.strategy_ref;
            let own = parameters(backup);
            let found = current_strategy(strategy, &kind, &component, own.clone(), "Backup", ctx).await;
            let revision = match found {
                // What such a component needs is in the Backup.
                Err(Halt::Wait { .. } | Halt::Fail { .. }) if !descriptor.traits.strategy_on_restore => {
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
    let application_ref = application_ref(run, &application, &kind, &component, ctx).await?;
    Ok(Inputs {
        strategy_ref: backup.spec.strategy_ref.clone(),
        kind,
        component,
        revision,
        application,
        application_ref,
        backup: Some((
            LocalRef::new(backup.metadata.name.clone().unwrap_or_default()),
            backup.metadata.uid.clone().unwrap_or_default(),
        )),
        options,
        pinned,
    })
}

/// The kind of an application, if the component's strategies act on it.
fn can_act_on(application: &TypedRef, kind: &GroupKind, component: &Component) -> Result<GroupKind, Halt> {
    let gate = component.descriptor().serves(kind).map(|k| k.applications.as_slice()).unwrap_or_default();
    let wanted = GroupKind { group: application.group().to_owned(), kind: application.kind.clone() };
    if gate.is_empty() || gate.contains(&wanted) {
        return Ok(wanted);
    }
    let able: Vec<_> = gate.iter().map(ToString::to_string).collect();
    Err(Halt::fail(
        reasons::APPLICATION_MISMATCH,
        format!(
            "{} strategies cannot act on an application of kind {wanted}; they act on: {}",
            kind.kind,
            able.join(", ")
        ),
    ))
}

/// How the API server serves the application's kind, if the component can act on it.
async fn application_ref(
    run: &Run,
    application: &TypedRef,
    kind: &GroupKind,
    component: &Component,
    ctx: &Context,
) -> Result<ObjectRef, Halt> {
    let wanted = can_act_on(application, kind, component)?;
    let found = ctx
        .discovery
        .kind(&ctx.client, application)
        .await
        .map_err(|e| ApiError::new(format!("looking up how kind {wanted} is served"), e))?;
    match found {
        Some(served) => Ok(ObjectRef {
            api_version: served.resource.api_version.clone(),
            kind: application.kind.clone(),
            namespace: served.namespaced.then(|| run.namespace().to_owned()),
            name: application.name.clone(),
        }),
        // A Backup can be cleaned up after its application's kind is gone.
        None if run.mode == Mode::Cleanup => Ok(ObjectRef {
            api_version: application.group().to_owned(),
            kind: application.kind.clone(),
            namespace: Some(run.namespace().to_owned()),
            name: application.name.clone(),
        }),
        None => Err(not_found(run, application)),
    }
}

/// The application is not there, or its kind is not.
pub(super) fn not_found(run: &Run, application: &TypedRef) -> Halt {
    let (what, remedy) = match run.mode {
        Mode::Restore => ("target application", "; deploy it before requesting a restore)"),
        _ => ("application", "); deploy it, or name another in spec.applicationRef of a new BackupJob"),
    };
    let message = format!(
        "{what} not found or kind not registered: {}/{} (kind={:?}{remedy}",
        run.namespace(),
        application.name,
        application.kind
    );
    Halt::fail(reasons::APPLICATION_NOT_FOUND, message)
}

fn title(object: &ObjectRef) -> String {
    format!("{} {:?}", object.kind, object.name)
}
