//! The BackupClass of a BackupJob: which strategy it binds to the application's kind.

use backstay_api::conditions::reasons;
use backstay_api::{BackupClass, TypedRef};
use backstay_core::contract::Pairs;
use backstay_core::run_report::in_words;
use kube::ResourceExt;

use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::context::Context;
use crate::run::not_done::NotDone;

/// Returns the strategy that a BackupClass binds to the application's kind, with its parameters, as the watch shows the class.
///
/// # Errors
/// The run is blocked without its class; it fails if the class binds no strategy to the kind.
pub(super) fn entry(
    class: &str,
    application: &TypedRef,
    ctx: &Context,
) -> Result<(TypedRef, Pairs), NotDone> {
    match ctx.stores.class(class) {
        Some(found) => entry_of(&found, application),
        None => Err(NotDone::Blocked {
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
        }),
    }
}

/// As [`entry`]. The watch may be behind: the API server is asked before the class fails the run.
///
/// # Errors
/// As [`entry`]; the API server's.
pub(super) async fn current_entry(
    class: &str,
    application: &TypedRef,
    ctx: &Context,
) -> Result<(TypedRef, Pairs), NotDone> {
    let shown = entry(class, application, ctx);
    if !matches!(shown, Err(NotDone::Failed { .. })) {
        return shown;
    }
    let found = Api::<BackupClass>::all(ctx.cluster.client.clone()).get_opt(class).await;
    match found.map_err(|e| ApiError::new(format!("reading BackupClass {class:?}"), e))? {
        Some(found) => entry_of(&found, application),
        // It was just deleted: the watch will show that.
        None => entry(class, application, ctx),
    }
}

fn entry_of(found: &BackupClass, application: &TypedRef) -> Result<(TypedRef, Pairs), NotDone> {
    let class = found.name_any();
    let Some(entry) = found.spec.binding(application.group(), &application.kind) else {
        return Err(NotDone::failed(
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
